// The generated CUDA source: its text, and what it computes when its threads run on the host.
#include <gtest/gtest.h>

#include <random>

#include "codegen/cuda/source.h"
#include "core/check.h"
#include "core/error.h"
#include "core/random_task.h"
#include "templates/fill.h"
#include "tests/codegen/cuda_host.h"

namespace grkan {
namespace {

const Target kTarget{"sm_90"};
const Target kHostTarget{"sm_75"};  // what tests/codegen/cuda_host.h compiles for
constexpr const char* kBackward = "backward.dx.da.db/p5q4-A-c768-g8-f32-last";

CudaSchedule default_of(const Task& task, const Target& target = kTarget) {
  return CudaSchedule(default_schedule(task, target, 1000));
}
CudaSource source_of(const char* text) {
  const Task task = parse_task(text);
  return cuda_source(task, default_of(task), kTarget);
}

TEST(CudaSource, StandsAloneAndNamesItself) {
  const Task task = parse_task(kBackward);
  const CudaSource source = source_of(kBackward);
  EXPECT_EQ(source.symbol, kernel_symbol(task, compiled_text(Schedule(default_of(task)))));
  EXPECT_EQ(source.second_pass_symbol, source.symbol + "_second_pass");
  EXPECT_TRUE(source.text.starts_with(std::string("// ") + kBackward));
  for (const char* words : {"#include", "atomicAdd", "$", "//@", "__restrict__", "pair_bf16"}) {
    EXPECT_EQ(source.text.find(words), std::string::npos) << words;
  }
  for (const std::string& words : {source.symbol + "(", source.second_pass_symbol + "(",
                                   std::string("-fmad=false"), std::string("-arch=sm_90")}) {
    EXPECT_NE(source.text.find(words), std::string::npos) << words;
  }
}

TEST(CudaSource, HoldsOnlyWhatIsUsed) {
  const std::string forward = source_of("forward/p5q4-A-c768-g8-f32-last").text;
  for (const char* words : {"__shared__", "call.dy", "kTerms ", "second_pass", "gradient"}) {
    EXPECT_EQ(forward.find(words), std::string::npos) << words;
  }
  EXPECT_EQ(source_of("forward/p5q4-A-c768-g8-f32-last").second_pass_symbol, "");
  const std::string dx = source_of("backward.dx/p5q4-B-c768-g8-bf16-last").text;
  for (const char* words : {"__shared__", "second_pass", "prepare"}) {
    EXPECT_EQ(dx.find(words), std::string::npos) << words;
  }
}

TEST(CudaSource, SameRequestSameText) {
  EXPECT_EQ(source_of(kBackward).text, source_of(kBackward).text);
}

TEST(CudaSource, IllegalScheduleNamesTheReason) {
  const Task task = parse_task("forward/p5q4-A-c7-g7-f32-last");
  CudaSchedule schedule = default_of(task);
  schedule.columns = 4;
  try {
    cuda_source(task, schedule, kTarget);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::invalid_argument);
    EXPECT_NE(std::string(error.what()).find("do not divide the group width 1"), std::string::npos)
        << error.what();
  }
}

TEST(CudaTemplate, KeepsDropsAndReplaces) {
  TemplateValues with;
  with.values = {{"a", "1"}, {"b_c", "two"}};
  with.conditions = {{"yes", true}, {"no", false}};
  EXPECT_EQ(fill_template("$a ${a}x $b_c;\n", with), "1 1x two;\n");
  EXPECT_EQ(
      fill_template("//@if yes\nin\n//@if no\nout\n//@else\ndeep\n//@end\n//@end\nafter\n", with),
      "in\ndeep\nafter\n");
  EXPECT_EQ(fill_template("//@if !yes\nout\n//@end\n", with), "");
  for (const char* wrong : {"$missing\n", "//@if missing\n//@end\n", "//@end\n", "//@if yes\n",
                            "${a\n", "//@else\n", "//@iff yes\n"}) {
    EXPECT_THROW(fill_template(wrong, with), Error) << wrong;
  }
}

// A schedule for calls whose pointers or strides don't fit the vectors.
CudaSchedule narrow(const Task& task, CudaSchedule s) {
  s.columns = 1;
  while (!why_illegal(task, Schedule(s), kTarget).empty() && s.tile_columns > 1) --s.tile_columns;
  return s;
}

struct Case {
  HostKernel kernel;
  SampleOptions options;
};

void run_cases(const std::vector<Case>& cases) {
  std::vector<HostKernel> kernels;
  for (const Case& one : cases) kernels.push_back(one.kernel);
  const HostKernels host(kernels);
  ASSERT_TRUE(host.usable());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Case& one = cases[i];
    const Task& task = one.kernel.task;
    const std::string what = fmt::format("{} {} rows {} inner {} padding {}", to_string(task),
                                         to_string(Schedule(one.kernel.schedule)), one.options.rows,
                                         one.options.inner, one.options.padding);
    Sample sample(task, one.options);
    const Call call = sample.call();
    if (call.rows == 0 || call.inner == 0) continue;
    ASSERT_TRUE(cuda_vectors_fit(task, one.kernel.schedule, call)) << what;
    const Reference reference = make_reference(task, call);
    for (const int multiprocessors : {1, 5}) {
      sample.reset();
      host.run(i, call, multiprocessors);
      const TensorErrors errors = compare(task, Schedule(one.kernel.schedule), reference, call);
      EXPECT_TRUE(errors.passes()) << what << ": " << errors.why_failed();
      EXPECT_EQ(sample.why_damaged(), "") << what;
    }
  }
}

