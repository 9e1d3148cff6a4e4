// The module: directives and variables.
#include "virtual_gpu/ptx/parser.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/error.h"

namespace grkan::vgpu {

PtxModule parse_ptx(std::string_view text) { return Parser(text).parse(); }

PtxModule Parser::parse() {
  while (peek().kind != Kind::end) top_level();
  if (module_.version == 0) fail(Status::compile_failed, "line 1: PTX begins with .version");
  return std::move(module_);
}

void Parser::top_level() {
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

void Parser::target() {
  do {
    const int line = peek().line;
    const std::string name = word("a target");
    if (name.starts_with("sm_")) {
      std::string_view digits = std::string_view(name).substr(3);
      if (digits.ends_with('a') || digits.ends_with('f')) digits.remove_suffix(1);
      const auto value = read_digits(digits, 10);
      if (!value || *value > 999) {
        fail(Status::compile_failed, "line {}: expected a target as sm_90, found '{}'", line, name);
      }
      module_.target = int(*value);
    } else if (name != "debug" && name != "texmode_independent" && name != "texmode_unified") {
      fail(Status::compile_failed, "line {}: unknown target '{}'", line, name);
    }
  } while (take_if(","));
}

void Parser::declaration() {
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

std::optional<Space> Parser::variable_space(std::string_view directive) {
  if (directive == ".global") return Space::global;
  if (directive == ".const") return Space::constant;
  if (directive == ".shared") return Space::shared;
  if (directive == ".local") return Space::local;
  if (directive == ".param") return Space::parameter;
  return {};
}

PtxType Parser::type(std::string_view what) {
  const PtxType found =
      peek().text.starts_with('.') ? parse_ptx_type(peek().text.substr(1)) : PtxType::none;
  if (found == PtxType::none) expected(what);
  take();
  return found;
}

PtxVariable Parser::variable(Space space, bool external, PtxFunction* owner) {
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

std::size_t Parser::alignment() {
  const std::size_t value = size("an alignment");
  if (value == 0 || (value & (value - 1)) != 0 || value > 4096) {
    --at_;
    expected("an alignment that is a power of two");
  }
  return value;
}

void Parser::initial(PtxVariable& v, std::size_t element) {
  v.initial.assign(v.bytes, std::byte{0});
  std::size_t at = 0;
  const bool list = peek().text == "{";
  initial_values(v, element, at);
  if (!list && v.bytes != element) expected("one value in '{' '}' for each element");
}

void Parser::initial_values(PtxVariable& v, std::size_t element, std::size_t& at) {
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

}  // namespace grkan::vgpu
