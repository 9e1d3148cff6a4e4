// How many instructions a kernel issues for each element, counted without running it: the machine
// code is disassembled (nvdisasm), each loop is matched with the loop of the template it comes
// from, and each instruction is weighted by how often its block runs in the launch that
// cuda/launch.h chooses. Lanes without work count too: a warp issues for all 32.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/binary.h"
#include "core/schedule.h"
#include "core/target.h"
#include "core/task.h"

namespace grkan {

// The SASS of all kernels of a cubin as text. Throws no_compiler when nvdisasm isn't found (saying
// where it was looked for), io_error when it fails. It is GRKAN_NVDISASM, the toolkit's, the PyPI
// wheel's in the virtual environment beside this library, or the one on PATH.
std::string disassemble(const std::string& cubin);

enum class Flow : std::uint8_t { none, branch, call, exit, ret };

struct Instruction {
  std::string opcode;  // "FFMA", "LDG.E.128", "fma.rn.f32"
  Flow flow = Flow::none;
  bool predicated = false;
  int target = -1;  // index of the instruction that a branch or call goes to
};
struct Code {
  std::string symbol;
  std::vector<Instruction> instructions;
};
// Kernels in the text's order.
std::vector<Code> parse_sass(std::string_view text);
std::vector<Code> parse_ptx(std::string_view text);

// A loop: a branch back from `last` to `first`. Sorted by `first`, the outer one before the inner.
struct CodeLoop {
  int first = 0;
  int last = 0;
  int parent = -1;  // index of the loop around it
  bool operator==(const CodeLoop&) const = default;
};
// Branches back to one place are one loop, or, with `apart`, loops around one another.
std::vector<CodeLoop> find_loops(const Code& code, bool apart = false);

// The counts of a task as JSON:
//   {"instructions_per_element": {"ptx": 61.2, "sass": 43.9}, "atomics_per_element": 0.0,
//    "classes": {"FFMA": 28.1, ...}, "second_pass_per_element": 0.2, "launches": [...],
//    "why": null}
// What could not be counted is null, with the reason in "why". `binary` is the schedule's; throws
// invalid_argument when it isn't.
// "launches" has an entry for each kernel, the main one first: {"kernel", "counted": "sass" ("ptx"
// where there is no SASS count), "registers", "shared_bytes", "opcodes": {"LDG.E.128": 12544.0}},
// the last in warp instructions of the whole launch.
nlohmann::json count_instructions(const Binary& binary, const Schedule& schedule, std::int64_t rows,
                                  std::int64_t inner, int multiprocessors);

}  // namespace grkan
