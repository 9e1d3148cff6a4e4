#include "virtual_gpu/ptx/decode.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <set>

#include "core/error.h"
#include "core/ptx_class.h"
#include "virtual_gpu/checks/causality.h"
#include "virtual_gpu/ptx/form.h"
#include "virtual_gpu/ptx/handlers.h"
#include "virtual_gpu/ptx/slots.h"

namespace grkan::vgpu {
namespace {

using Kind = PtxOperand::Kind;

bool newer_processor() { return __builtin_cpu_supports("x86-64-v3") != 0; }

struct SpecialName {
  std::string_view name;
  Special special;
};
constexpr SpecialName kSpecials[] = {
    {"%tid.x", Special::tid_x},
    {"%tid.y", Special::tid_y},
    {"%tid.z", Special::tid_z},
    {"%ntid.x", Special::ntid_x},
    {"%ntid.y", Special::ntid_y},
    {"%ntid.z", Special::ntid_z},
    {"%ctaid.x", Special::ctaid_x},
    {"%ctaid.y", Special::ctaid_y},
    {"%ctaid.z", Special::ctaid_z},
    {"%nctaid.x", Special::nctaid_x},
    {"%nctaid.y", Special::nctaid_y},
    {"%nctaid.z", Special::nctaid_z},
    {"%laneid", Special::laneid},
    {"%warpid", Special::warpid},
    {"%nwarpid", Special::nwarpid},
    {"%lanemask_eq", Special::lanemask_eq},
    {"%lanemask_lt", Special::lanemask_lt},
    {"%lanemask_le", Special::lanemask_le},
    {"%lanemask_gt", Special::lanemask_gt},
    {"%lanemask_ge", Special::lanemask_ge},
    {"%smid", Special::smid},
    {"%nsmid", Special::nsmid},
    {"%gridid", Special::gridid},
    {"%dynamic_smem_size", Special::dynamic_shared},
    {"%total_smem_size", Special::total_shared},
};

std::size_t rounded_up(std::size_t value, std::size_t to) { return (value + to - 1) / to * to; }

struct FunctionInfo {
  std::uint32_t begin = 0;
  std::uint32_t return_slot = kNoSlot;
  std::vector<ParameterPlace> parameters;  // in the thread's frame
  std::vector<ParameterPlace> results;
};

// The program under way: what all its functions share.
class Builder {
 public:
  Builder(const PtxModule& module, const Symbols& symbols) : module_(module), symbols_(symbols) {}

  std::shared_ptr<const Program> build(const PtxFunction& kernel);
  const FunctionInfo& function(const std::string& name, int line);

  std::uint32_t constant(int size, std::uint64_t bits) {
    if (size < 8) bits &= (std::uint64_t{1} << 8 * size) - 1;
    const auto [found, added] = constants_.try_emplace({size, bits}, 0);
    if (added) {
      found->second = static_slot(size);
      program_->constants.push_back({found->second, size, bits});
    }
    return found->second;
  }
  std::uint32_t predicate_constant(bool value) {
    const auto [found, added] = constants_.try_emplace({0, value ? 1 : 0}, 0);
    if (added) {
      found->second = static_slot(0);
      program_->constants.push_back({found->second, 0, value ? 1U : 0U});
    }
    return found->second;
  }
  std::uint32_t special(Special which, int size) {
    const auto [found, added] = specials_.try_emplace({int(which), size}, 0);
    if (added) {
      found->second = static_slot(size);
      program_->specials.push_back({found->second, size, which});
    }
    return found->second;
  }
  std::uint32_t register_slot(int size) {
    const std::uint32_t at = next_;
    next_ += std::uint32_t(size) * kLanes;
    return at;
  }

