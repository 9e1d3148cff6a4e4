// Tasks, gradients and kernel symbols: printed, parsed back, and what else is refused.
#include "core/task.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random_task.h"

namespace grkan {
namespace {

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    return e.what();
  }
  return "no error";
}

TEST(Task, PrintsAndParsesBack) {
  for (const char* text :
       {"forward/p5q4-A-c768-g1x8-f32-last", "backward.dx.da.db/p5q4-A-c768-g8-f32:bf16-last",
        "backward.db/p0q3-C-c7-g7-f64-first", "backward.dx.db/p1q0-N-c1-g1-f16:f32-first"}) {
    EXPECT_EQ(to_string(parse_task(text)), text);
  }
}

TEST(Task, CountsItsSums) {
  const Problem p = parse_problem("p5q4-C-c8-g2-f32-last");
  EXPECT_EQ(forward_task(p).sum_terms(), 0);
  EXPECT_EQ(backward_task(p).sum_terms(), 6 + 5);
  EXPECT_EQ(backward_task(p, {.dx = true}).sum_terms(), 0);
  EXPECT_FALSE(backward_task(p, {.dx = true}).sums());
  EXPECT_EQ(backward_task(p, {.db = true}).sum_terms(), 5);
}

TEST(Task, ErrorsSayWhatIsWrong) {
  const std::string problem = "/p5q4-A-c768-g8-f32-last";
  EXPECT_EQ(message_of([&] { parse_task("backward" + problem); }),
            "backward needs at least one gradient; ask for dx, da or db");
  EXPECT_EQ(message_of([&] { parse_task("backward.dx.dx" + problem); }),
            "gradient 'dx' is given twice; name each once");
  EXPECT_EQ(message_of([&] { parse_task("backward.dq" + problem); }),
            "unknown gradient 'dq'; use dx, da, db");
  EXPECT_EQ(message_of([&] {
              validate(Task{parse_problem(problem.substr(1)), Direction::forward, {.dx = true}});
            }),
            "forward takes no gradients, but dx came");
  for (const std::string& text :
       std::vector<std::string>{"", "forward", "sideways" + problem, "forward" + problem + "x",
                                "backward.dx", "backward.", "forward.dx" + problem}) {
    EXPECT_NE(message_of([&] { parse_task(text); }), "no error") << text;
  }
}

TEST(Task, GradientsAnyOrder) {
  EXPECT_EQ(parse_gradients("db,dx"), (Gradients{.dx = true, .db = true}));
  EXPECT_EQ(to_string(parse_gradients("db,dx")), "dx,db");
  EXPECT_NE(message_of([] { parse_gradients(""); }), "no error");
  EXPECT_NE(message_of([] { parse_gradients("dx,"); }), "no error");
}

TEST(KernelSymbol, NamesTheTaskAndTheCompiledSchedule) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g1x8-f32:bf16-last");
  EXPECT_EQ(kernel_symbol(task, "v4_r4_twopass"),
            "grkan_bwd_dxdadb_p5q4_A_c768_g1x8_f32_bf16_last__v4_r4_twopass");
  EXPECT_EQ(kernel_symbol(forward_task(task.problem), "v4_r4"),
            "grkan_fwd_p5q4_A_c768_g1x8_f32_bf16_last__v4_r4");
  EXPECT_EQ(kernel_symbol(parse_task("forward/p5q4-A-c8-g2-f32:bf16:bf16-last"), "v4"),
            "grkan_fwd_p5q4_A_c8_g2_f32_bf16_bf16_last__v4");
}

TEST(KernelSymbol, ParsesBackForAnyTaskAndSchedule) {
  RandomGenerator generator(11);
  for (int i = 0; i < 2000; ++i) {
    const Task task = random_task(generator);
    EXPECT_EQ(parse_task(to_string(task)), task);
    for (const char* name : {"x86-64-v3", "sm_90"}) {
      const Schedule schedule = random_schedule(generator, task, parse_target(name));
      const std::string compiled = compiled_text(schedule);
      EXPECT_EQ(parse_symbol(kernel_symbol(task, compiled)), (KernelName{task, compiled}));
    }
  }
}

TEST(KernelSymbol, OthersAreErrors) {
  for (const char* text :
       {"", "main", "grkan_fwd_", "grkan_fwd_p5q4_A_c8_g8_f32_last", "grkan_bwd__p5q4__v4",
        "grkan_bwd_dx_p5q4_A_c9_g8_f32_last__v4", "grkan_fwd_p5q4_A_c8_g8_f64_f32_last__v4"}) {
    EXPECT_NE(message_of([&] { parse_symbol(text); }), "no error") << text;
  }
}

}  // namespace
}  // namespace grkan
