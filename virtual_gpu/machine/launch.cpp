#include "virtual_gpu/machine/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <numeric>
#include <random>
#include <thread>

#include "core/error.h"
#include "virtual_gpu/checks/global_races.h"
#include "virtual_gpu/checks/launch_shadow.h"
#include "virtual_gpu/machine/scheduler.h"

namespace grkan::vgpu {
namespace {

// A block that talks with others runs this many warp instructions before another gets a turn.
constexpr std::uint64_t kSlice = 1U << 14;
// Blocks that run side by side at first; more when none of them gets on.
constexpr std::size_t kResident = 64;
// Warp instructions without a change of memory, a barrier passed or a block ended, after which all
// is taken to wait for ever.
constexpr std::uint64_t kPatience = std::uint64_t{1} << 27;

// The order of blocks: as numbered, or shuffled by the seed.
class BlockOrder {
 public:
  BlockOrder(std::uint64_t count, std::uint64_t seed) : count_(count) {
    if (seed == 0 || count < 2) return;
    std::mt19937_64 random(seed);
    if (count <= kMostListed) {
      list_.resize(count);
      std::iota(list_.begin(), list_.end(), 0U);
      std::shuffle(list_.begin(), list_.end(), random);
      return;
    }
    shift_ = random() % count;
    do {
      step_ = random() % count;
    } while (std::gcd(step_, count) != 1);
  }
  [[nodiscard]] std::uint64_t at(std::uint64_t n) const {
    if (!list_.empty()) return list_[n];
    __extension__ using Wide = unsigned __int128;
    return std::uint64_t((Wide(n) * step_ + shift_) % count_);
  }

