#include "virtual_gpu/ptx/decode/function.h"

#include <algorithm>

#include "core/error.h"
#include "core/ptx_class.h"
#include "virtual_gpu/ptx/handlers.h"
#include "virtual_gpu/ptx/slots.h"

namespace grkan::vgpu {

void FunctionDecoder::unknown(const std::string& why) const {
  fail(Status::compile_failed, "line {}: {} in '{}'", statement_->line, why, statement_->text);
}

void FunctionDecoder::unknown_instruction() const {
  fail(Status::compile_failed, "line {}: unknown instruction '{}'", statement_->line,
       statement_->opcode);
}

void FunctionDecoder::emit(const Instruction& i) { emit(i, ptx_class(statement_->opcode)); }

void FunctionDecoder::emit(Instruction i, std::string group) {
  Program& p = builder_.program();
  i.index = std::uint32_t(p.code.size());
  if (statement_->guard >= 0) {
    i.guard = slots_[std::size_t(statement_->guard)];
    i.guard_negated = statement_->negated;
    if (i.flow == Flow::plain) {
      i.unguarded = i.handler;
      i.handler = &run_guarded;
    }
  }
  p.code.push_back(i);
  p.texts.push_back({statement_->line, statement_->text, std::move(group)});
}

void FunctionDecoder::all_taken(const Form& form) const {
  if (const char* left = form.left()) {
    unknown(fmt::format("unknown modifier '.{}'", left));
  }
}

void FunctionDecoder::operand_count(std::size_t least, std::size_t most) const {
  const std::size_t n = statement_->operands.size();
  if (n >= least && n <= most) return;
  unknown(least == most ? fmt::format("expected {} operands, found {}", least, n)
                        : fmt::format("expected {} to {} operands, found {}", least, most, n));
}

void FunctionDecoder::place_variables() {
  frame_.assign(function_.variables.size(), 0);
  const std::vector<ParameterPlace> formal = place_parameters(function_);
  for (std::size_t n = 0; n < function_.variables.size(); ++n) {
    const PtxVariable& v = function_.variables[n];
    const bool is_formal = std::find(function_.parameters.begin(), function_.parameters.end(),
                                     int(n)) != function_.parameters.end();
    if (function_.entry && is_formal) continue;
    if (v.space == Space::local || v.space == Space::parameter) {
      frame_[n] = builder_.frame(v.bytes, v.alignment);
    }
  }
  for (std::size_t k = 0; k < function_.parameters.size(); ++k) {
    const auto n = std::size_t(function_.parameters[k]);
    if (function_.entry) frame_[n] = formal[k].offset;
    info_.parameters.push_back({frame_[n], function_.variables[n].bytes});
  }
  for (const int n : function_.results) {
    info_.results.push_back({frame_[std::size_t(n)], function_.variables[std::size_t(n)].bytes});
  }
}

void FunctionDecoder::one(const PtxStatement& statement) {
  statement_ = &statement;
  using Step = bool (FunctionDecoder::*)(Form&);
  for (const Step step :
       {&FunctionDecoder::control, &FunctionDecoder::memory, &FunctionDecoder::atomics,
        &FunctionDecoder::addresses, &FunctionDecoder::hints, &FunctionDecoder::warp_wide,
        &FunctionDecoder::barriers, &FunctionDecoder::fences, &FunctionDecoder::packing,
        &FunctionDecoder::clocks}) {
    Form form(statement.opcode);
    if ((this->*step)(form)) return;
  }
  plain();
}

FunctionInfo FunctionDecoder::decode() {
  slots_ = assign_slots(function_, builder_.next_slot());
  place_variables();
  if (!function_.entry) info_.return_slot = builder_.register_slot(4);
  // Functions that this one calls come first in the code: lanes that are in one have the lower
  // address and run first.
  for (const PtxStatement& s : function_.body) {
    if (!s.opcode.starts_with("call")) continue;
    for (const PtxOperand& o : s.operands) {
      if (o.kind == Kind::symbol && o.name != "__assertfail") {
        builder_.function(o.name, s.line);
        break;
      }
    }
  }
  Program& p = builder_.program();
  info_.begin = std::uint32_t(p.code.size());
  for (const PtxStatement& s : function_.body) {
    begins_.push_back(std::uint32_t(p.code.size()));
    one(s);
  }
  begins_.push_back(std::uint32_t(p.code.size()));
  // A body may end without ret, or with a label.
  PtxStatement end;
  end.line = function_.body.empty() ? function_.line : function_.body.back().line;
  end.opcode = end.text = "ret";
  one(end);
  for (const Fixup& fixup : fixups_) {
    std::uint32_t& target = fixup.table < 0
                                ? p.code[fixup.instruction].target
                                : p.branch_tables[std::size_t(fixup.table)][fixup.entry];
    target = begins_[target];
  }
  return info_;
}

}  // namespace grkan::vgpu
