// Generated CPU kernels against the reference, over random tasks, schedules and calls.
#include <fmt/format.h>

#include <cstdlib>

#include "codegen/compiler.h"
#include "core/check.h"
#include "core/reference.h"
#include "core/sample.h"
#include "cpu/loader.h"
#include "tests/support/cpu_run.h"

namespace grkan {
namespace {

class CpuKernels : public testing::Test {
 protected:
  void SetUp() override {
    target_ = host_target();
    if (target_.name.empty()) GTEST_SKIP() << "this processor is below x86-64-v3";
  }

  // Compiles, runs and compares; adds a failure with everything needed to see it again.
  void check(const Task& task, const CpuSchedule& schedule, const SampleOptions& options,
             const Cut& cut = {}) {
    const Binary binary = compile_cpu(task, schedule, target_);
    const CpuModule module(binary.code);
    check(task, schedule, options, cut, module.entry(binary.kernels.at(0).symbol));
  }

  static void check(const Task& task, const CpuSchedule& schedule, const SampleOptions& options,
                    const Cut& cut, CpuKernel kernel) {
    Sample sample(task, options);
    const Call call = sample.call();
    const Reference reference = make_reference(task, call);
    CpuRun(task, schedule, call).run(kernel, cut);
    const TensorErrors errors = compare(task, Schedule(schedule), reference, call);
    EXPECT_TRUE(errors.passes() && sample.why_damaged().empty())
        << to_string(task) << " " << to_string(Schedule(schedule)) << " rows " << options.rows
        << " inner " << options.inner << " padding " << options.padding << " misaligned "
        << options.misaligned << " in_place " << options.in_place << " specials "
        << options.specials << " cut " << cut.rows << " x " << cut.columns << ": "
        << errors.why_failed() << " " << sample.why_damaged();
  }

  void check(const char* task_text, const char* schedule_text, const SampleOptions& options,
             const Cut& cut = {}) {
    const Task task = parse_task(task_text);
    check(task, CpuSchedule(parse_schedule(schedule_text, target_)), options, cut);
  }

