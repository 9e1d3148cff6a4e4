#include "core/ptx_class.h"

#include <algorithm>
#include <initializer_list>

namespace grkan {

std::string ptx_class(std::string_view opcode) {
  const std::string_view name = opcode.substr(0, opcode.find('.'));
  const auto has = [&](std::string_view part) { return opcode.find(part) != opcode.npos; };
  const bool floating = has(".f32") || has(".f64") || has(".f16") || has(".bf16");
  const auto one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (name == "ld" || name == "st" || name == "ldu") {
    const std::string direction = name == "st" ? "store" : "load";
    for (const char* space : {"global", "shared", "local", "param", "const"}) {
      if (has(std::string(".") + space)) return std::string(space) + " " + direction;
    }
    return "generic " + direction;
  }
  if (one_of({"atom", "red"})) return has(".shared") ? "shared atomic" : "atomic";
  // f32 has no name of its own.
  const std::string type = has(".f32x2") ? " f32x2"
                           : has(".f64") ? " f64"
                           : has("f16")  ? " f16"
                                         : "";
  if (name == "fma" || (name == "mad" && floating)) return "fma" + type;
  if (one_of({"rcp", "rsqrt", "sqrt", "ex2", "lg2", "sin", "cos", "tanh"})) return "special";
  if (name == "div" || name == "rem") return floating ? "float division" : "integer division";
  if (one_of({"add", "sub"}) && floating) return "add" + type;
  if (name == "mul" && floating) return "mul" + type;
  if (one_of({"setp", "set", "min", "max", "testp"})) return "compare";
  if (one_of({"neg", "abs", "copysign"}) && floating) return "sign";
  if (name == "cvt") return "convert";
  if (one_of({"mov", "selp", "slct", "cvta", "isspacep"})) return "move";
  if (one_of({"shfl", "vote", "match", "redux", "elect", "activemask"})) return "warp";
  if (one_of({"bar", "barrier"})) return "barrier";
  if (one_of({"membar", "fence", "griddepcontrol"})) return "fence";
  if (one_of({"bra", "brx", "call", "ret", "exit", "trap", "nanosleep"})) return "branch";
  if (one_of({"and", "or", "xor", "not", "cnot", "shl", "shr", "shf", "lop3", "prmt", "bfe", "bfi",
              "brev", "popc", "clz", "bfind", "bmsk"})) {
    return "logic";
  }
  return "integer";
}

}  // namespace grkan
