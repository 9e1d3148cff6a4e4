// Defects planted in this project's generated kernels, one at a time, and what the virtual GPU says
// of each: kernel, check, instruction and memory. The undamaged kernel is clean every time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/source.h"
#include "core/check.h"
#include "cuda/launch.h"
#include "tests/support/virtual_sample.h"
#include "tests/virtual_gpu/findings.h"
#include "tests/virtual_gpu/ptx_run.h"

namespace grkan {
namespace {

using vgpu::Check;
using vgpu::Finding;

#define SKIP_WITHOUT_NVRTC() \
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine"

const Target kTarget{"sm_90"};
constexpr std::size_t kMemoryBytes = std::size_t{1} << 40;  // mapped when touched
constexpr int kMultiprocessors = 3;
constexpr std::int64_t kRows = 203;  // odd: one row is left over from groups of two

// 8 groups of 24 channels: a tile is a whole row, two threads share the sums of a coefficient.
constexpr const char* kBackward = "backward.dx.da.db/p5q4-A-c192-g8-f32-last";
constexpr const char* kForward = "forward/p5q4-A-c192-g8-f32-last";

CudaSchedule schedule_of(const Task& task) {
  CudaSchedule schedule{.columns = 4, .rows_in_flight = 2, .tile_columns = 48, .tile_rows = 4};
  if (task.backward()) {
    schedule.run = 16;
    schedule.sums = CudaSchedule::two_pass;
  }
  return schedule;
}

CudaSource source_of(const Task& task) { return cuda_source(task, schedule_of(task), kTarget); }

// Undamaged kernels come many times.
const std::string& compile(const std::string& text) {
  static std::map<std::string, std::string> compiled;
  std::string& ptx = compiled[text];
  if (ptx.empty()) ptx = nvrtc_compile(choose_nvrtc(kTarget), text, "kernel.cu", kTarget).ptx;
  return ptx;
}

// What must be found: the instruction begins with `instruction`, the detail holds `detail`.
struct Expected {
  Check check;
  const char* instruction;
  const char* detail;
};

void expect_found(const std::vector<Finding>& findings, const std::string& kernel,
                  const Expected& expected) {
  const auto right = [&](const Finding& f) {
    return f.check == expected.check && f.kernel == kernel && f.line > 0 && f.times > 0 &&
           f.instruction.starts_with(expected.instruction) &&
           f.detail.find(expected.detail) != std::string::npos;
  };
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), right))
      << "expected " << to_string(expected.check) << " in " << kernel << " at '"
      << expected.instruction << "' with '" << expected.detail << "'; found\n"
      << describe(findings);
}

std::string replace_once(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  const bool missing = at == std::string::npos;
  if (missing || text.find(from, at + 1) != std::string::npos) {
    ADD_FAILURE() << "the source has this text " << (missing ? "nowhere" : "more than once")
                  << "; the defect needs another place:\n"
                  << from;
    return text;
  }
  return text.replace(at, from.size(), to);
}

std::vector<Finding> findings_of(const std::vector<vgpu::LaunchResult>& results) {
  std::vector<Finding> all;
  for (const vgpu::LaunchResult& result : results) {
    all.insert(all.end(), result.findings.begin(), result.findings.end());
  }
  return all;
}

// The sample's tensors are allocations 1 (x), 2 (dy) ... in the order of VirtualSample.
std::vector<Finding> run_source(const std::string& text, Sample& sample) {
  sample.reset();
  vgpu::Memory memory(kMemoryBytes);
  vgpu::VirtualSample device(sample, memory);
  const vgpu::Module module(compile(text), memory);
  return findings_of(device.run(module, schedule_of(sample.task()), kMultiprocessors, {}));
}

// `from` stands in the generated source exactly once and becomes `to`.
struct Defect {
  const char* name;
  const char* task;
  const char* from;
  const char* to;
  bool second_pass;  // which of the two kernels it is found in
  Expected expected;
};

void PrintTo(const Defect& defect, std::ostream* out) { *out << defect.name; }

class SeededDefects : public testing::TestWithParam<Defect> {};

