// The mean error of da and db, which bounds on single sums don't see: a lost rounding residue or
// runs that are too long raise it, and no sum passes its bound.
#include <gtest/gtest.h>

#include "bench/gradient_floor.h"
#include "codegen/cuda/binary.h"
#include "codegen/cuda/nvrtc.h"
#include "tests/support/virtual_sample.h"
#include "tests/virtual_gpu/findings.h"

namespace grkan {
namespace {

struct Case {
  const char* problem;
  const char* target;
  const char* schedule;  // empty: the default
};

// 8 groups a sample and few multiprocessors, so that a thread flushes many runs.
void check_mean_error(const Case& one, std::int64_t rows) {
  const Target target = parse_target(one.target);
  const Task task = parse_task(std::string("backward.dx.da.db/") + one.problem);
  const auto schedule = CudaSchedule(*one.schedule == '\0' ? default_schedule(task, target, rows)
                                                           : parse_schedule(one.schedule, target));
  const std::string ptx = build_cuda(task, schedule, target).output.ptx;
  GradientError error;
  GradientError floor;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    Sample sample(task, {.rows = rows, .seed = seed});
    set_swish(sample);
    const ExactSums exact = exact_sums(sample);
    floor.add(exact.terms_32, exact.terms_64);
    vgpu::Memory memory(std::size_t{1} << 30);
    const vgpu::Module module(ptx, memory);
    vgpu::VirtualSample device(sample, memory);
    for (const vgpu::LaunchResult& result : device.run(module, schedule, 1, {.seed = seed})) {
      EXPECT_EQ(describe(result.findings), "");
    }
    device.read_back();
    error.add(gradient_sums(sample), exact.terms_64);
  }
  std::printf("%s %s %s: da %.2f, db %.2f times the floor\n", one.problem, one.target,
              to_string(Schedule(schedule)).c_str(), error.da / floor.da, error.db / floor.db);
  EXPECT_LT(error.da, 3 * floor.da);
  EXPECT_LT(error.db, 3 * floor.db);
}

TEST(GradientError, StaysNearTheFloorOverManyFlushes) {
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  for (const Case& one : {Case{"p5q4-A-c192-g8-f32-last", "sm_90", ""},
                          {"p5q4-A-c192-g8-f32-last", "sm_100", ""},
                          {"p5q4-A-c192-g8-f32-last", "sm_90",
                           "v4_r2_x48_y4_newton_run16_f64acc_lastblock@blocks4"}}) {
    check_mean_error(one, 12'000);
  }
}

}  // namespace
}  // namespace grkan
