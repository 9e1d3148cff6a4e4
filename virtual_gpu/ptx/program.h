// Program: a kernel's instructions, decoded. Registers are slots of a warp, 32 lanes each; numbers
// and special registers have slots too, so that every operand is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {

struct Warp;
struct Instruction;
// Executes one instruction for the lanes of warp.mask.
using Handler = void (*)(Warp&, const Instruction&);

inline constexpr int kLanes = 32;
inline constexpr std::uint32_t kAllLanes = 0xFFFFFFFFU;
inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFFU;

// Windows of the generic address space; everything else is global. A window's size is kWindow.
inline constexpr std::uint64_t kWindow = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kSharedWindow = 1 * kWindow;
inline constexpr std::uint64_t kLocalWindow = 2 * kWindow;
inline constexpr std::uint64_t kParameterWindow = 3 * kWindow;

// What the scheduler does with an instruction. All but `plain` end a straight run.
enum class Flow : std::uint8_t {
  plain,
  branch,        // to `target`
  branch_table,  // to `targets`[a]
  call,          // to `target`; b: the slot of the callee's return addresses
  ret,           // b: as above; kNoSlot leaves the kernel
  exit,
  trap,
  barrier,  // a: number, b: threads or kNoSlot; handler finishes it (bar.red) or is null
  barrier_arrive,
  warp_sync,  // waits for the lanes of slot `members`, then runs the handler
  yield,      // lets other warps and blocks go on
};

enum class FenceKind : std::uint8_t { none, acquire_release, sequential };

struct Instruction {
  Handler handler = nullptr;
  Handler unguarded = nullptr;  // what a guarded plain instruction runs
  std::uint32_t d = kNoSlot, a = kNoSlot, b = kNoSlot, c = kNoSlot, e = kNoSlot;
  std::uint32_t guard = kNoSlot;
  std::uint32_t target = 0;
  std::uint32_t members = kNoSlot;
  std::int64_t offset = 0;                  // of an address; an immediate of lop3 and others
  const std::uint32_t* elements = nullptr;  // slots of a vector
  std::uint32_t index = 0;
  Flow flow = Flow::plain;
  bool guard_negated = false;
  bool wide_address = true;  // slot a has 64 bits
  bool negate_c = false;     // a predicate operand as !%p
  std::uint8_t count = 1;    // elements
  std::uint8_t mode = 0;     // of the handler
  bool read_only = false;    // an .nc load
  bool strong = false;       // volatile, an atomic ...: in order with those of all blocks
  bool acquires = false;     // a strong read with .acquire
  bool releases = false;     // a strong write with .release
};

// What a finding and the counts say of an instruction.
struct InstructionText {
  int line = 0;
  std::string text;
  std::string group;  // "fma", "global load" ...
};

enum class Special : std::uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  lanemask_eq,
  lanemask_lt,
  lanemask_le,
  lanemask_gt,
  lanemask_ge,
  smid,
  nsmid,
  gridid,
  dynamic_shared,
  total_shared,
};

struct Program {
  std::vector<Instruction> code;
  std::vector<InstructionText> texts;  // of each instruction
  std::vector<std::uint32_t> runs;     // of each: the next that is not plain
  std::vector<std::unique_ptr<std::uint32_t[]>> elements;
  std::vector<std::vector<std::uint32_t>> branch_tables;  // by Instruction::offset
  struct Constant {
    std::uint32_t slot;
    int size;
    std::uint64_t bits;
  };
  std::vector<Constant> constants;
  struct SpecialSlot {
    std::uint32_t slot;
    int size;
    Special special;
  };
  std::vector<SpecialSlot> specials;
  std::uint32_t entry = 0;           // where a thread begins
  std::uint32_t register_bytes = 0;  // of a warp; a multiple of 64
  std::uint32_t variable_bytes = 0;  // the leading part that is neither constant nor special
  std::size_t local_bytes = 0;       // of a thread
  std::size_t static_shared = 0;     // with dynamic shared memory right behind
  int shared_granule = 4;            // bytes of the narrowest shared access: 1, 2 or 4
  int global_granule = 4;            // likewise of global memory
  bool has_read_only = false;        // .nc loads
  // Blocks may tell one another something: the order in which they run matters.
  bool communicates = false;
};

}  // namespace grkan::vgpu
