#include "core/gpu_models.h"

#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace grkan {
namespace {

constexpr double kKiB = 1024;
constexpr double kMiB = 1024 * kKiB;
constexpr double kGiB = 1024 * kMiB;  // memory sold as "80 GB" is reported as nearly 80 GiB

constexpr std::string_view kGuide = "CUDA C++ Programming Guide, compute capabilities";
constexpr std::string_view kHopper = "NVIDIA H100 Tensor Core GPU Architecture (whitepaper)";
constexpr std::string_view kAmpere = "NVIDIA A100 Tensor Core GPU Architecture (whitepaper)";
constexpr std::string_view kGa102 = "NVIDIA Ampere GA102 GPU Architecture (whitepaper)";
constexpr std::string_view kAda = "NVIDIA Ada GPU Architecture (whitepaper)";
constexpr std::string_view kRtxBlackwell = "NVIDIA RTX Blackwell GPU Architecture (whitepaper)";
constexpr std::string_view kTuring = "NVIDIA Turing GPU Architecture (whitepaper)";
constexpr std::string_view kH200Sheet = "NVIDIA H200 data sheet";
constexpr std::string_view kA10Sheet = "NVIDIA A10 data sheet";
constexpr std::string_view kL4Sheet = "NVIDIA L4 data sheet";
constexpr std::string_view kT4Sheet = "NVIDIA T4 data sheet";
constexpr std::string_view kB200Sheet = "NVIDIA HGX B200 data sheet";
constexpr std::string_view kT4Study = "Jia et al., Dissecting the NVidia Turing T4 GPU (2019)";
constexpr std::string_view kDriver = "what the driver of this GPU tells";
constexpr std::string_view kSpecified = "product specifications on nvidia.com";
constexpr std::string_view kBenches = "te42kyfo/gpu-benches on GitHub, this GPU";
constexpr std::string_view kCommon = "commonly reported by the driver; no data sheet has it";

// What the compute capability alone decides.
constexpr Figure threads_of(int capability) {
  const bool wide = capability == 80 || capability == 90 || capability == 100;
  return published(capability == 75 ? 1024 : wide ? 2048 : 1536, kGuide);
}
constexpr Figure kRegisters = published(65536, kGuide);
constexpr Figure shared_of(int capability) {
  const double kib = capability == 75                        ? 64
                     : capability == 80                      ? 164
                     : capability == 90 || capability == 100 ? 228
                                                             : 100;
  return published(kib * kKiB, kGuide);
}

constexpr Figure kSchedulers = published(4, kGuide);
// Results a clock; several instructions of one kind have the slowest one's rate.
constexpr std::string_view kRates = "CUDA C++ guides, throughput of native arithmetic instructions";
constexpr Figure fp32_of(int capability) {
  return published(capability == 75 || capability == 80 ? 64 : 128, kRates);
}
constexpr Figure fp64_of(int capability) {
  const double lanes = capability == 80 ? 32 : capability == 90 || capability == 100 ? 64 : 2;
  return published(lanes, kRates);
}
constexpr Figure kSpecial = published(16, kRates);
constexpr Figure kConvert = assumed(16, "the slowest conversion of the guides' table, on all GPUs");
constexpr Figure kInteger = published(64, kRates);
constexpr Figure kSharedBytes = published(128, "CUDA C++ Programming Guide: 32 banks of 4 bytes");

// What a GPU's memory does, as others or this project measured it, or taken from a sister.
struct Memory {
  Figure reached;
  Figure l2_bandwidth;
  Figure latency;
  Figure launch;
  Figure atomic;
};

// gpu-benches. reached: triad, gpu-stream. l2: gpu-l2-cache. latency: gpu-latency, chains a little
// longer than L2. launch: the smallest kernel of gpu-small-kernels, bytes over rate.
// Atomics: f32 additions of all threads at one address, in clocks at the boost clock, from
// ptheywood/atomicAddBench (A100: 2^20 in 2.600 ms; V100: in 2.732 ms) and a study of reductions on
// an RTX A6000 (2^25 in 55.93 ms). Such a rate is an atomic unit's: additions at other addresses of
// an L2 slice take as long (B300: 4 clocks a 32-byte packet and slice).
constexpr std::string_view kTuringReached = "RTX 2070, the same architecture: 392 of 448 GB/s";
constexpr std::string_view kOfV100 = "V100's in te42kyfo/gpu-benches";
constexpr std::string_view kOfA40 = "A40's in te42kyfo/gpu-benches, the same chip";
constexpr std::string_view kOfL40 = "L40's in te42kyfo/gpu-benches, the same architecture";
constexpr std::string_view kOfH100 = "H100 PCIe's in te42kyfo/gpu-benches";
constexpr std::string_view kOfH200 = "H200's in te42kyfo/gpu-benches";
constexpr std::string_view kOfA100 = "A100's, another architecture";
// 2 x 537 MB read and 537 MB written; 17 MB read again; additions of all threads at one address.
constexpr std::string_view kOwn = "bench_gpu_figures on this GPU";
// No chain of loads was timed there: what 16 tables of kernels on it show, loads beside many others
// (bench/lab).
constexpr std::string_view kFitted = "fitted to times of kernels on this GPU (bench/lab)";
constexpr std::string_view kFittedH200 = "fitted to times of kernels on an H200, the same chip";
constexpr std::string_view kOfOwnH200 = "bench_gpu_figures on an H200, the same chip";
constexpr std::string_view kA40Scaled = "A40's 2400 by multiprocessors and clock";
constexpr std::string_view kL40Scaled = "L40's 5200 by multiprocessors and clock";
constexpr std::string_view kA6000Atomics =
    "RTX A6000, the same chip: 1.667 ns an f32 addition at one address, 1800 MHz";
constexpr std::string_view kAmpereAtomics =
    "RTX A6000, the architecture before: 1.667 ns an f32 addition at one address, 1800 MHz";
constexpr std::string_view kA100Atomics =
    "ptheywood/atomicAddBench on GitHub, this GPU: 2.48 ns an f32 addition at one address";

constexpr Memory ga102_memory(double l2) {
  return {assumed(0.945, kOfA40), assumed(l2, kA40Scaled), assumed(301, kOfA100),
          assumed(1.4, kOfA100), assumed(3.0, kA6000Atomics)};
}
constexpr Memory ada_memory(double l2) {
  return {assumed(0.926, kOfL40), assumed(l2, kL40Scaled), assumed(253, kOfL40),
          assumed(1.6, kOfL40), assumed(3.0, kAmpereAtomics)};
}
constexpr Memory kT4Memory = {assumed(0.87, kTuringReached),
                              assumed(1440, "V100's 2500 by multiprocessors and clock"),
                              assumed(310, kOfV100), assumed(2.4, kOfH200),
                              assumed(3.6, "V100's in ptheywood/atomicAddBench")};
constexpr Memory kA100Memory = {measured(0.863, kBenches), measured(5400, kBenches),
                                measured(301, kBenches), measured(1.4, kBenches),
                                measured(3.5, kA100Atomics)};
constexpr Memory kH100PcieMemory = {measured(0.898, kBenches), measured(6900, kBenches),
                                    measured(271, kBenches), assumed(2.4, kOfH200),
                                    assumed(3.48, kOfOwnH200)};
constexpr Memory kH200Memory = {measured(0.856, kOwn), measured(8850, kOwn), assumed(416, kFitted),
                                measured(2.4, kBenches), measured(3.48, kOwn)};
constexpr Memory kH100SxmMemory = {assumed(0.898, kOfH100), assumed(8850, kOfOwnH200),
                                   assumed(416, kFittedH200), assumed(2.4, kOfH200),
                                   assumed(3.48, kOfOwnH200)};
constexpr Memory kB200Memory = {assumed(0.898, kOfH100),
                                assumed(9850, "H200's 8850 by multiprocessors and clock"),
                                assumed(271, kOfH100), assumed(2.4, kOfH200),
                                assumed(4, "B300's: 4 clocks a packet of 32 bytes and L2 slice")};

constexpr GpuModel model(std::string_view name, std::string_view marketing, int capability,
                         Figure multiprocessors, Figure memory, Figure clock, Figure bandwidth,
                         Figure l2, const Memory& more) {
  return {.name = name,
          .marketing = marketing,
          .compute_capability = capability,
          .multiprocessors = multiprocessors,
          .memory_bytes = memory,
          .clock_mhz = clock,
          .bandwidth_gbs = bandwidth,
          .l2_bytes = l2,
          .threads_per_multiprocessor = threads_of(capability),
          .registers_per_multiprocessor = kRegisters,
          .shared_bytes_per_multiprocessor = shared_of(capability),
          .bandwidth_reached = more.reached,
          .l2_bandwidth_gbs = more.l2_bandwidth,
          .memory_latency_ns = more.latency,
          .launch_us = more.launch,
          .atomic_clocks = more.atomic,
          .warp_schedulers = kSchedulers,
          .fp32_lanes = fp32_of(capability),
          .fp64_lanes = fp64_of(capability),
          .special_lanes = kSpecial,
          .convert_lanes = kConvert,
          .integer_lanes = kInteger,
          .shared_bytes_a_clock = kSharedBytes};
}

constexpr std::array kFields = {
    FigureField{"multiprocessors", &GpuModel::multiprocessors},
    FigureField{"memory_bytes", &GpuModel::memory_bytes},
    FigureField{"clock_mhz", &GpuModel::clock_mhz},
    FigureField{"bandwidth_gbs", &GpuModel::bandwidth_gbs},
    FigureField{"l2_bytes", &GpuModel::l2_bytes},
    FigureField{"threads_per_multiprocessor", &GpuModel::threads_per_multiprocessor},
    FigureField{"registers_per_multiprocessor", &GpuModel::registers_per_multiprocessor},
    FigureField{"shared_bytes_per_multiprocessor", &GpuModel::shared_bytes_per_multiprocessor},
    FigureField{"bandwidth_reached", &GpuModel::bandwidth_reached},
    FigureField{"l2_bandwidth_gbs", &GpuModel::l2_bandwidth_gbs},
    FigureField{"memory_latency_ns", &GpuModel::memory_latency_ns},
    FigureField{"launch_us", &GpuModel::launch_us},
    FigureField{"atomic_clocks", &GpuModel::atomic_clocks},
    FigureField{"warp_schedulers", &GpuModel::warp_schedulers},
    FigureField{"fp32_lanes", &GpuModel::fp32_lanes},
    FigureField{"fp64_lanes", &GpuModel::fp64_lanes},
    FigureField{"special_lanes", &GpuModel::special_lanes},
    FigureField{"convert_lanes", &GpuModel::convert_lanes},
    FigureField{"integer_lanes", &GpuModel::integer_lanes},
    FigureField{"shared_bytes_a_clock", &GpuModel::shared_bytes_a_clock}};

constexpr std::array kModels = {
    model("h200", "NVIDIA H200 SXM", 90, measured(132, kDriver), published(141 * kGiB, kH200Sheet),
          measured(1980, kOwn), published(4800, kH200Sheet), measured(60 * kMiB, kDriver),
          kH200Memory),
    model("h100-sxm", "NVIDIA H100 80GB HBM3", 90, published(132, kHopper),
          published(80 * kGiB, kHopper), assumed(1980, kCommon), published(3350, kSpecified),
          published(50 * kMiB, kHopper), kH100SxmMemory),
    model("h100-pcie", "NVIDIA H100 PCIe", 90, published(114, kHopper),
          published(80 * kGiB, kHopper), assumed(1755, kCommon), published(2000, kHopper),
          published(50 * kMiB, kHopper), kH100PcieMemory),
    model("a100-80", "NVIDIA A100-SXM4-80GB", 80, published(108, kAmpere),
          published(80 * kGiB, kSpecified), published(1410, kAmpere), published(2039, kSpecified),
          published(40 * kMiB, kAmpere), kA100Memory),
    model("a10", "NVIDIA A10", 86, assumed(72, "9216 CUDA cores at 128 a multiprocessor"),
          published(24 * kGiB, kA10Sheet), assumed(1695, kCommon), published(600, kA10Sheet),
          assumed(6 * kMiB, "the full GA102 of the whitepaper"), ga102_memory(2000)),
    model("t4", "NVIDIA T4", 75, published(40, kTuring), published(16 * kGiB, kT4Sheet),
          published(1590, kTuring), published(320, kTuring), measured(4 * kMiB, kT4Study),
          kT4Memory),
    model("l4", "NVIDIA L4", 89, assumed(58, "7424 CUDA cores at 128 a multiprocessor"),
          published(24 * kGiB, kL4Sheet), assumed(2040, kCommon), published(300, kL4Sheet),
          assumed(48 * kMiB, "the full AD104 of the whitepaper"), ada_memory(1740)),
    model("rtx3090", "NVIDIA GeForce RTX 3090", 86, published(82, kGa102),
          published(24 * kGiB, kGa102), published(1695, kGa102), published(936, kGa102),
          published(6 * kMiB, kGa102), ga102_memory(2280)),
    model("rtx4060ti", "NVIDIA GeForce RTX 4060 Ti", 89,
          assumed(34, "4352 CUDA cores at 128 a multiprocessor"), published(8 * kGiB, kSpecified),
          published(2535, kSpecified), published(288, kSpecified), published(32 * kMiB, kSpecified),
          ada_memory(1270)),
    model("rtx4090", "NVIDIA GeForce RTX 4090", 89, published(128, kAda),
          published(24 * kGiB, kAda), published(2520, kAda), published(1008, kAda),
          published(72 * kMiB, kAda), ada_memory(4740)),
    model("b200", "NVIDIA B200", 100, assumed(148, kCommon), published(180 * kGiB, kB200Sheet),
          assumed(1965, kCommon), assumed(7700, "HGX B200: about 62 TB/s over 8 GPUs"),
          assumed(126 * kMiB, kCommon), kB200Memory),
    model("rtx5090", "NVIDIA GeForce RTX 5090", 120, published(170, kRtxBlackwell),
          published(32 * kGiB, kRtxBlackwell), published(2407, kRtxBlackwell),
          published(1792, kRtxBlackwell), published(96 * kMiB, kRtxBlackwell), ada_memory(6020)),
};

}  // namespace

std::span<const FigureField> figure_fields() { return kFields; }

std::span<const GpuModel> gpu_models() { return kModels; }

const GpuModel& gpu_model(std::string_view name) {
  std::vector<std::string_view> names;
  for (const GpuModel& known : kModels) {
    if (known.name == name) return known;
    names.push_back(known.name);
  }
  fail_argument("unknown GPU model '{}'; use one of {}", name, fmt::join(names, ", "));
}

const GpuModel* find_gpu_model(int compute_capability, int multiprocessors, double memory_bytes) {
  const GpuModel* best = nullptr;
  double nearest = 0.1;
  for (const GpuModel& known : kModels) {
    const double away = std::abs(known.memory_bytes.value / memory_bytes - 1);
    const bool same = known.compute_capability == compute_capability &&
                      int(known.multiprocessors.value) == multiprocessors;
    if (!same || away > nearest) continue;
    best = &known;
    nearest = away;
  }
  return best;
}

}  // namespace grkan
