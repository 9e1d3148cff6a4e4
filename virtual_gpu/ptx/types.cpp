#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {
namespace {

struct TypeName {
  std::string_view word;
  PtxType type;
  int bytes;
};
constexpr TypeName kTypes[] = {
    {"pred", PtxType::pred, 0},   {"b8", PtxType::b8, 1},         {"b16", PtxType::b16, 2},
    {"b32", PtxType::b32, 4},     {"b64", PtxType::b64, 8},       {"u8", PtxType::u8, 1},
    {"u16", PtxType::u16, 2},     {"u32", PtxType::u32, 4},       {"u64", PtxType::u64, 8},
    {"s8", PtxType::s8, 1},       {"s16", PtxType::s16, 2},       {"s32", PtxType::s32, 4},
    {"s64", PtxType::s64, 8},     {"f16", PtxType::f16, 2},       {"bf16", PtxType::bf16, 2},
    {"f16x2", PtxType::f16x2, 4}, {"bf16x2", PtxType::bf16x2, 4}, {"f32", PtxType::f32, 4},
    {"f32x2", PtxType::f32x2, 8}, {"f64", PtxType::f64, 8},
};

}  // namespace

PtxType parse_ptx_type(std::string_view word) {
  for (const TypeName& entry : kTypes) {
    if (entry.word == word) return entry.type;
  }
  return PtxType::none;
}

int size_of(PtxType type) {
  for (const TypeName& entry : kTypes) {
    if (entry.type == type) return entry.bytes;
  }
  return 0;
}

}  // namespace grkan::vgpu
