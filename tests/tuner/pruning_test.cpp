// Pruning by what a compiler said: limits of multiprocessors against values worked out by hand.
#include "tuner/pruning.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"
#include "tests/tuner/invented_trial.h"

namespace grkan {
namespace {

CompiledSchedule candidate(int threads, std::optional<int> registers, int spills = 0,
                           int shared = 0) {
  CudaSchedule schedule;
  schedule.tile_columns = 32;
  schedule.tile_rows = threads / 32;
  return {.schedule = schedule,
          .kernel = {.symbol = "k",
                     .registers = registers,
                     .spill_bytes = spills,
                     .shared_bytes = shared,
                     .code_bytes = {}}};
}

std::string why_pruned(const CompiledSchedule& candidate, const CompiledSchedule& standard,
                       const GpuModel& gpu) {
  return cuda_backend().why_pruned(candidate, standard, parse_target("sm_90"), &gpu);
}

TEST(Pruning, WhatDoesNotFitIsOut) {
  const CompiledSchedule standard = candidate(256, 64);
  // 65536 registers: 1024 threads of 64 fill them, of 72 don't fit.
  EXPECT_EQ(why_pruned(candidate(1024, 64), standard, gpu_model("h200")), "");
  EXPECT_EQ(
      why_pruned(candidate(1024, 72), standard, gpu_model("h200")),
      "a block of 1024 threads with 72 registers and 0 bytes of shared memory does not fit on "
      "a multiprocessor");
}

TEST(Pruning, MoreSpillsThanTheDefault) {
  const CompiledSchedule standard = candidate(256, 64, 8);
  EXPECT_EQ(why_pruned(candidate(256, 64, 40), standard, gpu_model("a100-80")), "");
  EXPECT_EQ(why_pruned(candidate(256, 64, 44), standard, gpu_model("a100-80")),
            "spills 44 bytes a thread");
  // Where the default spills a lot, so may others.
  EXPECT_EQ(why_pruned(candidate(256, 64, 500), candidate(256, 64, 480), gpu_model("a100-80")), "");
}

TEST(Pruning, FewWarps) {
  // 64 threads and 40 KiB: 164 KiB hold four blocks of two warps; 80 KiB one of two.
  const CompiledSchedule standard = candidate(256, 64);
  EXPECT_EQ(why_pruned(candidate(64, 64, 0, 39 * 1024), standard, gpu_model("a100-80")), "");
  EXPECT_EQ(why_pruned(candidate(64, 64, 0, 80 * 1024), standard, gpu_model("a100-80")),
            "4 warps on a multiprocessor at once");
  EXPECT_EQ(why_pruned(candidate(64, 64, 0, 80 * 1024), candidate(64, 64, 0, 80 * 1024),
                       gpu_model("a100-80")),
            "");
}

TEST(Pruning, WhatIsNotToldRulesNothingOut) {
  const CompiledSchedule unknown = {candidate(1024, {}).schedule, {}};
  EXPECT_EQ(why_pruned(unknown, candidate(256, 64), gpu_model("t4")), "");
  EXPECT_EQ(why_pruned(unknown, unknown, gpu_model("t4")), "");
}

TEST(PruningBuilder, PrunesByWhatTheCompilerReports) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
  TuneRequest request;
  request.task = task;
  request.target = parse_target("sm_90");
  const Space space = enumerate_space(task, request.target, Determinism::run_to_run, 25216);
  const Schedule& standard = space.schedules[0];
  const Schedule& other = space.schedules[1];
  InventedTrial trial;
  EXPECT_EQ(PruningBuilder(trial, request, standard).build(other).status, CandidateStatus::ok);

  const KernelResources quiet{
      .symbol = "k", .registers = 64, .spill_bytes = 0, .shared_bytes = 100, .code_bytes = {}};
  trial.kernels[to_string(standard)] = quiet;
  trial.kernels[to_string(other)] = quiet;
  trial.kernels[to_string(other)].spill_bytes = 400;
  PruningBuilder builder(trial, request, standard);
  const StepResult built = builder.build(other);
  EXPECT_EQ(built.status, CandidateStatus::pruned);
  EXPECT_EQ(built.why, "spills 400 bytes a thread");
  EXPECT_EQ(builder.build(standard).status, CandidateStatus::ok);
  trial.refused[to_string(other)] = Status::compile_failed;
  EXPECT_EQ(builder.build(other).status, CandidateStatus::compile_failed);
  trial.refused.clear();

  // An architecture without a model, and no GPU.
  request.target = parse_target("sm_72");
  EXPECT_EQ(PruningBuilder(trial, request, standard).build(other).status, CandidateStatus::ok);
  request.target = parse_target("sm_90");
  trial.kernels.erase(to_string(other));
  EXPECT_EQ(PruningBuilder(trial, request, standard).build(other).status, CandidateStatus::ok);
}

}  // namespace
}  // namespace grkan
