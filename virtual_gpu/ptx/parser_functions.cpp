// Functions, their statements and operands.
#include <algorithm>
#include <ranges>

#include "core/error.h"
#include "virtual_gpu/ptx/parser.h"

namespace grkan::vgpu {

void Parser::function(bool entry) {
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

std::vector<int> Parser::formal_parameters() {
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

int Parser::declare_variable(Space space) {
  PtxVariable v = variable(space, false, function_);
  const int index = int(function_->variables.size());
  if (!scopes_.back().variables.emplace(v.name, index).second) {
    fail(Status::compile_failed, "line {}: '{}' is declared twice", v.line, v.name);
  }
  function_->variables.push_back(std::move(v));
  return index;
}

void Parser::performance_directives(PtxFunction& f) {
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

void Parser::body() {
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

void Parser::statement() {
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

void Parser::label() {
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

void Parser::registers() {
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

void Parser::add_register(std::string name, PtxType t, int line) {
  const int index = int(function_->registers.size());
  if (!scopes_.back().registers.emplace(name, index).second) {
    fail(Status::compile_failed, "line {}: the register '{}' is declared twice", line, name);
  }
  function_->registers.push_back({std::move(name), t});
}

PtxOperand Parser::resolve(std::string name) const {
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

void Parser::instruction() {
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
    const bool glued =
        i == begin || tokens_[i - 1].text.data() + tokens_[i - 1].text.size() == token.text.data();
    if (!glued) s.text += ' ';
    s.text += token.text;
  }
  function_->body.push_back(std::move(s));
}

PtxOperand Parser::operand() {
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

PtxOperand Parser::literal() {
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

PtxOperand Parser::address() {
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

PtxOperand Parser::list() {
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

}  // namespace grkan::vgpu
