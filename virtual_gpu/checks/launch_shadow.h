// What a launch does to each allocation: which bytes it writes and which its .nc loads read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "virtual_gpu/checks/pages.h"

namespace grkan::vgpu {

class LaunchShadow {
 public:
  struct Maps {
    std::uint64_t* read = nullptr;  // a bit for each byte
    std::uint64_t* written = nullptr;
  };
  // Of an allocation. Any thread may call. Throws out_of_memory.
  Maps of(std::uint64_t address, std::size_t size);
  // The first byte within [first, last] that is both read and written, or 0.
  std::uint64_t first_conflict(std::uint64_t first, std::uint64_t last);

 private:
  struct Entry {
    explicit Entry(std::size_t bytes)
        : size(bytes), read(bytes / 64 + 2), written(bytes / 64 + 2) {}
    std::size_t size;
    Pages<std::uint64_t> read;
    Pages<std::uint64_t> written;
  };
  std::mutex mutex_;
  std::map<std::uint64_t, Entry> entries_;  // by address
};

}  // namespace grkan::vgpu
