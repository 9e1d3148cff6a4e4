#include "virtual_gpu/checks/pages.h"

#include <sys/mman.h>

#include "core/error.h"

namespace grkan::vgpu {
namespace {

// Large mappings are touched from end to end, where small pages would cost more than what they are
// for; of the largest a few places may be all. Whole large pages begin on a large page's boundary.
constexpr std::size_t kLargePage = std::size_t{2} << 20;
constexpr std::size_t kMostLarge = std::size_t{1} << 30;

bool large(std::size_t bytes) { return bytes >= kLargePage / 2 && bytes <= kMostLarge; }

std::size_t mapped_bytes(std::size_t bytes) {
  return large(bytes) ? (bytes + kLargePage - 1) / kLargePage * kLargePage : bytes;
}

}  // namespace

void* map_pages(std::size_t bytes) {
  void* data = mmap(nullptr, mapped_bytes(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  if (large(bytes)) madvise(data, mapped_bytes(bytes), MADV_HUGEPAGE);
  return data;
}

void unmap_pages(void* data, std::size_t bytes) {
  if (data != nullptr) munmap(data, mapped_bytes(bytes));
}

void fail_pages(std::size_t bytes) {
  fail(Status::out_of_memory, "the host has no {} bytes for the checks of a launch", bytes);
}

}  // namespace grkan::vgpu
