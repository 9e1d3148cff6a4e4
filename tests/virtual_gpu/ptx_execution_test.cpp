// Control, memory and threads: hand-written PTX and CUDA C++ against plain C++; each check seen to
// fire on a defect and to be silent on the program without it.
#include <gtest/gtest.h>

#include <numeric>
#include <tuple>

#include "codegen/cuda/nvrtc.h"
#include "tests/virtual_gpu/ptx_run.h"

namespace grkan::vgpu {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

// Addresses of element tid: %d0 in parameter 0, %d1 in parameter 1.
const std::string kAddresses =
    "mul.wide.u32 %d9, %r29, 4;\nadd.u64 %d0, %d20, %d9;\nadd.u64 %d1, %d21, %d9;\n";

std::vector<Check> checks_of(const LaunchResult& result) {
  std::vector<Check> checks;
  for (const Finding& f : result.findings) checks.push_back(f.check);
  return checks;
}

std::vector<u32> counting(std::size_t n) {
  std::vector<u32> values(n);
  std::iota(values.begin(), values.end(), 0U);
  return values;
}

TEST(PtxExecution, DivergentLoopsMeetAgain) {
  // Thread t runs t % 7 rounds; then all vote.
  PtxRun run(ptx_kernel(kAddresses + R"(
    rem.u32 %r1, %r29, 7;
    mov.u32 %r2, 0;
  LOOP:
    setp.ge.u32 %p1, %r2, %r1;
    @%p1 bra DONE;
    add.u32 %r2, %r2, 1;
    bra LOOP;
  DONE:
    activemask.b32 %r3;
    st.global.u32 [%d0], %r2;
    st.global.u32 [%d1], %r3;)",
                        2));
  const u64 out = run.upload(std::vector<u32>(64));
  const u64 masks = run.upload(std::vector<u32>(64));
  const LaunchResult result = run.run({out, masks}, {1, 1, 1}, {64, 1, 1});
  EXPECT_TRUE(result.findings.empty());
  for (u32 t = 0; t < 64; ++t) EXPECT_EQ(run.download<u32>(out, 64)[t], t % 7);
  for (const u32 mask : run.download<u32>(masks, 64)) EXPECT_EQ(mask, 0xFFFFFFFFU);
  EXPECT_LT(result.counts.instructions, 32 * result.counts.warp_instructions);
}

TEST(PtxExecution, FunctionsAndTables) {
  const std::string twice = R"(
  .func (.param .b32 r) add_or_twice(.param .b32 a, .param .b64 b) {
    .reg .b32 %x<4>; .reg .b64 %y; .reg .pred %q;
    ld.param.b32 %x1, [a]; ld.param.b64 %y, [b]; cvt.u32.u64 %x2, %y;
    and.b32 %x3, %x1, 1; setp.eq.u32 %q, %x3, 0;
    @%q bra EVEN;
    add.u32 %x1, %x1, %x2; st.param.b32 [r], %x1; ret;
  EVEN: shl.b32 %x1, %x1, 1; st.param.b32 [r], %x1; ret;
  })";
  PtxRun run(ptx_kernel(kAddresses + R"(
    and.b32 %r1, %r29, 3;
    T: .branchtargets A, B, A;
    setp.gt.u32 %p1, %r1, 2;
    @%p1 bra C;
    brx.idx %r1, T;
  A: mov.u32 %r2, 100; bra CALL;
  B: mov.u32 %r2, 200; bra CALL;
  C: mov.u32 %r2, 300;
  CALL: { .param .b32 p0; .param .b64 p1; .param .b32 r0; .reg .b64 %z;
    cvt.u64.u32 %z, %r2;
    st.param.b32 [p0], %r29; st.param.b64 [p1], %z;
    call.uni (r0), add_or_twice, (p0, p1);
    ld.param.b32 %r3, [r0]; }
    st.global.u32 [%d0], %r3;)",
                        2, twice));
  const u64 out = run.upload(std::vector<u32>(64));
  EXPECT_TRUE(run.run({out, out}, {1, 1, 1}, {64, 1, 1}).findings.empty());
  constexpr u32 kAdded[] = {100, 200, 100, 300};
  for (u32 t = 0; t < 64; ++t) {
    EXPECT_EQ(run.download<u32>(out, 64)[t], t % 2 == 0 ? 2 * t : t + kAdded[t % 4]);
  }
}

