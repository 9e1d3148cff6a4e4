// Counting instructions: the parsers and loops on small texts, the figures on real kernels.
#include "codegen/cuda/sass.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "codegen/compiler.h"
#include "codegen/cuda/nvrtc.h"
#include "core/error.h"
#include "cuda/schedule.h"

namespace grkan {
namespace {

constexpr const char* kSass = R"(
//--------------------- .text.kernel --------------------------
	.section	.text.kernel,"ax",@progbits
	.sectioninfo	@"SHI_REGISTERS=40"
kernel:
.text.kernel:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/               @P0 BRA `(.L_x_2) ;
.L_x_0:
        /*0020*/                   FADD R2, R3, R4 ;
.L_x_1:
        /*0030*/                   FFMA.FTZ R2, R3, R4, R5 ;
        /*0040*/              @!P1 BRA `(.L_x_1) ;
        /*0050*/               @P2 BRA `(.L_x_0) ;
.L_x_2:
        /*0060*/                   EXIT ;
.L_x_3:
        /*0070*/                   BRA `(.L_x_3);
)";

TEST(Sass, ParsesInstructionsAndBranches) {
  const std::vector<Code> kernels = parse_sass(kSass);
  ASSERT_EQ(kernels.size(), 1U);
  const Code& code = kernels.front();
  EXPECT_EQ(code.symbol, "kernel");
  ASSERT_EQ(code.instructions.size(), 8U);
  EXPECT_EQ(code.instructions[3].opcode, "FFMA.FTZ");
  EXPECT_EQ(code.instructions[4].flow, Flow::branch);
  EXPECT_TRUE(code.instructions[4].predicated);
  EXPECT_EQ(code.instructions[4].target, 3);
  EXPECT_EQ(code.instructions[1].target, 6);
}

TEST(Sass, FindsLoopsAndTheirNesting) {
  const std::vector<CodeLoop> loops = find_loops(parse_sass(kSass).front());
  EXPECT_EQ(loops, (std::vector<CodeLoop>{{2, 5, -1}, {3, 4, 0}}));
}

TEST(Sass, ParsesPtx) {
  const std::vector<Code> kernels = parse_ptx(
      ".visible .entry kernel(\n\t.param .u64 p\n)\n{\n\t.reg .pred %p<2>;\n"
      "\tmov.u32 %r1, 0;  // a comment\n$L__BB0_1:\n\tadd.s32 %r1, %r1, 1;\n"
      "\t@%p1 bra $L__BB0_1;\n\tret;\n}\n");
  ASSERT_EQ(kernels.size(), 1U);
  ASSERT_EQ(kernels[0].instructions.size(), 4U);
  EXPECT_EQ(find_loops(kernels[0]), (std::vector<CodeLoop>{{1, 2, -1}}));
}

TEST(Sass, JunkIsNoKernel) {
  EXPECT_TRUE(parse_sass("").empty());
  EXPECT_TRUE(parse_sass("\x7f"
                         "ELF\n/*0000*/ ;\n`(")
                  .empty());
  EXPECT_TRUE(parse_ptx("bra $x;\n@\n").empty());
}

TEST(Sass, MissingDisassemblerIsAReasonNotAFailure) {
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  const char* kept = std::getenv("GRKAN_NVDISASM");
  const std::string before = kept != nullptr ? kept : "";
  setenv("GRKAN_NVDISASM", "/nowhere/nvdisasm", 1);
  const Task task = parse_task("forward/p5q4-A-c192-g8-f32-last");
  const Target target{"sm_90"};
  const auto schedule = CudaSchedule(default_schedule(task, target, 25216));
  const nlohmann::json json =
      count_instructions(compile_cuda(task, schedule, target), schedule, 25216, 1, 132);
  EXPECT_TRUE(json["instructions_per_element"]["sass"].is_null());
  EXPECT_GT(json["instructions_per_element"]["ptx"], 10);
  EXPECT_NE(json["why"].get<std::string>().find("/nowhere/nvdisasm"), std::string::npos);
  EXPECT_THROW(disassemble("x"), Error);
  setenv("GRKAN_NVDISASM", "/bin/false", 1);
  EXPECT_THROW(disassemble("x"), Error);
  kept != nullptr ? setenv("GRKAN_NVDISASM", before.c_str(), 1) : unsetenv("GRKAN_NVDISASM");
}

// Every way of adding sums is counted, by its PTX where the machine code's loops are others; a
// kernel that takes a row at a time has two branches back to one place.
TEST(Sass, EveryKindOfSumIsCounted) {
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g1x8-f32-last");
  const Target target{"sm_90"};
  for (const char* text :
       {"v4_r2_x48_y4_newton_run16_twopass@blocks4", "v4_r1_x48_y4_newton_run16_twopass@blocks4",
        "v4_r2_x48_y4_newton_run16_lastblock@blocks4",
        "v2_r1_x96_y2_newton_run16_lastblock@blocks4",
        "v4_r2_x48_y4_newton_run16_blockatomics@blocks4"}) {
    const auto schedule = CudaSchedule(parse_schedule(text, target));
    const nlohmann::json json =
        count_instructions(compile_cuda(task, schedule, target), schedule, 25216, 1, 132);
    ASSERT_FALSE(json["launches"].is_null()) << text << ": " << json.dump();
    double warps = 0;
    for (const auto& [opcode, count] : json["launches"][0]["opcodes"].items()) {
      warps += double(count);
    }
    // A column of its own takes more of what is not arithmetic.
    EXPECT_GT(warps * 32 / (25216.0 * 768), 41) << text;
    EXPECT_LT(warps * 32 / (25216.0 * 768), 70) << text;
  }
}

TEST(Sass, BranchesToOnePlaceAreOneLoopOrTwo) {
  const std::vector<Code> code = parse_ptx(R"(
.visible .entry k(
$L:
  add.s32 %r1, %r1, 1;
  @%p1 bra $L;
  add.s32 %r2, %r2, 1;
  @%p2 bra $L;
  ret;
)");
  ASSERT_EQ(code.size(), 1U);
  EXPECT_EQ(find_loops(code[0]), (std::vector<CodeLoop>{{0, 3, -1}}));
  EXPECT_EQ(find_loops(code[0], true), (std::vector<CodeLoop>{{0, 3, -1}, {0, 1, 0}}));
}

// The promise of the generated kernels, at 25,216 rows on 132 multiprocessors.
TEST(Sass, InstructionsAnElementStayWithinTheirBudget) {
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine";
  const std::vector<const char*> targets =
      std::getenv("GRKAN_LONG") != nullptr
          ? std::vector{"sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"}
          : std::vector{"sm_80", "sm_90", "sm_100"};
  for (const char* name : targets) {
    for (const int channels : {192, 768, 3072}) {
      for (const char* direction : {"forward", "backward.dx.da.db"}) {
        const Task task = parse_task(fmt::format("{}/p5q4-A-c{}-g8-f32-last", direction, channels));
        const Target target{name};
        const auto schedule = CudaSchedule(default_schedule(task, target, 25216));
        const nlohmann::json json =
            count_instructions(compile_cuda(task, schedule, target), schedule, 25216, 1, 132);
        if (json["instructions_per_element"]["sass"].is_null() &&
            json["why"].get<std::string>().starts_with("nvdisasm not found")) {
          GTEST_SKIP() << "SKIP: " << json["why"];
        }
        if (json["instructions_per_element"]["sass"].is_null()) {
          // Known: its loops are not those of the source, so that only the PTX is counted.
          EXPECT_TRUE(target.name == "sm_75" && task.backward()) << json.dump();
          continue;
        }
        const double sass = json["instructions_per_element"]["sass"].get<double>();
        const bool packed = schedule.packed != 0;
        // Of 192 channels threads get 12 rows, and spend more of their time on start and end.
        const double more = channels == 192 ? (task.backward() ? 2 : packed ? 0.1 : 0.7) : 0;
        EXPECT_LE(sass, (task.backward() ? (packed ? 33 : 46) : (packed ? 12 : 17)) + more)
            << json.dump();
        // Fewer than the arithmetic of the formula: the count is wrong.
        EXPECT_GT(sass, task.backward() ? (packed ? 20 : 38) : (packed ? 7 : 13)) << json.dump();
        EXPECT_EQ(json["atomics_per_element"], 0.0) << to_string(task);
        // The same, launch by launch.
        ASSERT_EQ(json["launches"].size(), task.backward() ? 2U : 1U);
        double warps = 0;
        for (const nlohmann::json& launch : json["launches"]) {
          EXPECT_EQ(launch["counted"], "sass");
          EXPECT_GT(launch["registers"], 0);
          for (const auto& [opcode, count] : launch["opcodes"].items()) warps += double(count);
        }
        EXPECT_NEAR(warps * 32 / (25216.0 * channels), sass, 1e-9 * sass);
        std::printf("%s %s %.1f\n", name, to_string(task).c_str(), sass);
      }
    }
  }
}

}  // namespace
}  // namespace grkan
