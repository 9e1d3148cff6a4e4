// Records tables (table.h) for a GPU that is not here: candidates compiled for it, executed on the
// virtual GPU, and predicted from these counts. Nothing in them was timed.
//
//   build/bin/bench_record_gpu --out FOLDER [--gpu h200] [--problems bench/lab/gpu_problems.jsonl]
//                              [--candidates 192] [--seed 1]
//
// A table has the default and random others of the space, which has thousands: those that
// bench_record --device cuda:0 times, given the same numbers. What tuning would rule out by the
// compiler's figures is `pruned`. A table that is there is passed over.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/lab/executed_call.h"
#include "bench/lab/replay/draw.h"
#include "bench/lab/replay/table.h"
#include "cache/files.h"
#include "codegen/compiler.h"
#include "core/backend.h"
#include "core/error.h"
#include "core/print.h"
#include "cuda/cost_model.h"
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

// What one would take, in microseconds; or why it is none.
TableCandidate predicted(const GpuCall& call, const std::optional<Binary>& binary,
                         const std::string& refused, double default_us) {
  TableCandidate candidate{.schedule = to_string(Schedule(call.schedule)),
                           .status = CandidateStatus::compile_failed,
                           .why = refused,
                           .us = {},
                           .reference_us = {}};
  if (!binary) return candidate;
  try {
    const double us = predict(execute(call, *binary), call.gpu).ns * 1e-3;
    candidate.us = {us};
    candidate.reference_us = {default_us > 0 ? default_us : us};
    candidate.status = CandidateStatus::ok;
  } catch (const Error& error) {  // no block of it fits on a multiprocessor
    if (error.status() != Status::invalid_argument) throw;
    candidate.status = CandidateStatus::exceeds_device;
    candidate.why = error.what();
  }
  return candidate;
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

Table record(const ListedTask& job, const GpuModel& gpu, const Options& options) {
  const Task& task = job.task;
  const std::int64_t rows = job.rows.high;
  const Target target = target_of(gpu);
  const std::vector<Schedule> schedules =
      draw(enumerate_space(task, target, Determinism::run_to_run, rows, job.inner).schedules,
           options.candidates, options.seed);
  std::vector<std::optional<Binary>> binaries(schedules.size());
  std::vector<std::string> refused(schedules.size());
  for_each_in_threads(schedules.size(), kThreads, [&](std::size_t i) {
    try {
      binaries[i] = compile_cuda(task, CudaSchedule(schedules[i]), target);
    } catch (const Error& error) {
      refused[i] = error.what();
    }
  });
  Table table{.task = task,
              .target = target,
              .rows = rows,
              .inner = job.inner,
              .threads = 0,
              .machine = std::string(gpu.marketing),
              .compiler = compiler_of(target),
              .date = utc_now(),
              .predicted = true,
              .build_seconds = 0,
              .candidates = {}};
  for (std::size_t i = 0; i < schedules.size(); ++i) {
    const GpuCall call{.task = task,
                       .schedule = CudaSchedule(schedules[i]),
                       .gpu = gpu,
                       .rows = rows,
                       .inner = job.inner};
    std::string why =
        i == 0 ? "" : why_left_out(schedules[i], binaries[i], schedules[0], binaries[0], gpu);
    if (!why.empty()) {
      table.candidates.push_back({.schedule = to_string(schedules[i]),
                                  .status = CandidateStatus::pruned,
                                  .why = std::move(why),
                                  .us = {},
                                  .reference_us = {}});
      continue;
    }
    const double default_us = i == 0 ? 0 : table.candidates.front().us.at(0);
    table.candidates.push_back(predicted(call, binaries[i], refused[i], default_us));
    if (i == 0 && table.candidates[0].us.empty()) {
      fail(Status::unsupported, "the default of {}: {}", to_string(task), table.candidates[0].why);
    }
  }
  return table;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Records what candidates are predicted to take on a GPU that is not here");
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
    const Table table = record(job, gpu, options);
    write_table(options.out, table);
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