TEST(PtxExecution, ShufflesAndVotes) {
  PtxRun run(ptx_kernel(kAddresses + R"(
    ld.global.u32 %r1, [%d1];
    shfl.sync.bfly.b32 %r2, %r1, 5, 31, -1;
    shfl.sync.up.b32 %r3|%p1, %r1, 3, 0, -1;
    shfl.sync.down.b32 %r4, %r1, 2, 0x181f, -1;
    shfl.sync.idx.b32 %r1, %r1, 9, 31, -1;
    selp.u32 %r5, 1, 0, %p1;
    setp.gt.u32 %p2, %r29, 11;
    vote.sync.ballot.b32 %r6, %p2, -1;
    and.b32 %r7, %r29, 3;
    match.any.sync.b32 %r8, %r7, -1;
    redux.sync.add.s32 %r9, %r29, -1;
    add.u64 %d2, %d20, 128; add.u64 %d2, %d2, %d9;
    st.global.u32 [%d0], %r2; st.global.u32 [%d0+128], %r3; st.global.u32 [%d0+256], %r4;
    st.global.u32 [%d0+384], %r1; st.global.u32 [%d0+512], %r5; st.global.u32 [%d0+640], %r6;
    st.global.u32 [%d0+768], %r8; st.global.u32 [%d0+896], %r9;)",
                        2));
  const u64 out = run.upload(std::vector<u32>(256));
  const u64 in = run.upload(counting(32));
  const LaunchResult result = run.run({out, in}, {1, 1, 1}, {32, 1, 1});
  EXPECT_TRUE(result.findings.empty());
  const std::vector<u32> found = run.download<u32>(out, 256);
  for (u32 t = 0; t < 32; ++t) {
    EXPECT_EQ(found[t], t ^ 5);
    EXPECT_EQ(found[32 + t], t < 3 ? t : t - 3);
    EXPECT_EQ(found[64 + t], t % 8 + 2 < 8 ? t + 2 : t);  // segments of 8
    EXPECT_EQ(found[96 + t], 9U);
    EXPECT_EQ(found[128 + t], t < 3 ? 0U : 1U);
    EXPECT_EQ(found[160 + t], 0xFFFFF000U);
    EXPECT_EQ(found[192 + t], 0x11111111U << t % 4);
    EXPECT_EQ(found[224 + t], 496U);
  }
}

TEST(PtxExecution, Atomics) {
  PtxRun run(ptx_kernel(kAddresses + R"(
    atom.global.add.u32 %r1, [%d20], 2;
    st.global.u32 [%d1], %r1;
    red.global.max.s32 [%d20+4], %r29;
    red.global.min.s32 [%d20+8], %r29;
    red.global.or.b32 [%d20+12], %r29;
    atom.global.inc.u32 %r2, [%d20+16], 9;
    mov.f32 %f1, 0f3F000000;
    red.global.add.f32 [%d20+20], %f1;
    mov.f64 %g1, 0d3FD0000000000000;
    red.global.add.f64 [%d20+24], %g1;
    mov.b32 %r3, 0x3C004000;
    red.global.add.noftz.f16x2 [%d20+32], %r3;
    atom.global.cas.b32 %r4, [%d20+36], 7, 8;
    atom.global.exch.b64 %d5, [%d20+40], 5;)",
                        2));
  std::vector<u32> start(12);
  start[2] = 1000;
  start[9] = 7;
  const u64 out = run.upload(start);
  const u64 old = run.upload(std::vector<u32>(96));
  LaunchOptions options;
  options.seed = 3;
  const LaunchResult result = run.run({out, old}, {1, 1, 1}, {96, 1, 1}, options);
  EXPECT_TRUE(result.findings.empty());
  const std::vector<u32> found = run.download<u32>(out, 12);
  EXPECT_EQ(found[0], 192U);
  EXPECT_EQ(found[1], 95U);
  EXPECT_EQ(found[2], 0U);
  EXPECT_EQ(found[3], 127U);
  EXPECT_EQ(found[4], 6U);  // 96 times modulo 10
  EXPECT_EQ(std::bit_cast<float>(found[5]), 48.0F);
  EXPECT_EQ(run.download<double>(out + 24, 1)[0], 24.0);
  EXPECT_EQ(found[8], 0x56005A00U);  // 96 and 192
  EXPECT_EQ(found[9], 8U);
  EXPECT_EQ(found[10], 5U);
  std::vector<u32> olds = run.download<u32>(old, 96);
  std::sort(olds.begin(), olds.end());
  for (u32 t = 0; t < 96; ++t) EXPECT_EQ(olds[t], 2 * t);
  EXPECT_EQ(result.counts.atomics, 96U * 10);
  EXPECT_EQ(result.counts.most_atomics, 96U);
  EXPECT_EQ(result.counts.atomic_addresses, 10U);
  EXPECT_EQ(result.counts.atomic_passes, 96U * 10);
}

TEST(PtxExecution, PassesOfAtomics) {
  // A warp at each of 32 words, twice at each of 16, at one of another line; half a warp at one.
  PtxRun run(ptx_kernel(kAddresses + R"(
    red.global.add.u32 [%d0], 1;
    shr.u32 %r1, %r29, 1;
    mul.wide.u32 %d2, %r1, 4;
    add.u64 %d2, %d20, %d2;
    red.global.add.u32 [%d2], 1;
    red.global.add.u32 [%d20+128], 1;
    setp.lt.u32 %p1, %r29, 16;
    @%p1 red.global.add.u32 [%d20], 1;)",
                        1));
  const u64 out = run.upload(std::vector<u32>(64));
  ASSERT_EQ(out % 128, 0U);
  const LaunchResult result = run.run({out}, {1, 1, 1}, {32, 1, 1});
  EXPECT_TRUE(result.findings.empty());
  EXPECT_EQ(result.counts.atomics, 32U * 3 + 16);
  EXPECT_EQ(result.counts.atomic_passes, 4U + 2 * 2 + 32 + 16);
  EXPECT_EQ(result.counts.most_line_passes, 32U);  // the other line has 24
}

