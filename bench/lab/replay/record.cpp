// Records tables (table.h) of this machine's CPU or GPU: every candidate of the space of each
// problem (or the default and some drawn by chance), in both directions, timed in rounds over all
// of them, each in turn with the default as the search does it. A table that is there is passed
// over, so the same command goes on where it was stopped.
//
//   build/bin/bench_record --out FOLDER [--device cpu] [--problems bench/problems.jsonl]
//                          [--candidates N] [--seed 1] [--rounds 40] [--threads 0]
//                          [--compile-threads 2] [--target x86-64-v3] [--most N] [--lock FILE]
//
// --lock: a file held shared while it builds and exclusively while it times, for machines where
// others work beside it and hold it too.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <map>

#include "bench/guarded.h"
#include "bench/lab/replay/draw.h"
#include "bench/lab/replay/table.h"
#include "cache/files.h"
#include "core/check.h"
#include "core/error.h"
#include "core/print.h"
#include "core/sample.h"
#include "core/sample_run.h"
#include "runtime/context.h"
#include "tuner/parallel.h"
#include "tuner/problem_list.h"
#include "tuner/search/search.h"
#include "tuner/search/statistics.h"
#include "tuner/session.h"
#include "tuner/space.h"
#include "tuner/workbench.h"

namespace grkan {
namespace {

// A sample is the median of some turns of a candidate and the default.
constexpr double kSampleSeconds = 5e-3;
constexpr double kMostTurns = 8;
// From so many rounds on, a candidate goes on only within this factor of the best: its lower
// quartile within the best upper quartile, since single samples may be far too long.
struct Cut {
  std::size_t rounds;
  double factor;
};
constexpr Cut kCuts[] = {{2, 1.3}, {4, 1.1}, {12, 1.0}};

struct Options {
  std::string device = "cpu";
  std::string target;
  std::string problems = "bench/problems.jsonl";
  std::string out;
  std::string lock;
  std::size_t candidates = std::numeric_limits<std::size_t>::max();
  std::uint64_t seed = 1;
  std::size_t rounds = 40;
  int threads = 0;
  std::size_t compile_threads = 2;
  int most = 1'000'000;
};

using Seconds = std::chrono::duration<double>;
double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The file, held LOCK_SH or LOCK_EX; nothing without a path.
class Lock {
 public:
  Lock(const std::string& path, int how) {
    if (path.empty()) return;
    file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file_ < 0 || flock(file_, how) != 0) {
      fail(Status::io_error, "{} can't be locked", path);
    }
  }
  ~Lock() {
    if (file_ >= 0) close(file_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int file_ = -1;
};

class Recorder {
 public:
  Recorder(Context& context, const ListedTask& job, const Options& options)
      : options_(options),
        device_(context.device(options.device)),
        site_(context.tune_site(device_)),
        job_(job),
        bench_(site_, job.task, job.rows.high, job.inner),
        schedules_(draw(enumerate_space(job.task, device_.target(), Determinism::run_to_run,
                                        bench_.rows(), job.inner)
                            .schedules,
                        options.candidates, options.seed)),
        binaries_(site_, job.task),
        kernels_(schedules_.size()) {
    if (bench_.rows() != job.rows.high) {
      fail(Status::out_of_memory, "{} rows of {} don't fit the memory for tuning; take {}",
           job.rows.high, to_string(job.task), bench_.rows());
    }
    table_ = {.task = job.task,
              .target = device_.target(),
              .rows = bench_.rows(),
              .inner = job.inner,
              .threads = device_.info().cpu() ? device_.info().units : 0,
              .machine = device_.info().model,
              .compiler = context.compiler().describe(device_.target()),
              .date = utc_now(),
              .predicted = false,
              .build_seconds = 0,
              .candidates = {}};
    for (const Schedule& schedule : schedules_) {
      table_.candidates.push_back({.schedule = to_string(schedule),
                                   .status = CandidateStatus::ok,
                                   .why = {},
                                   .us = {},
                                   .reference_us = {}});
    }
  }

  // Compiles and checks.
  void build() {
    const double start = now();
    const std::size_t parts = compile_all();
    check_all();
    if (const TableCandidate& standard = table_.candidates[0];
        standard.status != CandidateStatus::ok) {
      fail_default(standard.status, standard.why);
    }
    table_.build_seconds = (now() - start) / double(parts);
  }

  Table time() {
    const double turns = kSampleSeconds / (2 * bench_.time(*kernels_[0]));
    turns_ = std::size_t(std::clamp(turns, 1.0, kMostTurns));
    for (std::size_t round = 0; round < options_.rounds; ++round) {
      std::vector<std::size_t> in_round = still_in(round);
      // Begins elsewhere each time, so that neighbours in time differ.
      std::rotate(in_round.begin(),
                  in_round.begin() + std::ptrdiff_t(round * in_round.size() / options_.rounds),
                  in_round.end());
      for (const std::size_t i : in_round) sample(i);
    }
    return table_;
  }

 private:
  void sample(std::size_t i) {
    std::vector<double> seconds;
    std::vector<double> reference;
    for (std::size_t turn = 0; turn < turns_; ++turn) {
      reference.push_back(bench_.time(*kernels_[0]) * 1e6);
      seconds.push_back(bench_.time(*kernels_[i]) * 1e6);
    }
    table_.candidates[i].us.push_back(median(seconds));
    table_.candidates[i].reference_us.push_back(median(reference));
  }

  // How many compiled parts there are.
  std::size_t compile_all() {
    std::map<std::string, std::vector<std::size_t>> parts;
    for (std::size_t i = 0; i < schedules_.size(); ++i) {
      parts[compiled_text(schedules_[i])].push_back(i);
    }
    std::vector<std::vector<std::size_t>> work;
    for (auto& [part, candidates] : parts) work.push_back(std::move(candidates));
    std::vector<std::string> refused(work.size());
    for_each_in_threads(work.size(), options_.compile_threads, [&](std::size_t k) {
      try {
        binaries_.of(schedules_[work[k].front()]);
      } catch (const Error& error) {
        refused[k] = error.what();
      }
    });
    for (std::size_t k = 0; k < work.size(); ++k) {
      if (refused[k].empty()) continue;
      for (const std::size_t i : work[k]) {
        refuse(i, CandidateStatus::compile_failed, refused[k]);
      }
    }
    return work.size();
  }

  void check_all() {
    const std::int64_t rows = checked_rows(job_.task, bench_.rows(), job_.inner);
    Sample sample(job_.task, {.rows = rows, .inner = job_.inner});
    const Reference reference = make_reference(job_.task, sample.call());
    for (std::size_t i = 0; i < schedules_.size(); ++i) {
      if (table_.candidates[i].status != CandidateStatus::ok) continue;
      try {
        kernels_[i] = device_.load(job_.task, schedules_[i], [&](const Schedule& schedule) {
          return binaries_.of(schedule);
        });
        sample.reset();
        run_sample(device_, *kernels_[i], sample);
      } catch (const Error& error) {
        refuse(i, CandidateStatus::launch_failed, error.what());
        continue;
      }
      const double scaled =
          compare(job_.task, kernels_[i]->schedule(), reference, sample.call()).scaled();
      const StepResult judged = judge({.status = CandidateStatus::ok, .why = {}, .value = scaled});
      if (judged.status != CandidateStatus::ok) refuse(i, judged.status, judged.why);
    }
  }

  void refuse(std::size_t i, CandidateStatus status, const std::string& why) {
    table_.candidates[i].status = status;
    table_.candidates[i].why = why;
  }

  // Who takes part in a round: the default always.
  [[nodiscard]] std::vector<std::size_t> still_in(std::size_t round) const {
    double factor = std::numeric_limits<double>::infinity();
    for (const Cut& cut : kCuts) factor = round >= cut.rounds ? cut.factor : factor;
    double best = std::numeric_limits<double>::infinity();
    for (const TableCandidate& c : table_.candidates) {
      if (!c.us.empty()) best = std::min(best, quantile(c.ratios(), 0.75));
    }
    std::vector<std::size_t> list;
    for (std::size_t i = 0; i < table_.candidates.size(); ++i) {
      const TableCandidate& c = table_.candidates[i];
      if (c.status != CandidateStatus::ok) continue;
      const bool behind = !c.us.empty() && quantile(c.ratios(), 0.25) > factor * best;
      if (i == 0 || !behind) list.push_back(i);
    }
    return list;
  }

  const Options& options_;
  Device& device_;
  TuneSite site_;
  ListedTask job_;
  Workbench bench_;
  std::vector<Schedule> schedules_;
  CandidateBinaries binaries_;
  std::vector<std::shared_ptr<const Kernel>> kernels_;
  std::size_t turns_ = 1;
  Table table_;
};

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Records what every candidate takes on this machine's CPU or GPU");
  app.add_option("--device", options.device, "cpu, or cuda:0")->capture_default_str();
  app.add_option("--problems", options.problems,
                 "A list, as `grkan tune` takes it; of a range of rows the upper end")
      ->capture_default_str();
  app.add_option("--out", options.out, "Folder of the tables")->required();
  app.add_option("--candidates", options.candidates,
                 "The default and others by chance, so many in all; all without it")
      ->check(CLI::Range(2, 1'000'000));
  app.add_option("--seed", options.seed, "Which ones")->capture_default_str();
  app.add_option("--rounds", options.rounds, "Samples of those that stay near the best")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads; 0: all")->capture_default_str();
  app.add_option("--compile-threads", options.compile_threads, "Kernels compiled at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--most", options.most, "Tables to record now, at most");
  app.add_option("--target", options.target,
                 "Of the CPU's kernels, one that it has; else the best it has");
  app.add_option("--lock", options.lock, "File to hold, exclusively while timing");
  CLI11_PARSE(app, argc, argv);
  int recorded = 0;
  for (const ListedTask& job : read_problem_list(options.problems, {1, 1}, 1)) {
    const std::string name = table_name(job.task, job.rows.high, job.inner);
    if (recorded == options.most) break;
    if (std::filesystem::exists(std::filesystem::path(options.out) / name)) continue;
    // A context a table: its kernels and buffers go with it.
    ContextOptions of_context{.threads = options.threads};
    if (!options.target.empty()) of_context.cpu_target = parse_target(options.target);
    Context context(of_context);
    Recorder recorder(context, job, options);
    {
      const Lock lock(options.lock, LOCK_SH);
      recorder.build();
    }
    const Lock lock(options.lock, LOCK_EX);
    const double start = now();
    const Table table = recorder.time();
    write_table(options.out, table);
    ++recorded;
    const TableCandidate& best = table.candidates[table.best()];
    print_to(stdout,
             "{}: {} candidates, {:.3f} s to build one, {:.1f} s to time all; best {:.4f} {}\n",
             name, table.candidates.size(), table.build_seconds, now() - start, best.ratio(),
             best.schedule);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
