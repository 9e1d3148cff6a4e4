// Reading the printed forms: small helpers shared by Problem, Task and Schedule.
#pragma once

#include <fmt/ranges.h>

#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

namespace grkan {

// Input as a message quotes it: its first 100 bytes.
inline std::string shortened(std::string_view text) {
  constexpr std::size_t kMost = 100;
  return std::string(text.substr(0, kMost)) + (text.size() > kMost ? "..." : "");
}

// The index of `text` in `words`; throws invalid_argument naming `what` and the words.
inline std::size_t index_of_word(std::span<const std::string_view> words, std::string_view text,
                                 std::string_view what) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == text) return i;
  }
  fail_argument("unknown {} '{}'; use one of {}", what, shortened(text), fmt::join(words, ", "));
}

// Walks a printed form from left to right. Every mismatch throws invalid_argument with the text,
// the place, and an example of the form.
class TextReader {
 public:
  TextReader(std::string_view text, std::string_view what, std::string_view example)
      : text_(text), what_(what), example_(example) {}

  bool accept(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void expect(std::string_view word) {
    if (!accept(word)) mismatch(word);
  }
  // A decimal number without sign or leading zeros.
  template <class Integer>
  Integer number() {
    Integer value = 0;
    const char* begin = text_.data() + at_;
    const char* end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    const bool padded = stop - begin > 1 && *begin == '0';
    if (error != std::errc() || value < 0 || padded || *begin == '-') mismatch("a number");
    at_ += std::size_t(stop - begin);
    return value;
  }
  // The text up to the first of `stops` (not consumed).
  std::string_view until(std::string_view stops) {
    const std::size_t end = text_.find_first_of(stops, at_);
    if (end == std::string_view::npos) mismatch(stops);
    const std::string_view word = text_.substr(at_, end - at_);
    at_ = end;
    return word;
  }
  std::string_view rest() {
    const std::string_view word = text_.substr(at_);
    at_ = text_.size();
    return word;
  }
  [[nodiscard]] bool done() const { return at_ == text_.size(); }

 private:
  [[noreturn]] void mismatch(std::string_view expected) const {
    fail_argument("{} '{}' is malformed at position {}: expected {}; the form is {}", what_,
                  shortened(text_), at_, expected, example_);
  }

  std::string_view text_;
  std::string_view what_;
  std::string_view example_;
  std::size_t at_ = 0;
};

}  // namespace grkan
