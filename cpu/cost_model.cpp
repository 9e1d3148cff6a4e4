#include "cpu/cost_model.h"

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/cost_model.h"
#include "core/error.h"
#include "cpu/backend.h"
#include "cpu/features.h"
#include "cpu/learned_data.h"

namespace grkan {
namespace {

constexpr double kLine = 64;

// A stream from memory and arithmetic beside it overlap less than two pipes do: a zen4 core that
// copies 96 MiB with 8 to 24 multiplications a line takes what an exponent of 2.4 to 3.7 gives.
constexpr double kStreamPower = 3;

// What cores take for counts, the work divided by `cores`.
Parts core_parts(const CoreCounts& c, const CpuWork& work, double cores) {
  const CpuModel& cpu = work.cpu;
  const bool doubles = work.task.problem.math_type() == Type::f64;
  const double divided =
      c.divisions * (doubles ? cpu.division_multiplies_f64.value : cpu.division_multiplies.value);
  const double clocks = 1 / (cpu.clock_mhz.value * 1e6 * cores);
  Parts parts{};
  at(parts, Resource::issue) = c.instructions / cpu.instructions.value * clocks;
  at(parts, doubles ? Resource::fp64 : Resource::fp32) =
      (c.multiplies + divided) / cpu.multiply_pipes.value * clocks;
  at(parts, Resource::special) =
      c.divisions * (doubles ? cpu.division_clocks_f64.value : cpu.division_clocks.value) * clocks;
  at(parts, Resource::convert) = c.conversions / cpu.convert_pipes.value * clocks;
  at(parts, Resource::integer) =
      (c.multiplies + divided + c.others + c.conversions) / cpu.vector_pipes.value * clocks;
  at(parts, Resource::shared) =
      std::max(c.loads / cpu.load_pipes.value, c.stores / cpu.store_pipes.value) * clocks;
  at(parts, Resource::dependencies) = c.dependent_clocks * clocks;
  return parts;
}

Parts memory_parts(const CpuFacts& f, const CpuModel& cpu, double cores, double all_cores) {
  Parts parts{};
  const double one_core = f.streamed_lines * kLine / (cpu.read_gbs.value * 1e9) +
                          f.stored_lines * kLine / (cpu.write_gbs.value * 1e9);
  const double all_lines = f.streamed_lines + f.exposed_lines + f.stored_lines + f.written_lines;
  at(parts, Resource::dram) = std::max(
      one_core / cores, all_lines * kLine / (cpu.bandwidth_gbs.value * 1e9) * all_cores / cores);
  // Little's law.
  const double waits = (f.exposed_lines - f.requested_lines - f.overwritten_lines) / f.lines_ahead +
                       (f.requested_lines + f.overwritten_lines) / cpu.lines_in_flight.value;
  at(parts, Resource::latency) = waits * cpu.memory_latency_ns.value * 1e-9 / cores;
  at(parts, Resource::l2) =
      f.evicted_lines * cpu.l2_line_clocks.value / (cpu.clock_mhz.value * 1e6 * cores);
  return parts;
}

struct Time {
  Parts parts{};
  double seconds = 0;
};

// With the work spread over so many cores; the busiest thread's part is 1 / cores.
Time time_of(const CpuFacts& f, const CpuWork& work, double cores) {
  const CpuModel& cpu = work.cpu;
  const double clock = cpu.clock_mhz.value * 1e6;
  const Parts first = core_parts(f.first, work, cores);
  const Parts second = core_parts(f.second, work, cores);
  const Parts between = core_parts(f.between, work, cores);
  const Parts memory = memory_parts(f, cpu, cores, double(work.threads));
  Time time;
  for (std::size_t i = 0; i < kResources; ++i) {
    time.parts.at(i) = first.at(i) + second.at(i) + between.at(i) + memory.at(i);
  }
  // A window is too short to look from one loop into the next, so what they take adds up. The
  // schedule's own requests are on their way during the sums too; else memory waits for them.
  const bool beside = f.requested_lines > 0;
  const double sums = norm(second, kOverlapPower);
  const double core =
      norm(first, kOverlapPower) + norm(between, kOverlapPower) + (beside ? sums : 0);
  // Streams overlap with arithmetic; who waits for single lines does nothing else.
  const double stream = at(memory, Resource::dram);
  const double streamed = norm(std::array{stream, core}, kStreamPower);
  const double waited = stream + at(memory, Resource::latency) + at(memory, Resource::l2);
  time.seconds = norm(std::array{streamed, waited}, kOverlapPower) + (beside ? 0 : sums);
  const double ends = f.reduced * cpu.multiply_latency.value / clock / cores +
                      f.slices * cpu.slice_us.value * 1e-6 / cores;
  at(time.parts, Resource::launch) = ends + f.serial_clocks / clock + cpu.launch_us.value * 1e-6;
  time.seconds += at(time.parts, Resource::launch);
  return time;
}

constexpr std::array kUses = {FigureUse{Resource::dram, &CpuModel::read_gbs},
                              FigureUse{Resource::dram, &CpuModel::write_gbs},
                              FigureUse{Resource::dram, &CpuModel::bandwidth_gbs},
                              FigureUse{Resource::latency, &CpuModel::memory_latency_ns},
                              FigureUse{Resource::latency, &CpuModel::lines_in_flight},
                              FigureUse{Resource::latency, &CpuModel::lines_to_learn},
                              FigureUse{Resource::latency, &CpuModel::window},
                              FigureUse{Resource::l2, &CpuModel::l2_line_clocks},
                              FigureUse{Resource::l2, &CpuModel::l1_bytes},
                              FigureUse{Resource::latency, &CpuModel::l2_bytes},
                              FigureUse{Resource::issue, &CpuModel::clock_mhz},
                              FigureUse{Resource::issue, &CpuModel::instructions},
                              FigureUse{Resource::issue, &CpuModel::pass_bytes},
                              FigureUse{Resource::fp32, &CpuModel::multiply_pipes},
                              FigureUse{Resource::fp64, &CpuModel::multiply_pipes},
                              FigureUse{Resource::fp32, &CpuModel::division_multiplies},
                              FigureUse{Resource::fp64, &CpuModel::division_multiplies_f64},
                              FigureUse{Resource::fp32, &CpuModel::division_clocks},
                              FigureUse{Resource::fp64, &CpuModel::division_clocks_f64},
                              FigureUse{Resource::convert, &CpuModel::convert_pipes},
                              FigureUse{Resource::integer, &CpuModel::vector_pipes},
                              FigureUse{Resource::shared, &CpuModel::load_pipes},
                              FigureUse{Resource::shared, &CpuModel::store_pipes},
                              FigureUse{Resource::dependencies, &CpuModel::multiply_latency},
                              FigureUse{Resource::dependencies, &CpuModel::division_latency},
                              FigureUse{Resource::launch, &CpuModel::launch_us},
                              FigureUse{Resource::launch, &CpuModel::slice_us}};

}  // namespace

Prediction predict(const CpuFacts& facts, const CpuWork& work) {
  const CpuModel& cpu = work.cpu;
  const double threads = double(work.threads);
  const Time even = time_of(facts, work, threads);
  const Time busiest = time_of(facts, work, 1 / facts.busiest);
  Prediction p;
  p.ns = busiest.seconds * 1e9;
  for (std::size_t i = 0; i < kResources; ++i) p.parts_ns.at(i) = even.parts.at(i) * 1e9;
  p.tail_ns = std::max(0.0, busiest.seconds - even.seconds) * 1e9;
  const double read = facts.tensor_bytes - facts.least_stored_bytes;
  p.floor_ns = std::max(
      (read / cpu.read_gbs.value + facts.least_stored_bytes / cpu.write_gbs.value) / threads,
      facts.tensor_bytes / cpu.bandwidth_gbs.value);
  p.assumed = assumed_figures<CpuModel>(p.parts_ns, cpu, cpu_figure_fields(), kUses);
  return p;
}

Prediction predict(const CpuWork& work) { return predict(cpu_facts(work), work); }

Prediction predict_learnt(const CpuWork& work, const Learned& learned) {
  Prediction p = predict(work);
  learned.judge(p, values_of(cpu_features(), CpuEstimate{work, p}), work.cpu.name);
  return p;
}

namespace {

const Learned& learned() {
  static const Learned learned = Learned::parse(cpu_learned_data(), names_of(cpu_features()));
  return learned;
}

class CpuCostModel final : public CostModel {
 public:
  explicit CpuCostModel(const DeviceInfo& device)
      : device_(device), cpu_(cpu_model_for(device.target, device.model)) {}