// In place: y in x, dx in dy.
TEST_P(SeededDefects, IsFound) {
  SKIP_WITHOUT_NVRTC();
  const Defect& defect = GetParam();
  const Task task = parse_task(defect.task);
  const CudaSource source = source_of(task);
  Sample sample(task, {.rows = kRows, .in_place = true});
  EXPECT_EQ(describe(run_source(source.text, sample)), "") << "the undamaged kernel";
  expect_found(run_source(replace_once(source.text, defect.from, defect.to), sample),
               defect.second_pass ? source.second_pass_symbol : source.symbol, defect.expected);
}

const Defect kDefects[] = {
    {"NoBarrierBeforeTheSums",
     kBackward,
     "  __syncthreads();\n  // kParts threads add",
     "  // kParts threads add",
     false,
     {Check::shared_race, "ld.shared", "with no barrier between"}},
    {"NoBarrierBeforeCellsAreReused",
     kBackward,
     "  __syncthreads();\n  if (pair < kPairs) cells",
     "  if (pair < kPairs) cells",
     false,
     {Check::shared_race, "st.shared", "with no barrier between"}},
    {"NoBarrierBeforeThePartsAreAdded",
     kBackward,
     "  __syncthreads();\n  if (threadIdx.x < kPairs)",
     "  if (threadIdx.x < kPairs)",
     false,
     {Check::shared_race, "ld.shared", "with no barrier between"}},
    {"BarrierInABranch",
     kBackward,
     "  __syncthreads();\n  if (pair < kPairs) cells",
     "  if (threadIdx.x % kParts == 0) __syncthreads();\n  if (pair < kPairs) cells",
     false,
     {Check::divergent_barrier, "bar", "reaches barrier 0"}},
    {"NoBarrierInTheSecondPass",
     kBackward,
     "    __syncthreads();\n    if (threadIdx.x < half)",
     "    if (threadIdx.x < half)",
     true,
     {Check::shared_race, "ld.shared", "with no barrier between"}},
    {"NoBarrierAtTheEndOfTheSecondPass",
     kBackward,
     "  __syncthreads();\n  return sums[0];",
     "  return sums[0];",
     true,
     {Check::shared_race, "ld.shared", "with no barrier between"}},
    {"ThreadsReturnBeforeABarrier",
     kBackward,
     "  double sum = 0;\n#pragma unroll 1",
     "  if (threadIdx.x >= count) return 0;\n  double sum = 0;\n#pragma unroll 1",
     true,
     {Check::uninitialised, "ld.shared", "that nothing wrote"}},
    {"RowsWithoutWorkReturn",
     kBackward,
     "  const unsigned groups = call.groups;\n",
     "  const unsigned groups = call.groups;\n  if (place.group % 4 == 3) return;\n",
     false,
     {Check::uninitialised, "ld.shared", "that nothing wrote"}},
    {"OneRowTooMany",
     kBackward,
     "row < call.rows; ++row",
     "row <= call.rows; ++row",
     false,
     {Check::out_of_bounds, "ld.global.v4", "past allocation 1 ("}},
    {"RequestsPastTheLastGroup",
     kBackward,
     "if (more) {",
     "if (true) {",
     false,
     {Check::out_of_bounds, "ld.global.v4", "past allocation"}},
    {"ForgetsToClearTheSums",
     kBackward,
     "    cells[i * kThreads + cell].high = 0;\n",
     "",
     false,
     {Check::uninitialised, "ld", "that nothing wrote"}},
    {"ForgetsAPartialSum",
     kBackward,
     "if (threadIdx.x < kPairs) {",
     "if (threadIdx.x < kPairs - 1) {",
     true,
     {Check::uninitialised, "ld.global.f64", "(3840 bytes"}},
    {"ThreadsShareACell",
     kBackward,
     "row * kSegmentThreads",
     "row",
     false,
     {Check::shared_race, "st", "with no barrier between"}},
    {"OneTermOfCellsTooFew",
     kBackward,
     "__shared__ Cell cells[kTerms * kThreads];",
     "__shared__ Cell cells[(kTerms - 1) * kThreads];",
     false,
     {Check::out_of_bounds, "st", "there are "}},
    {"PartialSumsOneTooFar",
     kBackward,
     "+ blockIdx.y] = total",
     "+ blockIdx.y + 1] = total",
     false,
     {Check::out_of_bounds, "st.global.f64", "(3840 bytes"}},
    {"NextSegmentsCoefficients",
     kBackward,
     "place.segment = column / kWidth;",
     "place.segment = column / kWidth + 1;",
     false,
     {Check::out_of_bounds, "ld.global.nc", "past allocation 3 (192 bytes"}},
    {"ColumnsOneTooFar",
     kForward,
     "place.column = column;",
     "place.column = column + 1;",
     false,
     {Check::misaligned, "ld.global.v4", "which is no multiple of 16"}},
    {"ReadOnlyLoadInPlace",
     kForward,
     "return *reinterpret_cast<const Pack_f32*>(at);",
     "const float4 v = __ldg(reinterpret_cast<const float4*>(at));\n"
     "  return {v.x, v.y, v.z, v.w};",
     false,
     {Check::read_only, "ld.global.nc", "allocation 1 ("}},
};
INSTANTIATE_TEST_SUITE_P(Text, SeededDefects, testing::ValuesIn(kDefects),
                         [](const auto& defect) { return std::string(defect.param.name); });