  // Offset of a shared variable of known size.
  std::uint64_t shared_address(const PtxVariable& variable, const std::string& owner) {
    const auto [found, added] = shared_.try_emplace(owner + "/" + variable.name, 0);
    if (added) {
      program_->static_shared = rounded_up(program_->static_shared, variable.alignment);
      found->second = program_->static_shared;
      program_->static_shared += variable.bytes;
    }
    return found->second;
  }
  // Dynamic shared memory begins where the static ends, which is known when all is decoded.
  std::uint32_t dynamic_shared(int size, std::uint64_t offset) {
    const auto [found, added] = dynamic_.try_emplace({size, offset}, 0);
    if (added) {
      found->second = static_slot(size);
      program_->constants.push_back({found->second, size, offset});
      dynamic_constants_.push_back(program_->constants.size() - 1);
    }
    return found->second;
  }
  const std::uint32_t* element_list(const std::vector<std::uint32_t>& slots) {
    auto list = std::make_unique<std::uint32_t[]>(slots.size());
    std::copy(slots.begin(), slots.end(), list.get());
    lists_.emplace_back(list.get(), slots.size());
    program_->elements.push_back(std::move(list));
    return program_->elements.back().get();
  }
  std::size_t frame(std::size_t bytes, std::size_t alignment) {
    program_->local_bytes = rounded_up(program_->local_bytes, alignment);
    const std::size_t at = program_->local_bytes;
    program_->local_bytes += bytes;
    return at;
  }

  [[nodiscard]] const PtxModule& module() const { return module_; }
  [[nodiscard]] const Symbols& symbols() const { return symbols_; }
  Program& program() { return *program_; }
  std::uint32_t& next_slot() { return next_; }

 private:
  // Constants and specials lie behind the registers; their place is given at the end.
  std::uint32_t static_slot(int size) {
    if (size == 0) {
      static_next_ = std::uint32_t(rounded_up(static_next_, 4));
    } else {
      static_next_ = std::uint32_t(rounded_up(static_next_, 64));
    }
    const std::uint32_t at = kStatic + static_next_;
    static_next_ += size == 0 ? 4 : std::uint32_t(size) * kLanes;
    return at;
  }
  void finish();

  static constexpr std::uint32_t kStatic = 0x80000000U;

  const PtxModule& module_;
  const Symbols& symbols_;
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
  std::map<std::pair<int, std::uint64_t>, std::uint32_t> constants_;
  std::map<std::pair<int, int>, std::uint32_t> specials_;
  std::map<std::string, std::uint64_t> shared_;
  std::map<std::pair<int, std::uint64_t>, std::uint32_t> dynamic_;
  std::vector<std::size_t> dynamic_constants_;  // among the program's constants
  std::vector<std::pair<std::uint32_t*, std::size_t>> lists_;
  std::map<std::string, FunctionInfo, std::less<>> functions_;
  std::set<std::string> under_way_;
  std::uint32_t next_ = 0;
  std::uint32_t static_next_ = 0;
};

class FunctionDecoder {
 public:
  FunctionDecoder(Builder& builder, const PtxFunction& function)
      : builder_(builder), function_(function) {}

  FunctionInfo decode();

 private:
  [[noreturn]] void unknown(const std::string& why) const {
    fail(Status::compile_failed, "line {}: {} in '{}'", statement_->line, why, statement_->text);
  }
  [[noreturn]] void unknown_instruction() const {
    fail(Status::compile_failed, "line {}: unknown instruction '{}'", statement_->line,
         statement_->opcode);
  }

  void place_variables();
  void one(const PtxStatement& statement);
  bool control(Form& form);
  bool memory(Form& form);
  bool atomics(Form& form);
  bool warp_wide(Form& form);
  bool barriers(Form& form);
  bool addresses(Form& form);
  bool packing(Form& form);
  bool misc(Form& form);
  void plain();
  void call();
  void branch_table();
  void finish_memory_address(Instruction& i, const PtxOperand& operand, Space& space);