  [[nodiscard]] std::optional<Prediction> of_schedule(const SizedCall& call) const override {
    const CpuWork work{.task = call.task,
                       .schedule = CpuSchedule(call.schedule),
                       .target = device_.target,
                       .cpu = cpu_,
                       .rows = call.rows,
                       .inner = call.inner,
                       .threads = device_.units};
    return predict_learnt(work, learned());
  }
  [[nodiscard]] Prediction of_code(const SizedCall& /*call*/,
                                   const nlohmann::json& /*counts*/) const override {
    fail_uncounted();
  }
  [[nodiscard]] SampleShape sample(const SizedCall& /*call*/) const override { fail_uncounted(); }
  [[nodiscard]] Prediction of_execution(const SizedCall& /*call*/,
                                        const nlohmann::json& /*launches*/) const override {
    fail_uncounted();
  }

 private:
  [[noreturn]] static void fail_uncounted() {
    fail(Status::unsupported, "nothing of a CPU's code is counted: its schedule tells enough");
  }

  DeviceInfo device_;
  CpuModel cpu_;
};

}  // namespace

std::unique_ptr<const CostModel> CpuBackend::cost_model_of(const DeviceInfo& device) const {
  if (device.target.name.empty()) return nullptr;  // the portable kernels have no schedules
  return std::make_unique<const CpuCostModel>(device);
}

}  // namespace grkan
