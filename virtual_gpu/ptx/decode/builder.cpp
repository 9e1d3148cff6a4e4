#include "virtual_gpu/ptx/decode/builder.h"

#include <algorithm>

#include "core/error.h"
#include "virtual_gpu/ptx/decode/function.h"
#include "virtual_gpu/ptx/handlers.h"

namespace grkan::vgpu {

std::uint32_t Builder::constant(int size, std::uint64_t bits) {
  if (size < 8) bits &= (std::uint64_t{1} << 8 * size) - 1;
  const auto [found, added] = constants_.try_emplace({size, bits}, 0);
  if (added) {
    found->second = static_slot(size);
    program_->constants.push_back({found->second, size, bits});
  }
  return found->second;
}

std::uint32_t Builder::predicate_constant(bool value) {
  const auto [found, added] = constants_.try_emplace({0, value ? 1 : 0}, 0);
  if (added) {
    found->second = static_slot(0);
    program_->constants.push_back({found->second, 0, value ? 1U : 0U});
  }
  return found->second;
}

std::uint32_t Builder::special(Special which, int size) {
  const auto [found, added] = specials_.try_emplace({int(which), size}, 0);
  if (added) {
    found->second = static_slot(size);
    program_->specials.push_back({found->second, size, which});
  }
  return found->second;
}

std::uint32_t Builder::register_slot(int size) {
  const std::uint32_t at = next_;
  next_ += std::uint32_t(size) * kLanes;
  return at;
}

std::uint32_t Builder::dynamic_shared(int size, std::uint64_t offset) {
  const auto [found, added] = dynamic_.try_emplace({size, offset}, 0);
  if (added) {
    found->second = static_slot(size);
    program_->constants.push_back({found->second, size, offset});
    dynamic_constants_.push_back(program_->constants.size() - 1);
  }
  return found->second;
}

std::uint64_t Builder::shared_address(const PtxVariable& variable, const std::string& owner) {
  const auto [found, added] = shared_.try_emplace(owner + "/" + variable.name, 0);
  if (added) {
    program_->static_shared = rounded_up(program_->static_shared, variable.alignment);
    found->second = program_->static_shared;
    program_->static_shared += variable.bytes;
  }
  return found->second;
}

const std::uint32_t* Builder::element_list(const std::vector<std::uint32_t>& slots) {
  auto list = std::make_unique<std::uint32_t[]>(slots.size());
  std::copy(slots.begin(), slots.end(), list.get());
  lists_.emplace_back(list.get(), slots.size());
  program_->elements.push_back(std::move(list));
  return program_->elements.back().get();
}

std::size_t Builder::frame(std::size_t bytes, std::size_t alignment) {
  program_->local_bytes = rounded_up(program_->local_bytes, alignment);
  const std::size_t at = program_->local_bytes;
  program_->local_bytes += bytes;
  return at;
}

std::uint32_t Builder::static_slot(int size) {
  if (size == 0) {
    static_next_ = std::uint32_t(rounded_up(static_next_, 4));
  } else {
    static_next_ = std::uint32_t(rounded_up(static_next_, 64));
  }
  const std::uint32_t at = kStatic + static_next_;
  static_next_ += size == 0 ? 4 : std::uint32_t(size) * kLanes;
  return at;
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

}  // namespace grkan::vgpu
