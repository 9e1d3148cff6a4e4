#include "virtual_gpu/machine/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <thread>

#include "core/error.h"
#include "virtual_gpu/checks/global_races.h"
#include "virtual_gpu/checks/launch_shadow.h"
#include "virtual_gpu/machine/grid.h"

namespace grkan::vgpu {
namespace {

bool has(const LaunchOptions& options, Check check) {
  return options.checks.test(std::size_t(check));
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
  return program.communicates ? make_ordered_races(program.global_granule, causality)
                              : make_unordered_races(program.global_granule);
}

// What every worker begins with, but for what they share of the checks.
Worker make_worker(const ModuleKernel& kernel, std::size_t dynamic_shared,
                   std::span<const std::byte> parameters, const LaunchOptions& options) {
  const Program& program = *kernel.program;
  Worker worker;
  worker.kernel = &kernel;
  worker.program = &program;
  worker.parameters = parameters.data();
  worker.parameter_bytes = parameters.size();
  worker.dynamic_shared = dynamic_shared;
  worker.shared_bytes = program.static_shared + dynamic_shared;
  worker.checks = options.checks;
  worker.check_uninitialised = has(options, Check::uninitialised);
  worker.check_misaligned = has(options, Check::misaligned);
  worker.check_shared_race = has(options, Check::shared_race);
  worker.check_read_only = has(options, Check::read_only) && program.has_read_only;
  worker.seed = options.seed;
  worker.approximation_ulps = options.approximation_ulps;
  std::iota(worker.lane_order.begin(), worker.lane_order.end(), std::uint8_t{0});
  if (options.seed != 0) {
    std::mt19937_64 random(options.seed);
    std::shuffle(worker.lane_order.begin(), worker.lane_order.end(), random);
  }
  worker.windows.resize(program.code.size());
  worker.lane_steps.assign(program.code.size() + 1, 0);
  worker.warp_steps.assign(program.code.size() + 1, 0);
  worker.lanes_off.assign(program.code.size(), 0);
  return worker;
}

std::uint64_t host_threads(const Program& program, std::uint64_t blocks,
                           const LaunchOptions& options) {
  if (program.communicates) return 1;
  const std::uint64_t threads = options.threads > 0
                                    ? std::uint64_t(options.threads)
                                    : std::max(1U, std::thread::hardware_concurrency());
  return std::min(threads, std::max<std::uint64_t>(blocks, 1));
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

// The result of all workers, merged into `merged`, but for its counts.
LaunchResult result_of(const Worker& merged, Counts counts, std::size_t most_findings) {
  LaunchResult result;
  result.counts = std::move(counts);
  result.counts.atomic_addresses = merged.atomic_addresses.size();
  for (const auto& [address, times] : merged.atomic_addresses) {
    result.counts.most_atomics = std::max(result.counts.most_atomics, times);
  }
  for (const auto& [line, passes] : merged.atomic_lines) {
    result.counts.most_line_passes = std::max(result.counts.most_line_passes, passes);
  }
  for (const auto& [key, finding] : merged.findings) {
    if (result.findings.size() >= most_findings) break;
    const InstructionText& text = merged.program->texts[key.first];
    result.findings.push_back(
        {key.second, merged.kernel->name, text.line, text.text, finding.detail, finding.times});
  }
  result.trap = merged.trap;
  return result;
}

}  // namespace

LaunchResult launch(const ModuleKernel& kernel, Dim3 grid, Dim3 block, std::size_t dynamic_shared,
                    std::span<const std::byte> parameters, Memory& memory,
                    const LaunchOptions& options) {
  const Program& program = *kernel.program;
  const std::uint64_t blocks = grid.count();
  Worker model = make_worker(kernel, dynamic_shared, parameters, options);
  model.memory = &memory;
  model.grid = grid;
  model.block = block;
  LaunchShadow shadow;
  if (model.check_read_only) model.shadow = &shadow;
  Causality causality;
  std::unique_ptr<GlobalRaces> races;
  if (has(options, Check::global_race) && blocks > 1) {
    races = make_races(program, blocks, causality);
    model.races = races.get();
    if (program.communicates) model.causality = &causality;
  }
  std::vector<Worker> workers(host_threads(program, blocks, options), model);
  run_grid(workers, blocks, options.seed);

  Counts counts;
  for (const Worker& worker : workers) {
    merge_counts(counts, worker.counts);
    count_instructions(counts, worker);
    model.merge(worker);
  }
  if (model.check_read_only) find_read_only(model, shadow);
  if (races != nullptr) races->finish([&](const Race& race) { model.report(race); });
  return result_of(model, std::move(counts), options.most_findings);
}

}  // namespace grkan::vgpu
