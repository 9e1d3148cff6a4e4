#include "cuda/features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"

namespace grkan {
namespace {

using Call = CudaEstimate;

constexpr double kWarp = 32;
constexpr double kSector = 32;

const CudaSchedule& schedule(const Call& c) { return c.call.schedule; }
const Problem& problem(const Call& c) { return c.call.task.problem; }
double x_bytes(const Call& c) { return double(size_of(problem(c).x_type)); }
double y_bytes(const Call& c) { return double(size_of(problem(c).y_type)); }
double multiprocessors(const Call& c) { return c.call.gpu.multiprocessors.value; }
double row_elements(const Call& c) {
  const bool last = problem(c).layout == Layout::channels_last;
  return double(problem(c).channels) * (last ? 1.0 : double(c.call.inner));
}
double block_warps(const Call& c) { return std::ceil(c.main.threads / kWarp); }
double places(const Call& c) { return multiprocessors(c) * c.main.resident_blocks; }
double waves(const Call& c) { return c.main.blocks / places(c); }
// On a multiprocessor at a time.
double resident_warps(const Call& c) {
  const double blocks =
      std::min(double(c.main.resident_blocks), std::ceil(c.main.blocks / multiprocessors(c)));
  return blocks * block_warps(c);
}
// Times that a thread requests and waits.
double steps(const Call& c) {
  const double at_once = c.main.blocks * c.main.threads * c.main.bytes_ahead;
  return at_once > 0 ? c.main.streamed_bytes / at_once : 0;
}
double uneven(double blocks) { return std::ceil(blocks) / std::max(blocks, 1e-9); }
double share(const Call& c, Resource resource) {
  return log_share(c.physics.part_ns(resource), c.physics.ns);
}

constexpr std::array kFeatures = {
    // The schedule.
    Feature<Call>{"log2_columns", [](const Call& c) { return log2_of(schedule(c).columns); }},
    Feature<Call>{"log2_rows_in_flight",
                  [](const Call& c) { return log2_of(schedule(c).rows_in_flight); }},
    Feature<Call>{"log2_tile_columns",
                  [](const Call& c) { return log2_of(schedule(c).tile_columns); }},
    Feature<Call>{"log2_tile_rows", [](const Call& c) { return log2_of(schedule(c).tile_rows); }},
    Feature<Call>{"min_blocks", [](const Call& c) { return double(schedule(c).min_blocks); }},
    Feature<Call>{"polynomial", [](const Call& c) { return double(schedule(c).polynomial); }},
    Feature<Call>{"packed", [](const Call& c) { return double(schedule(c).packed); }},
    Feature<Call>{"division", [](const Call& c) { return double(schedule(c).division); }},
    Feature<Call>{"run", [](const Call& c) { return double(schedule(c).run); }},
    Feature<Call>{"accumulator", [](const Call& c) { return double(schedule(c).accumulator); }},
    Feature<Call>{"sums", [](const Call& c) { return double(schedule(c).sums); }},
    Feature<Call>{"loads", [](const Call& c) { return double(schedule(c).loads); }},
    Feature<Call>{"stores", [](const Call& c) { return double(schedule(c).stores); }},
    Feature<Call>{"log2_blocks", [](const Call& c) { return log2_of(schedule(c).blocks); }},
    Feature<Call>{"slab", [](const Call& c) { return double(schedule(c).slab); }},
    // The task.
    Feature<Call>{"backward", [](const Call& c) { return c.call.task.backward() ? 1.0 : 0.0; }},
    Feature<Call>{"sum_terms", [](const Call& c) { return double(c.call.task.sum_terms()); }},
    Feature<Call>{"writes",
                  [](const Call& c) {
                    return !c.call.task.backward() || c.call.task.gradients.dx ? 1.0 : 0.0;
                  }},
    Feature<Call>{"numerator_terms",
                  [](const Call& c) { return double(problem(c).numerator_terms()); }},
    Feature<Call>{"denominator_terms",
                  [](const Call& c) { return double(problem(c).denominator_terms()); }},
    Feature<Call>{"denominator",
                  [](const Call& c) { return double(int(problem(c).denominator().form)); }},
    Feature<Call>{"x_bytes", x_bytes},
    Feature<Call>{"y_bytes", y_bytes},
    Feature<Call>{
        "channels_last",
        [](const Call& c) { return problem(c).layout == Layout::channels_last ? 1.0 : 0.0; }},
    Feature<Call>{"log2_segment_width",
                  [](const Call& c) { return log2_of(double(problem(c).segment_width())); }},
    Feature<Call>{"log2_row_elements", [](const Call& c) { return log2_of(row_elements(c)); }},
    // The launch.
    Feature<Call>{"log2_dram_bytes", [](const Call& c) { return log2_of(c.main.dram_bytes); }},
    Feature<Call>{"threads", [](const Call& c) { return double(c.main.threads); }},
    Feature<Call>{"idle_lanes",
                  [](const Call& c) { return block_warps(c) * kWarp / c.main.threads - 1; }},
    Feature<Call>{"resident_warps", resident_warps},
    Feature<Call>{"log2_waves", [](const Call& c) { return std::log2(waves(c)); }},
    Feature<Call>{"last_wave", [](const Call& c) { return uneven(waves(c)); }},
    Feature<Call>{"busiest_multiprocessor",
                  [](const Call& c) { return uneven(c.main.blocks / multiprocessors(c)); }},
    Feature<Call>{"log2_steps", [](const Call& c) { return log2_of(steps(c)); }},
    Feature<Call>{"log2_rows_a_thread",
                  [](const Call& c) { return log2_of(steps(c) * schedule(c).rows_in_flight); }},
    Feature<Call>{
        "log2_bytes_in_flight",
        [](const Call& c) { return log2_of(resident_warps(c) * kWarp * c.main.bytes_ahead); }},
    Feature<Call>{"log2_thread_bytes",
                  [](const Call& c) { return log2_of(schedule(c).columns * x_bytes(c)); }},
    Feature<Call>{"log2_tile_bytes",
                  [](const Call& c) {
                    return log2_of(double(schedule(c).columns) * schedule(c).tile_columns *
                                   x_bytes(c));
                  }},
    Feature<Call>{"sectors_touched",
                  [](const Call& c) { return c.main.sectors * kSector / c.main.dram_bytes; }},
    Feature<Call>{"instructions_a_byte",
                  [](const Call& c) {
                    return c.main.instructions.issued() * kWarp / c.main.dram_bytes;
                  }},
    Feature<Call>{"log2_warp_instructions",
                  [](const Call& c) {
                    const double warps = c.main.blocks * block_warps(c);
                    return log2_of(c.main.instructions.issued() / warps);
                  }},
    // The physics.
    Feature<Call>{"beside_floor",
                  [](const Call& c) { return -log_share(c.physics.floor_ns, c.physics.ns); }},
    Feature<Call>{"dram", [](const Call& c) { return share(c, Resource::dram); }},
    Feature<Call>{"latency", [](const Call& c) { return share(c, Resource::latency); }},
    Feature<Call>{"dependencies", [](const Call& c) { return share(c, Resource::dependencies); }},
    Feature<Call>{"issue", [](const Call& c) { return share(c, Resource::issue); }},
    Feature<Call>{"shared", [](const Call& c) { return share(c, Resource::shared); }},
    Feature<Call>{"tail", [](const Call& c) { return log_share(c.physics.tail_ns, c.physics.ns); }},
};

}  // namespace

std::span<const Feature<CudaEstimate>> cuda_features() { return kFeatures; }

const LaunchFacts& main_launch(std::span<const LaunchFacts> launches) {
  const auto main = std::find_if(launches.begin(), launches.end(),
                                 [](const LaunchFacts& f) { return f.blocks > 0; });
  if (main == launches.end()) fail_argument("no launch of a kernel");
  return *main;
}

}  // namespace grkan
