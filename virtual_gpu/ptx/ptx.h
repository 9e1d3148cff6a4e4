// PTX text as a tree: declarations, registers and statements, with names resolved to the scope they
// stand in. What a statement means is not known here (decode/decode.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace grkan::vgpu {

enum class PtxType : std::uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  bf16,
  f16x2,
  bf16x2,
  f32,
  f32x2,
  f64,
};
// none for a word that is no type. The word has no leading point.
PtxType parse_ptx_type(std::string_view word);
// Bytes of a value; a predicate has 0.
int size_of(PtxType type);

enum class Space : std::uint8_t { generic, global, shared, local, parameter, constant };

struct PtxRegister {
  std::string name;
  PtxType type = PtxType::none;
};

struct PtxVariable {
  std::string name;
  Space space = Space::global;
  PtxType type = PtxType::b8;
  std::size_t alignment = 1;
  std::size_t bytes = 0;
  bool external = false;  // of unknown size: dynamic shared memory
  int line = 0;
  std::vector<std::byte> initial;  // empty, or `bytes` long
  struct Reference {               // an address among the initial values
    std::size_t offset = 0;
    std::string name;
    std::int64_t addend = 0;
  };
  std::vector<Reference> references;
};

struct PtxOperand {
  enum class Kind : std::uint8_t {
    reg,       // `index` of the function's registers
    variable,  // `index` of the function's variables, + offset
    symbol,    // a module's variable, a special register, a label, a function; + offset
    integer,   // bits
    f32,       // bits
    f64,       // bits
    address,   // elements[0] + offset
    vector,    // elements
    sink,      // _
  };
  Kind kind = Kind::sink;
  int index = 0;
  std::string name;
  std::uint64_t bits = 0;
  std::int64_t offset = 0;
  bool negated = false;              // !%p
  std::vector<PtxOperand> elements;  // also: %d|%p has the second as elements[0] of a reg
};

struct PtxStatement {
  int line = 0;
  std::string text;      // as it stands there, one space between words
  int guard = -1;        // register
  bool negated = false;  // @!%p
  std::string opcode;    // with its modifiers
  std::vector<PtxOperand> operands;
  int scope = 0;  // of labels
};

struct PtxFunction {
  std::string name;
  bool entry = false;
  bool defined = false;
  int line = 0;
  std::vector<int> parameters;  // indices of variables
  std::vector<int> results;
  std::vector<PtxVariable> variables;  // parameters and everything declared inside
  std::vector<PtxRegister> registers;
  std::vector<PtxStatement> body;
  std::map<std::pair<int, std::string>, int> labels;  // (scope, name) to the statement after it
  std::vector<int> outer_scope;                       // of each scope; -1 for the first
  std::map<std::string, std::vector<std::string>> branch_targets;
  int max_threads = 1024;
  int min_blocks = 0;
};

struct PtxModule {
  int version = 0;  // 90 for 9.0
  int target = 0;   // 90 for sm_90
  std::vector<PtxVariable> variables;
  std::vector<PtxFunction> functions;
};

// Throws Error (compile_failed): "line 7: expected ';', found '}'".
PtxModule parse_ptx(std::string_view text);

struct PtxToken {
  enum class Kind : std::uint8_t { word, number, string, mark, end };
  Kind kind = Kind::end;
  std::string_view text;
  int line = 0;
};
// Words keep their points and double colons: "ld.global.L2::128B.f32".
std::vector<PtxToken> read_ptx_tokens(std::string_view text);

}  // namespace grkan::vgpu