// Each thread of 64 writes shared[t] and reads shared[63 - t].
std::string exchange_kernel(const char* barrier) {
  return ptx_kernel(kAddresses + ".shared .align 4 .b8 s[256];\n" + R"(
    mov.u32 %r1, s; shl.b32 %r2, %r29, 2; add.u32 %r3, %r1, %r2; sub.u32 %r4, %r1, %r2;
    st.shared.u32 [%r3], %r29;
    )" + barrier + R"(
    ld.shared.u32 %r5, [%r4+252];
    st.global.u32 [%d0], %r5;)",
                    2);
}

TEST(PtxChecks, SharedRaceWithoutBarrier) {
  for (const bool defect : {false, true}) {
    PtxRun run(exchange_kernel(defect ? "" : "bar.sync 0;"));
    const u64 out = run.upload(std::vector<u32>(64));
    const LaunchResult result = run.run({out, out}, {2, 1, 1}, {64, 1, 1});
    if (!defect) {
      EXPECT_TRUE(result.findings.empty());
      for (u32 t = 0; t < 64; ++t) EXPECT_EQ(run.download<u32>(out, 64)[t], 63 - t);
      EXPECT_EQ(result.counts.barriers, 4U);
      EXPECT_EQ(result.counts.bank_conflicts, 0U);
      continue;
    }
    ASSERT_FALSE(result.findings.empty());
    EXPECT_EQ(result.findings.back().check, Check::shared_race);
    EXPECT_NE(result.findings.back().detail.find("with no barrier between"), std::string::npos);
    EXPECT_EQ(result.findings.back().instruction, "ld.shared.u32 %r5, [%r4+252]");
    LaunchOptions off;
    off.checks.reset();
    EXPECT_TRUE(run.run({out, out}, {2, 1, 1}, {64, 1, 1}, off).findings.empty());
  }
}

struct Defect {
  const char* good;
  const char* bad;
  Check check;
  const char* detail;
};

TEST(PtxChecks, EachFiresOnItsDefectOnly) {
  const Defect defects[] = {
      {"ld.global.u32 %r1, [%d1];", "ld.global.u32 %r1, [%d1+4];", Check::out_of_bounds,
       "thread (63, 0, 0) of block (0, 0, 0) reads 4 bytes at 0x"},
      {"st.global.u32 [%d0], 1;", "st.global.u32 [%d0+-4], 1;", Check::out_of_bounds,
       "4 bytes before allocation"},
      {"ld.global.v2.u32 {%r1, %r2}, [%d21];", "ld.global.v2.u32 {%r1, %r2}, [%d21+4];",
       Check::misaligned, "which is no multiple of 8"},
      {"ld.global.u32 %r1, [%d1];", "ld.global.u32 %r1, [%d22];", Check::uninitialised,
       "that nothing wrote, offset 0 of allocation"},
      {"st.shared.u32 [s], 1;\nld.shared.u32 %r1, [s];", "ld.shared.u32 %r1, [s];",
       Check::uninitialised, "shared bytes at 0x0 that nothing wrote"},
      {"ld.global.nc.u32 %r1, [%d1];\nst.global.u32 [%d0], %r1;",
       "ld.global.nc.u32 %r1, [%d0];\nst.global.u32 [%d0], %r1;", Check::read_only,
       "an .nc load reads what the same launch writes"},
      {"setp.lt.u32 %p1, %r29, 32;\n@%p1 bar.sync 1, 32;\n",
       "setp.lt.u32 %p1, %r29, 16;\n@%p1 bar.sync 1, 32;\n@!%p1 bar.sync 1, 32;\n",
       Check::divergent_barrier, "reaches barrier 1 with lanes"},
      {"shfl.sync.bfly.b32 %r1, %r29, 1, 31, -1;",
       "setp.lt.u32 %p1, %r29, 5;\n@%p1 shfl.sync.bfly.b32 %r1, %r29, 1, 31, -1;",
       Check::bad_shuffle, "reads lane 5, which does not take part"},
      {"shfl.sync.bfly.b32 %r1, %r29, 1, 31, -1;",
       "setp.lt.u32 %p1, %r29, 5;\n@%p1 shfl.sync.bfly.b32 %r1, %r29, 1, 31, -1;\nbar.warp.sync "
       "-1;",
       Check::bad_shuffle, "don't take part"},
      {"setp.lt.u32 %p1, %r29, 6;\n@%p1 shfl.sync.bfly.b32 %r1, %r29, 1, 31, 0x3f;",
       "setp.lt.u32 %p1, %r29, 6;\n@%p1 shfl.sync.bfly.b32 %r1, %r29, 8, 31, 0x3f;",
       Check::bad_shuffle, "reads lane 8, which does not take part"},
      {"bar.sync 2, 64;", "setp.lt.u32 %p1, %r29, 32;\n@%p1 bar.sync 2, 64;", Check::deadlock,
       "waits at a barrier"},
  };
  for (const Defect& defect : defects) {
    for (const bool bad : {false, true}) {
      PtxRun run(ptx_kernel(
          kAddresses + ".shared .align 8 .b8 s[64];\n" + (bad ? defect.bad : defect.good), 3));
      const u64 out = run.upload(std::vector<u32>(64));
      const u64 in = run.upload(counting(64));
      const u64 unwritten = run.memory.allocate(256);
      // One thread writes shared memory: the others would race.
      const bool shared = std::string(defect.good).find("st.shared") != std::string::npos;
      const LaunchResult result =
          run.run({out, in, unwritten}, {1, 1, 1}, {shared ? 1U : 64U, 1, 1});
      if (!bad) {
        EXPECT_TRUE(result.findings.empty())
            << defect.good << ": " << (result.findings.empty() ? "" : result.findings[0].detail);
        continue;
      }
      ASSERT_FALSE(result.findings.empty()) << defect.bad;
      const Finding& f = result.findings[0];
      EXPECT_EQ(f.check, defect.check) << defect.bad;
      EXPECT_NE(f.detail.find(defect.detail), std::string::npos) << f.detail;
      EXPECT_GT(f.line, 4);
      EXPECT_EQ(f.kernel, "k");
      LaunchOptions without;
      without.checks.reset(std::size_t(defect.check));
      const LaunchResult silent =
          run.run({out, in, unwritten}, {1, 1, 1}, {shared ? 1U : 64U, 1, 1}, without);
      for (const Finding& other : silent.findings) EXPECT_NE(other.check, defect.check);
    }
  }
}

