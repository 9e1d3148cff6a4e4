#include <fmt/format.h>

#include <algorithm>

#include "virtual_gpu/checks/global_races.h"
#include "virtual_gpu/machine/warp.h"

namespace grkan::vgpu {

std::string Worker::name_of(std::uint32_t thread, std::uint64_t linear) const {
  return fmt::format("thread ({}, {}, {}) of block ({}, {}, {})", thread % block.x,
                     thread / block.x % block.y, thread / block.x / block.y, linear % grid.x,
                     linear / grid.x % grid.y, linear / grid.x / grid.y);
}

void Worker::report(Check check, std::uint32_t instruction, std::uint64_t linear,
                    std::uint32_t thread, const std::function<std::string()>& what) {
  if (!checks.test(std::size_t(check))) return;
  const auto [found, added] = findings.try_emplace({instruction, check});
  PendingFinding& finding = found->second;
  ++finding.times;
  if (!added && finding.block <= linear) return;
  finding.block = linear;
  finding.detail = name_of(thread, linear) + " " + what();
}

void Worker::report(Check check, const Warp& warp, const Instruction& instruction, int lane,
                    const std::function<std::string()>& what) {
  report(check, instruction.index, warp.block->linear, std::uint32_t(warp.number * kLanes + lane),
         what);
}

void Worker::report(const Race& race) {
  report(Check::global_race, Accessor::instruction(race.who), race.block,
         Accessor::thread(race.who), [&] {
           return fmt::format("{} {:#x}, {}, which {} {} at line {}: nothing orders them",
                              race.verb, race.address, memory->place_of(race.address),
                              name_of(Accessor::thread(race.other), race.other_block),
                              race.other_verb,
                              program->texts[Accessor::instruction(race.other)].line);
         });
}

void Worker::merge(const Worker& other) {
  for (const auto& [key, finding] : other.findings) {
    const auto [found, added] = findings.try_emplace(key, finding);
    if (added) continue;
    found->second.times += finding.times;
    if (finding.block < found->second.block) {
      found->second.block = finding.block;
      found->second.detail = finding.detail;
    }
  }
  for (const auto& [index, range] : other.nc_ranges) {
    Worker::NcRange& mine = nc_ranges[index];
    mine.first = std::min(mine.first, range.first);
    mine.last = std::max(mine.last, range.last);
  }
  for (const auto& [address, times] : other.atomic_addresses) atomic_addresses[address] += times;
  for (const auto& [line, passes] : other.atomic_lines) atomic_lines[line] += passes;
  if (!other.trap.empty() && (trap.empty() || other.trap_block < trap_block)) {
    trap = other.trap;
    trap_block = other.trap_block;
  }
}

}  // namespace grkan::vgpu
