#include "virtual_gpu/ptx/token_reader.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "core/error.h"

namespace grkan::vgpu {

std::optional<std::uint64_t> read_digits(std::string_view digits, int base) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return {};
  return value;
}

std::optional<TokenReader::Number> TokenReader::read_number(std::string_view text) {
  const auto starts = [&](char small) {
    return text.size() > 2 && text[0] == '0' && (text[1] == small || text[1] == small - 32);
  };
  const auto with = [](PtxOperand::Kind kind, std::optional<std::uint64_t> bits) {
    return bits ? std::optional(Number{kind, *bits}) : std::nullopt;
  };
  if (starts('f')) return with(PtxOperand::Kind::f32, read_digits(text.substr(2), 16));
  if (starts('d')) return with(PtxOperand::Kind::f64, read_digits(text.substr(2), 16));
  if (text.find('.') != std::string_view::npos) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    return Number{PtxOperand::Kind::f64, std::bit_cast<std::uint64_t>(value)};
  }
  if (text.ends_with('U')) text.remove_suffix(1);
  if (starts('x')) return with(PtxOperand::Kind::integer, read_digits(text.substr(2), 16));
  if (starts('b')) return with(PtxOperand::Kind::integer, read_digits(text.substr(2), 2));
  if (text.size() > 1 && text[0] == '0') {
    return with(PtxOperand::Kind::integer, read_digits(text.substr(1), 8));
  }
  return with(PtxOperand::Kind::integer, read_digits(text, 10));
}

const PtxToken& TokenReader::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

const PtxToken& TokenReader::take() {
  const PtxToken& token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenReader::take_if(std::string_view text) {
  if (peek().kind == Kind::string || peek().text != text) return false;
  take();
  return true;
}

void TokenReader::expected(std::string_view what) const {
  fail(Status::compile_failed, "line {}: expected {}, found '{}'", peek().line, what, peek().text);
}

void TokenReader::expect(std::string_view text) {
  if (!take_if(text)) expected(fmt::format("'{}'", text));
}

std::string TokenReader::word(std::string_view what) {
  if (peek().kind != Kind::word) expected(what);
  return std::string(take().text);
}

TokenReader::Number TokenReader::number() {
  const std::optional<Number> value =
      peek().kind == Kind::number ? read_number(peek().text) : std::nullopt;
  if (!value) expected("a number");
  take();
  return *value;
}

std::int64_t TokenReader::integer() {
  const bool minus = take_if("-");
  const Number value = number();
  if (value.kind != PtxOperand::Kind::integer) {
    --at_;
    expected("an integer");
  }
  return minus ? -std::int64_t(value.bits) : std::int64_t(value.bits);
}

std::size_t TokenReader::size(std::string_view what) {
  const std::int64_t value = integer();
  if (value < 0 || value > (std::int64_t{1} << 40)) {
    fail(Status::compile_failed, "line {}: {} of {}", peek().line, what, value);
  }
  return std::size_t(value);
}

void TokenReader::take_or_end() {
  if (peek().kind == Kind::end) expected("the end of a directive");
  take();
}

void TokenReader::skip_line_directive() {
  const int line = tokens_[at_ - 1].line;
  while (peek().kind != Kind::end && peek().line == line) take();
}

}  // namespace grkan::vgpu
