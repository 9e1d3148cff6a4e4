// Global memory of a virtual GPU: allocations with gaps between them, so that an access past one
// end meets nothing; for each byte whether anything wrote it. Addresses are the virtual GPU's own:
// they are never host pointers. Safe to use from several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

namespace grkan::vgpu {

struct Allocation {
  std::uint64_t address = 0;
  std::size_t size = 0;
  std::uint64_t number = 0;          // 1 for the first of its memory
  bool freed = false;                // kept, so that a use after free can be named
  std::byte* data = nullptr;         // host storage; null once freed
  std::uint64_t* written = nullptr;  // a bit for each byte

  // "allocation 3 (4096 bytes at 0x700000000000)"
  [[nodiscard]] std::string describe() const;
};

class Memory {
 public:
  // Refuses to hold more than `capacity` bytes. Storage is mapped lazily: a large allocation costs
  // what is touched of it.
  // The first allocation is at `first`, later ones behind it: no address comes twice.
  explicit Memory(std::size_t capacity, std::uint64_t first = 0x7000'0000'0000);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // 256-byte aligned; 0 when there is no room. size > 0.
  std::uint64_t allocate(std::size_t size);
  // False when no live allocation begins there.
  bool free(std::uint64_t address);

  // The allocation that holds the byte, or that it lies behind or before by less than a gap, or
  // that was freed there (the last few thousand are remembered); null when there is none near. What
  // it points to may go with a later free: a caller that keeps it holds off frees.
  [[nodiscard]] const Allocation* find(std::uint64_t address) const;

  // "offset 8 of allocation 3 (...)", for an address that an allocation holds.
  [[nodiscard]] std::string place_of(std::uint64_t address) const;

  // Copies and sets whole ranges within one live allocation; false, and nothing done, otherwise.
  bool write(std::uint64_t to, const void* from, std::size_t size);
  bool read(void* to, std::uint64_t from, std::size_t size) const;
  bool copy(std::uint64_t to, std::uint64_t from, std::size_t size);  // carries "written" along
  bool set(std::uint64_t to, const void* pattern, std::size_t pattern_size, std::size_t count);

  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] std::size_t used() const;

 private:
  // The live allocation that holds the range; null: none. Under the mutex.
  [[nodiscard]] Allocation* live(std::uint64_t address, std::size_t size) const;

  std::size_t capacity_;
  std::size_t used_ = 0;
  std::uint64_t next_;
  std::uint64_t numbers_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Allocation>> allocations_;
  std::deque<std::uint64_t> freed_;  // oldest first
  mutable std::shared_mutex mutex_;
};

}  // namespace grkan::vgpu