  Target target_;
};

TEST_F(CpuKernels, MatchTheReference) {
  const char* fixed = std::getenv("GRKAN_TEST_SEED");
  const std::uint64_t seed =
      fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device()();
  const char* cases = std::getenv("GRKAN_TEST_CASES");
  const int count = cases != nullptr ? std::atoi(cases) : 150;
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  RandomCases random(seed);
  for (int i = 0; i < count && !HasFailure(); ++i) {
    const Task task = random.task();
    const CpuSchedule schedule = random.schedule(task, target_);
    const bool first = task.problem.layout == Layout::channels_first;
    const Binary binary = compile_cpu(task, schedule, target_);
    const CpuModule module(binary.code);
    for (int call = 0; call < 3; ++call) {
      SampleOptions options;
      options.rows = random.pick<std::int64_t>({0, 1, 2, 3, 31, 33, 70});
      options.inner = first ? random.pick<std::int64_t>({1, 3, 16, 49}) : 1;
      options.seed = std::uint64_t(random.number(1, 1 << 30));
      options.padding = random.pick<std::int64_t>({0, 0, 1, 64});
      options.misaligned = random.number(0, 2) == 0;
      options.in_place = task.problem.x_type == task.problem.y_type &&
                         (!task.backward() || task.gradients.dx) && random.number(0, 2) == 0;
      options.accumulate = task.sums() && random.number(0, 1) == 0;
      options.specials = random.number(0, 3) == 0;
      Cut cut;
      cut.rows = random.pick<std::int64_t>({0, 1, 32});
      cut.columns = first ? random.pick<std::int64_t>({0, 1, 3}) * schedule.vector : 0;
      check(task, schedule, options, cut, module.entry(binary.kernels.at(0).symbol));
    }
  }
}

// The shapes that users run, at the default schedules.
TEST_F(CpuKernels, DefaultSchedulesOfKat) {
  for (const char* problem :
       {"p5q4-A-c192-g1x8-f32-last", "p5q4-A-c768-g8-f32:bf16-last", "p5q4-A-c384-g8-f16-last",
        "p5q4-B-c192-g8-f32-last", "p3q3-C-c64-g4-f32-first", "p5q4-A-c255-g5-f32-last",
        "p5q4-A-c96-g96-f32-last", "p5q4-N-c96-g8-f64-last"}) {
    const Problem p = parse_problem(problem);
    for (const Task& task : {forward_task(p), backward_task(p)}) {
      const Schedule schedule = default_schedule(task, target_, 400, 5);
      const bool first = p.layout == Layout::channels_first;
      check(task, CpuSchedule(schedule), {.rows = 400, .inner = first ? 5 : 1});
    }
  }
}

// Groups of one channel, each lane its own coefficients, and a tail of 7 columns.
TEST_F(CpuKernels, ExpandedTail) {
  check("backward.dx.da.db/p5q4-A-c255-g255-f32-last", "v8_u1_r16_expand_run64_split_cached",
        {.rows = 67});
  check("backward.dx.da.db/p2q3-C-c30-g10x15-f64-last", "v4_u1_r16_expand_run32_fused_nt",
        {.rows = 67, .padding = 2});
}

// The output is the input.
TEST_F(CpuKernels, InPlace) {
  for (const char* stores : {"cached", "nt"}) {
    for (const int padding : {0, 3}) {
      SampleOptions options;
      options.rows = 37;
      options.padding = padding;
      options.in_place = true;
      check("forward/p5q4-A-c96-g8-f32-last", fmt::format("v4_u4_r4_bcast_{}", stores).c_str(),
            options);
      check("backward.dx.da.db/p5q4-A-c96-g2-f32-last",
            fmt::format("v8_u2_r4_bcast_run32_fused_{}", stores).c_str(), options);
      check("backward.dx.da.db/p5q4-A-c96-g2-f32-last",
            fmt::format("v8_u4_r8_bcast_run64_split_{}", stores).c_str(), options);
    }
  }
}

// The bits of a kernel don't depend on how rows are cut at block boundaries: sums included.
TEST_F(CpuKernels, CutsGiveTheSameBits) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c96-g4-f32-last");
  const auto schedule = CpuSchedule(parse_schedule("v8_u1_r4_bcast_run64_split_cached", target_));
  const Binary binary = compile_cpu(task, schedule, target_);
  const CpuModule module(binary.code);
  const CpuKernel kernel = module.entry(binary.kernels.at(0).symbol);
  Sample whole(task, {.rows = 50});
  Sample cut(task, {.rows = 50});
  const Call whole_call = whole.call();
  const Call cut_call = cut.call();
  CpuRun(task, schedule, whole_call).run(kernel);
  CpuRun(task, schedule, cut_call).run(kernel, {.rows = 8});
  const auto same = [](const SampleBuffer& a, const SampleBuffer& b) {
    return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
  };
  EXPECT_TRUE(same(whole.out, cut.out));
  EXPECT_TRUE(same(whole.da, cut.da));
  EXPECT_TRUE(same(whole.db, cut.db));
}

// Each of a thousand terms is below half a unit of the first: a plain sum would stay at 1.
TEST_F(CpuKernels, F64SumsAreCompensated) {
  const Task task = parse_task("backward.da/p0q0-A-c1-g1-f64-last");
  const auto schedule = CpuSchedule(parse_schedule("v1_u1_r1_bcast_run32_split_cached", target_));
  const Binary binary = compile_cpu(task, schedule, target_);
  const CpuModule module(binary.code);
  std::vector<double> x(1001, 0.0);
  std::vector<double> dy(1001, 0x1p-60);
  dy[0] = 1.0;
  double da = 0;
  const double a = 1;
  Call call;
  call.rows = 1001;
  call.x = x.data();
  call.x_stride = 1;
  call.dy = dy.data();
  call.dy_stride = 1;
  call.a = &a;
  call.da = &da;
  CpuRun(task, schedule, call).run(module.entry(binary.kernels.at(0).symbol));
  EXPECT_EQ(da, 1 + 1000 * 0x1p-60);
}

}  // namespace
}  // namespace grkan
