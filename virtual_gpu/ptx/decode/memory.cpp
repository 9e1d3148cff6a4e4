// Loads, stores, atomics, and what addresses are.
#include <fmt/format.h>

#include "core/ptx_class.h"
#include "virtual_gpu/ptx/decode/function.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {
namespace {

Space take_space(Form& form) {
  if (form.take("global")) return Space::global;
  if (form.take("shared") || form.take("shared::cta")) return Space::shared;
  if (form.take("local")) return Space::local;
  if (form.take("param") || form.take("param::entry") || form.take("param::func")) {
    return Space::parameter;
  }
  if (form.take("const")) return Space::constant;
  return Space::generic;
}

struct Order {
  bool orders = false;  // any of the words below
  bool strong = false;  // and for all blocks of the device
  bool acquires = false;
  bool releases = false;
};

// Semantics and scope. Without a scope an atomic is for all blocks, volatile for the whole system.
Order take_order(Form& form, bool atomic) {
  Order order;
  const bool everywhere = form.take("volatile") || form.take("mmio");
  const bool relaxed = form.take("relaxed");
  const bool both = form.take("acq_rel");
  order.acquires = form.take("acquire") || both;
  order.releases = form.take("release") || both;
  order.orders = everywhere || relaxed || order.acquires || order.releases || atomic;
  form.take("weak");
  const bool narrow = form.take("cta") || form.take("cluster");
  for (const char* scope : {"gpu", "sys"}) form.take(scope);
  order.strong = order.orders && !narrow;
  return order;
}

void apply(const Order& order, Instruction& i) {
  i.strong = order.strong;
  i.acquires = order.strong && order.acquires;
  i.releases = order.strong && order.releases;
}

// Hints of the caches; true when an operand with a policy follows.
bool take_hints(Form& form) {
  for (const char* word :
       {"ca", "cg", "cs", "lu", "cv", "wb", "wt", "L1::evict_normal", "L1::evict_unchanged",
        "L1::evict_first", "L1::evict_last", "L1::no_allocate", "L2::evict_normal",
        "L2::evict_first", "L2::evict_last", "L2::64B", "L2::128B", "L2::256B"}) {
    form.take(word);
  }
  return form.take("L2::cache_hint");
}

void nothing(Warp&, const Instruction&) {}

}  // namespace

void FunctionDecoder::finish_memory_address(Instruction& i, const PtxOperand& o, Space& space) {
  if (o.kind != Kind::address) unknown("expected an address in '[' ']'");
  const PtxOperand& base = o.elements[0];
  i.offset = o.offset;
  if (base.kind == Kind::reg) {
    const int bytes = register_bytes(base);
    if (bytes != 4 && bytes != 8) unknown("an address needs a register of 4 or 8 bytes");
    i.wide_address = bytes == 8;
    i.a = slots_[std::size_t(base.index)];
    // What a function calls .param lies in the thread's frame.
    if (space == Space::parameter && !function_.entry) space = Space::local;
    return;
  }
  i.wide_address = true;
  if (base.kind == Kind::integer) {
    i.a = builder_.constant(8, base.bits);
    return;
  }
  const std::optional<Named> name = named(base);
  if (!name) unknown(fmt::format("unknown name '{}'", base.name));
  if (space == Space::generic) {
    space = name->space;
  } else if (space == Space::parameter) {
    space = name->space;
    if (space != Space::parameter && space != Space::local) unknown("not a parameter");
  }
  i.a = address_slot(*name, 8);
}

bool FunctionDecoder::memory(Form& form) {
  const bool store = form.is("st");
  if (!store && !form.is("ld") && !form.is("ldu")) return false;
  Instruction i;
  const Order order = take_order(form, false);
  apply(order, i);
  Space space = take_space(form);
  i.read_only = form.take("nc") || form.is("ldu");
  const bool policy = take_hints(form);
  const int count = form.take("v2") ? 2 : form.take("v4") ? 4 : form.take("v8") ? 8 : 1;
  operand_count(policy ? 3 : 2, policy ? 3 : 2);
  const PtxOperand& data = operand(store ? 1 : 0);
  finish_memory_address(i, operand(store ? 0 : 1), space);
  std::vector<const PtxOperand*> parts;
  if (count == 1) {
    parts.push_back(&data);
    if (data.kind == Kind::vector) parts = {data.elements.data()};
  } else {
    if (data.kind != Kind::vector || int(data.elements.size()) != count) {
      unknown(fmt::format("expected a vector of {} registers", count));
    }
    for (const PtxOperand& part : data.elements) parts.push_back(&part);
  }
  int bytes = 0;
  for (const PtxOperand* part : parts) bytes = std::max(bytes, register_bytes(*part));
  Form sized(statement_->opcode);
  PtxType type = sized.type();
  if (bytes == 0) bytes = std::max(2, size_of(type));  // a number, or nothing but '_'
  form.destination_bytes = bytes;
  const Selection s = selectors().memory(form, space, count, store);
  all_taken(form);
  if (s.handler == nullptr) unknown_instruction();
  std::vector<std::uint32_t> slots;
  for (const PtxOperand* part : parts) {
    if (store) {
      slots.push_back(source(*part, bytes));
    } else {
      slots.push_back(part->kind == Kind::sink ? kNoSlot : destination(*part, bytes));
    }
  }
  i.handler = s.handler;
  i.count = std::uint8_t(count);
  i.elements = builder_.element_list(slots);
  Program& p = builder_.program();
  if (space == Space::shared || space == Space::generic) {
    p.shared_granule = std::min(p.shared_granule, s.count);
  }
  if (space != Space::shared) p.global_granule = std::min(p.global_granule, s.count);
  if (i.read_only) p.has_read_only = true;
  if (order.orders && (space == Space::global || space == Space::generic)) p.communicates = true;
  std::string group = ptx_class(statement_->opcode);
  if (space == Space::shared && group.starts_with("generic")) group.replace(0, 7, "shared");
  emit(i, std::move(group));
  return true;
}

