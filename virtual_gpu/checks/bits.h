// Bitmaps that several threads set at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace grkan::vgpu {

// Calls f(word index, mask) for the words that hold `count` bits from bit `at` on.
template <class F>
inline bool each_word(std::size_t at, std::size_t count, F f) {
  while (count != 0) {
    const std::size_t shift = at % 64;
    const std::size_t here = count < 64 - shift ? count : 64 - shift;
    const std::uint64_t ones = here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
    if (!f(at / 64, ones << shift)) return false;
    at += here;
    count -= here;
  }
  return true;
}

inline std::uint64_t load_word(std::uint64_t* words, std::size_t index) {
  return std::atomic_ref(words[index]).load(std::memory_order_relaxed);
}

inline bool all_set(std::uint64_t* words, std::size_t at, std::size_t count) {
  return each_word(at, count, [&](std::size_t index, std::uint64_t mask) {
    return (load_word(words, index) & mask) == mask;
  });
}
inline bool any_set(std::uint64_t* words, std::size_t at, std::size_t count) {
  return !each_word(at, count, [&](std::size_t index, std::uint64_t mask) {
    return (load_word(words, index) & mask) == 0;
  });
}

inline void set_all(std::uint64_t* words, std::size_t at, std::size_t count) {
  each_word(at, count, [&](std::size_t index, std::uint64_t mask) {
    if ((load_word(words, index) & mask) != mask) {
      std::atomic_ref(words[index]).fetch_or(mask, std::memory_order_relaxed);
    }
    return true;
  });
}

}  // namespace grkan::vgpu