 private:
  static constexpr std::uint64_t kMostListed = 1U << 20;
  std::uint64_t count_;
  std::vector<std::uint32_t> list_;
  std::uint64_t step_ = 1;
  std::uint64_t shift_ = 0;
};

bool has(const LaunchOptions& options, Check check) {
  return options.checks.test(std::size_t(check));
}

// Blocks that don't depend on one another, one after another.
void run_independent(Worker& worker, const BlockOrder& order, std::uint64_t count,
                     std::atomic<std::uint64_t>& next) {
  const std::unique_ptr<Block> block = make_block(worker);
  for (std::uint64_t n = next++; n < count; n = next++) {
    start_block(worker, *block, order.at(n));
    std::uint64_t changes = worker.changes;
    std::uint64_t idle = 0;
    while (run_block(worker, *block, kSlice) == Progress::slice_over) {
      idle = worker.changes == changes ? idle + kSlice : 0;
      changes = worker.changes;
      if (idle < kPatience) continue;
      give_up(worker, *block, "goes round without ever changing memory");
      break;
    }
  }
}

// Blocks that may wait for one another take turns, all on one host thread, so that every run is the
// same.
void run_together(Worker& worker, const BlockOrder& order, std::uint64_t count) {
  std::deque<std::unique_ptr<Block>> resident;
  std::vector<std::unique_ptr<Block>> idle_blocks;
  std::size_t most = kResident;
  std::uint64_t next = 0;
  std::uint64_t changes = worker.changes;
  std::uint64_t idle = 0;
  std::uint64_t turns = 0;  // since a block ended
  while (next < count || !resident.empty()) {
    std::unique_ptr<Block> block;
    if (next < count && resident.size() < most) {
      if (idle_blocks.empty()) {
        block = make_block(worker);
      } else {
        block = std::move(idle_blocks.back());
        idle_blocks.pop_back();
      }
      start_block(worker, *block, order.at(next++));
    } else {
      block = std::move(resident.front());
      resident.pop_front();
    }
    if (run_block(worker, *block, kSlice) != Progress::slice_over) {
      idle_blocks.push_back(std::move(block));
      turns = idle = 0;
      continue;
    }
    resident.push_back(std::move(block));
    if (++turns >= 2 * resident.size() && resident.size() == most) {
      most *= 2;
      turns = 0;
    }
    idle = worker.changes == changes ? idle + kSlice : 0;
    changes = worker.changes;
    if (idle < kPatience || next < count) continue;
    for (const std::unique_ptr<Block>& waiting : resident) {
      give_up(worker, *waiting, "waits for what no other thread does");
    }
    resident.clear();
  }
}

void merge_counts(Counts& total, const Counts& part) {
  const auto add = [](Counts::Access& a, const Counts::Access& b) {
    a.requests += b.requests;
    a.bytes += b.bytes;
    a.sectors += b.sectors;
  };
  add(total.loads, part.loads);
  add(total.stores, part.stores);
  total.atomics += part.atomics;
  total.atomic_passes += part.atomic_passes;
  total.shared_requests += part.shared_requests;
  total.bank_conflicts += part.bank_conflicts;
  total.barriers += part.barriers;
}

void count_instructions(Counts& total, const Worker& worker) {
  const Program& p = *worker.program;
  std::uint64_t lanes = 0;
  std::uint64_t warps = 0;
  for (std::size_t n = 0; n < p.code.size(); ++n) {
    lanes += worker.lane_steps[n];
    warps += worker.warp_steps[n];
    const std::string& group = p.texts[n].group;
    if (group.empty()) continue;
    const std::uint64_t active = lanes - worker.lanes_off[n];
    total.instructions += active;
    total.warp_instructions += warps;
    if (active != 0) total.classes[group] += active;
  }
}

// .nc loads of bytes that the launch wrote, whichever came first.
void find_read_only(Worker& merged, LaunchShadow& shadow) {
  for (const auto& [index, range] : merged.nc_ranges) {
    const std::uint64_t address = shadow.first_conflict(range.first, range.last);
    if (address == 0) continue;
    PendingFinding& finding = merged.findings[{index, Check::read_only}];
    finding.times = 1;
    finding.detail = fmt::format("an .nc load reads what the same launch writes: {:#x}, {}",
                                 address, merged.memory->place_of(address));
  }
}

void merge(Worker& into, const Worker& from) {
  for (const auto& [key, finding] : from.findings) {
    const auto [found, added] = into.findings.try_emplace(key, finding);
    if (added) continue;
    found->second.times += finding.times;
    if (finding.block < found->second.block) {
      found->second.block = finding.block;
      found->second.detail = finding.detail;
    }
  }
  for (const auto& [index, range] : from.nc_ranges) {
    Worker::NcRange& mine = into.nc_ranges[index];
    mine.first = std::min(mine.first, range.first);
    mine.last = std::max(mine.last, range.last);
  }
  for (const auto& [address, times] : from.atomic_addresses)
    into.atomic_addresses[address] += times;
  for (const auto& [line, passes] : from.atomic_lines) into.atomic_lines[line] += passes;
  if (!from.trap.empty() && (into.trap.empty() || from.trap_block < into.trap_block)) {
    into.trap = from.trap;
    into.trap_block = from.trap_block;
  }
}

}  // namespace

std::string Worker::name_of(std::uint32_t thread, std::uint64_t linear) const {
  return fmt::format("thread ({}, {}, {}) of block ({}, {}, {})", thread % block.x,
                     thread / block.x % block.y, thread / block.x / block.y, linear % grid.x,
                     linear / grid.x % grid.y, linear / grid.x / grid.y);
}

void Worker::report(Check check, const Warp& warp, const Instruction& instruction, int lane,
                    const std::function<std::string()>& what) {
  if (!checks.test(std::size_t(check))) return;
  const auto [found, added] = findings.try_emplace({instruction.index, check});
  PendingFinding& finding = found->second;
  ++finding.times;
  const Block& b = *warp.block;
  if (!added && finding.block <= b.linear) return;
  finding.block = b.linear;
  const auto thread = std::uint32_t(warp.number * kLanes + lane);
  finding.detail = name_of(thread, b.linear) + " " + what();
}

// The check of races between the launch's blocks.
std::unique_ptr<GlobalRaces> make_races(const Program& program, std::uint64_t blocks,
                                        const Causality& causality) {
  if (program.code.size() > Accessor::kMostInstructions || blocks >= RaceLine::kSeveral) {
    fail(
        Status::unsupported,
        "the check global_race serves {} instructions and {} blocks; the kernel has {}, the launch "
        "{}: switch it off",
        Accessor::kMostInstructions, RaceLine::kSeveral - 1, program.code.size(), blocks);
  }
  return program.communicates ? make_ordered_races(program, causality)
                              : make_unordered_races(program);
}

LaunchResult launch(const ModuleKernel& kernel, Dim3 grid, Dim3 block, std::size_t dynamic_shared,
                    std::span<const std::byte> parameters, Memory& memory,
                    const LaunchOptions& options) {
  const Program& program = *kernel.program;
  LaunchShadow shadow;
  Worker model;
  model.kernel = &kernel;
  model.program = &program;
  model.memory = &memory;
  model.parameters = parameters.data();
  model.parameter_bytes = parameters.size();
  model.dynamic_shared = dynamic_shared;
  model.shared_bytes = program.static_shared + dynamic_shared;
  model.grid = grid;
  model.block = block;
  model.checks = options.checks;
  model.check_uninitialised = has(options, Check::uninitialised);
  model.check_misaligned = has(options, Check::misaligned);
  model.check_shared_race = has(options, Check::shared_race);
  model.check_read_only = has(options, Check::read_only) && program.has_read_only;
  if (model.check_read_only) model.shadow = &shadow;
  Causality causality;
  std::unique_ptr<GlobalRaces> races;
  if (has(options, Check::global_race) && grid.count() > 1) {
    races = make_races(program, grid.count(), causality);
    model.races = races.get();
    if (program.communicates) model.causality = &causality;
  }
  model.seed = options.seed;
  model.approximation_ulps = options.approximation_ulps;
  std::iota(model.lane_order.begin(), model.lane_order.end(), std::uint8_t{0});
  if (options.seed != 0) {
    std::mt19937_64 random(options.seed);
    std::shuffle(model.lane_order.begin(), model.lane_order.end(), random);
  }
  model.windows.resize(program.code.size());
  model.lane_steps.assign(program.code.size() + 1, 0);
  model.warp_steps.assign(program.code.size() + 1, 0);
  model.lanes_off.assign(program.code.size(), 0);

  const std::uint64_t blocks = grid.count();
  std::uint64_t threads = options.threads > 0 ? std::uint64_t(options.threads)
                                              : std::max(1U, std::thread::hardware_concurrency());
  threads = program.communicates ? 1 : std::min(threads, std::max<std::uint64_t>(blocks, 1));
  const BlockOrder order(blocks, options.seed);
  std::vector<Worker> workers(threads, model);
  if (program.communicates) {
    run_together(workers[0], order, blocks);
  } else {
    std::atomic<std::uint64_t> next{0};
    std::vector<std::exception_ptr> errors(threads);
    std::vector<std::thread> others;
    const auto work = [&](std::size_t n) {
      try {
        run_independent(workers[n], order, blocks, next);
      } catch (...) {
        errors[n] = std::current_exception();
      }
    };
    for (std::size_t n = 1; n < threads; ++n) others.emplace_back(work, n);
    work(0);
    for (std::thread& other : others) other.join();
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
  }

  LaunchResult result;
  for (const Worker& worker : workers) {
    merge_counts(result.counts, worker.counts);
    count_instructions(result.counts, worker);
    merge(model, worker);
  }
  if (model.check_read_only) find_read_only(model, shadow);
  if (races != nullptr) races->finish(model);
  result.counts.atomic_addresses = model.atomic_addresses.size();
  for (const auto& [address, times] : model.atomic_addresses) {
    result.counts.most_atomics = std::max(result.counts.most_atomics, times);
  }
  for (const auto& [line, passes] : model.atomic_lines) {
    result.counts.most_line_passes = std::max(result.counts.most_line_passes, passes);
  }
  for (const auto& [key, finding] : model.findings) {
    if (result.findings.size() >= options.most_findings) break;
    const InstructionText& text = program.texts[key.first];
    result.findings.push_back(
        {key.second, kernel.name, text.line, text.text, finding.detail, finding.times});
  }
  result.trap = model.trap;
  return result;
}

}  // namespace grkan::vgpu
