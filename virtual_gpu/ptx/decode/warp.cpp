// What looks across lanes, warps and blocks: votes and shuffles, barriers, fences.
#include "virtual_gpu/ptx/decode/function.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {

bool FunctionDecoder::warp_wide(Form& form) {
  if (form.is("activemask")) {
    operand_count(1, 1);
    if (form.type() != PtxType::b32) unknown_instruction();
    all_taken(form);
    Instruction i;
    i.handler = &read_active_mask;
    i.d = destination(operand(0), 4);
    emit(i);
    return true;
  }
  WarpSelection s = select_warp_operation(form);
  if (s.selection.handler == nullptr) return false;
  all_taken(form);
  const auto count = std::size_t(s.selection.count);
  operand_count(count + 1, count + 1);
  Instruction i;
  i.handler = s.selection.handler;
  i.flow = Flow::warp_sync;
  std::uint32_t* const fields[] = {&i.d, &i.a, &i.b, &i.c};
  for (std::size_t n = 0; n < count; ++n) {
    const PtxOperand& o = operand(n);
    const std::int8_t size = s.selection.sizes[n];
    if (n == 0) {
      if (o.kind != Kind::sink) i.d = destination(o, size);
      if (!o.elements.empty()) {
        if (!s.second) unknown("a second destination");
        if (o.elements[0].kind != Kind::sink) i.e = destination(o.elements[0], 0);
      }
    } else {
      if (o.negated && !s.predicate_source) unknown("a negated predicate");
      *fields[n] = source(o, size);
      if (s.predicate_source) i.negate_c = o.negated;
    }
  }
  i.members = source(operand(count), 4);
  i.mode = form.is("bar") ? 1 : 0;  // lanes may meet from several places
  emit(i);
  return true;
}

bool FunctionDecoder::barriers(Form& form) {
  if (!form.is("bar") && !form.is("barrier")) return false;
  form.take("cta");
  const bool aligned = form.is("bar") || form.take("aligned");
  const bool arrive = form.take("arrive");
  const bool sync = form.take("sync");
  const bool reduce = form.take("red");
  if (int(arrive) + int(sync) + int(reduce) != 1) unknown_instruction();
  Instruction i;
  i.flow = arrive ? Flow::barrier_arrive : Flow::barrier;
  i.guard_negated = false;
  i.count = aligned ? 1 : 0;
  std::size_t at = 0;
  const std::size_t operands = statement_->operands.size();
  if (reduce) {
    const bool popc = form.take("popc");
    const bool all = form.take("and");
    const bool any = form.take("or");
    const PtxType type = form.type();
    if (int(popc) + int(all) + int(any) != 1) unknown_instruction();
    if (type != (popc ? PtxType::u32 : PtxType::pred)) unknown_instruction();
    operand_count(3, 4);
    i.mode = popc ? 1 : all ? 2 : 3;
    i.d = destination(operand(0), popc ? 4 : 0);
    i.c = predicate_source(operand(operands - 1));
    i.negate_c = operand(operands - 1).negated;
    at = 1;
  } else {
    operand_count(arrive ? 2 : 1, 2);
  }
  all_taken(form);
  i.a = source(operand(at), 4);
  if (operands > at + (reduce ? 2 : 1)) i.b = source(operand(at + 1), 4);
  emit(i);
  return true;
}

bool FunctionDecoder::fences(Form& form) {
  if (!form.is("membar") && !form.is("fence")) return false;
  const bool device = form.take("gl") || form.take("gpu") || form.take("sys");
  const bool wide = form.take("cluster") || device;
  form.take("cta");
  const bool sequential = form.take("sc") || form.is("membar");
  for (const char* word : {"acq_rel", "acquire", "release"}) form.take(word);
  const bool proxy = form.take("proxy");
  form.take("alias");
  form.take("async");
  all_taken(form);
  operand_count(0, 0);
  if (wide) builder_.program().communicates = true;
  Instruction i;
  i.handler = &run_fence;
  if (device && !proxy) {
    i.mode = std::uint8_t(sequential ? FenceKind::sequential : FenceKind::acquire_release);
  }
  emit(i);
  return true;
}

}  // namespace grkan::vgpu