TEST(PtxChecks, UseAfterFreeNamesTheAllocation) {
  PtxRun run(ptx_kernel(kAddresses + "st.global.u32 [%d0], 1;", 2));
  const u64 out = run.upload(std::vector<u32>(64));
  run.memory.free(out);
  const LaunchResult result = run.run({out, out}, {1, 1, 1}, {64, 1, 1});
  ASSERT_EQ(checks_of(result), std::vector<Check>{Check::out_of_bounds});
  EXPECT_NE(result.findings[0].detail.find("freed allocation 1 (256 bytes"), std::string::npos)
      << result.findings[0].detail;
}

TEST(PtxChecks, EndlessLoopIsADeadlock) {
  PtxRun run(ptx_kernel("L: add.u32 %r1, %r1, 1;\nbra L;"));
  const LaunchResult result = run.run({0}, {1, 1, 1}, {32, 1, 1});
  EXPECT_EQ(checks_of(result), std::vector<Check>{Check::deadlock});
}

struct RaceCase {
  const char* body;     // of blocks of 32 threads; %r28 is the block, %d20 holds 64 words
  const char* finding;  // in the detail of the only finding; null: none
};

TEST(PtxChecks, RacesBetweenBlocks) {
  const RaceCase cases[] = {
      {"setp.eq.u32 %p1, %r29, 5;\n@%p1 st.global.u32 [%d20+8], %r28;",
       "thread (5, 0, 0) of block (7, 0, 0) writes 0x700000000008, offset 8 of allocation 1 (256 "
       "bytes at 0x700000000000), which thread (5, 0, 0) of block (0, 0, 0) writes at line"},
      {"st.global.u32 [%d0], %r28;", "thread (0, 0, 0) of block (7, 0, 0) writes 0x700000000000"},
      // The same value, one thread or a whole warp at once.
      {"st.global.u32 [%d20+8], 9;", nullptr},
      {"st.global.u32 [%d0], 9;", nullptr},
      {"st.global.u32 [%d0], 9;\nst.global.u32 [%d0], 9;", nullptr},
      {"st.global.u32 [%d0], 9;\nst.global.u32 [%d0], %r28;", "writes"},
      {"setp.eq.u32 %p1, %r28, 0;\n@%p1 st.global.u32 [%d0], 7;\nst.global.u32 [%d0], 9;",
       "writes"},
      // Bytes and words of their own.
      {"st.global.u8 [%d1], %r28;", nullptr},
      {"setp.eq.u32 %p1, %r29, 3;\n@%p1 st.global.u32 [%d2], %r28;\nld.global.u32 %r1, [%d2];",
       nullptr},
      {"ld.global.u32 %r1, [%d0];", nullptr},
      // A block reads what the next one writes.
      {"st.global.u32 [%d2], %r28;\nld.global.u32 %r1, [%d2+4];",
       "thread (0, 0, 0) of block (0, 0, 0) reads 0x700000000004, offset 4 of allocation 1 (256 "
       "bytes at 0x700000000000), which thread (0, 0, 0) of block (1, 0, 0) writes at line"},
      {"ld.global.u32 %r1, [%d0];\nsetp.eq.u32 %p1, %r28, 4;\n@%p1 st.global.u32 [%d0], %r1;",
       "thread (0, 0, 0) of block (7, 0, 0) reads 0x700000000000"},
      {"red.global.add.u32 [%d20], 1;", nullptr},
      {"red.cta.global.add.u32 [%d20], 1;", "thread (0, 0, 0) of block (7, 0, 0) writes"},
      {"red.global.add.u32 [%d20], 1;\nsetp.eq.u32 %p1, %r28, 2;\n@%p1 st.global.u32 [%d20], 7;",
       "block (2, 0, 0) writes"},
      {"red.global.add.u32 [%d20], 1;\nld.global.u32 %r1, [%d20];", "reads"},
  };
  for (const RaceCase& c : cases) {
    PtxRun run(
        ptx_kernel("mov.u32 %r28, %ctaid.x;\nmul.wide.u32 %d9, %r29, 4;\n"
                   "add.u64 %d0, %d20, %d9;\nmul.wide.u32 %d8, %r28, 32;\n"
                   "cvt.u64.u32 %d7, %r29;\nadd.u64 %d1, %d20, %d8;\n"
                   "add.u64 %d1, %d1, %d7;\nmul.wide.u32 %d8, %r28, 4;\n"
                   "add.u64 %d2, %d20, %d8;\n" +
                   std::string(c.body)));
    const u64 words = run.upload(counting(64));
    for (const u64 seed : {0, 3, 8}) {
      std::vector<Finding> first;
      for (const int threads : {1, 2, 4}) {
        LaunchOptions options;
        options.seed = seed;
        options.threads = threads;
        const LaunchResult result = run.run({words}, {8, 1, 1}, {32, 1, 1}, options);
        if (threads == 1) first = result.findings;
        EXPECT_EQ(result.findings, first) << c.body;
        if (c.finding == nullptr) {
          EXPECT_TRUE(result.findings.empty()) << c.body << ": " << result.findings[0].detail;
          continue;
        }
        ASSERT_EQ(checks_of(result), std::vector<Check>{Check::global_race}) << c.body;
        EXPECT_NE(result.findings[0].detail.find(c.finding), std::string::npos)
            << result.findings[0].detail;
        options.checks.reset(std::size_t(Check::global_race));
        EXPECT_TRUE(run.run({words}, {8, 1, 1}, {32, 1, 1}, options).findings.empty());
      }
    }
  }
}