bool FunctionDecoder::atomics(Form& form) {
  const bool returns = form.is("atom");
  if (!returns && !form.is("red")) return false;
  Instruction i;
  apply(take_order(form, true), i);
  Space space = take_space(form);
  const bool policy = take_hints(form);
  const std::size_t first = returns ? 1 : 0;
  if (statement_->operands.size() <= first) operand_count(first + 2, first + 3);
  finish_memory_address(i, operand(first), space);
  const AtomicSelection s = select_atomic(form, space);
  all_taken(form);
  const bool known_space =
      space == Space::global || space == Space::shared || space == Space::generic;
  if (s.handler == nullptr || !known_space) unknown_instruction();
  const std::size_t expected = first + 2 + (s.compare ? 1 : 0) + (policy ? 1 : 0);
  operand_count(expected, expected);
  const int bytes = std::max(2, s.bytes);
  const auto parts = [&](const PtxOperand& o) {
    std::vector<const PtxOperand*> list;
    if (s.elements == 1) {
      list.push_back(&o);
    } else if (o.kind == Kind::vector && int(o.elements.size()) == s.elements) {
      for (const PtxOperand& part : o.elements) list.push_back(&part);
    } else {
      unknown(fmt::format("expected a vector of {} registers", s.elements));
    }
    return list;
  };
  std::vector<std::uint32_t> slots;
  for (const PtxOperand* part : parts(operand(first + 1))) slots.push_back(source(*part, bytes));
  if (returns) {
    for (const PtxOperand* part : parts(operand(0))) {
      slots.push_back(part->kind == Kind::sink ? kNoSlot : destination(*part, bytes));
    }
  } else {
    slots.resize(slots.size() * 2, kNoSlot);
  }
  if (s.compare) i.c = source(operand(first + 2), bytes);
  i.handler = s.handler;
  i.mode = std::uint8_t(space);
  i.count = std::uint8_t(s.elements);
  i.elements = builder_.element_list(slots);
  Program& p = builder_.program();
  if (space != Space::shared && (returns || !s.commutes)) p.communicates = true;
  if (space != Space::global) p.shared_granule = std::min(p.shared_granule, s.bytes);
  if (space != Space::shared) p.global_granule = std::min(p.global_granule, s.bytes);
  emit(i);
  return true;
}

bool FunctionDecoder::addresses(Form& form) {
  if (form.is("isspacep")) {
    const Space space = take_space(form);
    all_taken(form);
    operand_count(2, 2);
    Instruction i;
    i.handler = &test_space;
    i.mode = std::uint8_t(space == Space::constant ? Space::global : space);
    i.d = destination(operand(0), 0);
    i.a = source(operand(1), 8);
    emit(i);
    return true;
  }
  if (!form.is("cvta")) return false;
  const bool back = form.take("to");
  const Space space = take_space(form);
  if (form.type() != PtxType::u64 || space == Space::generic) unknown_instruction();
  all_taken(form);
  operand_count(2, 2);
  std::uint64_t window = 0;
  if (space == Space::shared) window = kSharedWindow;
  if (space == Space::local) window = kLocalWindow;
  if (space == Space::parameter) window = function_.entry ? kParameterWindow : kLocalWindow;
  Form add(window == 0 ? "mov.u64" : "add.u64");
  Instruction i;
  if (window == 0) {
    i.handler = selectors().bits(add).handler;
  } else {
    i.handler = selectors().integer(add).handler;
    i.b = builder_.constant(8, back ? 0 - window : window);
  }
  i.d = destination(operand(0), 8);
  i.a = source(operand(1), 8);
  emit(i);
  return true;
}

// What changes no result: hints to the caches, and when the next grid may start.
bool FunctionDecoder::hints(Form& form) {
  Instruction i;
  if (form.is("griddepcontrol")) {
    if (!form.take("launch_dependents") && !form.take("wait")) unknown_instruction();
    all_taken(form);
    operand_count(0, 0);
    i.handler = &nothing;
    emit(i);
    return true;
  }
  if (form.is("prefetch") || form.is("prefetchu") || form.is("applypriority")) {
    take_space(form);
    form.take("L1");
    form.take("L2");
    form.take("L2::evict_normal");
    form.take("L2::evict_last");
    all_taken(form);
    i.handler = &nothing;
    emit(i);
    return true;
  }
  if (form.is("createpolicy")) {
    form.take("fractional");
    take_hints(form);
    form.take("L2::evict_unchanged");
    if (form.type() != PtxType::b64) unknown_instruction();
    all_taken(form);
    operand_count(1, 2);
    Form move("mov.u64");
    i.handler = selectors().bits(move).handler;
    i.d = destination(operand(0), 8);
    i.a = builder_.constant(8, 0);
    emit(i);
    return true;
  }
  return false;
}

}  // namespace grkan::vgpu
