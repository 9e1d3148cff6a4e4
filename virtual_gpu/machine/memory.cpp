#include "virtual_gpu/machine/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "virtual_gpu/checks/pages.h"

namespace grkan::vgpu {
namespace {

constexpr std::uint64_t kAlignment = 256;
constexpr std::uint64_t kGap = std::uint64_t{2} << 20;
// Freed allocations remembered. A program that allocates for each step must not grow without end.
constexpr std::size_t kMostFreed = 4096;
constexpr std::size_t kWord = 64;  // bits of a word of `written`

std::size_t rounded_up(std::size_t size, std::size_t to) { return (size + to - 1) / to * to; }
// Whole words for every byte, and one more so that 64 bits can be read at any bit.
std::size_t written_bytes(std::size_t size) { return (size / kWord + 2) * sizeof(std::uint64_t); }

void release(Allocation& allocation) {
  if (allocation.data == nullptr) return;
  unmap_pages(allocation.data, allocation.size);
  unmap_pages(allocation.written, written_bytes(allocation.size));
  allocation.data = nullptr;
  allocation.written = nullptr;
}

std::uint64_t low_bits(std::size_t count) {
  return count >= kWord ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// `count` <= 64 bits from bit `at` on.
std::uint64_t load_bits(const std::uint64_t* words, std::size_t at, std::size_t count) {
  const std::size_t shift = at % kWord;
  std::uint64_t bits = words[at / kWord] >> shift;
  if (shift != 0) bits |= words[at / kWord + 1] << (kWord - shift);
  return bits & low_bits(count);
}

void store_bits(std::uint64_t* words, std::size_t at, std::uint64_t bits, std::size_t count) {
  const std::size_t shift = at % kWord;
  std::uint64_t& low = words[at / kWord];
  low = (low & ~(low_bits(count) << shift)) | bits << shift;
  if (shift + count <= kWord) return;
  const std::size_t rest = shift + count - kWord;
  std::uint64_t& high = words[at / kWord + 1];
  high = (high & ~low_bits(rest)) | bits >> (kWord - shift);
}

void set_bits(std::uint64_t* words, std::size_t at, std::size_t count) {
  std::size_t done = std::min(count, (kWord - at % kWord) % kWord);
  if (done != 0) store_bits(words, at, low_bits(done), done);
  const std::size_t whole = (count - done) / kWord;
  std::fill_n(words + (at + done) / kWord, whole, ~std::uint64_t{0});
  done += whole * kWord;
  if (done != count) store_bits(words, at + done, low_bits(count - done), count - done);
}

// As memmove: the ranges may overlap.
void move_bits(std::uint64_t* to, std::size_t to_at, const std::uint64_t* from, std::size_t from_at,
               std::size_t count) {
  const std::size_t chunks = (count + kWord - 1) / kWord;
  const bool backward = to == from && to_at > from_at;
  for (std::size_t i = 0; i < chunks; ++i) {
    const std::size_t offset = (backward ? chunks - 1 - i : i) * kWord;
    const std::size_t bits = std::min(kWord, count - offset);
    store_bits(to, to_at + offset, load_bits(from, from_at + offset, bits), bits);
  }
}

bool holds(const Allocation& allocation, std::uint64_t address, std::size_t size) {
  if (allocation.freed || address < allocation.address) return false;
  const std::uint64_t offset = address - allocation.address;
  return offset <= allocation.size && size <= allocation.size - offset;
}

}  // namespace

std::string Allocation::describe() const {
  return fmt::format("{}allocation {} ({} bytes at {:#x})", freed ? "freed " : "", number, size,
                     address);
}

Memory::Memory(std::size_t capacity, std::uint64_t first) : capacity_(capacity), next_(first) {}

Memory::~Memory() {
  for (auto& [address, allocation] : allocations_) release(*allocation);
}

std::uint64_t Memory::allocate(std::size_t size) {
  const std::unique_lock lock(mutex_);
  if (size == 0 || size > capacity_ - used_) return 0;
  auto allocation = std::make_unique<Allocation>();
  allocation->data = static_cast<std::byte*>(map_pages(size));
  if (allocation->data == nullptr) return 0;
  allocation->written = static_cast<std::uint64_t*>(map_pages(written_bytes(size)));
  if (allocation->written == nullptr) {
    unmap_pages(allocation->data, size);
    return 0;
  }
  allocation->address = next_;
  allocation->size = size;
  allocation->number = ++numbers_;
  next_ += rounded_up(size, kAlignment) + kGap;
  used_ += size;
  const std::uint64_t address = allocation->address;
  allocations_.emplace(address, std::move(allocation));
  return address;
}

bool Memory::free(std::uint64_t address) {
  const std::unique_lock lock(mutex_);
  const auto found = allocations_.find(address);
  if (found == allocations_.end() || found->second->freed) return false;
  Allocation& allocation = *found->second;
  used_ -= allocation.size;
  release(allocation);
  allocation.freed = true;
  freed_.push_back(address);
  if (freed_.size() > kMostFreed) {
    allocations_.erase(freed_.front());
    freed_.pop_front();
  }
  return true;
}

const Allocation* Memory::find(std::uint64_t address) const {
  const std::shared_lock lock(mutex_);
  const auto after = allocations_.upper_bound(address);
  const Allocation* nearest = nullptr;
  std::uint64_t distance = kGap;
  if (after != allocations_.begin()) {
    const Allocation& before = *std::prev(after)->second;
    const std::uint64_t offset = address - before.address;
    if (offset < before.size) return &before;
    if (offset - before.size < distance) {
      nearest = &before;
      distance = offset - before.size;
    }
  }
  if (after != allocations_.end() && after->first - address < distance) {
    nearest = after->second.get();
  }
  return nearest;
}

std::string Memory::place_of(std::uint64_t address) const {
  const Allocation* allocation = find(address);
  return fmt::format("offset {} of {}", address - allocation->address, allocation->describe());
}

Allocation* Memory::live(std::uint64_t address, std::size_t size) const {
  const auto after = allocations_.upper_bound(address);
  if (after == allocations_.begin()) return nullptr;
  Allocation* allocation = std::prev(after)->second.get();
  return holds(*allocation, address, size) ? allocation : nullptr;
}

bool Memory::write(std::uint64_t to, const void* from, std::size_t size) {
  const std::unique_lock lock(mutex_);
  const Allocation* allocation = live(to, size);
  if (allocation == nullptr) return false;
  if (size == 0) return true;
  const std::size_t offset = to - allocation->address;
  std::memcpy(allocation->data + offset, from, size);
  set_bits(allocation->written, offset, size);
  return true;
}

bool Memory::read(void* to, std::uint64_t from, std::size_t size) const {
  const std::shared_lock lock(mutex_);
  const Allocation* allocation = live(from, size);
  if (allocation == nullptr) return false;
  if (size != 0) std::memcpy(to, allocation->data + (from - allocation->address), size);
  return true;
}

bool Memory::copy(std::uint64_t to, std::uint64_t from, std::size_t size) {
  const std::unique_lock lock(mutex_);
  const Allocation* target = live(to, size);
  const Allocation* source = live(from, size);
  if (target == nullptr || source == nullptr) return false;
  if (size == 0) return true;
  const std::size_t to_offset = to - target->address;
  const std::size_t from_offset = from - source->address;
  std::memmove(target->data + to_offset, source->data + from_offset, size);
  move_bits(target->written, to_offset, source->written, from_offset, size);
  return true;
}

bool Memory::set(std::uint64_t to, const void* pattern, std::size_t pattern_size,
                 std::size_t count) {
  const std::unique_lock lock(mutex_);
  if (pattern_size != 0 && count > capacity_ / pattern_size) return false;
  const std::size_t size = pattern_size * count;
  const Allocation* allocation = live(to, size);
  if (allocation == nullptr) return false;
  if (size == 0) return true;
  const std::size_t offset = to - allocation->address;
  std::byte* data = allocation->data + offset;
  if (pattern_size == 1) {
    std::memset(data, *static_cast<const unsigned char*>(pattern), count);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(data + i * pattern_size, pattern, pattern_size);
    }
  }
  set_bits(allocation->written, offset, size);
  return true;
}

std::size_t Memory::used() const {
  const std::shared_lock lock(mutex_);
  return used_;
}

}  // namespace grkan::vgpu