// Block 0 writes a word and then a flag; block 1 waits for the flag and reads the word.
TEST(PtxChecks, MessagesBetweenBlocks) {
  struct Case {
    const char* write_flag;
    const char* read_flag;
    bool race;
  };
  const Case cases[] = {
      {"st.release.gpu.global.u32 [%d20+4], 1;", "ld.acquire.gpu.global.u32 %r1, [%d20+4];", false},
      {"st.release.sys.global.u32 [%d20+4], 1;",
       "ld.relaxed.gpu.global.u32 %r1, [%d20+4];\nfence.acq_rel.gpu;", false},
      {"fence.acq_rel.gpu;\nst.relaxed.gpu.global.u32 [%d20+4], 1;",
       "ld.acquire.gpu.global.u32 %r1, [%d20+4];", false},
      {"membar.gl;\nst.volatile.global.u32 [%d20+4], 1;",
       "ld.volatile.global.u32 %r1, [%d20+4];\nmembar.gl;", false},
      {"red.release.gpu.global.add.u32 [%d20+4], 1;",
       "atom.acquire.gpu.global.or.b32 %r1, [%d20+4], 0;", false},
      {"st.relaxed.gpu.global.u32 [%d20+4], 1;", "ld.acquire.gpu.global.u32 %r1, [%d20+4];", true},
      {"st.release.gpu.global.u32 [%d20+4], 1;", "ld.relaxed.gpu.global.u32 %r1, [%d20+4];", true},
      {"fence.acq_rel.cta;\nst.relaxed.gpu.global.u32 [%d20+4], 1;",
       "ld.acquire.gpu.global.u32 %r1, [%d20+4];", true},
      {"st.relaxed.gpu.global.u32 [%d20+4], 1;\nfence.acq_rel.gpu;",
       "ld.acquire.gpu.global.u32 %r1, [%d20+4];", true},
      {"st.global.u32 [%d20+4], 1;\nfence.acq_rel.gpu;", "ld.acquire.gpu.global.u32 %r1, [%d20+4];",
       true},
  };
  for (const Case& c : cases) {
    PtxRun run(ptx_kernel(std::string("mov.u32 %r28, %ctaid.x;\nsetp.ne.u32 %p1, %r28, 0;\n"
                                      "@%p1 bra READ;\nst.global.u32 [%d20], 7;\n") +
                          c.write_flag + "\nbra DONE;\nREAD:\n" + c.read_flag +
                          "\nsetp.eq.u32 %p2, %r1, 0;\n@%p2 bra READ;\n"
                          "ld.global.u32 %r2, [%d20];\nDONE:"));
    for (const u64 seed : {0, 1, 2, 3}) {
      const u64 words = run.upload(std::vector<u32>(2));
      LaunchOptions options;
      options.seed = seed;
      const LaunchResult result = run.run({words}, {2, 1, 1}, {1, 1, 1}, options);
      EXPECT_EQ(!result.findings.empty(), c.race) << c.write_flag << " " << c.read_flag;
      for (const Check check : checks_of(result)) EXPECT_EQ(check, Check::global_race);
    }
  }
}

TEST(PtxExecution, TrapIsTold) {
  PtxRun run(ptx_kernel("setp.eq.u32 %p1, %r29, 5;\n@%p1 trap;"));
  EXPECT_NE(run.run({0}, {1, 1, 1}, {32, 1, 1}).trap.find("'@%p1 trap' by thread 5"),
            std::string::npos);
}

