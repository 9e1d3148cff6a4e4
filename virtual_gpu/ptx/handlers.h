// What a program's handlers are chosen from; machine/ has them. Each select function gives a null
// handler for what is not its own; the operands are those of Selection.
#pragma once

#include "virtual_gpu/ptx/form.h"

namespace grkan::vgpu {

// Instructions on each lane for itself (form.h), compiled for this processor.
struct Selectors {
  using Plain = Selection (*)(Form&);
  Plain integer, bits, floating, special, half, compare, convert;
  Selection (*memory)(Form&, Space space, int count, bool store);
};
const Selectors& selectors();

// shfl.sync, vote.sync, match.sync, redux.sync, elect.sync, bar.warp.sync: handlers that run for
// the lanes that met. `second`: they have a predicate as a second destination (Instruction::e).
struct WarpSelection {
  Selection selection;  // without the destination's predicate and the member mask
  bool second = false;
  bool predicate_source = false;  // operand 1 is a predicate that may be negated
};
WarpSelection select_warp_operation(Form& form);

// atom and red: `c` is the second source of atom.cas. The space, semantics and scope have been
// taken from the form.
struct AtomicSelection {
  Handler handler = nullptr;
  int bytes = 0;     // of the operands' registers
  int elements = 1;  // of a vector
  bool compare = false;
  bool commutes = false;  // the result in memory does not depend on the order
};
AtomicSelection select_atomic(Form& form, Space space);

// Handler of a plain instruction that has a guard: runs `unguarded` for the lanes it is true for.
void run_guarded(Warp& warp, const Instruction& instruction);
// membar and fence: mode is the FenceKind.
void run_fence(Warp& warp, const Instruction& instruction);
void read_active_mask(Warp& warp, const Instruction& instruction);
void read_clock32(Warp& warp, const Instruction& instruction);
void read_clock64(Warp& warp, const Instruction& instruction);
// isspacep: mode is the Space.
void test_space(Warp& warp, const Instruction& instruction);
// A copy between variables of the thread's frame: offset is the source, target the destination,
// mode counts 8 bytes, e the bytes.
void copy_frame(Warp& warp, const Instruction& instruction);
// mov between one register (d or a) and the parts of a vector of `count` elements; mode is the
// bytes of a part.
void pack(Warp& warp, const Instruction& instruction);
void unpack(Warp& warp, const Instruction& instruction);

}  // namespace grkan::vgpu
