// PTX text: what is read, and what is refused, with its line.
#include <gtest/gtest.h>

#include <string>

#include "core/error.h"
#include "virtual_gpu/machine/module.h"
#include "virtual_gpu/ptx/program.h"
#include "virtual_gpu/ptx/ptx.h"

namespace grkan::vgpu {
namespace {

constexpr const char* kHead = ".version 9.0\n.target sm_90\n.address_size 64\n";  // lines 1 to 3

std::string in_kernel(const std::string& body) {
  return std::string(kHead) + ".visible .entry k(.param .u64 p)\n{\n" + body + "\nret;\n}\n";
}

std::string error_of(const std::string& ptx) {
  Memory memory(1 << 20);
  std::string message = "no error";
  try {
    const Module module(ptx, memory);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::compile_failed);
    message = error.what();
  }
  EXPECT_EQ(memory.used(), 0U) << "a module that failed keeps memory";
  return message;
}

TEST(PtxParser, ReadsAModule) {
  Memory memory(1 << 20);
  const Module module(std::string(kHead) +
                          "// a comment\n/* another\n one */ .file 1 \"a.cu\"\n"
                          ".global .align 4 .u32 table[3] = {1, 0x2, 3U};\n"
                          ".const .align 8 .u64 pointer = table;\n"
                          ".visible .entry k(\n.param .u32 a,\n.param .align 8 .b8 b[20],\n"
                          ".param .u64 .ptr .global .align 16 c)\n.maxntid 64, 2, 1\n"
                          ".minnctapersm 3\n{\n.reg .pred %p<2>;\n.reg .b32 %r<3>, %q;\n"
                          ".shared .align 16 .b8 s[100];\n.loc 1 2 3\n$L:\n"
                          "mov.u32 %r1, s;\n@!%p1 bra $L;\nret;\n}\n",
                      memory);
  EXPECT_EQ(module.ptx_version(), 90);
  EXPECT_EQ(module.target(), 90);
  ASSERT_EQ(module.kernels().size(), 1U);
  const ModuleKernel& k = module.kernels()[0];
  EXPECT_EQ(module.kernel("k"), &k);
  EXPECT_EQ(module.kernel("none"), nullptr);
  ASSERT_EQ(k.parameters.size(), 3U);
  EXPECT_EQ(k.parameters[1].offset, 8U);
  EXPECT_EQ(k.parameters[1].size, 20U);
  EXPECT_EQ(k.parameters[2].offset, 32U);
  EXPECT_EQ(k.parameter_bytes, 40U);
  EXPECT_EQ(k.max_threads, 128);
  EXPECT_EQ(k.min_blocks, 3);
  EXPECT_EQ(k.shared_bytes, 112U);
  ASSERT_EQ(module.globals().size(), 2U);
  std::uint32_t values[3];
  ASSERT_TRUE(memory.read(values, module.globals()[0].address, sizeof(values)));
  EXPECT_EQ(values[1], 2U);
  std::uint64_t address = 0;
  ASSERT_TRUE(memory.read(&address, module.globals()[1].address, sizeof(address)));
  EXPECT_EQ(address, module.globals()[0].address);
}

TEST(PtxParser, ScopesHideNamesAndLabels) {
  const PtxModule tree =
      parse_ptx(in_kernel(".reg .b32 %r<2>;\n{ .reg .b64 %r1; L: mov.u64 %r1, 1; bra L; }\n"
                          "{ L: mov.u32 %r1, 2; }"));
  const PtxFunction& f = tree.functions.at(0);
  EXPECT_EQ(f.registers.at(std::size_t(f.body.at(0).operands.at(0).index)).type, PtxType::b64);
  EXPECT_EQ(f.registers.at(std::size_t(f.body.at(2).operands.at(0).index)).type, PtxType::b32);
  EXPECT_EQ(f.labels.size(), 2U);
}

TEST(PtxParser, RefusesWithTheLine) {
  struct Case {
    std::string ptx;
    const char* message;
  };
  const std::string registers =
      ".reg .b32 %r<4>;\n.reg .f32 %f<4>;\n.reg .b64 %d<2>;\n"
      ".reg .pred %p<2>;\n";  // lines 6 to 9
  const auto body = [&](const std::string& text) { return in_kernel(registers + text); };
  const Case cases[] = {
      {"", "line 1: PTX begins with .version"},
      {".version x", "line 1: expected a version as 9.0"},
      {std::string(kHead) + ".bogus", "line 4: unknown directive '.bogus'"},
      {".version 9.0\n.target sm_90\n.address_size 32", "an address size of 32"},
      {std::string(kHead) + ".extern .global .u32 x;", "'x' is external"},
      {std::string(kHead) + ".visible .entry k() .strange 3 {", "unknown directive '.strange'"},
      {body("add.s32 %r1, %r2"), "line 11: expected ',', found 'ret'"},
      {body("wgmma.mma_async.sync.aligned %r1;"), "line 10: unknown instruction 'wgmma.mma_async"},
      {body("\n\nadd.s31 %r1, %r2, %r3;"), "line 12: unknown instruction 'add.s31'"},
      {body("add.rn.wild.f32 %f1, %f2, %f3;"), "line 10: unknown modifier '.wild'"},
      {body("ld.global.odd.b32 %r1, [%d1];"), "unknown modifier '.odd'"},
      {body("add.s32 %r1, %r2;"), "expected 3 operands, found 2"},
      {body("add.s32 %r1, %d1, %r2;"), "'%d1' is not a register of 4 bytes"},
      {body("add.s32 %r1, %nothing, %r2;"), "unknown name '%nothing'"},
      {body("bra NOWHERE;"), "line 10: no label 'NOWHERE'"},
      {body("@%r1 bra A; A:"), "'%r1' is no predicate"},
      {body("L: L: mov.u32 %r1, 1;"), "the label 'L' stands twice"},
      {body(".reg .b32 %r1;"), "the register '%r1' is declared twice"},
      {body("call foo, (%r1);"), "nothing defines the function 'foo'"},
      {body("cvt.f32.f64 %f1, %d1;"), "unknown instruction 'cvt.f32.f64'"},
      {body("shfl.up.b32 %r1, %r2, 1, 0;"), "unknown instruction 'shfl.up.b32'"},
      {body("atom.global.add.s8 %r1, [%d1], %r2;"), "unknown"},
      {body("ld.global.v4.f64 {%d1, %d1}, [%d1];"), "expected a vector of 4 registers"},
      {body("/* never ends"), "a comment that nothing ends"},
      {body("mov.u32 %r1, 12q;"), "expected a number, found '12q'"},
      {std::string(kHead) + ".visible .entry k()\n{\nret;\n", "expected '}', found 'the end'"},
  };
  for (const Case& one : cases) {
    const std::string message = error_of(one.ptx);
    EXPECT_NE(message.find(one.message), std::string::npos) << message << "\n for " << one.ptx;
  }
}

// Cut or damaged text ends in an error or a module, never in anything else.
TEST(PtxParser, DamagedText) {
  const std::string whole = in_kernel(
      ".reg .b32 %r<4>;\n.reg .b64 %d<2>;\n.reg .pred %p;\nld.param.u64 %d1, [p];\n"
      "ld.global.v2.b32 {%r1, %r2}, [%d1+8];\nsetp.eq.s32 %p, %r1, -1;\n@%p bra E;\n"
      "shfl.sync.down.b32 %r3|%p, %r1, 1, 31, -1;\nred.global.add.u32 [%d1], %r3;\nE: bar.sync 0;");
  EXPECT_EQ(error_of(whole), "no error");
  std::uint64_t random = 1;
  for (std::size_t n = 0; n < 3000; ++n) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    std::string text = whole;
    const std::size_t at = (random >> 33) % text.size();
    if (n % 3 == 0) {
      text.resize(at);
    } else if (n % 3 == 1) {
      text[at] = " ;,.[]{}()%0a\n"[random >> 20 & 13];
    } else {
      text.erase(at, 1 + (random >> 20 & 15));
    }
    Memory memory(1 << 20);
    try {
      const Module module(text, memory);
    } catch (const Error&) {
      continue;
    }
  }
}

}  // namespace
}  // namespace grkan::vgpu
