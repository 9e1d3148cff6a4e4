// Records what is known of candidates' launches (facts.h) on a GPU that is not here: compiled for
// it, counted by their code, and executed on the virtual GPU. Nothing is timed.
//
//   build/bin/bench_record_gpu --out FOLDER [--gpu h200] [--problems bench/lab/gpu_problems.jsonl]
//                              [--candidates 192] [--seed 1]
//
// There are the default and random others of the space, which has thousands: those that
// bench_record --device cuda:0 times, given the same numbers. What tuning would rule out by the
// compiler's figures is `pruned`. A table that is there is passed over.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/executed_call.h"
#include "bench/lab/replay/draw.h"
#include "bench/lab/replay/facts.h"
#include "cache/files.h"
#include "codegen/compiler.h"
#include "codegen/cuda/sass.h"
#include "core/backend.h"
#include "core/error.h"
#include "core/print.h"
#include "tuner/parallel.h"
#include "tuner/problem_list.h"
#include "tuner/space.h"

namespace grkan {
namespace {

constexpr std::size_t kThreads = 2;  // that compile at a time

struct Options {
  std::string gpu = "h200";
  std::string problems = "bench/lab/gpu_problems.jsonl";
  std::string out;
  std::size_t candidates = 192;
  std::uint64_t seed = 1;
};

// `count` of the call; nothing where it can't be.
template <class Count>
std::vector<LaunchFacts> counted(const Count& count) {
  try {
    return count();
  } catch (const Error& error) {  // no block of it fits on a multiprocessor, or no disassembler
    if (error.status() != Status::invalid_argument && error.status() != Status::unsupported) throw;
    return {};
  }
}

// Why tuning would not look at a candidate, by what the compiler said of it and of the default.
std::string why_left_out(const Schedule& schedule, const std::optional<Binary>& binary,
                         const Schedule& standard, const std::optional<Binary>& standard_binary,
                         const GpuModel& gpu) {
  if (!binary || !standard_binary) return {};
  return schedule.backend->why_pruned({schedule, binary->kernels.at(0)},
                                      {standard, standard_binary->kernels.at(0)}, binary->target,
                                      &gpu);
}

CandidateFacts facts_of(const GpuCall& call, const std::optional<Binary>& binary,
                        const std::string& refused) {
  CandidateFacts c{.schedule = to_string(Schedule(call.schedule)),
                   .status = CandidateStatus::compile_failed,
                   .why = refused,
                   .from_code = {},
                   .executed = {}};
  if (!binary) return c;
  c.status = CandidateStatus::ok;
  c.from_code = counted([&] {
    return static_facts(call, count_instructions(*binary, call.schedule, call.rows, call.inner,
                                                 int(call.gpu.multiprocessors.value)));
  });
  c.executed = counted([&] { return execute(call, *binary); });
  if (c.from_code.empty() && c.executed.empty()) {
    c.status = CandidateStatus::exceeds_device;
    c.why = "no block fits on a multiprocessor, or nothing could be counted";
  }
  return c;
}

FactsTable record(const ListedTask& job, const GpuModel& gpu, const Options& options) {
  const Task& task = job.task;
  const std::int64_t rows = job.rows.high;
  const Target target = target_of(gpu);
  const std::vector<Schedule> schedules =
      draw(enumerate_space(task, target, Determinism::run_to_run, rows, job.inner).schedules,
           options.candidates, options.seed);
  std::vector<std::optional<Binary>> binaries(schedules.size());
  std::vector<CandidateFacts> candidates(schedules.size());
  for_each_in_threads(schedules.size(), kThreads, [&](std::size_t i) {
    const GpuCall call{.task = task,
                       .schedule = CudaSchedule(schedules[i]),
                       .gpu = gpu,
                       .rows = rows,
                       .inner = job.inner};
    std::string refused;
    try {
      binaries[i] = compile_cuda(task, call.schedule, target);
    } catch (const Error& error) {
      refused = error.what();
    }
    candidates[i] = facts_of(call, binaries[i], refused);
  });
  if (candidates[0].status != CandidateStatus::ok) {
    fail(Status::unsupported, "the default of {}: {}", to_string(task), candidates[0].why);
  }
  for (std::size_t i = 1; i < schedules.size(); ++i) {
    const std::string why = why_left_out(schedules[i], binaries[i], schedules[0], binaries[0], gpu);
    if (why.empty() || candidates[i].status != CandidateStatus::ok) continue;
    candidates[i].status = CandidateStatus::pruned;
    candidates[i].why = why;
  }
  return {.task = task,
          .target = target,
          .rows = rows,
          .inner = job.inner,
          .gpu = std::string(gpu.name),
          .compiler = compiler_of(target),
          .date = utc_now(),
          .candidates = std::move(candidates)};
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Counts what candidates would do on a GPU that is not here");
  app.add_option("--gpu", options.gpu, "A GPU model (grkan devices lists them)")
      ->capture_default_str();
  app.add_option("--problems", options.problems,
                 "A list, as `grkan tune` takes it; of a range of rows the upper end")
      ->capture_default_str();
  app.add_option("--out", options.out, "Folder of the tables")->required();
  app.add_option("--candidates", options.candidates, "Of a table, at most")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Which ones")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const GpuModel& gpu = gpu_model(options.gpu);
  for (const ListedTask& job : read_problem_list(options.problems, {1, 1}, 1)) {
    const std::string name = table_name(job.task, job.rows.high, job.inner);
    if (std::filesystem::exists(std::filesystem::path(options.out) / name)) continue;
    const FactsTable facts = record(job, gpu, options);
    write_facts(options.out, facts);
    const Table table = predicted_table(facts, Counts::executed);
    const TableCandidate& best = table.candidates[table.best()];
    print_to(stdout, "{}: {} candidates; best {:.4f} {}\n", name, table.candidates.size(),
             best.ratio(), best.schedule);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
