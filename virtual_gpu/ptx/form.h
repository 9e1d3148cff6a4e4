// Form: an opcode and its modifiers, from which a handler is chosen. What no one takes is unknown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "virtual_gpu/ptx/program.h"

namespace grkan::vgpu {

// The handler of a form and the bytes of its operands' registers, in the order of the text: those
// of d, a, b, c, e. 0: a predicate. -1: none.
struct Selection {
  Handler handler = nullptr;
  std::int8_t sizes[5] = {-1, -1, -1, -1, -1};
  int count = 0;
  int immediate = -1;     // this operand (after those above) is a number: Instruction::offset
  std::uint8_t mode = 0;  // Instruction::mode
  std::int64_t offset = 0;
};

// Member functions are not inline on purpose: files that are compiled for several processors use
// them, and must not bring along a version of their own.
class Form {
 public:
  explicit Form(std::string_view opcode);
  ~Form();
  Form(const Form&) = delete;
  Form& operator=(const Form&) = delete;

  // The opcode's first word.
  [[nodiscard]] bool is(const char* name) const;
  // True when the modifier stands there; it is then used up.
  bool take(const char* modifier);
  // The next type that was not taken yet; none when there is no more.
  PtxType type();
  // The first modifier that nobody took, or null.
  [[nodiscard]] const char* left() const;

  // Bytes of the registers that are the first two operands; 0 where an operand is none.
  int destination_bytes = 0;
  int source_bytes = 0;

 private:
  struct Modifier {
    std::string text;
    bool taken = false;
  };
  std::string name_;
  std::vector<Modifier> modifiers_;
};

// The families of instructions. Each gives a null handler for a form that is not its own.
#define GRKAN_VGPU_SELECTORS       \
  Selection select_integer(Form&); \
  Selection select_bits(Form&);    \
  Selection select_float(Form&);   \
  Selection select_special(Form&); \
  Selection select_half(Form&);    \
  Selection select_compare(Form&); \
  Selection select_convert(Form&); \
  Selection select_memory(Form&, Space space, int count, bool store);

namespace baseline {
GRKAN_VGPU_SELECTORS
}
namespace v3 {
GRKAN_VGPU_SELECTORS
}

}  // namespace grkan::vgpu
