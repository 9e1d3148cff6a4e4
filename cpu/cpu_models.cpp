#include "cpu/cpu_models.h"

#include <fmt/ranges.h>

#include <array>
#include <vector>

#include "core/error.h"

namespace grkan {
namespace {

constexpr double kKiB = 1024;

constexpr std::string_view kGuide =
    "Software Optimization Guide for the AMD Zen4 Microarchitecture";
constexpr std::string_view kSheet = "AMD EPYC 9004 data sheet: 12 channels of DDR5-4800";
// Measured in a virtual machine with 2 cores of an AMD EPYC (family 25, model 17), lower quartiles
// of several runs; docs/prediction.md tells more. LLVM 22's scheduling model of znver4 has the same
// divisions and conversions.
constexpr std::string_view kArithmetic = "loops of one instruction, and of it beside others";
constexpr std::string_view kWaiting =
    "24 lines at once at 4.8 ns each, as rows side by side take; chains of loads say 140 to 175";
constexpr std::string_view kRows = "two arrays read into a third, row blocks of several widths";
constexpr std::string_view kStreams = "arrays of 96 MiB read, copied and filled";
constexpr std::string_view kCalls = "a guess: only what differs between schedules matters";

constexpr CpuModel kZen4 = {
    .name = "zen4",
    .clock_mhz = measured(3690, kArithmetic),
    .instructions = published(6, kGuide),
    .window = published(320, kGuide),
    .pass_bytes = published(32, kGuide),
    .multiply_pipes = published(2, kGuide),
    .vector_pipes = published(4, kGuide),
    .convert_pipes = measured(1, kArithmetic),
    .load_pipes = published(2, kGuide),
    .store_pipes = published(1, kGuide),
    .division_clocks = measured(3, kArithmetic),
    .division_clocks_f64 = measured(4.5, kArithmetic),
    .division_multiplies = measured(2.5, kArithmetic),
    .division_multiplies_f64 = measured(2.5, kArithmetic),
    .multiply_latency = published(4, kGuide),
    .division_latency = published(11, kGuide),
    .l1_bytes = published(32 * kKiB, kGuide),
    .l2_bytes = published(1024 * kKiB, kGuide),
    .l2_line_clocks = published(2, kGuide),
    .memory_latency_ns = assumed(115, kWaiting),
    .lines_in_flight = published(24, kGuide),
    .lines_to_learn = measured(32, kRows),
    .read_gbs = measured(28, kStreams),
    .write_gbs = measured(85, kStreams),
    .bandwidth_gbs = published(460.8, kSheet),
    .launch_us = assumed(2, kCalls),
    .slice_us = assumed(0.2, kCalls),
};

constexpr std::string_view kTypicalAvx512 = "typical of server cores with AVX-512";
constexpr std::string_view kTypicalAvx2 = "typical of cores with AVX2";
constexpr std::string_view kTypicalNeon = "typical of 64-bit Arm server cores";

struct Typical {
  double pass_bytes;
  double division_clocks;
  double division_clocks_f64;
  double window;
  double read_gbs;
};

constexpr CpuModel typical(std::string_view name, std::string_view source, const Typical& t) {
  const auto figure = [source](double value) { return assumed(value, source); };
  return {
      .name = name,
      .clock_mhz = figure(3000),
      .instructions = figure(4),
      .window = figure(t.window),
      .pass_bytes = figure(t.pass_bytes),
      .multiply_pipes = figure(2),
      .vector_pipes = figure(3),
      .convert_pipes = figure(1),
      .load_pipes = figure(2),
      .store_pipes = figure(1),
      .division_clocks = figure(t.division_clocks),
      .division_clocks_f64 = figure(t.division_clocks_f64),
      .division_multiplies = figure(1),
      .division_multiplies_f64 = figure(1),
      .multiply_latency = figure(4),
      .division_latency = figure(12),
      .l1_bytes = figure(32 * kKiB),
      .l2_bytes = figure(1024 * kKiB),
      .l2_line_clocks = figure(2),
      .memory_latency_ns = figure(100),
      .lines_in_flight = figure(16),
      .lines_to_learn = figure(32),
      .read_gbs = figure(t.read_gbs),
      .write_gbs = figure(2 * t.read_gbs),
      .bandwidth_gbs = figure(150),
      .launch_us = figure(2),
      .slice_us = figure(0.2),
  };
}

constexpr std::array kModels = {
    kZen4,
    typical("avx512", kTypicalAvx512,
            {.pass_bytes = 64,
             .division_clocks = 10,
             .division_clocks_f64 = 16,
             .window = 350,
             .read_gbs = 12}),
    typical("avx2", kTypicalAvx2,
            {.pass_bytes = 32,
             .division_clocks = 5,
             .division_clocks_f64 = 8,
             .window = 224,
             .read_gbs = 15}),
    typical("neon", kTypicalNeon,
            {.pass_bytes = 16,
             .division_clocks = 5,
             .division_clocks_f64 = 7,
             .window = 160,
             .read_gbs = 15}),
};

constexpr std::array kFields = {
    NamedFigure<CpuModel>{"clock_mhz", &CpuModel::clock_mhz},
    NamedFigure<CpuModel>{"instructions", &CpuModel::instructions},
    NamedFigure<CpuModel>{"window", &CpuModel::window},
    NamedFigure<CpuModel>{"pass_bytes", &CpuModel::pass_bytes},
    NamedFigure<CpuModel>{"multiply_pipes", &CpuModel::multiply_pipes},
    NamedFigure<CpuModel>{"vector_pipes", &CpuModel::vector_pipes},
    NamedFigure<CpuModel>{"convert_pipes", &CpuModel::convert_pipes},
    NamedFigure<CpuModel>{"load_pipes", &CpuModel::load_pipes},
    NamedFigure<CpuModel>{"store_pipes", &CpuModel::store_pipes},
    NamedFigure<CpuModel>{"division_clocks", &CpuModel::division_clocks},
    NamedFigure<CpuModel>{"division_clocks_f64", &CpuModel::division_clocks_f64},
    NamedFigure<CpuModel>{"division_multiplies", &CpuModel::division_multiplies},
    NamedFigure<CpuModel>{"division_multiplies_f64", &CpuModel::division_multiplies_f64},
    NamedFigure<CpuModel>{"multiply_latency", &CpuModel::multiply_latency},
    NamedFigure<CpuModel>{"division_latency", &CpuModel::division_latency},
    NamedFigure<CpuModel>{"l1_bytes", &CpuModel::l1_bytes},
    NamedFigure<CpuModel>{"l2_bytes", &CpuModel::l2_bytes},
    NamedFigure<CpuModel>{"l2_line_clocks", &CpuModel::l2_line_clocks},
    NamedFigure<CpuModel>{"memory_latency_ns", &CpuModel::memory_latency_ns},
    NamedFigure<CpuModel>{"lines_in_flight", &CpuModel::lines_in_flight},
    NamedFigure<CpuModel>{"lines_to_learn", &CpuModel::lines_to_learn},
    NamedFigure<CpuModel>{"read_gbs", &CpuModel::read_gbs},
    NamedFigure<CpuModel>{"write_gbs", &CpuModel::write_gbs},
    NamedFigure<CpuModel>{"bandwidth_gbs", &CpuModel::bandwidth_gbs},
    NamedFigure<CpuModel>{"launch_us", &CpuModel::launch_us},
    NamedFigure<CpuModel>{"slice_us", &CpuModel::slice_us}};

}  // namespace

std::span<const NamedFigure<CpuModel>> cpu_figure_fields() { return kFields; }

std::span<const CpuModel> cpu_models() { return kModels; }

const CpuModel& cpu_model(std::string_view name) {
  std::vector<std::string_view> names;
  for (const CpuModel& known : kModels) {
    if (known.name == name) return known;
    names.push_back(known.name);
  }
  fail_argument("unknown CPU model '{}'; use one of {}", name, fmt::join(names, ", "));
}

const CpuModel& cpu_model_for(const Target& target, std::string_view machine) {
  if (target.cuda()) fail_argument("target {} is no CPU's", target.name);
  if (target.name == "aarch64") return cpu_model("neon");
  if (target.vector_bits() < 512) return cpu_model("avx2");
  // AMD's first with AVX-512.
  const bool zen4 = target.name == "znver4" || machine.starts_with("AMD");
  return cpu_model(zen4 ? "zen4" : "avx512");
}

}  // namespace grkan
