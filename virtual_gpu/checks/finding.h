// Finding: what a check of the virtual GPU saw. One for each place in the program and kind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace grkan::vgpu {

enum class Check : std::uint8_t {
  out_of_bounds,      // global, shared, local or parameter memory; use after free
  misaligned,         // an access not at a multiple of its size
  uninitialised,      // a read of global or shared bytes that nothing wrote
  read_only,          // an .nc load of bytes that the same launch writes
  shared_race,        // two threads of a block, one writes, no barrier between
  global_race,        // two blocks, one writes, nothing orders them
  divergent_barrier,  // a barrier that a part of a warp reaches
  bad_shuffle,        // a shuffle or vote that names lanes that don't take part
  deadlock,           // no thread can go on
};
inline constexpr int kChecks = 9;
std::string_view to_string(Check check);   // "out_of_bounds"
Check parse_check(std::string_view text);  // throws invalid_argument naming all

struct Finding {
  Check check = Check::out_of_bounds;
  std::string kernel;
  int line = 0;             // of the PTX text
  std::string instruction;  // as it stands there
  std::string detail;       // addresses, allocation, threads: "thread 3 of block (0, 1) reads ..."
  std::uint64_t times = 1;  // how often it was seen

  bool operator==(const Finding&) const = default;
};

}  // namespace grkan::vgpu
