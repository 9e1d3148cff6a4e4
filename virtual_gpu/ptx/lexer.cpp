#include <cctype>

#include "core/error.h"
#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {
namespace {

bool begins_word(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

bool in_word(char c) { return begins_word(c) || std::isdigit(static_cast<unsigned char>(c)) != 0; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<PtxToken> read() {
    std::vector<PtxToken> tokens;
    for (skip(); at_ < text_.size() && text_[at_] != '\0'; skip()) tokens.push_back(next());
    tokens.push_back({PtxToken::Kind::end, "the end", line_});
    return tokens;
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  // White space and comments.
  void skip() {
    while (at_ < text_.size()) {
      if (text_[at_] == '\n') ++line_;
      if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
        ++at_;
      } else if (peek(0) == '/' && peek(1) == '/') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (peek(0) == '/' && peek(1) == '*') {
        skip_block_comment();
      } else {
        return;
      }
    }
  }

  void skip_block_comment() {
    const int line = line_;
    for (at_ += 2; peek(0) != '*' || peek(1) != '/'; ++at_) {
      if (at_ >= text_.size()) {
        fail(Status::compile_failed, "line {}: a comment that nothing ends", line);
      }
      if (text_[at_] == '\n') ++line_;
    }
    at_ += 2;
  }

  PtxToken next() {
    const std::size_t begin = at_;
    const auto token = [&](PtxToken::Kind kind) {
      return PtxToken{kind, text_.substr(begin, at_ - begin), line_};
    };
    const char c = text_[at_];
    if (begins_word(c)) {
      while (in_word(peek(0)) || (peek(0) == ':' && peek(1) == ':')) {
        at_ += peek(0) == ':' ? 2 : 1;
      }
      return token(PtxToken::Kind::word);
    }
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      while (std::isalnum(static_cast<unsigned char>(peek(0))) != 0 || peek(0) == '.') ++at_;
      return token(PtxToken::Kind::number);
    }
    if (c == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n'; ++at_) {
      }
      if (peek(0) != '"') {
        fail(Status::compile_failed, "line {}: a string that nothing ends", line_);
      }
      ++at_;
      return token(PtxToken::Kind::string);
    }
    ++at_;
    return token(PtxToken::Kind::mark);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

std::vector<PtxToken> read_ptx_tokens(std::string_view text) { return Lexer(text).read(); }

}  // namespace grkan::vgpu
