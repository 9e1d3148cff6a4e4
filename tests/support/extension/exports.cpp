// What tests/cli/torch_extension_test.cpp calls in an extension's launcher, under plain names.
#include "launch.h"
#include "virtual_runtime.h"

using namespace grkan_extension;

extern "C" {

const Kernel* test_find(const Problem* problem, unsigned gradients, int capability,
                        std::int64_t rows, std::int64_t inner) {
  return find(*problem, gradients, capability, rows, inner);
}

// With a workspace full of what no sum may start from. A cudaError_t.
int test_run(const Kernel* kernel, const Call* call, int multiprocessors) {
  const Grid grid = grid_of(*kernel, call->rows, call->inner, multiprocessors);
  void* workspace = virtual_runtime::allocate(grid.workspace);
  const std::string fill(grid.workspace, '\xff');
  virtual_runtime::to_device(workspace, fill.data(), fill.size());
  const int error = queue(*kernel, grid, *call, workspace, nullptr);
  virtual_runtime::release(workspace);
  return error;
}

void* test_allocate(std::size_t bytes) { return virtual_runtime::allocate(bytes); }
void test_release(void* memory) { virtual_runtime::release(memory); }
void test_to_device(void* device, const void* host, std::size_t bytes) {
  virtual_runtime::to_device(device, host, bytes);
}
void test_to_host(void* host, const void* device, std::size_t bytes) {
  virtual_runtime::to_host(host, device, bytes);
}
const char* test_report() { return virtual_runtime::report(); }

}  // extern "C"
