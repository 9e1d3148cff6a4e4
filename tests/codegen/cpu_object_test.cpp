// CPU objects: no undefined symbol for any target, the stages, the errors, the time they take.
#include <elf.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "codegen/compiler.h"
#include "core/error.h"
#include "tests/support/cpu_run.h"

namespace grkan {
namespace {

constexpr const char* kTargets[] = {"x86-64-v3", "x86-64-v4", "znver4", "aarch64"};

// What an object's symbols and relocations need; for objects that LLVM wrote.
struct Needs {
  std::vector<std::string> undefined;
  std::set<std::uint32_t> relocations;
};

Needs needs_of(const std::string& object) {
  Needs needs;
  const auto at = [&](auto& value, std::uint64_t offset) {
    std::memcpy(&value, object.data() + offset, sizeof(value));
  };
  Elf64_Ehdr header;
  at(header, 0);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    at(sections[i], header.e_shoff + i * sizeof(Elf64_Shdr));
  }
  for (const Elf64_Shdr& section : sections) {
    for (std::uint64_t i = 1; section.sh_type == SHT_SYMTAB && i * 24 < section.sh_size; ++i) {
      Elf64_Sym symbol;
      at(symbol, section.sh_offset + i * sizeof(symbol));
      if (symbol.st_shndx != SHN_UNDEF) continue;
      needs.undefined.emplace_back(object.data() + sections[section.sh_link].sh_offset +
                                   symbol.st_name);
    }
    for (std::uint64_t i = 0; section.sh_type == SHT_RELA && i * 24 < section.sh_size; ++i) {
      Elf64_Rela relocation;
      at(relocation, section.sh_offset + i * sizeof(relocation));
      needs.relocations.insert(std::uint32_t(ELF64_R_TYPE(relocation.r_info)));
    }
  }
  return needs;
}

TEST(CpuObject, NoUndefinedSymbolOnAnyTarget) {
  RandomCases random(20261123);
  for (int i = 0; i < 40; ++i) {
    for (const char* name : kTargets) {
      const Target target{name};
      const Task task = random.task();
      const CpuSchedule schedule = random.schedule(task, target);
      const Binary binary = compile_cpu(task, schedule, target);
      const Needs needs = needs_of(binary.code);
      EXPECT_TRUE(needs.undefined.empty())
          << name << " " << to_string(task) << " " << to_string(Schedule(schedule)) << " needs "
          << needs.undefined.front();
    }
  }
}

// Scalars and pairs are where conversions become library calls.
TEST(CpuObject, NarrowConversionsCallNothing) {
  for (const char* name : kTargets) {
    for (const char* types : {"f16", "bf16", "f32:f16", "f32:bf16", "f16:f32", "bf16:f32"}) {
      for (const int vector : {1, 2, 4, 8, 16}) {
        const Problem problem = parse_problem(fmt::format("p1q1-A-c33-g1-{}-last", types));
        CpuSchedule schedule;
        schedule.vector = vector;
        const Binary forward = compile_cpu(forward_task(problem), schedule, Target{name});
        EXPECT_TRUE(needs_of(forward.code).undefined.empty()) << name << types << vector;
        const Task dx = backward_task(problem, {true, false, false});
        const Binary backward = compile_cpu(dx, schedule, Target{name});
        EXPECT_TRUE(needs_of(backward.code).undefined.empty()) << name << types << vector;
      }
    }
  }
}

TEST(CpuObject, BinaryTellsWhatItIs) {
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  const Target target{"x86-64-v3"};
  const auto schedule = CpuSchedule(parse_schedule("v8_u1_r4_bcast_cached", target));
  const Binary binary = compile_cpu(task, schedule, target);
  EXPECT_EQ(binary.task, task);
  EXPECT_EQ(binary.compiled_schedule, "v8_u1_r4_bcast_cached");
  EXPECT_EQ(binary.target, target);
  EXPECT_TRUE(binary.compiler.starts_with("llvm 22.")) << binary.compiler;
  EXPECT_EQ(binary.source_hash.size(), 32U);
  ASSERT_EQ(binary.kernels.size(), 1U);
  EXPECT_EQ(binary.kernels[0].symbol, "grkan_fwd_p5q4_A_c768_g8_f32_last__v8_u1_r4_bcast_cached");
  EXPECT_GT(binary.kernels[0].code_bytes, 100);
  EXPECT_LT(binary.kernels[0].code_bytes, 2000);
  EXPECT_TRUE(binary.ptx.empty());
  EXPECT_EQ(compile_cpu(task, schedule, target), binary) << "the same bytes every time";
  EXPECT_NE(compile_cpu(task, schedule, Target{"x86-64-v4"}).source_hash, binary.source_hash);
}

TEST(CpuObject, EmitsEveryStage) {
  const Task task = parse_task("backward.dx.da.db/p5q4-A-c768-g8-f32-last");
  const Target target{"x86-64-v3"};
  const auto schedule = CpuSchedule(parse_schedule("v8_u1_r4_bcast_run64_split_nt", target));
  const auto has = [&](std::string_view stage, std::string_view word) {
    return emit_cpu(task, schedule, target, stage).find(word) != std::string::npos;
  };
  EXPECT_TRUE(has("mlir", "scf.for"));
  EXPECT_TRUE(has("mlir", "%dx = math.fma"));
  EXPECT_TRUE(has("mlir", "vector<8xf32>"));
  EXPECT_TRUE(has("llvm", "call <8 x float> @llvm.fma.v8f32"));
  EXPECT_TRUE(has("llvm", "!nontemporal"));
  EXPECT_TRUE(has("asm", "vfmadd"));
  EXPECT_TRUE(has("asm", "vmovntp"));
  EXPECT_TRUE(has("asm", "sfence"));
  EXPECT_FALSE(has("asm", "call"));
  EXPECT_EQ(emit_cpu(task, schedule, target, "schedule"),
            "v8_u1_r4_bcast_run64_split_nt@slice256\n");
}

// 512-bit vectors stay whole, division is the processor's, and a product stays apart from the sum
// that it is added to: da_0 += w with w = dy r.
TEST(CpuObject, ArithmeticIsAsWritten) {
  const Task task = parse_task("backward.da/p0q1-A-c64-g1-f32-last");
  const Target target{"x86-64-v4"};
  const auto schedule = CpuSchedule(parse_schedule("v16_u1_r1_bcast_run32_fused_cached", target));
  const std::string assembly = emit_cpu(task, schedule, target, "asm");
  EXPECT_NE(assembly.find("vmulps"), std::string::npos) << assembly;
  EXPECT_NE(assembly.find("vaddps"), std::string::npos) << assembly;
  EXPECT_NE(assembly.find("vdivps"), std::string::npos) << assembly;
  EXPECT_NE(assembly.find("%zmm"), std::string::npos) << assembly;
  EXPECT_EQ(assembly.find("vrcp"), std::string::npos) << assembly;
}

template <class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(e.status(), Status::invalid_argument);
    return e.what();
  }
  return "no error";
}