TEST(PtxExecution, CoalescingAndBanksAreCounted) {
  PtxRun run(ptx_kernel(R"(
    .shared .align 8 .b8 s[8192];
    mul.wide.u32 %d1, %r29, 64; add.u64 %d1, %d1, %d20;
    ld.global.u32 %r1, [%d1];
    mov.u32 %r4, s;
    mad.lo.u32 %r2, %r29, 8, %r4; st.shared.u32 [%r2], %r1;
    mad.lo.u32 %r3, %r29, 128, %r4; st.shared.u32 [%r3+4], %r1;)"));
  const u64 in = run.upload(std::vector<u32>(512));
  const LaunchResult result = run.run({in}, {1, 1, 1}, {32, 1, 1});
  EXPECT_EQ(result.counts.loads.requests, 1U);
  EXPECT_EQ(result.counts.loads.bytes, 128U);
  EXPECT_EQ(result.counts.loads.sectors, 32U);
  EXPECT_EQ(result.counts.shared_requests, 2U);
  EXPECT_EQ(result.counts.bank_conflicts, 1U + 31U);
}

// CUDA C++.

class CudaProgram {
 public:
  explicit CudaProgram(const std::string& source, const char* target = "sm_90")
      : run_(nvrtc_compile(choose_nvrtc(Target{target}), source, "test.cu", Target{target}).ptx) {}
  PtxRun& operator*() { return run_; }
  PtxRun* operator->() { return &run_; }

 private:
  PtxRun run_;
};

#define SKIP_WITHOUT_NVRTC() \
  if (find_nvrtcs().empty()) GTEST_SKIP() << "SKIP: no NVRTC on this machine"

void expect_clean(const LaunchResult& result) {
  for (const Finding& f : result.findings) {
    ADD_FAILURE() << to_string(f.check) << ", line " << f.line << " '" << f.instruction
                  << "': " << f.detail;
  }
}

TEST(CudaPrograms, LastBlockSum) {
  SKIP_WITHOUT_NVRTC();
  CudaProgram program(R"(
extern "C" __global__ void sum(const unsigned* x, unsigned* partial, unsigned* counter,
                               unsigned* result) {
  __shared__ unsigned part[128];
  __shared__ bool last;
  part[threadIdx.x] = x[blockIdx.x * 128 + threadIdx.x];
  for (int half = 64; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = part[0];
    __threadfence();
    last = atomicAdd(counter, 1) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (!last) return;
  unsigned s = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += 128) s += partial[i];
  atomicAdd(result, s);
})");
  for (const u64 seed : {0, 1, 2}) {
    const u64 x = program->upload(counting(200 * 128));
    const u64 partial = program->memory.allocate(800);
    const u64 counter = program->upload(std::vector<u32>(1));
    const u64 result = program->upload(std::vector<u32>(1));
    LaunchOptions options;
    options.seed = seed;
    expect_clean(program->run({x, partial, counter, result}, {200, 1, 1}, {128, 1, 1}, options));
    EXPECT_EQ(program->download<u32>(result, 1)[0], 25600U * 25599 / 2);
  }
}

// Partial sums added by the last block that is done, with what orders the blocks in its places.
struct LastBlock {
  const char* name;
  const char* written;   // by all threads after writing their partial sums
  const char* counted;   // by thread 0 after counting its block
  const char* together;  // by all threads of the last block
  bool all_write;        // every thread writes a partial sum, not thread 0 alone
  const char* type;      // of the partial sums
  bool race;
};

TEST(CudaPrograms, LastBlockSumNeedsItsFences) {
  SKIP_WITHOUT_NVRTC();
  constexpr const char* kFence = "__threadfence();";
  constexpr const char* kThenBarrier = "__threadfence(); __syncthreads();";
  constexpr const char* kAfterBarrier = "__syncthreads(); __threadfence();";
  const LastBlock cases[] = {
      {"one thread writes", kFence, kFence, "", false, "unsigned", false},
      {"the last block's threads fence", kFence, "", kFence, false, "unsigned", false},
      {"all fence, then meet", kThenBarrier, kFence, "", true, "unsigned", false},
      {"all fence on both sides", kThenBarrier, "", kFence, true, "unsigned", false},
      {"all meet, then fence", kAfterBarrier, kFence, "", true, "unsigned", false},
      {"a fence of the system", "__threadfence_system();", kFence, "", false, "unsigned", false},
      {"volatile needs no fence behind the counter", kFence, "", "", false, "volatile unsigned",
       false},
      {"no fence at all", "", "", "", false, "unsigned", true},
      {"no fence at all, all write", "__syncthreads();", "", "", true, "unsigned", true},
      {"no fence before the counter", "", kFence, "", false, "unsigned", true},
      {"no fence behind the counter", kFence, "", "", false, "unsigned", true},
      {"no fence behind the counter, all write", kThenBarrier, "", "", true, "unsigned", true},
      {"the fence of a block only", "__threadfence_block();", kFence, "", false, "unsigned", true},
      {"no barrier before the counter", kFence, kFence, "", true, "unsigned", true},
      {"only thread 0 fences, before the barrier",
       "if (threadIdx.x == 0) __threadfence(); __syncthreads();", kFence, "", true, "unsigned",
       true},
  };
  for (const LastBlock& c : cases) {
    const std::string source = std::string("extern \"C\" __global__ void sum(") + c.type +
                               " *partial, unsigned* counter, unsigned* result) {\n" +
                               R"(
  __shared__ bool last;
  const unsigned slots = )" + (c.all_write ? "blockDim.x" : "1") +
                               R"(;
  if (threadIdx.x < slots) partial[blockIdx.x * slots + threadIdx.x] = threadIdx.x + 1;
  )" + c.written + R"(
  if (threadIdx.x == 0) {
    last = atomicInc(counter, gridDim.x) == gridDim.x - 1;
    )" + c.counted + R"(
  }
  __syncthreads();
  if (!last) return;
  )" + c.together + R"(
  unsigned s = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x * slots; i += blockDim.x) s += partial[i];
  atomicAdd(result, s);
})";
    CudaProgram program(source);
    for (const u64 seed : {0, 1, 2, 3}) {
      const u64 partial = program->memory.allocate(40 * 64 * 4);
      const u64 counter = program->upload(std::vector<u32>(1));
      const u64 result = program->upload(std::vector<u32>(1));
      std::vector<Finding> first;
      LaunchOptions options;
      options.seed = seed;
      options.threads = seed % 2 == 0 ? 1 : 2;
      const LaunchResult found =
          program->run({partial, counter, result}, {40, 1, 1}, {64, 1, 1}, options);
      if (!c.race) {
        SCOPED_TRACE(c.name);
        expect_clean(found);
        EXPECT_EQ(program->download<u32>(result, 1)[0], 40U * (c.all_write ? 64 * 65 / 2 : 1));
        continue;
      }
      ASSERT_EQ(checks_of(found), std::vector<Check>{Check::global_race}) << c.name;
      EXPECT_EQ(found.findings[0].kernel, "sum");
      EXPECT_TRUE(found.findings[0].instruction.starts_with("ld.global")) << c.name;
      EXPECT_NE(found.findings[0].detail.find("wrote at line"), std::string::npos);
    }
  }
}

