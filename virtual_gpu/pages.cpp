#include "virtual_gpu/pages.h"

#include <sys/mman.h>

#include "core/error.h"

namespace grkan::vgpu {

void* map_pages(std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}

void unmap_pages(void* data, std::size_t bytes) {
  if (data != nullptr) munmap(data, bytes);
}

void fail_pages(std::size_t bytes) {
  fail(Status::out_of_memory, "the host has no {} bytes for the checks of a launch", bytes);
}

}  // namespace grkan::vgpu
