#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <ranges>

#include "core/error.h"
#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {
namespace {

struct TypeName {
  std::string_view word;
  PtxType type;
  int bytes;
};
constexpr TypeName kTypes[] = {
    {"pred", PtxType::pred, 0},   {"b8", PtxType::b8, 1},         {"b16", PtxType::b16, 2},
    {"b32", PtxType::b32, 4},     {"b64", PtxType::b64, 8},       {"u8", PtxType::u8, 1},
    {"u16", PtxType::u16, 2},     {"u32", PtxType::u32, 4},       {"u64", PtxType::u64, 8},
    {"s8", PtxType::s8, 1},       {"s16", PtxType::s16, 2},       {"s32", PtxType::s32, 4},
    {"s64", PtxType::s64, 8},     {"f16", PtxType::f16, 2},       {"bf16", PtxType::bf16, 2},
    {"f16x2", PtxType::f16x2, 4}, {"bf16x2", PtxType::bf16x2, 4}, {"f32", PtxType::f32, 4},
    {"f32x2", PtxType::f32x2, 8}, {"f64", PtxType::f64, 8},
};

struct Number {
  PtxOperand::Kind kind = PtxOperand::Kind::integer;
  std::uint64_t bits = 0;
};

std::optional<std::uint64_t> read_digits(std::string_view digits, int base) {
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (error != std::errc() || end != digits.data() + digits.size()) return {};
  return value;
}

std::optional<Number> read_number(std::string_view text) {
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

using Kind = PtxToken::Kind;

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(read_ptx_tokens(text)) {}

  PtxModule parse() {
    while (peek().kind != Kind::end) top_level();
    if (module_.version == 0) fail(Status::compile_failed, "line 1: PTX begins with .version");
    return std::move(module_);
  }

 private:
  [[nodiscard]] const PtxToken& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const PtxToken& take() {
    const PtxToken& token = peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool take_if(std::string_view text) {
    if (peek().kind == Kind::string || peek().text != text) return false;
    take();
    return true;
  }
  [[noreturn]] void expected(std::string_view what) const {
    fail(Status::compile_failed, "line {}: expected {}, found '{}'", peek().line, what,
         peek().text);
  }
  void expect(std::string_view text) {
    if (!take_if(text)) expected(fmt::format("'{}'", text));
  }
  std::string word(std::string_view what) {
    if (peek().kind != Kind::word) expected(what);
    return std::string(take().text);
  }
  Number number() {
    const std::optional<Number> value =
        peek().kind == Kind::number ? read_number(peek().text) : std::nullopt;
    if (!value) expected("a number");
    take();
    return *value;
  }
  std::int64_t integer() {
    const bool minus = take_if("-");
    const Number value = number();
    if (value.kind != PtxOperand::Kind::integer) {
      --at_;
      expected("an integer");
    }
    return minus ? -std::int64_t(value.bits) : std::int64_t(value.bits);
  }
  std::size_t size(std::string_view what) {
    const std::int64_t value = integer();
    if (value < 0 || value > (std::int64_t{1} << 40)) {
      fail(Status::compile_failed, "line {}: {} of {}", peek().line, what, value);
    }
    return std::size_t(value);
  }

  void top_level() {
    if (take_if(".version")) {
      const std::string_view text = take().text;
      const std::size_t point = text.find('.');
      const auto part = [&](std::string_view digits) {
        const std::optional<std::uint64_t> value = read_digits(digits, 10);
        return value && *value <= 99 ? int(*value) : -1;
      };
      const int major = point == std::string::npos ? -1 : part(text.substr(0, point));
      const int minor = point == std::string::npos ? -1 : part(text.substr(point + 1));
      if (major < 0 || minor < 0 || minor > 9) {
        fail(Status::compile_failed, "line {}: expected a version as 9.0, found '{}'", peek().line,
             text);
      }
      module_.version = major * 10 + minor;
    } else if (take_if(".target")) {
      target();
    } else if (take_if(".address_size")) {
      const std::int64_t bits = integer();
      if (bits != 64) {
        fail(Status::compile_failed, "line {}: an address size of {}; only 64 is supported",
             peek().line, bits);
      }
    } else if (take_if(".file")) {
      skip_line_directive();
    } else if (take_if(".section")) {
      while (!take_if("{")) take_or_end();
      while (!take_if("}")) take_or_end();
    } else if (take_if(".pragma")) {
      while (!take_if(";")) take_or_end();
    } else {
      declaration();
    }
  }

  void take_or_end() {
    if (peek().kind == Kind::end) expected("the end of a directive");
    take();
  }
  // .file and .loc have no end but the line's.
  void skip_line_directive() {
    const int line = tokens_[at_ - 1].line;
    while (peek().kind != Kind::end && peek().line == line) take();
  }

  void target() {
    do {
      const int line = peek().line;
      const std::string name = word("a target");
      if (name.starts_with("sm_")) {
        std::string_view digits = std::string_view(name).substr(3);
        if (digits.ends_with('a') || digits.ends_with('f')) digits.remove_suffix(1);
        const auto value = read_digits(digits, 10);
        if (!value || *value > 999) {
          fail(Status::compile_failed, "line {}: expected a target as sm_90, found '{}'", line,
               name);
        }
        module_.target = int(*value);
      } else if (name != "debug" && name != "texmode_independent" && name != "texmode_unified") {
        fail(Status::compile_failed, "line {}: unknown target '{}'", line, name);
      }
    } while (take_if(","));
  }

  void declaration() {
    bool external = false;
    for (bool more = true; more;) {
      more = take_if(".visible") || take_if(".weak") || take_if(".common");
      if (take_if(".extern")) external = more = true;
    }
    const std::string directive = word("a directive");
    if (directive == ".entry" || directive == ".func") {
      function(directive == ".entry");
    } else if (const std::optional<Space> space = variable_space(directive)) {
      module_.variables.push_back(variable(*space, external, nullptr));
      while (take_if(",")) expected("one variable in a declaration");
      expect(";");
    } else {
      --at_;
      fail(Status::compile_failed, "line {}: unknown directive '{}'", peek().line, directive);
    }
  }

  static std::optional<Space> variable_space(std::string_view directive) {
    if (directive == ".global") return Space::global;
    if (directive == ".const") return Space::constant;
    if (directive == ".shared") return Space::shared;
    if (directive == ".local") return Space::local;
    if (directive == ".param") return Space::parameter;
    return {};
  }

  PtxType type(std::string_view what) {
    const PtxType found =
        peek().text.starts_with('.') ? parse_ptx_type(peek().text.substr(1)) : PtxType::none;
    if (found == PtxType::none) expected(what);
    take();
    return found;
  }

  // After its space directive, up to but not including ';'.
  PtxVariable variable(Space space, bool external, PtxFunction* owner) {
    PtxVariable v;
    v.space = space;
    v.line = peek().line;
    take_if(".managed");
    if (take_if(".align")) v.alignment = alignment();
    int vector = 1;
    if (take_if(".v2")) vector = 2;
    if (take_if(".v4")) vector = 4;
    v.type = type("a type");
    // `.param .u64 .ptr .global .align 4 name`: says what a pointer points to.
    if (take_if(".ptr")) {
      while (take_if(".global") || take_if(".const") || take_if(".local") || take_if(".shared")) {
      }
      if (take_if(".align")) alignment();
    }
    const auto element = std::size_t(size_of(v.type));
    if (element == 0) expected("a type that memory can hold");
    v.alignment = std::max(v.alignment, element * std::size_t(vector));
    v.name = word("a name");
    std::size_t count = std::size_t(vector);
    bool unknown = false;
    while (take_if("[")) {
      if (take_if("]")) {
        unknown = true;
        continue;
      }
      const std::size_t next = size("an array");
      if (next != 0 && count > (std::size_t{1} << 40) / next) expected("a smaller array");
      count *= next;
      expect("]");
    }
    v.bytes = unknown ? 0 : count * element;
    v.external = unknown;
    if (external && !unknown && space != Space::shared) {
      fail(Status::compile_failed, "line {}: '{}' is external and nothing defines it", v.line,
           v.name);
    }
    if (unknown && space != Space::shared) {
      fail(Status::compile_failed, "line {}: '{}' has no size", v.line, v.name);
    }
    if (owner == nullptr && take_if("=")) initial(v, element);
    return v;
  }

  std::size_t alignment() {
    const std::size_t value = size("an alignment");
    if (value == 0 || (value & (value - 1)) != 0 || value > 4096) {
      --at_;
      expected("an alignment that is a power of two");
    }
    return value;
  }

  void initial(PtxVariable& v, std::size_t element) {
    v.initial.assign(v.bytes, std::byte{0});
    std::size_t at = 0;
    const bool list = peek().text == "{";
    initial_values(v, element, at);
    if (!list && v.bytes != element) expected("one value in '{' '}' for each element");
  }

  void initial_values(PtxVariable& v, std::size_t element, std::size_t& at) {
    if (take_if("{")) {
      if (take_if("}")) return;
      do {
        initial_values(v, element, at);
      } while (take_if(","));
      expect("}");
      return;
    }
    if (at + element > v.bytes) expected("no more values than elements");
    if (peek().kind == Kind::word) {
      const bool generic = take_if("generic");
      if (generic) expect("(");
      PtxVariable::Reference reference{at, word("a name"), 0};
      if (take_if("+")) reference.addend = integer();
      if (generic) expect(")");
      if (element != 8) expected("a 64-bit element for an address");
      v.references.push_back(reference);
    } else {
      const bool minus = take_if("-");
      const Number value = number();
      std::uint64_t bits = minus ? 0 - value.bits : value.bits;
      if (value.kind == PtxOperand::Kind::f64 && v.type == PtxType::f32) {
        bits = std::bit_cast<std::uint32_t>(float(std::bit_cast<double>(value.bits)));
      }
      std::memcpy(v.initial.data() + at, &bits, element);
    }
    at += element;
  }

  void function(bool entry) {
    PtxFunction f;
    f.entry = entry;
    f.line = peek().line;
    f.outer_scope = {-1};
    scopes_ = {Scope{0, {}, {}}};
    function_ = &f;
    if (peek().text == "(") f.results = formal_parameters();
    f.name = word("the name of a function");
    if (peek().text == "(") f.parameters = formal_parameters();
    performance_directives(f);
    if (!take_if(";")) {
      f.defined = true;
      expect("{");
      body();
    }
    function_ = nullptr;
    // A declaration may come before and after the definition.
    for (PtxFunction& other : module_.functions) {
      if (other.name != f.name) continue;
      if (other.defined && f.defined) {
        fail(Status::compile_failed, "line {}: '{}' is defined twice", f.line, f.name);
      }
      if (f.defined) other = std::move(f);
      return;
    }
    module_.functions.push_back(std::move(f));
  }

  std::vector<int> formal_parameters() {
    std::vector<int> indices;
    expect("(");
    if (take_if(")")) return indices;
    do {
      if (peek().text == ".reg") {
        expected("a parameter in .param (those in registers are not supported)");
      }
      expect(".param");
      indices.push_back(declare_variable(Space::parameter));
    } while (take_if(","));
    expect(")");
    return indices;
  }

  int declare_variable(Space space) {
    PtxVariable v = variable(space, false, function_);
    const int index = int(function_->variables.size());
    if (!scopes_.back().variables.emplace(v.name, index).second) {
      fail(Status::compile_failed, "line {}: '{}' is declared twice", v.line, v.name);
    }
    function_->variables.push_back(std::move(v));
    return index;
  }

  void performance_directives(PtxFunction& f) {
    while (peek().text != "{" && peek().text != ";") {
      const int line = peek().line;
      const std::string directive = word("'{' or a directive");
      if (directive == ".maxntid" || directive == ".reqntid") {
        std::int64_t threads = 1;
        do {
          threads *= std::clamp<std::int64_t>(integer(), 0, 4096);
        } while (take_if(","));
        f.max_threads = int(std::min<std::int64_t>(threads, 1024));
      } else if (directive == ".minnctapersm") {
        f.min_blocks = int(std::clamp<std::int64_t>(integer(), 0, 1024));
      } else if (directive == ".maxnreg" || directive == ".maxnctapersm") {
        integer();
      } else if (directive == ".pragma") {
        while (!take_if(";")) take_or_end();
      } else if (directive != ".noreturn") {
        fail(Status::compile_failed, "line {}: unknown directive '{}'", line, directive);
      }
    }
  }

  struct Scope {
    int number;
    std::map<std::string, int, std::less<>> registers;
    std::map<std::string, int, std::less<>> variables;
  };

  void body() {
    for (int depth = 1; depth > 0;) {
      if (peek().kind == Kind::end) expected("'}'");
      if (take_if("{")) {
        ++depth;
        const int number = int(function_->outer_scope.size());
        function_->outer_scope.push_back(scopes_.back().number);
        scopes_.push_back(Scope{number, {}, {}});
      } else if (take_if("}")) {
        --depth;
        scopes_.pop_back();
      } else {
        statement();
      }
    }
  }

  void statement() {
    if (peek().text == ".reg") {
      registers();
    } else if (const std::optional<Space> space = variable_space(peek().text)) {
      take();
      declare_variable(*space);
      expect(";");
    } else if (take_if(".loc") || take_if(".file")) {
      skip_line_directive();
    } else if (take_if(".pragma")) {
      while (!take_if(";")) take_or_end();
    } else if (peek().kind == Kind::word && peek(1).text == ":") {
      label();
    } else if (peek().text.starts_with('.')) {
      fail(Status::compile_failed, "line {}: unknown directive '{}'", peek().line, peek().text);
    } else {
      instruction();
    }
  }

  void label() {
    const int line = peek().line;
    const std::string name(take().text);
    take();
    if (take_if(".branchtargets")) {
      std::vector<std::string>& targets = function_->branch_targets[name];
      do {
        targets.push_back(word("a label"));
      } while (take_if(","));
      expect(";");
      return;
    }
    const auto key = std::pair(scopes_.back().number, name);
    if (!function_->labels.emplace(key, int(function_->body.size())).second) {
      fail(Status::compile_failed, "line {}: the label '{}' stands twice", line, name);
    }
  }

  void registers() {
    expect(".reg");
    if (peek().text == ".v2" || peek().text == ".v4") expected("a type (no vector registers)");
    const PtxType t = type("a type");
    do {
      const int line = peek().line;
      const std::string name = word("a register");
      if (take_if("<")) {
        const std::size_t count = size("a register range");
        if (count > 1'000'000) expected("fewer registers");
        expect(">");
        for (std::size_t i = 0; i < count; ++i) add_register(name + std::to_string(i), t, line);
      } else {
        add_register(name, t, line);
      }
    } while (take_if(","));
    expect(";");
  }

  void add_register(std::string name, PtxType t, int line) {
    const int index = int(function_->registers.size());
    if (!scopes_.back().registers.emplace(name, index).second) {
      fail(Status::compile_failed, "line {}: the register '{}' is declared twice", line, name);
    }
    function_->registers.push_back({std::move(name), t});
  }

  // The innermost register or variable of that name; else a symbol of the module.
  [[nodiscard]] PtxOperand resolve(std::string name) const {
    PtxOperand operand;
    for (const Scope& scope : std::views::reverse(scopes_)) {
      if (const auto found = scope.registers.find(name); found != scope.registers.end()) {
        operand.kind = PtxOperand::Kind::reg;
        operand.index = found->second;
        operand.name = std::move(name);
        return operand;
      }
      if (const auto found = scope.variables.find(name); found != scope.variables.end()) {
        operand.kind = PtxOperand::Kind::variable;
        operand.index = found->second;
        operand.name = std::move(name);
        return operand;
      }
    }
    operand.kind = PtxOperand::Kind::symbol;
    operand.name = std::move(name);
    return operand;
  }

  void instruction() {
    const std::size_t begin = at_;
    PtxStatement s;
    s.line = peek().line;
    s.scope = scopes_.back().number;
    if (take_if("@")) {
      s.negated = take_if("!");
      const PtxOperand guard = resolve(word("a predicate"));
      if (guard.kind != PtxOperand::Kind::reg ||
          function_->registers[std::size_t(guard.index)].type != PtxType::pred) {
        fail(Status::compile_failed, "line {}: '{}' is no predicate", s.line, guard.name);
      }
      s.guard = guard.index;
    }
    s.opcode = word("an instruction");
    while (!take_if(";")) {
      if (peek().kind == Kind::end || peek().text == "}") expected("';'");
      s.operands.push_back(operand());
      if (peek().text != ";") expect(",");
    }
    for (std::size_t i = begin; i + 1 < at_; ++i) {
      const PtxToken& token = tokens_[i];
      const bool glued = i == begin || tokens_[i - 1].text.data() + tokens_[i - 1].text.size() ==
                                           token.text.data();
      if (!glued) s.text += ' ';
      s.text += token.text;
    }
    function_->body.push_back(std::move(s));
  }

  PtxOperand operand() {
    if (take_if("[")) return address();
    if (peek().text == "{" || peek().text == "(") return list();
    if (take_if("!")) {
      PtxOperand inner = resolve(word("a predicate"));
      inner.negated = true;
      return inner;
    }
    if (peek().kind == Kind::number || peek().text == "-" || peek().text == "+") return literal();
    if (take_if("_")) return {};
    PtxOperand result = resolve(word("an operand"));
    if (take_if("|")) {
      result.elements.push_back(take_if("_") ? PtxOperand{} : resolve(word("a register")));
    } else if (peek().text == "+" || peek().text == "-") {
      take_if("+");
      result.offset = integer();
    }
    return result;
  }

  PtxOperand literal() {
    const bool minus = take_if("-");
    if (!minus) take_if("+");
    const Number value = number();
    PtxOperand result;
    result.kind = value.kind;
    result.bits = value.bits;
    if (minus) {
      if (value.kind == PtxOperand::Kind::integer) result.bits = 0 - value.bits;
      if (value.kind == PtxOperand::Kind::f32) result.bits ^= 0x80000000U;
      if (value.kind == PtxOperand::Kind::f64) result.bits ^= std::uint64_t{1} << 63;
    }
    return result;
  }

  // After '['.
  PtxOperand address() {
    PtxOperand result;
    result.kind = PtxOperand::Kind::address;
    if (peek().kind == Kind::number) {
      PtxOperand base;
      base.kind = PtxOperand::Kind::integer;
      base.bits = std::uint64_t(integer());
      result.elements.push_back(base);
    } else {
      result.elements.push_back(resolve(word("an address")));
    }
    if (take_if("+") || peek().text == "-") result.offset = integer();
    expect("]");
    return result;
  }

  PtxOperand list() {
    const std::string_view end = take().text == "{" ? "}" : ")";
    PtxOperand result;
    result.kind = PtxOperand::Kind::vector;
    if (take_if(end)) return result;
    do {
      result.elements.push_back(operand());
    } while (take_if(","));
    expect(end);
    return result;
  }

  std::vector<PtxToken> tokens_;
  std::size_t at_ = 0;
  PtxModule module_;
  PtxFunction* function_ = nullptr;
  std::vector<Scope> scopes_;
};

}  // namespace

PtxType parse_ptx_type(std::string_view word) {
  for (const TypeName& entry : kTypes) {
    if (entry.word == word) return entry.type;
  }
  return PtxType::none;
}

int size_of(PtxType type) {
  for (const TypeName& entry : kTypes) {
    if (entry.type == type) return entry.bytes;
  }
  return 0;
}

PtxModule parse_ptx(std::string_view text) { return Parser(text).parse(); }

}  // namespace grkan::vgpu
