#include "virtual_gpu/ptx/slots.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "virtual_gpu/ptx/program.h"

namespace grkan::vgpu {
namespace {

std::string_view first_word(const PtxStatement& s) {
  return std::string_view(s.opcode).substr(0, s.opcode.find('.'));
}

bool ends_block(const PtxStatement& s) {
  static const std::set<std::string_view> kEnds = {"bra", "brx", "call", "ret", "exit", "trap"};
  return kEnds.count(first_word(s)) != 0;
}

// Whether the first operand is written, and nothing else of the instruction's operands.
bool writes_first(const PtxStatement& s) {
  static const std::set<std::string_view> kReaders = {
      "bra",       "brx",      "call",      "ret",     "exit",           "trap",
      "st",        "red",      "bar",       "barrier", "membar",         "fence",
      "nanosleep", "prefetch", "prefetchu", "discard", "griddepcontrol", "applypriority"};
  return kReaders.count(first_word(s)) == 0;
}

template <class F>
void each_register(const PtxOperand& operand, F f) {
  if (operand.kind == PtxOperand::Kind::reg) f(operand.index);
  for (const PtxOperand& element : operand.elements) each_register(element, f);
}

struct Life {
  int block = -1;
  int first = -1;
  int last = -1;
  bool local = true;  // within one block, and written before it is read
};

std::vector<Life> find_lives(const PtxFunction& f) {
  std::vector<Life> lives(f.registers.size());
  std::set<int> starts;
  for (const auto& [key, index] : f.labels) starts.insert(index);
  int block = 0;
  for (int n = 0; n < int(f.body.size()); ++n) {
    const PtxStatement& s = f.body[std::size_t(n)];
    if (starts.count(n) != 0) ++block;
    const auto touch = [&](int index, bool writes) {
      Life& life = lives[std::size_t(index)];
      if (life.first < 0) {
        life.first = n;
        life.block = block;
        life.local = writes && s.guard < 0;
      }
      if (life.block != block) life.local = false;
      life.last = n;
    };
    if (s.guard >= 0) touch(s.guard, false);
    // Sources first: what is read and written at once was read before.
    const bool writes = writes_first(s);
    for (std::size_t o = writes ? 1 : 0; o < s.operands.size(); ++o) {
      each_register(s.operands[o], [&](int index) { touch(index, false); });
    }
    if (writes && !s.operands.empty()) {
      each_register(s.operands[0], [&](int index) { touch(index, true); });
    }
    if (ends_block(s)) ++block;
  }
  return lives;
}

}  // namespace

std::uint32_t slot_bytes(PtxType type) {
  if (type == PtxType::pred) return 4;
  return std::uint32_t(std::max(2, size_of(type))) * kLanes;
}

std::vector<std::uint32_t> assign_slots(const PtxFunction& f, std::uint32_t& begin) {
  const std::vector<Life> lives = find_lives(f);
  std::vector<std::uint32_t> slots(f.registers.size(), kNoSlot);
  std::vector<std::vector<int>> born(f.body.size());
  std::vector<std::vector<int>> dead(f.body.size());
  const auto fresh = [&](std::uint32_t bytes) {
    if (bytes >= 64) begin = (begin + 63) / 64 * 64;
    const std::uint32_t at = begin;
    begin += bytes;
    return at;
  };
  for (std::size_t r = 0; r < slots.size(); ++r) {
    if (lives[r].first < 0) continue;  // never used
    if (lives[r].local) {
      born[std::size_t(lives[r].first)].push_back(int(r));
      dead[std::size_t(lives[r].last)].push_back(int(r));
    } else {
      slots[r] = fresh(slot_bytes(f.registers[r].type));
    }
  }
  std::map<std::uint32_t, std::vector<std::uint32_t>> free_slots;  // by bytes
  for (std::size_t n = 0; n < f.body.size(); ++n) {
    for (const int r : born[n]) {
      const std::uint32_t bytes = slot_bytes(f.registers[std::size_t(r)].type);
      std::vector<std::uint32_t>& free_list = free_slots[bytes];
      if (free_list.empty()) free_list.push_back(fresh(bytes));
      slots[std::size_t(r)] = free_list.back();
      free_list.pop_back();
    }
    for (const int r : dead[n]) {
      free_slots[slot_bytes(f.registers[std::size_t(r)].type)].push_back(slots[std::size_t(r)]);
    }
  }
  begin = (begin + 63) / 64 * 64;
  return slots;
}

}  // namespace grkan::vgpu
