// The launches of a call, by the CUDA runtime.
#include <cuda_runtime_api.h>

#include "launch.h"

namespace grkan_extension {
namespace {

// Drivers before this one can't capture a kernel that is set up while the one before it ends.
constexpr int kEarlyInGraphs = 12030;

cudaError_t launch(const void* kernel, dim3 grid, unsigned threads, bool early, CudaCall& argument,
                   cudaStream_t stream) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = early ? 1 : 0;
  void* arguments[] = {&argument};
  return cudaLaunchKernelExC(&config, kernel, arguments);
}

// blockatomics adds to what is there; lastblock counts from zero.
cudaError_t clear(const Kernel& kernel, const Grid& grid, const CudaCall& argument,
                  cudaStream_t stream) {
  const Problem& p = kernel.problem;
  const std::size_t size = p.coefficients == f64 ? 8 : 4;
  const std::size_t b_terms = std::size_t(p.denominator_degree) + (p.variant == 'C' ? 1 : 0);
  if (kernel.launch.sums == lastblock) {
    return cudaMemsetAsync(argument.counters, 0, grid.counter_bytes, stream);
  }
  if (kernel.launch.sums != blockatomics) return cudaSuccess;
  cudaError_t error = cudaSuccess;
  if ((kernel.gradients & kDa) != 0) {
    const std::size_t a_terms = std::size_t(p.numerator_degree) + 1;
    error =
        cudaMemsetAsync(argument.da, 0, std::size_t(p.numerator_groups) * a_terms * size, stream);
  }
  if (error == cudaSuccess && (kernel.gradients & kDb) != 0 && b_terms > 0) {
    error =
        cudaMemsetAsync(argument.db, 0, std::size_t(p.denominator_groups) * b_terms * size, stream);
  }
  return error;
}

}  // namespace

int queue(const Kernel& kernel, const Grid& grid, const Call& call, void* workspace, void* stream) {
  const auto in = static_cast<cudaStream_t>(stream);
  const Launch& s = kernel.launch;
  CudaCall argument = argument_of(kernel, grid, call, workspace);
  cudaError_t error = clear(kernel, grid, argument, in);
  if (error != cudaSuccess) return error;
  const unsigned threads = unsigned(s.tile_columns) * unsigned(s.tile_rows);
  error = launch(kernel.main, dim3(grid.x, grid.y), threads, false, argument, in);
  if (error != cudaSuccess || kernel.second_pass == nullptr) return error;
  int driver = 0;
  error = cudaDriverGetVersion(&driver);
  if (error != cudaSuccess) return error;
  const bool early = s.sums == programmatic && driver >= kEarlyInGraphs;
  return launch(kernel.second_pass, dim3(unsigned(s.second_pass_blocks)),
                unsigned(s.second_pass_threads), early, argument, in);
}

}  // namespace grkan_extension
