// Where a thread goes on, and when: branches, calls, the end.
#include <fmt/format.h>

#include "virtual_gpu/ptx/decode/function.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {

bool FunctionDecoder::control(Form& form) {
  Instruction i;
  if (form.is("bra")) {
    form.take("uni");
    all_taken(form);
    operand_count(1, 1);
    if (operand(0).kind != Kind::symbol) unknown("expected a label");
    i.flow = Flow::branch;
    fixups_.push_back({std::uint32_t(builder_.program().code.size())});
    i.target = label(operand(0).name);
    emit(i);
    return true;
  }
  if (form.is("brx")) {
    branch_table();
    return true;
  }
  if (form.is("call")) {
    form.take("uni");
    all_taken(form);
    call();
    return true;
  }
  if (form.is("ret") || form.is("exit")) {
    form.take("uni");
    all_taken(form);
    operand_count(0, 0);
    const bool leaves = form.is("exit") || function_.entry;
    i.flow = leaves ? Flow::exit : Flow::ret;
    if (!leaves) i.b = info_.return_slot;
    emit(i);
    return true;
  }
  if (form.is("trap") || form.is("brkpt")) {
    all_taken(form);
    operand_count(0, 0);
    i.flow = Flow::trap;
    emit(i);
    return true;
  }
  if (form.is("nanosleep")) {
    if (form.type() != PtxType::u32) unknown_instruction();
    all_taken(form);
    operand_count(1, 1);
    i.flow = Flow::yield;
    emit(i);
    return true;
  }
  return false;
}

void FunctionDecoder::branch_table() {
  operand_count(2, 2);
  if (statement_->opcode != "brx.idx" && statement_->opcode != "brx.idx.uni") {
    unknown_instruction();
  }
  const auto found = function_.branch_targets.find(operand(1).name);
  if (found == function_.branch_targets.end()) {
    unknown(fmt::format("no .branchtargets '{}'", operand(1).name));
  }
  Instruction i;
  i.flow = Flow::branch_table;
  i.a = source(operand(0), 4);
  Program& p = builder_.program();
  i.offset = std::int64_t(p.branch_tables.size());
  std::vector<std::uint32_t> targets;
  for (const std::string& name : found->second) {
    fixups_.push_back({std::uint32_t(p.code.size()), int(p.branch_tables.size()), targets.size()});
    targets.push_back(label(name));
  }
  p.branch_tables.push_back(std::move(targets));
  emit(i);
}

void FunctionDecoder::call() {
  std::size_t at = 0;
  const auto& operands = statement_->operands;
  const PtxOperand none;
  const PtxOperand* results = &none;
  const PtxOperand* arguments = &none;
  if (at < operands.size() && operands[at].kind == Kind::vector) results = &operands[at++];
  if (at >= operands.size() || operands[at].kind != Kind::symbol) {
    unknown("a call of what is no function's name (indirect calls are not supported)");
  }
  const std::string name = operands[at++].name;
  if (at < operands.size() && operands[at].kind == Kind::vector) arguments = &operands[at++];
  if (at != operands.size()) unknown("indirect calls are not supported");
  if (name == "__assertfail") {
    Instruction i;
    i.flow = Flow::trap;
    emit(i);
    return;
  }
  const FunctionInfo& callee = builder_.function(name, statement_->line);
  if (arguments->elements.size() != callee.parameters.size() ||
      results->elements.size() != callee.results.size()) {
    unknown(fmt::format("'{}' has {} parameters and {} results", name, callee.parameters.size(),
                        callee.results.size()));
  }
  const auto copy = [&](const PtxOperand& variable, const ParameterPlace& place, bool in) {
    const std::optional<Named> here = named(variable);
    if (!here || here->space != Space::local) unknown("expected a .param variable");
    Instruction i;
    i.handler = &copy_frame;
    i.target = std::uint32_t(in ? place.offset : here->value);
    i.offset = std::int64_t(in ? here->value : place.offset);
    i.e = std::uint32_t(place.size);
    emit(i, "");
  };
  for (std::size_t n = 0; n < callee.parameters.size(); ++n) {
    copy(arguments->elements[n], callee.parameters[n], true);
  }
  Instruction i;
  i.flow = Flow::call;
  i.target = callee.begin;
  i.b = callee.return_slot;
  emit(i);
  for (std::size_t n = 0; n < callee.results.size(); ++n) {
    copy(results->elements[n], callee.results[n], false);
  }
}

}  // namespace grkan::vgpu
