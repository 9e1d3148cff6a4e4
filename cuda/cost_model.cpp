#include "cuda/cost_model.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/learned.h"
#include "cuda/backend.h"
#include "cuda/features.h"
#include "cuda/launch.h"
#include "cuda/learned_data.h"

namespace grkan {
namespace {

constexpr double kWarp = 32;
constexpr double kSector = 32;
constexpr double kSharedPass = 128;  // bytes

// Clocks of a warp's instruction: it issues one in two clocks at most, and the next of a chain
// waits four (CUDA C++ Best Practices Guide: typical latency of arithmetic).
constexpr double kIssueInterval = 2;
constexpr double kChainLatency = 4;
// A hit of L2 takes half as long as a load from DRAM: 211 of 424 clocks on an A100, 265 of 475 on
// an H100 (te42kyfo/gpu-benches, gpu-latency).
constexpr double kL2Latency = 0.5;
// What a kernel takes beside its work and the time between two empty ones: its blocks start and
// end. One that is launched early waits for the end of the one before. Seconds, fitted to an
// H200's times (docs/prediction.md).
constexpr double kStart = 0.9e-6;
constexpr double kEarlyStart = 1.6e-6;
// How parts that overlap add up: the root of the sum of their powers. 2 for what threads wait for
// beside what the whole GPU moves and computes, which meet slowly: a V100 that reads with 6 to
// 100 % of its threads (gpu-benches, "sum1") is met within 11 %. The parts of the whole GPU meet
// more sharply; fitted to an H200's times.
constexpr double kWaitPower = 2;
constexpr double kThroughputPower = 4;

// Parts that overlap. Those of the launch itself don't. A thread waits for its loads and then
// computes: these two follow one another.
double together(Parts parts) {
  const double waited = at(parts, Resource::latency) + at(parts, Resource::dependencies);
  for (const Resource other : {Resource::latency, Resource::dependencies, Resource::launch}) {
    at(parts, other) = 0;
  }
  return norm(std::array{norm(parts, kThroughputPower), waited}, kWaitPower);
}

// What some blocks of a launch need, when the busiest multiprocessor has `busiest` of them and each
// place for a block has `rounds`, one after another.
Parts parts_of(const LaunchFacts& f, const GpuModel& gpu, double blocks, double busiest,
               double rounds) {
  const double clock = gpu.clock_mhz.value * 1e6;
  const double share = blocks / f.blocks;               // of what the whole GPU does
  const double per_clock = busiest / f.blocks / clock;  // of what a multiprocessor does
  const WarpInstructions& n = f.instructions;
  // Only sm_100 and sm_103 have instructions for pairs; elsewhere they are two.
  const bool pairs = gpu.compute_capability / 10 == 10;
  const double issued = n.issued() + (pairs ? 0 : n.packed);
  const auto lanes = [&](double instructions, const Figure& results) {
    return instructions * kWarp / results.value * per_clock;
  };
  Parts parts{};
  // A part of a sector takes a whole one; what stays in L2 takes none.
  const double moved = f.dram_bytes > 0 ? std::max(f.dram_bytes, f.sectors * kSector) : 0;
  at(parts, Resource::dram) =
      share * moved / (gpu.bandwidth_gbs.value * 1e9 * gpu.bandwidth_reached.value);
  // Little's law: a thread's loads take as many latencies as it has to request again.
  const double threads = f.blocks * f.threads;
  const double steps = f.bytes_ahead > 0 ? f.streamed_bytes / (threads * f.bytes_ahead) : 0;
  at(parts, Resource::latency) =
      rounds * (steps + kL2Latency * f.round_trips) * gpu.memory_latency_ns.value * 1e-9;
  // First-level hits are not told apart: all sectors count.
  at(parts, Resource::l2) = share * f.sectors * kSector / (gpu.l2_bandwidth_gbs.value * 1e9);
  at(parts, Resource::issue) = issued / gpu.warp_schedulers.value * per_clock;
  at(parts, Resource::fp32) = lanes(n.fp32 + 2 * n.packed, gpu.fp32_lanes);
  at(parts, Resource::fp64) = lanes(n.fp64, gpu.fp64_lanes);
  at(parts, Resource::special) = lanes(n.special, gpu.special_lanes);
  at(parts, Resource::convert) = lanes(n.convert, gpu.convert_lanes);
  at(parts, Resource::integer) = lanes(n.integer, gpu.integer_lanes);
  const double passes = f.shared_passes + std::max(f.requests, f.sectors * kSector / kSharedPass);
  at(parts, Resource::shared) = passes * kSharedPass / gpu.shared_bytes_a_clock.value * per_clock;
  // A unit for each 32 bytes that L2 gives a clock; a line lies at one of them.
  const double unit_passes = std::max(
      f.most_line_passes, f.atomic_passes * kSector * clock / (gpu.l2_bandwidth_gbs.value * 1e9));
  at(parts, Resource::atomics) = share * unit_passes * gpu.atomic_clocks.value / clock;
  const double warps = f.blocks * std::ceil(f.threads / kWarp);
  const double interval = kIssueInterval + (kChainLatency - kIssueInterval) / f.independent;
  at(parts, Resource::dependencies) = rounds * issued / warps * interval / clock;
  return parts;
}

struct LaunchTime {
  Parts parts{};  // spread evenly
  double seconds = 0;
  double tail = 0;
};

LaunchTime time_of(const LaunchFacts& f, const GpuModel& gpu) {
  LaunchTime time;
  double overhead = gpu.launch_us.value * 1e-6;
  if (f.blocks > 0) overhead = f.programmatic ? kEarlyStart : overhead + kStart;
  at(time.parts, Resource::launch) = overhead;
  time.seconds = overhead;
  if (f.blocks <= 0) return time;
  const double multiprocessors = gpu.multiprocessors.value;
  const double places = multiprocessors * f.resident_blocks;
  // Whole waves fill every place; then come the blocks that are left.
  const double waves = std::floor(f.blocks / places);
  const double left = f.blocks - waves * places;
  double seconds = 0;
  if (waves > 0) {
    seconds += together(parts_of(f, gpu, waves * places, waves * f.resident_blocks, waves));
  }
  if (left > 0) {
    seconds += together(parts_of(f, gpu, left, std::ceil(left / multiprocessors), 1));
  }
  const Parts even =
      parts_of(f, gpu, f.blocks, f.blocks / multiprocessors, std::max(1.0, f.blocks / places));
  const double end = f.last_round_trips * kL2Latency * gpu.memory_latency_ns.value * 1e-9;
  time.tail = seconds - together(even);
  time.seconds += seconds + end;
  time.parts = even;
  at(time.parts, Resource::latency) += end;
  at(time.parts, Resource::launch) = overhead;
  return time;
}

constexpr std::array kUses = {FigureUse{Resource::dram, &GpuModel::bandwidth_gbs},
                              FigureUse{Resource::dram, &GpuModel::bandwidth_reached},
                              FigureUse{Resource::latency, &GpuModel::memory_latency_ns},
                              FigureUse{Resource::l2, &GpuModel::l2_bandwidth_gbs},
                              FigureUse{Resource::issue, &GpuModel::multiprocessors},
                              FigureUse{Resource::issue, &GpuModel::clock_mhz},
                              FigureUse{Resource::issue, &GpuModel::warp_schedulers},
                              FigureUse{Resource::fp32, &GpuModel::fp32_lanes},
                              FigureUse{Resource::fp64, &GpuModel::fp64_lanes},
                              FigureUse{Resource::special, &GpuModel::special_lanes},
                              FigureUse{Resource::convert, &GpuModel::convert_lanes},
                              FigureUse{Resource::integer, &GpuModel::integer_lanes},
                              FigureUse{Resource::shared, &GpuModel::shared_bytes_a_clock},
                              FigureUse{Resource::atomics, &GpuModel::atomic_clocks},
                              FigureUse{Resource::launch, &GpuModel::launch_us}};

}  // namespace

Prediction predict_learnt(const GpuCall& call, std::span<const LaunchFacts> launches,
                          const Learned& learned) {
  Prediction p = predict(launches, call.gpu);
  const CudaEstimate estimate{call, main_launch(launches), p};
  learned.judge(p, values_of(cuda_features(), estimate), call.gpu.name);
  return p;
}

Prediction predict(std::span<const LaunchFacts> launches, const GpuModel& gpu) {
  Prediction p;
  p.executed = !launches.empty();
  for (const LaunchFacts& facts : launches) {
    const LaunchTime time = time_of(facts, gpu);
    p.ns += time.seconds * 1e9;
    p.tail_ns += time.tail * 1e9;
    for (std::size_t i = 0; i < kResources; ++i) p.parts_ns.at(i) += time.parts.at(i) * 1e9;
    p.floor_ns += facts.dram_bytes / gpu.bandwidth_gbs.value;
    p.executed = p.executed && facts.executed;
  }
  p.assumed = assumed_figures<GpuModel>(p.parts_ns, gpu, figure_fields(), kUses);
  return p;
}

namespace {

const Learned& learned_of_counts() {
  static const Learned learned = Learned::parse(cuda_learned_data(), names_of(cuda_features()));
  return learned;
}
const Learned& learned_of_estimates() {
  static const Learned learned =
      Learned::parse(cuda_learned_estimated_data(), names_of(cuda_features()));
  return learned;
}

class CudaCostModel final : public CostModel {
 public:
  explicit CudaCostModel(const GpuModel& gpu) : gpu_(gpu) {}