TEST(CudaPrograms, SpinLockNeedsItsFences) {
  SKIP_WITHOUT_NVRTC();
  constexpr const char* kFence = "__threadfence();";
  for (const auto& [taken, given, race] : {std::tuple{kFence, kFence, false},
                                           {"", kFence, true},
                                           {kFence, "", true},
                                           {"__threadfence_block();", kFence, true}}) {
    CudaProgram program(std::string(R"(
extern "C" __global__ void k(unsigned* lock, unsigned* count) {
  for (bool done = false; !done;) {
    if (atomicCAS(lock, 0, 1) != 0) continue;
    )") + taken + "\n    *count += 1;\n    " +
                        given + R"(
    atomicExch(lock, 0);
    done = true;
  }
})");
    for (const u64 seed : {0, 5}) {
      const u64 lock = program->upload(std::vector<u32>(1));
      const u64 count = program->upload(std::vector<u32>(1));
      LaunchOptions options;
      options.seed = seed;
      const LaunchResult found = program->run({lock, count}, {20, 1, 1}, {40, 1, 1}, options);
      if (!race) expect_clean(found);
      EXPECT_EQ(!found.findings.empty(), race) << taken << given;
      for (const Check check : checks_of(found)) EXPECT_EQ(check, Check::global_race);
      EXPECT_EQ(program->download<u32>(count, 1)[0], 800U);
    }
  }
}

TEST(CudaPrograms, BlocksAddWithAtomics) {
  SKIP_WITHOUT_NVRTC();
  CudaProgram program(R"(
extern "C" __global__ void k(float* sums, bool reads) {
  atomicAdd(&sums[threadIdx.x % 10], 1.0f);
  if (reads && threadIdx.x == 0) sums[blockIdx.x + 100] = sums[3];
})");
  for (const u64 reads : {0, 1}) {
    const u64 sums = program->upload(std::vector<float>(200));
    const std::vector<u64> parameters = {sums, reads};
    const ModuleKernel& kernel = program->module.kernels().at(0);
    const LaunchResult found = launch(
        kernel, {40, 1, 1}, {64, 1, 1}, 0,
        std::as_bytes(std::span(parameters)).first(kernel.parameter_bytes), program->memory, {});
    EXPECT_EQ(!found.findings.empty(), reads != 0);
    for (const Check check : checks_of(found)) EXPECT_EQ(check, Check::global_race);
    EXPECT_EQ(program->download<float>(sums, 1)[0], 280.0F);
  }
}

TEST(CudaPrograms, SpinLocksAndGridBarrier) {
  SKIP_WITHOUT_NVRTC();
  // Every thread takes the lock once; then all blocks wait for one another.
  CudaProgram program(R"(
extern "C" __global__ void k(unsigned* lock, unsigned* count, unsigned* arrived, unsigned* out) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      __threadfence();
      *(volatile unsigned*)count += 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(arrived, 1);
    while (*(volatile unsigned*)arrived < gridDim.x) { }
    __threadfence();
  }
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = *(volatile unsigned*)count;
})");
  for (const u64 seed : {0, 9}) {
    const u64 words = program->upload(std::vector<u32>(64));
    const u64 out = program->upload(std::vector<u32>(100 * 96));
    LaunchOptions options;
    options.seed = seed;
    expect_clean(
        program->run({words, words + 64, words + 128, out}, {100, 1, 1}, {96, 1, 1}, options));
    for (const u32 value : program->download<u32>(out, 100 * 96)) ASSERT_EQ(value, 9600U);
  }
}

