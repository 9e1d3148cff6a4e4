// Kernels written by hand in PTX, for tests of the virtual GPU's driver.
#pragma once

namespace grkan::vgpu {

// scale: out[i] = a x[i] for i < n. bounded: .maxntid 64, 1 KiB of shared memory. past_end: stores
// a word at out. adds: counter += 1 for each
// thread. traps: as a failed assertion.
inline constexpr const char* kKernels = R"(
.version 8.0
.target sm_75
.address_size 64

.global .align 4 .u32 counter;
.global .align 8 .b8 table[16];

.visible .entry scale(
  .param .u64 scale_out,
  .param .u64 scale_x,
  .param .f32 scale_a,
  .param .u32 scale_n
)
{
  .reg .pred %p<2>;
  .reg .f32 %f<4>;
  .reg .b32 %r<6>;
  .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [scale_out];
  ld.param.u64 %rd2, [scale_x];
  ld.param.f32 %f1, [scale_a];
  ld.param.u32 %r1, [scale_n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.s32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra $done;
  cvta.to.global.u64 %rd3, %rd2;
  cvta.to.global.u64 %rd4, %rd1;
  mul.wide.u32 %rd5, %r5, 4;
  add.s64 %rd6, %rd3, %rd5;
  ld.global.f32 %f2, [%rd6];
  mul.rn.f32 %f3, %f1, %f2;
  add.s64 %rd7, %rd4, %rd5;
  st.global.f32 [%rd7], %f3;
$done:
  ret;
}

.visible .entry bounded()
.maxntid 64, 1, 1
{
  .reg .pred %p<2>;
  .reg .b32 %r<2>;
  .shared .align 4 .b8 room[1024];
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra $done;
  st.shared.u32 [room], %r1;
$done:
  ret;
}

.visible .entry past_end(
  .param .u64 past_end_out
)
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [past_end_out];
  cvta.to.global.u64 %rd2, %rd1;
  mov.u32 %r1, 7;
  st.global.u32 [%rd2], %r1;
  ret;
}

.visible .entry adds()
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<2>;
  mov.u64 %rd1, counter;
  atom.global.add.u32 %r1, [%rd1], 1;
  ret;
}

.visible .entry traps()
{
  trap;
  ret;
}
)";

// For a device newer than most, in the driver's newest version of PTX.
inline constexpr const char* kNewKernel = R"(
.version 9.0
.target sm_120
.address_size 64
.visible .entry nothing()
{
  ret;
}
)";

inline constexpr const char* kNewerVersion = R"(
.version 9.9
.target sm_75
.address_size 64
.visible .entry nothing()
{
  ret;
}
)";

inline constexpr const char* kUnknownInstruction = R"(
.version 8.0
.target sm_75
.address_size 64
.visible .entry nothing()
{
  .reg .b32 %r<2>;
  frobnicate.b32 %r1, %r1;
  ret;
}
)";

}  // namespace grkan::vgpu
