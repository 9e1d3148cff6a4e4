// The CUDA runtime, as far as a PyTorch extension of grkan calls it, on the virtual GPU: for tests
// that compile such an extension. GRKAN_TEST_DRIVER is the path of the virtual GPU's library,
// GRKAN_TEST_PTX the folder of the kernels' PTX. Every failure ends the process.
#pragma once

#include <cstddef>

namespace virtual_runtime {

void* allocate(std::size_t bytes);  // device memory, not cleared
void release(void* memory);
void to_device(void* device, const void* host, std::size_t bytes);
void to_host(void* host, const void* device, std::size_t bytes);
// What the launches since the last call counted, and what the checks found, as JSON.
const char* report();

}  // namespace virtual_runtime