  [[nodiscard]] std::optional<Prediction> of_schedule(const SizedCall& call) const override {
    const GpuCall whole = on_gpu(call);
    try {
      const CudaLaunch launch = cuda_launch(call.task, whole.schedule, call.rows, call.inner,
                                            int(gpu_.multiprocessors.value));
      return predict_learnt(whole, estimated_facts(whole, launch), learned_of_estimates());
    } catch (const Error& error) {
      if (error.status() != Status::unsupported) throw;
      return {};  // no grid for it, or no place on a multiprocessor
    }
  }
  [[nodiscard]] Prediction of_code(const SizedCall& call,
                                   const nlohmann::json& counts) const override {
    const GpuCall whole = on_gpu(call);
    return predict_learnt(whole, static_facts(whole, counts), learned_of_counts());
  }
  [[nodiscard]] SampleShape sample(const SizedCall& call) const override {
    return sample_shape(on_gpu(call));
  }
  [[nodiscard]] Prediction of_execution(const SizedCall& call,
                                        const nlohmann::json& launches) const override {
    const GpuCall whole = on_gpu(call);
    return predict_learnt(whole, executed_facts(whole, sample_shape(whole), launches),
                          learned_of_counts());
  }

 private:
  [[nodiscard]] GpuCall on_gpu(const SizedCall& call) const {
    return {.task = call.task,
            .schedule = CudaSchedule(call.schedule),
            .gpu = gpu_,
            .rows = call.rows,
            .inner = call.inner};
  }

  GpuModel gpu_;
};

}  // namespace

std::unique_ptr<const CostModel> CudaBackend::cost_model(const GpuModel& model) const {
  return std::make_unique<const CudaCostModel>(model);
}

std::unique_ptr<const CostModel> CudaBackend::cost_model_of(const DeviceInfo& device) const {
  const GpuModel* model =
      find_gpu_model(device.target.compute_capability(), device.units, double(device.memory));
  return model == nullptr ? nullptr : cost_model(*model);
}

}  // namespace grkan
