#include "core/gpu_models.h"

#include <fmt/ranges.h>

#include <array>
#include <vector>

#include "core/error.h"

namespace grkan {
namespace {

constexpr double kKiB = 1024;
constexpr double kMiB = 1024 * kKiB;
constexpr double kGiB = 1024 * kMiB;  // memory sold as "80 GB" is reported as nearly 80 GiB

constexpr Figure published(double value, std::string_view source) {
  return {value, FigureKind::published, source};
}
constexpr Figure measured(double value, std::string_view source) {
  return {value, FigureKind::microbenchmark, source};
}
constexpr Figure assumed(double value, std::string_view source) {
  return {value, FigureKind::assumed, source};
}

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
constexpr std::string_view kAsH100 = "same chip as H100 SXM";
constexpr std::string_view kSpecified = "product specifications on nvidia.com";
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

constexpr GpuModel model(std::string_view name, std::string_view marketing, int capability,
                         Figure multiprocessors, Figure memory, Figure clock, Figure bandwidth,
                         Figure l2) {
  return {name,
          marketing,
          capability,
          multiprocessors,
          memory,
          clock,
          bandwidth,
          l2,
          threads_of(capability),
          kRegisters,
          shared_of(capability)};
}

constexpr std::array kModels = {
    model("h200", "NVIDIA H200 SXM", 90, assumed(132, kAsH100), published(141 * kGiB, kH200Sheet),
          assumed(1980, kCommon), published(4800, kH200Sheet), assumed(50 * kMiB, kAsH100)),
    model("h100-sxm", "NVIDIA H100 80GB HBM3", 90, published(132, kHopper),
          published(80 * kGiB, kHopper), assumed(1980, kCommon), published(3350, kSpecified),
          published(50 * kMiB, kHopper)),
    model("h100-pcie", "NVIDIA H100 PCIe", 90, published(114, kHopper),
          published(80 * kGiB, kHopper), assumed(1755, kCommon), published(2000, kHopper),
          published(50 * kMiB, kHopper)),
    model("a100-80", "NVIDIA A100-SXM4-80GB", 80, published(108, kAmpere),
          published(80 * kGiB, kSpecified), published(1410, kAmpere), published(2039, kSpecified),
          published(40 * kMiB, kAmpere)),
    model("a10", "NVIDIA A10", 86, assumed(72, "9216 CUDA cores at 128 a multiprocessor"),
          published(24 * kGiB, kA10Sheet), assumed(1695, kCommon), published(600, kA10Sheet),
          assumed(6 * kMiB, "the full GA102 of the whitepaper")),
    model("t4", "NVIDIA T4", 75, published(40, kTuring), published(16 * kGiB, kT4Sheet),
          published(1590, kTuring), published(320, kTuring), measured(4 * kMiB, kT4Study)),
    model("l4", "NVIDIA L4", 89, assumed(58, "7424 CUDA cores at 128 a multiprocessor"),
          published(24 * kGiB, kL4Sheet), assumed(2040, kCommon), published(300, kL4Sheet),
          assumed(48 * kMiB, "the full AD104 of the whitepaper")),
    model("rtx3090", "NVIDIA GeForce RTX 3090", 86, published(82, kGa102),
          published(24 * kGiB, kGa102), published(1695, kGa102), published(936, kGa102),
          published(6 * kMiB, kGa102)),
    model("rtx4060ti", "NVIDIA GeForce RTX 4060 Ti", 89,
          assumed(34, "4352 CUDA cores at 128 a multiprocessor"), published(8 * kGiB, kSpecified),
          published(2535, kSpecified), published(288, kSpecified),
          published(32 * kMiB, kSpecified)),
    model("rtx4090", "NVIDIA GeForce RTX 4090", 89, published(128, kAda),
          published(24 * kGiB, kAda), published(2520, kAda), published(1008, kAda),
          published(72 * kMiB, kAda)),
    model("b200", "NVIDIA B200", 100, assumed(148, kCommon), published(180 * kGiB, kB200Sheet),
          assumed(1965, kCommon), assumed(7700, "HGX B200: about 62 TB/s over 8 GPUs"),
          assumed(126 * kMiB, kCommon)),
    model("rtx5090", "NVIDIA GeForce RTX 5090", 120, published(170, kRtxBlackwell),
          published(32 * kGiB, kRtxBlackwell), published(2407, kRtxBlackwell),
          published(1792, kRtxBlackwell), published(96 * kMiB, kRtxBlackwell)),
};

}  // namespace

std::string_view to_string(FigureKind kind) {
  constexpr std::array<std::string_view, 3> kNames = {"published", "microbenchmark", "assumed"};
  return kNames.at(std::size_t(kind));
}

std::span<const GpuModel> gpu_models() { return kModels; }

const GpuModel& gpu_model(std::string_view name) {
  std::vector<std::string_view> names;
  for (const GpuModel& known : kModels) {
    if (known.name == name) return known;
    names.push_back(known.name);
  }
  fail_argument("unknown GPU model '{}'; use one of {}", name, fmt::join(names, ", "));
}

}  // namespace grkan
