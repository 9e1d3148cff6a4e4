// Sample: deterministic test data for a task, in buffers of its own, and the watch over what a
// kernel must not touch. The values depend only on the options, not on machine or library.
//
//   x, dy   N(0, 1), cut at +-6, rounded to their types
//   a       uniform in [-1, 1] / 3^i: P stays moderate for every degree
//   b       uniform in [-1, 1] / 3^i; where Q has poles so that Q > 0.2 for |x| <= 6
//
// All tensors lie between guard bytes; rows are `padding` elements apart. Guards and padding hold a
// pattern which why_damaged() looks for after a run; outputs start with a pattern no result has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/call.h"
#include "core/task.h"

namespace grkan {

struct SampleOptions {
  std::int64_t rows = 0;   // may be 0
  std::int64_t inner = 1;  // channels-first only
  std::uint64_t seed = 1;
  std::int64_t padding = 0;  // elements between rows
  bool misaligned = false;   // pointers one element past 64-byte alignment; else aligned
  bool in_place = false;     // y in x's buffer, dx in dy's: equal types needed
  bool accumulate = false;   // da and db start from N(0, 1) values, to which the sums are added
  bool specials = false;     // some x are +-0, subnormal, +-largest, +-infinity, NaN; some b
                             // whose sign is db's are +-0
  bool operator==(const SampleOptions&) const = default;
};

// Bytes with guards around them. Null data() when it holds nothing.
class SampleBuffer {
 public:
  SampleBuffer() = default;
  // rows x stride elements of `size` bytes, of which the first `dense` of each row are data.
  SampleBuffer(std::int64_t rows, std::int64_t dense, std::int64_t stride, std::size_t size,
               bool misaligned, std::byte pattern);

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  // rows x stride elements
  [[nodiscard]] std::int64_t stride() const { return stride_; }
  // The whole, guards included: for copies to a device.
  [[nodiscard]] std::span<std::byte> storage() { return storage_; }
  // Empty when guards and padding still hold the pattern; else where they don't.
  [[nodiscard]] std::string why_damaged() const;

 private:
  std::vector<std::byte> storage_;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t dense_ = 0;
  std::int64_t stride_ = 0;
  std::size_t size_ = 0;
  std::byte pattern_{};
};

class Sample {
 public:
  // Throws invalid_argument for options that don't fit the task (in_place with unequal types).
  Sample(const Task& task, const SampleOptions& options);
  Sample(Sample&&) = default;
  Sample& operator=(Sample&&) = default;
  Sample(const Sample&) = delete;
  Sample& operator=(const Sample&) = delete;
  ~Sample() = default;

  // The call over the buffers: null pointers for what the task has not, and, with zero elements,
  // for tensors. Valid until the sample dies.
  [[nodiscard]] Call call() const;
  // Puts inputs and outputs back as they were made: before every run but the first.
  void reset();
  // After a run: empty, or what was overwritten that must not be (guards, padding, inputs).
  [[nodiscard]] std::string why_damaged() const;

  [[nodiscard]] const Task& task() const { return task_; }
  [[nodiscard]] const SampleOptions& options() const { return options_; }

  // The buffers, for copies to a device. `out` is empty when in place or not asked for.
  SampleBuffer x, dy, out, a, b, da, db;

 private:
  void fill();
  [[nodiscard]] std::uint64_t input_hash() const;

  Task task_;
  SampleOptions options_;
  std::uint64_t input_hash_ = 0;  // of the inputs that no run may change
};

}  // namespace grkan
