// One function's statements on their way into the program, by families of instructions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "virtual_gpu/ptx/decode/builder.h"
#include "virtual_gpu/ptx/form.h"

namespace grkan::vgpu {

class FunctionDecoder {
 public:
  FunctionDecoder(Builder& builder, const PtxFunction& function)
      : builder_(builder), function_(function) {}

  FunctionInfo decode();

 private:
  using Kind = PtxOperand::Kind;

  // Throw: the statement's line, and why it is not known.
  [[noreturn]] void unknown(const std::string& why) const;
  [[noreturn]] void unknown_instruction() const;

  void place_variables();
  void one(const PtxStatement& statement);

  // The families: false for what is not their own.
  bool control(Form& form);
  bool memory(Form& form);
  bool atomics(Form& form);
  bool addresses(Form& form);
  bool hints(Form& form);
  bool warp_wide(Form& form);
  bool barriers(Form& form);
  bool fences(Form& form);
  bool packing(Form& form);
  bool clocks(Form& form);
  // What none of them took.
  void plain();
  Instruction selected(const Selection& selection);

  void call();
  void branch_table();
  void finish_memory_address(Instruction& i, const PtxOperand& operand, Space& space);

  // The next instruction of the program. `group`: what it counts as, the opcode's own.
  void emit(const Instruction& i);
  void emit(Instruction i, std::string group);
  void all_taken(const Form& form) const;
  void operand_count(std::size_t least, std::size_t most) const;
  [[nodiscard]] const PtxOperand& operand(std::size_t n) const { return statement_->operands[n]; }

  // Bytes of a register operand; 0 for other operands.
  [[nodiscard]] int register_bytes(const PtxOperand& o) const;
  [[nodiscard]] bool is_predicate(const PtxOperand& o) const;
  // Slots of operands of `size` bytes; 0: a predicate.
  std::uint32_t destination(const PtxOperand& o, int size);
  std::uint32_t source(const PtxOperand& o, int size);
  std::uint32_t predicate_source(const PtxOperand& o);
  // The address or number that a name stands for; the space it is in.
  struct Named {
    std::uint64_t value = 0;
    Space space = Space::generic;
    bool dynamic = false;  // an offset into dynamic shared memory
  };
  std::uint32_t address_slot(const Named& name, int size);
  std::optional<Named> named(const PtxOperand& o);
  std::uint32_t label(const std::string& name) const;

  Builder& builder_;
  const PtxFunction& function_;
  const PtxStatement* statement_ = nullptr;
  std::vector<std::uint32_t> slots_;   // of registers
  std::vector<std::size_t> frame_;     // offsets of .local and .param variables
  std::vector<std::uint32_t> begins_;  // of each statement: its first instruction
  struct Fixup {  // a target that is still a statement, of an instruction or of a table's entry
    std::uint32_t instruction;
    int table = -1;
    std::size_t entry = 0;
  };
  std::vector<Fixup> fixups_;
  FunctionInfo info_;
};

}  // namespace grkan::vgpu
