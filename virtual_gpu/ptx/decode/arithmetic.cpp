// Arithmetic, and what moves values between registers.
#include <fmt/format.h>

#include "virtual_gpu/ptx/decode/function.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {

void FunctionDecoder::plain() {
  std::string left;
  const Selectors& all = selectors();
  for (const Selectors::Plain select :
       {all.integer, all.bits, all.floating, all.special, all.half, all.compare, all.convert}) {
    Form form(statement_->opcode);
    const auto& operands = statement_->operands;
    if (!operands.empty()) form.destination_bytes = register_bytes(operands[0]);
    if (operands.size() > 1) form.source_bytes = register_bytes(operands[1]);
    const Selection s = select(form);
    if (s.handler == nullptr) continue;
    if (form.left() != nullptr) {
      left = form.left();
      continue;
    }
    emit(selected(s));
    return;
  }
  if (!left.empty()) unknown(fmt::format("unknown modifier '.{}'", left));
  unknown_instruction();
}

// The instruction of a selection, with the statement's operands.
Instruction FunctionDecoder::selected(const Selection& s) {
  const std::size_t count = std::size_t(s.count) + (s.immediate >= 0 ? 1 : 0);
  operand_count(count, count);
  Instruction i;
  i.handler = s.handler;
  i.mode = s.mode;
  i.offset = s.offset;
  std::uint32_t* const fields[] = {&i.d, &i.a, &i.b, &i.c, &i.e};
  const bool sunk = operand(0).kind == Kind::sink;
  i.d = sunk && s.sizes[0] == 0 ? builder_.register_slot(2) : destination(operand(0), s.sizes[0]);
  for (int n = 1; n < s.count; ++n) {
    const PtxOperand& o = operand(std::size_t(n));
    const bool may_negate = s.sizes[n] == 0 && n == 3;
    if (o.negated && !may_negate) unknown("a negated predicate");
    *fields[n] = source(o, s.sizes[n]);
    if (may_negate) i.negate_c = o.negated;
  }
  if (s.immediate >= 0) {
    const PtxOperand& o = operand(std::size_t(s.immediate));
    if (o.kind != Kind::integer) unknown("expected a number as the last operand");
    i.offset = std::int64_t(o.bits);
  }
  if (!operand(0).elements.empty()) {  // p|q
    if (s.sizes[0] != 0) unknown("only a predicate can have a second destination");
    const PtxOperand& second = operand(0).elements[0];
    if (second.kind != Kind::sink) i.e = destination(second, 0);
  }
  return i;
}

// mov with a vector on one side.
bool FunctionDecoder::packing(Form& form) {
  if (!form.is("mov") || statement_->operands.size() != 2) return false;
  const bool to_vector = operand(0).kind == Kind::vector;
  const bool from_vector = operand(1).kind == Kind::vector;
  if (!to_vector && !from_vector) return false;
  const int whole = size_of(form.type());
  all_taken(form);
  const PtxOperand& vector = operand(to_vector ? 0 : 1);
  const auto count = int(vector.elements.size());
  if (to_vector == from_vector || (count != 2 && count != 4) || whole % count != 0 ||
      whole / count < 2) {
    unknown_instruction();
  }
  Instruction i;
  i.handler = to_vector ? &unpack : &pack;
  i.count = std::uint8_t(count);
  i.mode = std::uint8_t(whole / count);
  std::vector<std::uint32_t> slots;
  for (const PtxOperand& part : vector.elements) {
    if (to_vector) {
      slots.push_back(part.kind == Kind::sink ? kNoSlot : destination(part, whole / count));
    } else {
      slots.push_back(source(part, whole / count));
    }
  }
  i.elements = builder_.element_list(slots);
  if (to_vector) {
    i.a = source(operand(1), whole);
  } else {
    i.d = destination(operand(0), whole);
  }
  emit(i);
  return true;
}

// mov of a clock.
bool FunctionDecoder::clocks(Form& form) {
  if (!form.is("mov") || statement_->operands.size() != 2 || operand(1).kind != Kind::symbol) {
    return false;
  }
  const std::string& name = operand(1).name;
  const bool wide = name == "%clock64" || name == "%globaltimer";
  if (!wide && name != "%clock" && name != "%globaltimer_lo") return false;
  Instruction i;
  i.handler = wide ? &read_clock64 : &read_clock32;
  i.d = destination(operand(0), wide ? 8 : 4);
  emit(i);
  return true;
}

}  // namespace grkan::vgpu