// Rows 1.25 GiB apart: the offsets of most of them need more than 32 bits.
constexpr std::int64_t kFar = std::int64_t{5} << 28;
constexpr std::int64_t kFarRows = 8;

std::vector<Finding> run_far_rows(const std::string& text, Sample& sample) {
  sample.reset();
  const Task& task = sample.task();
  const CudaSchedule schedule = schedule_of(task);
  vgpu::Memory memory(kMemoryBytes);
  const std::uint64_t x = memory.allocate(kFarRows * kFar);
  EXPECT_NE(x, 0U) << "the host maps no 10 GiB, not even untouched";
  vgpu::VirtualSample device(sample, memory);
  const vgpu::Module module(compile(text), memory);
  const std::size_t row_bytes = std::size_t(task.problem.channels) * sizeof(float);
  for (std::int64_t row = 0; row < kFarRows; ++row) {
    EXPECT_TRUE(memory.write(x + std::uint64_t(row * kFar),
                             sample.x.data() + std::size_t(row) * row_bytes, row_bytes));
  }
  Call call = device.call();
  call.x = reinterpret_cast<const void*>(x);
  call.x_stride = kFar / std::int64_t(sizeof(float));
  const CudaLaunch launch = cuda_launch(task, schedule, kFarRows, 1, kMultiprocessors);
  const CudaCall argument = cuda_call(task, schedule, launch, call, nullptr);
  const vgpu::LaunchResult result =
      vgpu::launch(module.kernels().at(0), {launch.grid_x, launch.grid_y, 1},
                   {launch.threads, 1, 1}, 0, std::as_bytes(std::span(&argument, 1)), memory, {});
  device.read_back();
  return result.findings;
}

TEST(SeededDefect, Offsets32Bit) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task(kForward);
  const CudaSource source = source_of(task);
  Sample sample(task, {.rows = kFarRows});
  const Reference reference = make_reference(task, sample.call());
  EXPECT_EQ(describe(run_far_rows(source.text, sample)), "") << "the undamaged kernel";
  const TensorErrors errors = compare(task, Schedule(schedule_of(task)), reference, sample.call());
  EXPECT_TRUE(errors.passes()) << errors.why_failed();
  // Row 2 is at -1.5 GiB; row 4 at 1 GiB, between the first two rows.
  expect_found(run_far_rows(replace_once(source.text, "row * stride", "int(row * stride)"), sample),
               source.symbol, {Check::out_of_bounds, "ld.global.v4", "no allocation is near"});
  expect_found(
      run_far_rows(replace_once(source.text, "row * stride", "unsigned(row * stride)"), sample),
      source.symbol,
      {Check::uninitialised, "ld.global.v4",
       "offset 1073741824 of allocation 1 (10737418240 bytes"});
}

// What the plan has the kernel of one column for.
TEST(SeededDefect, VectorsOfAnUnalignedTensor) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task(kForward);
  const CudaSource source = source_of(task);
  Sample sample(task, {.rows = kRows, .misaligned = true});
  EXPECT_FALSE(cuda_vectors_fit(task, schedule_of(task), sample.call()));
  expect_found(run_source(source.text, sample), source.symbol,
               {Check::misaligned, "ld.global.v4", "which is no multiple of 16"});
}