  void emit(const Instruction& i) { emit(i, ptx_class(statement_->opcode)); }
  void emit(Instruction i, std::string group) {
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
  void all_taken(const Form& form) const {
    if (const char* left = form.left()) {
      unknown(fmt::format("unknown modifier '.{}'", left));
    }
  }
  void operand_count(std::size_t least, std::size_t most) const {
    const std::size_t n = statement_->operands.size();
    if (n >= least && n <= most) return;
    unknown(least == most ? fmt::format("expected {} operands, found {}", least, n)
                          : fmt::format("expected {} to {} operands, found {}", least, most, n));
  }
  [[nodiscard]] const PtxOperand& operand(std::size_t n) const { return statement_->operands[n]; }

  // Bytes of a register operand; 0 for other operands.
  [[nodiscard]] int register_bytes(const PtxOperand& o) const {
    if (o.kind != Kind::reg) return 0;
    const PtxType type = function_.registers[std::size_t(o.index)].type;
    return type == PtxType::pred ? 0 : std::max(2, size_of(type));
  }
  [[nodiscard]] bool is_predicate(const PtxOperand& o) const {
    return o.kind == Kind::reg && function_.registers[std::size_t(o.index)].type == PtxType::pred;
  }
  std::uint32_t destination(const PtxOperand& o, int size);
  std::uint32_t source(const PtxOperand& o, int size);
  std::uint32_t predicate_source(const PtxOperand& o);
  // The address or number that a name stands for; the space it is in.
  struct Named {
    std::uint64_t value = 0;
    Space space = Space::generic;
    bool dynamic = false;  // an offset into dynamic shared memory
  };
  std::uint32_t address_slot(const Named& name, int size) {
    return name.dynamic ? builder_.dynamic_shared(size, name.value)
                        : builder_.constant(size, name.value);
  }
  std::optional<Named> named(const PtxOperand& o);
  std::uint32_t label(const std::string& name) const;

  Builder& builder_;
  const PtxFunction& function_;
  const PtxStatement* statement_ = nullptr;
  std::vector<std::uint32_t> slots_;   // of registers
  std::vector<std::size_t> frame_;     // offsets of .local and .param variables
  std::vector<std::uint32_t> begins_;  // of each statement: its first instruction
  struct Fixup {
    std::uint32_t instruction;
    std::string name;
    int scope;
    int table = -1;  // of branch_tables, and which entry
    std::size_t entry = 0;
    int line = 0;
  };
  std::vector<Fixup> fixups_;
  FunctionInfo info_;
};

// Names and operands.

std::optional<FunctionDecoder::Named> FunctionDecoder::named(const PtxOperand& o) {
  if (o.kind == Kind::variable) {
    const PtxVariable& v = function_.variables[std::size_t(o.index)];
    const auto offset = std::uint64_t(o.offset);
    if (v.space == Space::shared) {
      if (v.external) return Named{offset, Space::shared, true};
      return Named{builder_.shared_address(v, function_.name) + offset, Space::shared};
    }
    if (v.space == Space::local) {
      return Named{frame_[std::size_t(o.index)] + offset, Space::local};
    }
    if (v.space == Space::parameter) {
      const auto formal =
          std::find(function_.parameters.begin(), function_.parameters.end(), o.index);
      if (function_.entry && formal != function_.parameters.end()) {
        return Named{frame_[std::size_t(o.index)] + offset, Space::parameter};
      }
      return Named{frame_[std::size_t(o.index)] + offset, Space::local};
    }
    unknown("a variable of a space that functions don't have");
  }
  if (o.kind != Kind::symbol) return {};
  for (const PtxVariable& v : builder_.module().variables) {
    if (v.name != o.name) continue;
    const auto offset = std::uint64_t(o.offset);
    if (v.space == Space::shared) {
      if (v.external) return Named{offset, Space::shared, true};
      return Named{builder_.shared_address(v, "") + offset, Space::shared};
    }
    const auto found = builder_.symbols().find(o.name);
    if (found == builder_.symbols().end()) unknown(fmt::format("'{}' has no address", o.name));
    return Named{found->second + offset, Space::global};
  }
  return {};
}

std::uint32_t FunctionDecoder::destination(const PtxOperand& o, int size) {
  if (o.kind == Kind::sink) return builder_.register_slot(std::max(size, 2));
  if (o.kind != Kind::reg || o.negated) unknown("expected a register to write to");
  if (size == 0 ? !is_predicate(o) : register_bytes(o) != size) {
    unknown(fmt::format("'{}' is not a register of {}", o.name,
                        size == 0 ? std::string("one predicate") : fmt::format("{} bytes", size)));
  }
  return slots_[std::size_t(o.index)];
}

std::uint32_t FunctionDecoder::predicate_source(const PtxOperand& o) {
  if (o.kind == Kind::integer) return builder_.predicate_constant(o.bits != 0);
  if (!is_predicate(o)) unknown("expected a predicate");
  return slots_[std::size_t(o.index)];
}

std::uint32_t FunctionDecoder::source(const PtxOperand& o, int size) {
  if (size == 0) return predicate_source(o);
  switch (o.kind) {
    case Kind::reg:
      if (o.negated) unknown("only a predicate can be negated");
      if (register_bytes(o) != size) {
        unknown(fmt::format("'{}' is not a register of {} bytes", o.name, size));
      }
      return slots_[std::size_t(o.index)];
    case Kind::integer:
      return builder_.constant(size, o.bits);
    case Kind::f32:
      if (size == 8) {
        return builder_.constant(
            8, std::bit_cast<std::uint64_t>(double(std::bit_cast<float>(std::uint32_t(o.bits)))));
      }
      if (size == 4) return builder_.constant(4, o.bits);
      unknown("a number of 4 bytes where 2 are expected");
    case Kind::f64:
      if (size == 4) {
        return builder_.constant(
            4, std::bit_cast<std::uint32_t>(float(std::bit_cast<double>(o.bits))));
      }
      if (size == 8) return builder_.constant(8, o.bits);
      unknown("a number of 8 bytes where 2 are expected");
    case Kind::symbol:
      if (o.name == "WARP_SZ") return builder_.constant(size, kLanes);
      for (const SpecialName& entry : kSpecials) {
        if (entry.name == o.name && size >= 4) return builder_.special(entry.special, size);
      }
      break;
    default:
      break;
  }
  if (const std::optional<Named> address = named(o)) {
    if (size < 4) unknown("an address needs 4 or 8 bytes");
    return address_slot(*address, size);
  }
  if (o.kind == Kind::symbol) unknown(fmt::format("unknown name '{}'", o.name));
  unknown("an operand of the wrong kind");
}

std::uint32_t FunctionDecoder::label(const std::string& name) const {
  for (int scope = statement_->scope; scope >= 0;
       scope = function_.outer_scope[std::size_t(scope)]) {
    const auto found = function_.labels.find({scope, name});
    if (found != function_.labels.end()) return std::uint32_t(found->second);
  }
  unknown(fmt::format("no label '{}'", name));
}

// Instructions.

void FunctionDecoder::plain() {
  const bool v3 = newer_processor();
  using Select = Selection (*)(Form&);
  const Select selectors[] = {v3 ? &v3::select_integer : &baseline::select_integer,
                              v3 ? &v3::select_bits : &baseline::select_bits,
                              v3 ? &v3::select_float : &baseline::select_float,
                              v3 ? &v3::select_special : &baseline::select_special,
                              v3 ? &v3::select_half : &baseline::select_half,
                              v3 ? &v3::select_compare : &baseline::select_compare,
                              v3 ? &v3::select_convert : &baseline::select_convert};
  std::string left;
  for (const Select select : selectors) {
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
    emit(i);
    return;
  }
  if (!left.empty()) unknown(fmt::format("unknown modifier '.{}'", left));
  unknown_instruction();
}

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
  const bool v3 = newer_processor();
  const Selection s = v3 ? v3::select_memory(form, space, count, store)
                         : baseline::select_memory(form, space, count, store);
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
  const bool v3 = newer_processor();
  Instruction i;
  if (window == 0) {
    i.handler = (v3 ? v3::select_bits(add) : baseline::select_bits(add)).handler;
  } else {
    i.handler = (v3 ? v3::select_integer(add) : baseline::select_integer(add)).handler;
    i.b = builder_.constant(8, back ? 0 - window : window);
  }
  i.d = destination(operand(0), 8);
  i.a = source(operand(1), 8);
  emit(i);
  return true;
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

void nothing(Warp&, const Instruction&) {}

bool FunctionDecoder::misc(Form& form) {
  Instruction i;
  if (form.is("mov") && statement_->operands.size() == 2 && operand(1).kind == Kind::symbol) {
    const std::string& name = operand(1).name;
    const bool wide = name == "%clock64" || name == "%globaltimer";
    if (!wide && name != "%clock" && name != "%globaltimer_lo") return false;
    i.handler = wide ? &read_clock64 : &read_clock32;
    i.d = destination(operand(0), wide ? 8 : 4);
    emit(i);
    return true;
  }
  if (form.is("membar") || form.is("fence")) {
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
    i.handler = &run_fence;
    if (device && !proxy) {
      i.mode = std::uint8_t(sequential ? FenceKind::sequential : FenceKind::acquire_release);
    }
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
    i.handler = (newer_processor() ? v3::select_bits(move) : baseline::select_bits(move)).handler;
    i.d = destination(operand(0), 8);
    i.a = builder_.constant(8, 0);
    emit(i);
    return true;
  }
  return false;
}

// Control.

bool FunctionDecoder::control(Form& form) {
  Instruction i;
  if (form.is("bra")) {
    form.take("uni");
    all_taken(form);
    operand_count(1, 1);
    if (operand(0).kind != Kind::symbol) unknown("expected a label");
    i.flow = Flow::branch;
    fixups_.push_back({std::uint32_t(builder_.program().code.size()), operand(0).name,
                       statement_->scope, -1, 0, statement_->line});
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
    fixups_.push_back({std::uint32_t(p.code.size()), name, statement_->scope,
                       int(p.branch_tables.size()), targets.size(), statement_->line});
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
        &FunctionDecoder::warp_wide, &FunctionDecoder::barriers, &FunctionDecoder::addresses,
        &FunctionDecoder::packing, &FunctionDecoder::misc}) {
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

const FunctionInfo& Builder::function(const std::string& name, int line) {
  if (const auto found = functions_.find(name); found != functions_.end()) return found->second;
  const auto at = std::find_if(module_.functions.begin(), module_.functions.end(),
                               [&](const PtxFunction& f) { return f.name == name && !f.entry; });
  if (at == module_.functions.end() || !at->defined) {
    fail(Status::compile_failed, "line {}: nothing defines the function '{}'", line, name);
  }
  if (!under_way_.insert(name).second) {
    fail(Status::compile_failed, "line {}: '{}' calls itself; recursion is not supported", line,
         name);
  }
  FunctionInfo info = FunctionDecoder(*this, *at).decode();
  return functions_.emplace(name, std::move(info)).first->second;
}

void Builder::finish() {
  Program& p = *program_;
  p.local_bytes = rounded_up(p.local_bytes, 16);
  p.static_shared = rounded_up(p.static_shared, 16);
  p.variable_bytes = std::uint32_t(rounded_up(next_, 64));
  p.register_bytes = std::uint32_t(rounded_up(p.variable_bytes + static_next_, 64));
  const auto place = [&](std::uint32_t& at) {
    if (at != kNoSlot && at >= kStatic) at = at - kStatic + p.variable_bytes;
  };
  for (Program::Constant& c : p.constants) place(c.slot);
  for (const std::size_t n : dynamic_constants_) p.constants[n].bits += p.static_shared;
  for (Program::SpecialSlot& s : p.specials) place(s.slot);
  for (Instruction& i : p.code) {
    for (std::uint32_t* field : {&i.d, &i.a, &i.b, &i.c, &i.members}) place(*field);
    if (i.handler != &copy_frame && i.unguarded != &copy_frame) place(i.e);
  }
  for (const auto& [list, count] : lists_) {
    for (std::size_t n = 0; n < count; ++n) place(list[n]);
  }
  p.runs.assign(p.code.size(), 0);
  std::uint32_t next = std::uint32_t(p.code.size());
  for (std::size_t n = p.code.size(); n-- > 0;) {
    if (p.code[n].flow != Flow::plain) next = std::uint32_t(n);
    p.runs[n] = next;
  }
}

std::shared_ptr<const Program> Builder::build(const PtxFunction& kernel) {
  const FunctionInfo info = FunctionDecoder(*this, kernel).decode();
  program_->entry = info.begin;
  finish();
  return program_;
}

}  // namespace

std::vector<ParameterPlace> place_parameters(const PtxFunction& function) {
  std::vector<ParameterPlace> places;
  std::size_t at = 0;
  for (const int n : function.parameters) {
    const PtxVariable& v = function.variables[std::size_t(n)];
    at = rounded_up(at, v.alignment);
    places.push_back({at, v.bytes});
    at += v.bytes;
  }
  return places;
}

std::shared_ptr<const Program> decode(const PtxModule& module, const PtxFunction& kernel,
                                      const Symbols& symbols) {
  return Builder(module, symbols).build(kernel);
}

}  // namespace grkan::vgpu