TEST(CpuObject, RefusesWhatIsIllegal) {
  const Task task = parse_task("forward/p5q4-A-c768-g8-f32-last");
  CpuSchedule schedule;
  schedule.vector = 3;
  EXPECT_EQ(message_of([&] { compile_cpu(task, schedule, Target{"x86-64-v3"}); }),
            "schedule v3_u1_r4_bcast_cached@slice256 is illegal for "
            "forward/p5q4-A-c768-g8-f32-last: vector 3 is not 1, 2, 4, 8 or 16");
  schedule.vector = 8;
  EXPECT_EQ(message_of([&] { compile_cpu(task, schedule, Target{"sm_90"}); }),
            "target sm_90 is not a CPU");
  EXPECT_EQ(message_of([&] { emit_cpu(task, schedule, Target{"x86-64-v3"}, "ptx"); }),
            "unknown stage 'ptx' of a CPU kernel; use mlir, llvm, asm or schedule");
}

TEST(CpuObject, ThreadsCompileAtOnce) {
  const Task task = parse_task("backward.dx.da.db/p3q3-A-c96-g8-f32-last");
  const Target target{"x86-64-v3"};
  const auto schedule = CpuSchedule(parse_schedule("v8_u1_r4_bcast_run64_split_cached", target));
  const std::string expected = compile_cpu(task, schedule, target).code;
  std::vector<std::thread> threads;
  std::vector<std::string> codes(4);
  for (std::string& code : codes) {
    threads.emplace_back([&] { code = compile_cpu(task, schedule, target).code; });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& code : codes) EXPECT_TRUE(code == expected);
}

}  // namespace
}  // namespace grkan