TEST(CudaOnHost, TableOfProblems) {
  std::vector<Case> cases;
  const auto add = [&](const char* text, const char* schedule, std::int64_t rows,
                       std::int64_t inner = 1, bool accumulate = false) {
    const Task task = parse_task(text);
    Case one{{task, default_of(task, kHostTarget)}, {}};
    if (*schedule != '\0') {
      one.kernel.schedule = CudaSchedule(parse_schedule(schedule, kTarget));
    }
    one.options.rows = rows;
    one.options.inner = inner;
    one.options.accumulate = accumulate;
    cases.push_back(one);
  };
  add("forward/p5q4-A-c192-g8-f32-last", "", 33);
  add("forward/p3q3-B-c255-g5-f32-last", "", 31);
  add("backward.dx.da.db/p5q4-A-c192-g8-f32-last", "", 203);
  add("backward.dx.da.db/p5q4-A-c48-g1x2-f32:bf16-last", "", 65, 1, true);
  add("backward.dx.da.db/p5q4-C-c24-g24x3-f64-last", "", 37);
  add("backward.da/p5q4-A-c24-g3-f16-last", "", 37);
  add("backward.db/p5q4-B-c24-g3-bf16-last", "", 37, 1, true);
  add("backward.dx/p2q15-A-c16-g2-f16:f32-last", "", 3);
  add("backward.dx.da.db/p15q15-C-c7-g7-f32-last", "", 33);
  add("backward.dx.da.db/p3q2-N-c6-g2x3-f32-first", "", 5, 52);
  add("forward/p5q4-A-c6-g2x3-bf16-first", "", 5, 56);
  // The last tile reaches past the row: 3 of 5 segments in a tile.
  add("backward.dx.da.db/p5q4-A-c40-g5-f32-last", "v4_r2_x6_y3_newton_run16_twopass@blocks2", 70);
  // A tile is a part of a segment.
  add("backward.dx.da.db/p5q4-A-c96-g2-f32-last", "v2_r4_x8_y4_div_run8_twopass@blocks2", 150);
  add("backward.db/p0q0-A-c8-g1-f32-last", "", 9);
  add("backward.dx.da.db/p0q0-A-c8-g1-f32-last", "", 9);
  run_cases(cases);
}

TEST(CudaOnHost, RandomTasks) {
  const char* given = std::getenv("GRKAN_SEED");
  const unsigned long seed = given != nullptr ? std::strtoul(given, nullptr, 10) : 1;
  std::printf("GRKAN_SEED=%lu\n", seed);
  RandomGenerator generator(seed);
  std::vector<Case> cases;
  const int count = std::getenv("GRKAN_LONG") != nullptr ? 400 : 40;
  while (int(cases.size()) < count) {
    const Task task = random_task(generator);
    if (task.problem.channels > 512) continue;
    Case one{{task, CudaSchedule(random_schedule(generator, task, kHostTarget))},
             random_sample_options(generator, task)};
    // Shuffles have no host form; the virtual GPU runs them.
    if (one.kernel.schedule.sums == CudaSchedule::last_block) {
      one.kernel.schedule.sums = CudaSchedule::two_pass;
    }
    const Sample sample(task, one.options);
    if (!cuda_vectors_fit(task, one.kernel.schedule, sample.call())) {
      one.kernel.schedule = narrow(task, one.kernel.schedule);
    }
    cases.push_back(one);
    if (cases.size() % 40 == 0 && count > 40) {
      run_cases(cases);
      if (int(cases.size()) == count) return;
    }
  }
  run_cases(cases);
}

}  // namespace
}  // namespace grkan
