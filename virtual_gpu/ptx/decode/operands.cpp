// Names and operands.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>

#include "virtual_gpu/ptx/decode/function.h"

namespace grkan::vgpu {
namespace {

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

}  // namespace

// Bytes of a register operand; 0 for other operands.
int FunctionDecoder::register_bytes(const PtxOperand& o) const {
  if (o.kind != Kind::reg) return 0;
  const PtxType type = function_.registers[std::size_t(o.index)].type;
  return type == PtxType::pred ? 0 : std::max(2, size_of(type));
}

bool FunctionDecoder::is_predicate(const PtxOperand& o) const {
  return o.kind == Kind::reg && function_.registers[std::size_t(o.index)].type == PtxType::pred;
}

std::uint32_t FunctionDecoder::address_slot(const Named& name, int size) {
  return name.dynamic ? builder_.dynamic_shared(size, name.value)
                      : builder_.constant(size, name.value);
}

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

}  // namespace grkan::vgpu
