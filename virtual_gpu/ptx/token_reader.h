// The tokens of a PTX text, taken one after another; what is not as expected is an error with its
// line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {

// Digits alone, of one base, and no more than 64 bits.
std::optional<std::uint64_t> read_digits(std::string_view digits, int base);

class TokenReader {
 protected:
  using Kind = PtxToken::Kind;
  struct Number {
    PtxOperand::Kind kind = PtxOperand::Kind::integer;  // or f32, f64
    std::uint64_t bits = 0;
  };

  explicit TokenReader(std::string_view text) : tokens_(read_ptx_tokens(text)) {}

  // At the end there is always another end.
  [[nodiscard]] const PtxToken& peek(std::size_t ahead = 0) const;
  const PtxToken& take();
  bool take_if(std::string_view text);
  // Throws: "line 7: expected " what ", found '}'".
  [[noreturn]] void expected(std::string_view what) const;
  void expect(std::string_view text);
  std::string word(std::string_view what);
  Number number();
  std::int64_t integer();
  std::size_t size(std::string_view what);  // of an array, say
  // Whatever stands there, but the end.
  void take_or_end();
  // .file and .loc have no end but the line's.
  void skip_line_directive();

  std::vector<PtxToken> tokens_;
  std::size_t at_ = 0;

 private:
  static std::optional<Number> read_number(std::string_view text);
};

}  // namespace grkan::vgpu
