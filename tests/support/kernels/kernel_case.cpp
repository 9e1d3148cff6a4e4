#include "tests/support/kernels/kernel_case.h"

#include <fmt/format.h>

#include <exception>

#include "codegen/cuda/binary.h"
#include "core/reference.h"
#include "cuda/launch.h"
#include "tests/support/virtual_sample.h"
#include "tests/virtual_gpu/findings.h"

namespace grkan {
namespace {

// The kernel whose bits all of gpu_to_gpu have is taken from this architecture.
const Target kFirstTarget{"sm_80"};

// Few, so that a thread walks down many rows.
int multiprocessors_of(std::uint64_t seed) { return 1 + int(seed / 2 % 4); }

void add_line(std::string& text, const std::string& line) {
  if (!line.empty()) text += (text.empty() ? "" : "\n") + line;
}

struct Order {
  std::uint64_t seed;
  int ulps;  // that approximate instructions are off by
};

// A kernel in the memory of a virtual GPU.
class VirtualKernel {
 public:
  VirtualKernel(const Task& task, const CudaSchedule& schedule, const Target& target)
      : schedule_(schedule),
        memory_(std::size_t{1} << 32),
        module_(build_cuda(task, schedule, target).output.ptx, memory_) {}

  // Findings and traps.
  std::string run(Sample& sample, const Order& order, int multiprocessors) {
    sample.reset();
    vgpu::VirtualSample device(sample, memory_);
    vgpu::LaunchOptions options;
    options.seed = order.seed;
    options.approximation_ulps = order.ulps;
    options.threads = 1;
    options.most_findings = 5;
    std::string found;
    for (const auto& result : device.run(module_, schedule_, multiprocessors, options)) {
      add_line(found, describe(result.findings));
      add_line(found, result.trap);
    }
    device.read_back();
    return found;
  }

 private:
  CudaSchedule schedule_;
  vgpu::Memory memory_;
  vgpu::Module module_;
};

}  // namespace

CudaSchedule serving_schedule(const Task& task, const CudaSchedule& schedule, const Call& call) {
  return cuda_vectors_fit(task, schedule, call) ? schedule : narrow_schedule(task, schedule);
}

CaseRunner::CaseRunner(const Task& task, const SampleOptions& options)
    : sample_(task, options), reference_(make_reference(task, sample_.call())) {}

CaseRunner::Bits CaseRunner::bits() const {
  const bool in_place = sample_.out.data() == nullptr && sample_.call().out != nullptr;
  const SampleBuffer& input = sample_.task().backward() ? sample_.dy : sample_.x;
  const auto append = [](std::vector<std::byte>& to, const SampleBuffer& buffer) {
    to.insert(to.end(), buffer.data(), buffer.data() + buffer.bytes());
  };
  Bits bits;
  append(bits.out, in_place ? input : sample_.out);
  append(bits.sums, sample_.da);
  append(bits.sums, sample_.db);
  return bits;
}

const CaseRunner::Bits& CaseRunner::gpu_to_gpu_bits() {
  if (!gpu_to_gpu_bits_) {
    const Task& task = sample_.task();
    const SampleOptions& o = sample_.options();
    const auto schedule = CudaSchedule(
        default_schedule(task, kFirstTarget, o.rows, o.inner, Determinism::gpu_to_gpu));
    const CudaSchedule serving = serving_schedule(task, schedule, sample_.call());
    VirtualKernel(task, serving, kFirstTarget).run(sample_, {0, 0}, 1);
    gpu_to_gpu_bits_ = bits();
  }
  return *gpu_to_gpu_bits_;
}

CaseResult CaseRunner::run(const Target& target, const CudaSchedule& wanted, std::uint64_t seed) {
  const Task& task = sample_.task();
  const CudaSchedule schedule = serving_schedule(task, wanted, sample_.call());
  const auto promises = [&](Determinism determinism) {
    return why_illegal(task, Schedule(schedule), target, determinism).empty();
  };
  CaseResult result;
  try {
    result.failure = why_illegal(task, Schedule(wanted), target, Determinism::not_guaranteed);
    if (!result.failure.empty()) return result;
    VirtualKernel kernel(task, schedule, target);
    std::vector<Order> orders = {{0, 0}, {seed, 0}};
    if (seed % 2 != 0) orders.push_back({seed, 1});
    std::vector<Bits> exact;
    for (const Order& order : orders) {
      std::string failure = kernel.run(sample_, order, multiprocessors_of(seed));
      const TensorErrors error = compare(task, Schedule(schedule), reference_, sample_.call());
      keep_worst(result.error, error);
      add_line(failure, error.why_failed());
      add_line(failure, sample_.why_damaged());
      if (!failure.empty()) {
        add_line(result.failure,
                 fmt::format("order {}, {} ulp: {}", order.seed, order.ulps, failure));
      }
      if (order.ulps == 0) exact.push_back(bits());
    }
    if (exact[0].out != exact[1].out) {
      add_line(result.failure, "y or dx depends on the order of blocks and warps");
    }
    if (promises(Determinism::run_to_run) && exact[0].sums != exact[1].sums) {
      add_line(result.failure, "da or db depends on the order of blocks and warps");
    }
    if (promises(Determinism::gpu_to_gpu) && exact[0] != gpu_to_gpu_bits()) {
      add_line(result.failure, "the bits are not those of the default schedule of gpu_to_gpu");
    }
  } catch (const std::exception& error) {
    add_line(result.failure, error.what());
  }
  return result;
}

CaseResult run_case(const KernelCase& one) {
  return CaseRunner(one.task, one.sample).run(one.target, one.schedule, one.seed);
}

void keep_worst(TensorErrors& worst, const TensorErrors& error) {
  for (auto tensor : {&TensorErrors::y, &TensorErrors::dx, &TensorErrors::da, &TensorErrors::db}) {
    const std::optional<TensorError>& now = error.*tensor;
    std::optional<TensorError>& most = worst.*tensor;
    if (now && (!most || now->scaled > most->scaled)) most = now;
  }
}

}  // namespace grkan
