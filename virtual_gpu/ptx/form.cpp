#include "virtual_gpu/ptx/form.h"

namespace grkan::vgpu {

Form::Form(std::string_view opcode) {
  for (std::size_t at = 0; at <= opcode.size();) {
    std::size_t point = opcode.find('.', at);
    if (point == std::string_view::npos) point = opcode.size();
    const std::string word(opcode.substr(at, point - at));
    if (at == 0) {
      name_ = word;
    } else {
      modifiers_.push_back({word, false});
    }
    at = point + 1;
  }
}

Form::~Form() = default;

bool Form::is(const char* name) const { return name_ == name; }

bool Form::take(const char* modifier) {
  for (Modifier& m : modifiers_) {
    if (m.taken || m.text != modifier) continue;
    m.taken = true;
    return true;
  }
  return false;
}

PtxType Form::type() {
  for (Modifier& m : modifiers_) {
    const PtxType type = m.taken ? PtxType::none : parse_ptx_type(m.text);
    if (type == PtxType::none) continue;
    m.taken = true;
    return type;
  }
  return PtxType::none;
}

const char* Form::left() const {
  for (const Modifier& m : modifiers_) {
    if (!m.taken) return m.text.c_str();
  }
  return nullptr;
}

}  // namespace grkan::vgpu