// The workspace is freed after the first of the two launches.
TEST(SeededDefect, WorkspaceFreedTooEarly) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task(kBackward);
  const CudaSource source = source_of(task);
  const CudaSchedule schedule = schedule_of(task);
  for (const bool early : {false, true}) {
    Sample sample(task, {.rows = kRows});
    vgpu::Memory memory(kMemoryBytes);
    vgpu::VirtualSample device(sample, memory);
    const vgpu::Module module(compile(source.text), memory);
    const CudaLaunch launch = cuda_launch(task, schedule, kRows, 1, kMultiprocessors);
    const std::uint64_t partial = memory.allocate(std::size_t(launch.workspace_bytes));
    const CudaCall argument =
        cuda_call(task, schedule, launch, device.call(), reinterpret_cast<double*>(partial));
    const auto bytes = std::as_bytes(std::span(&argument, 1));
    EXPECT_EQ(
        describe(vgpu::launch(*module.kernel(source.symbol), {launch.grid_x, launch.grid_y, 1},
                              {launch.threads, 1, 1}, 0, bytes, memory, {})
                     .findings),
        "");
    if (early) {
      EXPECT_TRUE(memory.free(partial));
    }
    const vgpu::LaunchResult second =
        vgpu::launch(*module.kernel(source.second_pass_symbol), {launch.second_pass_blocks, 1, 1},
                     {launch.second_pass_threads, 1, 1}, 0, bytes, memory, {});
    if (!early) {
      EXPECT_EQ(describe(second.findings), "");
      continue;
    }
    expect_found(second.findings, source.second_pass_symbol,
                 {Check::out_of_bounds, "ld.global.f64", "freed allocation"});
  }
}

// The last block reads what the others wrote: a fence on each side, or nothing orders the two.
TEST(SeededDefect, NoFenceInTheLastBlockSum) {
  SKIP_WITHOUT_NVRTC();
  const Task task = parse_task(kBackward);
  CudaSchedule schedule = schedule_of(task);
  schedule.sums = CudaSchedule::last_block;
  const CudaSource source = cuda_source(task, schedule, kTarget);
  Sample sample(task, {.rows = kRows});
  const auto run = [&](const std::string& text) {
    sample.reset();
    vgpu::Memory memory(kMemoryBytes);
    vgpu::VirtualSample device(sample, memory);
    const vgpu::Module module(compile(text), memory);
    return findings_of(device.run(module, schedule, kMultiprocessors, {}));
  };
  EXPECT_EQ(describe(run(source.text)), "") << "the undamaged kernel";
  const Expected race = {Check::global_race, "ld.global", "nothing orders them"};
  expect_found(run(replace_once(source.text, "  __threadfence();\n  __syncthreads();\n",
                                "  __syncthreads();\n")),
               source.symbol, race);
  expect_found(run(replace_once(source.text, "  if (last) __threadfence();\n", "")), source.symbol,
               race);
}

// Sums of a warp, whose absent lanes the generated kernels never name.
constexpr const char* kWarpSum = R"(
extern "C" __global__ void warp_sum(const float* x, float* total, unsigned n) {
  float sum = 0;
  if (threadIdx.x < n) sum = x[threadIdx.x];
  for (int other = 16; other > 0; other /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, other);
  if (threadIdx.x == 0) *total = sum;
}
)";

TEST(SeededDefect, ShuffleWithAbsentLanes) {
  SKIP_WITHOUT_NVRTC();
  const std::string damaged =
      replace_once(kWarpSum, "if (threadIdx.x < n) sum", "if (threadIdx.x >= n) return;\n  sum");
  const std::vector<float> x(20, 1.5F);
  const auto run = [&](const std::string& text) {
    vgpu::PtxRun warp(compile(text));
    const std::uint64_t total = warp.upload(std::vector<float>(1));
    return warp.run({warp.upload(x), total, x.size()}, {1, 1, 1}, {32, 1, 1}).findings;
  };
  EXPECT_EQ(describe(run(kWarpSum)), "") << "the undamaged kernel";
  expect_found(run(damaged), "warp_sum", {Check::bad_shuffle, "shfl.sync", "0x000fffff"});
}

}  // namespace
}  // namespace grkan