TEST(CudaPrograms, HistogramTransposeScanAndMatrixProduct) {
  SKIP_WITHOUT_NVRTC();
  const std::string source = R"(
extern "C" __global__ void k(const unsigned* x, unsigned* histogram, unsigned* transposed,
                             unsigned* scanned, double* product) {
  __shared__ unsigned bins[16];
  __shared__ unsigned tile[16][17];
  __shared__ unsigned sums[256];
  const unsigned t = threadIdx.y * 16 + threadIdx.x;
  if (t < 16) bins[t] = 0;
  __syncthreads();
  atomicAdd(&bins[x[t] % 16], 1);
  tile[threadIdx.y][threadIdx.x] = x[t];
  __syncthreads();
  if (t < 16) atomicAdd(&histogram[t], bins[t]);
  transposed[t] = tile[threadIdx.x][threadIdx.y];
  // Scan: shuffles inside a warp, shared memory across.
  unsigned v = x[t];
  for (int step = 1; step < 32; step *= 2) {
    const unsigned other = __shfl_up_sync(0xffffffffu, v, step);
    if (t % 32 >= step) v += other;
  }
  sums[t] = v;
  __syncthreads();
  for (unsigned w = 0; w < t / 32; ++w) v += sums[w * 32 + 31];
  scanned[t] = v;
  double s = 0;
  for (int k = 0; k < 16; ++k) s += double(tile[threadIdx.y][k]) / 3.0 * tile[k][threadIdx.x];
  product[t] = s;
})";
  for (const char* target : {"sm_75", "sm_90", "sm_120"}) {
    CudaProgram program(source, target);
    std::vector<u32> x(256);
    for (u32 t = 0; t < 256; ++t) x[t] = t * 2654435761U >> 20;
    const u64 in = program->upload(x);
    const u64 histogram = program->upload(std::vector<u32>(16));
    const u64 transposed = program->memory.allocate(1024);
    const u64 scanned = program->memory.allocate(1024);
    const u64 product = program->memory.allocate(2048);
    expect_clean(
        program->run({in, histogram, transposed, scanned, product}, {1, 1, 1}, {16, 16, 1}));
    std::vector<u32> bins(16);
    u32 sum = 0;
    const auto found = program->download<u32>(transposed, 256);
    const auto prefix = program->download<u32>(scanned, 256);
    const auto matrix = program->download<double>(product, 256);
    for (u32 t = 0; t < 256; ++t) {
      ++bins[x[t] % 16];
      sum += x[t];
      ASSERT_EQ(prefix[t], sum);
      ASSERT_EQ(found[t], x[t % 16 * 16 + t / 16]);
      double s = 0;
      for (u32 k = 0; k < 16; ++k) s += double(x[t / 16 * 16 + k]) / 3.0 * x[k * 16 + t % 16];
      ASSERT_EQ(matrix[t], s);
    }
    EXPECT_EQ(program->download<u32>(histogram, 16), bins);
  }
}

TEST(CudaPrograms, WarpAggregatedAtomics) {
  SKIP_WITHOUT_NVRTC();
  CudaProgram program(R"(
extern "C" __global__ void keep_odd(const unsigned* x, unsigned* out, unsigned* count) {
  const unsigned v = x[blockIdx.x * blockDim.x + threadIdx.x];
  if (v % 2 == 0) return;
  const unsigned active = __activemask();
  const unsigned lane = threadIdx.x % 32;
  const int leader = __ffs(active) - 1;
  unsigned base = 0;
  if (lane == leader) base = atomicAdd(count, __popc(active));
  base = __shfl_sync(active, base, leader);
  out[base + __popc(active & ((1u << lane) - 1))] = v;
})");
  const u64 x = program->upload(counting(1000));
  const u64 out = program->memory.allocate(2000);
  const u64 count = program->upload(std::vector<u32>(1));
  LaunchOptions options;
  options.seed = 4;
  expect_clean(program->run({x, out, count}, {10, 1, 1}, {100, 1, 1}, options));
  EXPECT_EQ(program->download<u32>(count, 1)[0], 500U);
  std::vector<u32> kept = program->download<u32>(out, 500);
  std::sort(kept.begin(), kept.end());
  for (u32 n = 0; n < 500; ++n) EXPECT_EQ(kept[n], 2 * n + 1);
}

TEST(CudaPrograms, DynamicSharedMemoryAndFunctionsAndLocalMemory) {
  SKIP_WITHOUT_NVRTC();
  CudaProgram program(R"(
extern __shared__ unsigned dynamic[];
__device__ __noinline__ unsigned collatz(unsigned n, unsigned* steps) {
  unsigned most = n;
  for (*steps = 0; n != 1; ++*steps) { n = n % 2 ? 3 * n + 1 : n / 2; if (n > most) most = n; }
  return most;
}
extern "C" __global__ void k(unsigned* out) {
  unsigned steps;
  unsigned table[8];
  for (int i = 0; i < 8; ++i) table[i] = threadIdx.x * i;
  dynamic[threadIdx.x] = collatz(threadIdx.x + 1, &steps);
  __syncthreads();
  out[threadIdx.x] = dynamic[blockDim.x - 1 - threadIdx.x] + 100000 * steps + table[threadIdx.x % 8];
})");
  const u64 out = program->memory.allocate(400);
  expect_clean(program->run({out}, {1, 1, 1}, {100, 1, 1}, {}, 400));
  const auto collatz = [](u32 n, u32* steps) {
    u32 most = n;
    for (*steps = 0; n != 1; ++*steps) {
      n = n % 2 != 0 ? 3 * n + 1 : n / 2;
      most = std::max(most, n);
    }
    return most;
  };
  for (u32 t = 0; t < 100; ++t) {
    u32 steps = 0;
    u32 ignored = 0;
    collatz(t + 1, &steps);
    const u32 wanted = collatz(100 - t, &ignored) + 100000 * steps + t * (t % 8);
    EXPECT_EQ(program->download<u32>(out, 100)[t], wanted);
  }
}

}  // namespace
}  // namespace grkan::vgpu
