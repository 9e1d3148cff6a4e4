#include "virtual_gpu/pages.h"

#include <sys/mman.h>

#include "core/error.h"

namespace grkan::vgpu {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void* map_pages(std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  // Large ones are touched from end to end; small pages would cost more than what they are for.
  if (bytes >= kHugePage) madvise(data, bytes, MADV_HUGEPAGE);
  return data;
}

void unmap_pages(void* data, std::size_t bytes) {
  if (data != nullptr) munmap(data, bytes);
}

void fail_pages(std::size_t bytes) {
  fail(Status::out_of_memory, "the host has no {} bytes for the checks of a launch", bytes);
}

}  // namespace grkan::vgpu
