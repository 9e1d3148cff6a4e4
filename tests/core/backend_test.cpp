// Backends: which one a target has, tables that hold together, and schedules as structs of named
// fields and back.
#include "core/backend.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"

namespace grkan {
namespace {

template <class Work>
std::string message_of(const Work& work) {
  try {
    work();
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    return e.what();
  }
  return "no error";
}

TEST(Backend, EveryTargetHasOne) {
  for (const char* name : {"x86-64-v3", "x86-64-v4", "znver4", "aarch64"}) {
    EXPECT_EQ(&backend_of(parse_target(name)), &cpu_backend()) << name;
  }
  EXPECT_EQ(&backend_of(Target{}), &cpu_backend()) << "a portable CPU";
  for (const char* name : {"sm_75", "sm_90a", "sm_100f", "sm_121"}) {
    EXPECT_EQ(&backend_of(parse_target(name)), &cuda_backend()) << name;
  }
}

TEST(Backend, ParametersSayWhatTheyAre) {
  for (const Backend* backend : {&cpu_backend(), &cuda_backend()}) {
    EXPECT_LE(backend->parameters().size(), std::size_t{kMostParameters});
    std::set<std::string_view> names;
    for (const Parameter& p : backend->parameters()) {
      EXPECT_TRUE(names.insert(p.name).second) << p.name;
      EXPECT_NE(p.says, "") << p.name;
      EXPECT_NE(p.unit.empty(), p.words.empty()) << p.name << ": a unit or words";
      EXPECT_NE(p.token.empty(), p.words.empty()) << p.name << ": a token or words";
      EXPECT_GT(p.values.size(), 1U) << p.name;
    }
  }
}

// docs/cpu-kernels.md and docs/cuda-kernels.md have a row for each, in its words.
TEST(Backend, DocsSayTheSame) {
  for (const Backend* backend : {&cpu_backend(), &cuda_backend()}) {
    std::ifstream file(fmt::format(GRKAN_DOCS "/{}-kernels.md", backend->name()));
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    for (const Parameter& p : backend->parameters()) {
      const std::size_t says = text.find(fmt::format(" | {} |", p.says));
      ASSERT_NE(says, std::string::npos) << backend->name() << " " << p.name << ": " << p.says;
      const std::string row = text.substr(text.rfind('\n', says) + 1, p.name.size() + 5);
      EXPECT_EQ(row, fmt::format("| {} | ", p.name));
    }
  }
}

TEST(Backend, TheExampleIsASchedule) {
  for (const char* name : {"x86-64-v3", "sm_90"}) {
    const Target target = parse_target(name);
    const std::string_view example = backend_of(target).example();
    EXPECT_EQ(to_string(parse_schedule(example, target)), example);
  }
}

TEST(Backend, SchedulesAreTheirStructsAndBack) {
  const CpuSchedule cpu{.vector = 16, .rows = 8, .prefetch = 2, .slice_rows = 64};
  EXPECT_EQ(CpuSchedule(Schedule(cpu)), cpu);
  EXPECT_EQ(Schedule(cpu).backend, &cpu_backend());
  EXPECT_EQ(to_string(cpu), "v16_u1_r8_bcast_cached_pf2@slice64");
  const CudaSchedule cuda{.columns = 2, .run = 16, .sums = CudaSchedule::last_block, .slab = 512};
  EXPECT_EQ(CudaSchedule(Schedule(cuda)), cuda);
  EXPECT_EQ(Schedule(cuda).backend, &cuda_backend());
  EXPECT_EQ(to_string(cuda), "v2_r2_x32_y8_newton_run16_lastblock@blocks4_slab512");
  // A launch part that a text leaves out is the struct's.
  EXPECT_EQ(CpuSchedule(parse_schedule("v8_u1_r4_bcast_cached", Target{"aarch64"})), CpuSchedule{});
  EXPECT_EQ(CudaSchedule(parse_schedule("v4_r2_x32_y8_newton", Target{"sm_80"})), CudaSchedule{});
}

TEST(Backend, AnotherBackendsScheduleIsRefused) {
  const Schedule cpu = CpuSchedule{};
  const Schedule cuda = CudaSchedule{};
  EXPECT_NE(cpu, cuda);
  EXPECT_EQ(message_of([&] { (void)CudaSchedule(cpu); }),
            "schedule v8_u1_r4_bcast_cached@slice256 is for another kind of device than cuda");
  EXPECT_EQ(message_of([&] { (void)CpuSchedule(cuda); }),
            "schedule v4_r2_x32_y8_newton@blocks4 is for another kind of device than cpu");
  const Task task = parse_task("forward/p5q4-A-c96-g8-f32-last");
  EXPECT_EQ(why_illegal(task, cpu, Target{"sm_90"}), "the schedule is for another kind of device");
  EXPECT_EQ(why_illegal(task, cuda, Target{}), "the schedule is for another kind of device");
}

TEST(Backend, AScheduleOfNoBackendIsAnErrorOfOurs) {
  try {
    to_string(Schedule{});
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::internal);
  }
}

TEST(Backend, ArithmeticOfEachScheme) {
  const Task forward = parse_task("forward/p5q4-A-c8-g1-f32-last");
  EXPECT_EQ(cpu_backend().arithmetic(forward, CpuSchedule{}), Arithmetic{});
  EXPECT_EQ(cuda_backend().arithmetic(forward, CudaSchedule{.division = CudaSchedule::ieee}),
            Arithmetic{});
  EXPECT_EQ(cuda_backend().arithmetic(forward, CudaSchedule{.polynomial = CudaSchedule::estrin}),
            (Arithmetic{.reciprocal_roundings = 2,
                        .pairs_of_terms = true,
                        .slope_rounds_coefficients = true,
                        .multiplies_by_reciprocal = true}));
}

// Kernels beside the one asked for: of calls that its vectors don't fit.
TEST(Backend, VectorsHaveAKernelOfOneColumnBesideThem) {
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  const Schedule vectors = default_schedule(task, Target{"sm_90"}, 1000);
  const std::vector<Schedule> beside = cuda_backend().loaded_beside(task, vectors);
  ASSERT_EQ(beside.size(), 1U);
  EXPECT_EQ(beside[0], Schedule(narrow_schedule(task, CudaSchedule(vectors))));
  EXPECT_TRUE(cuda_backend().loaded_beside(task, beside[0]).empty());
  EXPECT_TRUE(cpu_backend().loaded_beside(task, CpuSchedule{}).empty());
}

// What plans have asked their callers for: figures of the release before backends had names.
TEST(Backend, WorkspaceBoundsStay) {
  struct Case {
    const char* task;
    std::array<WorkspaceBound, 4> bounds;  // of a CPU, an H200, a B200 and a T4
  };
  const Case cases[] = {
      {"forward/p5q4-A-c768-g8-f32-last", {{{30720, 0}, {0, 0}, {0, 0}, {0, 0}}}},
      {"backward.dx/p5q4-A-c768-g8-f32-first", {{{0, 0}, {0, 0}, {0, 0}, {0, 0}}}},
      {"backward.dx.da.db/p5q4-A-c768-g8-f32-last",
       {{{440320, 0, 30720, 123520}, {1357092, 0}, {1520932, 0}, {1316132, 0}}}},
      {"backward.dx.da.db/p5q4-A-c768-g8-f32-first",
       {{{204800, 0, 0, 21120}, {170436, 5248}, {190916, 5248}, {165316, 5248}}}},
      {"backward.da.db/p3q2-C-c1031-g1-f64-last",
       {{{319424, 0, 57792, 116608}, {238100, 0}, {252436, 0}, {234516, 0}}}},
      {"backward.dx.da.db/p9q15-B-c96-g96-bf16:f32-last",
       {{{6153600, 0, 9600, 633600}, {40589588, 0}, {45504788, 0}, {39360788, 0}}}},
      {"backward.db/p2q3-N-c4096-g1-f16-first",
       {{{7680, 0, 0, 832}, {50792, 6708}, {56936, 6708}, {49256, 6708}}}},
  };
  const std::array<std::pair<Target, int>, 4> devices = {
      {{{"x86-64-v3"}, 2}, {{"sm_90"}, 132}, {{"sm_100"}, 148}, {{"sm_75"}, 40}}};
  for (const Case& c : cases) {
    const Task task = parse_task(c.task);
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const auto& [target, units] = devices[i];
      const WorkspaceBound bound = backend_of(target).workspace_bound(task, target, units);
      EXPECT_EQ(bound.fixed, c.bounds[i].fixed) << c.task << " on " << target.name;
      EXPECT_EQ(bound.per_inner, c.bounds[i].per_inner) << c.task << " on " << target.name;
      EXPECT_EQ(bound.few, c.bounds[i].few) << c.task << " on " << target.name;
      EXPECT_EQ(bound.per_row, c.bounds[i].per_row) << c.task << " on " << target.name;
    }
  }
}

}  // namespace
}  // namespace grkan
