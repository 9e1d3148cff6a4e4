// Each family of instructions against arithmetic done another way: wider types, one rounding.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>

#include "core/half.h"
#include "tests/virtual_gpu/ptx_run.h"

namespace grkan::vgpu {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using s8 = std::int8_t;
using s16 = std::int16_t;
using s32 = std::int32_t;
using s64 = std::int64_t;
__extension__ using u128 = unsigned __int128;
__extension__ using s128 = __int128;
__extension__ using quad = __float128;

float f32(u64 bits) { return std::bit_cast<float>(u32(bits)); }
double f64(u64 bits) { return std::bit_cast<double>(bits); }
u64 bits(float v) { return std::isnan(v) ? 0x7FFFFFFF : std::bit_cast<u32>(v); }
u64 bits(double v) { return std::isnan(v) ? 0x7FFFFFFFFFFFFFFF : std::bit_cast<u64>(v); }
float flushed(float v) { return std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0F, v) : v; }

// The instruction with {d}, {a}, {b}, {c}; the kind of register of each: h, r, d (bits), f, g, p.
struct Case {
  const char* instruction;
  const char* kinds;  // of d, a, b, c
  std::function<u64(u64, u64, u64)> reference;
  bool skip_unknown = false;  // results of kUnknown are not compared
};
constexpr u64 kUnknown = 0x123456789ABCDEF0;

int bytes_of(char kind) { return kind == 'h' ? 2 : kind == 'r' || kind == 'f' ? 4 : 8; }

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

// Loads inputs, runs the instruction, stores its result as 8 bytes.
std::string program_of(const Case& one) {
  std::string body = "mul.wide.u32 %d0, %r29, 8;\n";
  const std::string names = "dabc";
  std::string instruction = one.instruction;
  for (std::size_t n = 0; one.kinds[n] != '\0'; ++n) {
    const char kind = one.kinds[n];
    const std::string reg = std::string("%") + kind + std::to_string(n + 1);
    instruction = replaced(instruction, std::string("{") + names[n] + "}", reg);
    if (n == 0) continue;
    const std::string number = std::to_string(10 + n);
    body += "add.u64 %d" + number + ", %d" + std::to_string(20 + n) + ", %d0;\n";
    if (kind == 'p') {
      body += "ld.global.u64 %d15, [%d" + number + "];\nand.b64 %d15, %d15, 1;\nsetp.ne.u64 " +
              reg + ", %d15, 0;\n";
    } else {
      body += "ld.global.b" + std::to_string(bytes_of(kind) * 8) + " " + reg + ", [%d" + number +
              "];\n";
    }
  }
  body += instruction + "\nadd.u64 %d16, %d20, %d0;\n";
  const std::string d = std::string("%") + one.kinds[0] + "1";
  if (one.kinds[0] == 'p') {
    body += "selp.u64 %d17, 1, 0, " + d + ";\nst.global.u64 [%d16], %d17;";
  } else {
    body += "mov.u64 %d17, 0;\nst.global.u64 [%d16], %d17;\nst.global.b" +
            std::to_string(bytes_of(one.kinds[0]) * 8) + " [%d16], " + d + ";";
  }
  return ptx_kernel(body, 4);
}

unsigned long seed_of_run() {
  const char* given = std::getenv("GRKAN_SEED");
  return given != nullptr ? std::strtoul(given, nullptr, 10) : 1;
}

// Random numbers of which many are special: zeros, ones, infinities, NaN, subnormals, near equals.
u64 input(std::mt19937_64& random, char kind) {
  constexpr u32 kF32[] = {0,          0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000,
                          0x7FC00000, 0xFFC12345, 1,          0x807FFFFF, 0x00800000, 0x7F7FFFFF,
                          0x34000000, 0x4F000000, 0xCF000001, 0x3F000000};
  constexpr u64 kF64[] = {0,
                          1ULL << 63,
                          0x3FF0000000000000,
                          0x7FF0000000000000,
                          0xFFF0000000000000,
                          0x7FF8000000000000,
                          1,
                          0x800FFFFFFFFFFFFF,
                          0x7FEFFFFFFFFFFFFF,
                          0x41E0000000000000,
                          0xC3E0000000000000};
  const u64 r = random();
  const u64 choice = random() % 8;
  switch (kind) {
    case 'f':
      if (choice == 0) return kF32[r % std::size(kF32)];
      if (choice < 5) return (r & 0x807FFFFF) | (0x78 + (r >> 32) % 16) << 23;
      return u32(r);
    case 'g':
      if (choice == 0) return kF64[r % std::size(kF64)];
      if (choice < 5) return (r & 0x800FFFFFFFFFFFFF) | (0x3F8 + random() % 16) << 52;
      return r;
    default:
      if (choice == 0) return u64{0} - r % 4;
      if (choice == 1) return r % 40;
      if (choice == 2) return u64{1} << r % 64;
      if (choice == 3) return u64(s64(s32(r)));
      return r;
  }
}

void check(const std::vector<Case>& cases) {
  const unsigned long seed = seed_of_run();
  std::printf("GRKAN_SEED=%lu\n", seed);
  constexpr std::size_t kThreads = 1000;  // the last warp is partial
  for (const Case& one : cases) {
    std::mt19937_64 random(seed);
    PtxRun run(program_of(one));
    std::vector<u64> parameters = {run.upload(std::vector<u64>(kThreads))};
    std::vector<std::vector<u64>> inputs;
    const std::string kinds = one.kinds;
    for (std::size_t n = 1; n < 4; ++n) {
      std::vector<u64> values(kThreads);
      for (u64& v : values) v = input(random, n < kinds.size() ? kinds[n] : 'd');
      inputs.push_back(values);
      parameters.push_back(run.upload(values));
    }
    const LaunchResult result = run.run(parameters, {1, 1, 1}, {kThreads, 1, 1});
    EXPECT_TRUE(result.findings.empty());
    const std::vector<u64> found = run.download<u64>(parameters[0], kThreads);
    int wrong = 0;
    for (std::size_t t = 0; t < kThreads && wrong < 3; ++t) {
      u64 in[3];
      for (std::size_t n = 0; n < 3; ++n) {
        const char kind = n + 1 < kinds.size() ? kinds[n + 1] : 'd';
        const int bytes = bytes_of(kind);
        in[n] = bytes == 8 ? inputs[n][t] : inputs[n][t] & ((u64{1} << 8 * bytes) - 1);
        if (kind == 'p') in[n] &= 1;
      }
      const u64 wanted = one.reference(in[0], in[1], in[2]);
      if (wanted == kUnknown && one.skip_unknown) continue;
      if (found[t] != wanted) ++wrong;
      EXPECT_EQ(found[t], wanted) << std::hex << one.instruction << " of " << in[0] << ", " << in[1]
                                  << ", " << in[2] << ": found " << found[t] << ", want " << wanted;
    }
  }
}

TEST(PtxArithmetic, Integers) {
  check({
      {"add.s32 {d}, {a}, {b};", "rrr", [](u64 a, u64 b, u64) { return u32(a + b); }},
      {"sub.s64 {d}, {a}, {b};", "ddd", [](u64 a, u64 b, u64) { return a - b; }},
      {"sub.s16 {d}, {a}, {b};", "hhh", [](u64 a, u64 b, u64) { return u16(a - b); }},
      {"add.sat.s32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) {
         return u32(std::clamp<s64>(s64(s32(a)) + s32(b), INT32_MIN, INT32_MAX));
       }},
      {"mul.lo.s32 {d}, {a}, {b};", "rrr", [](u64 a, u64 b, u64) { return u32(a * b); }},
      {"mul.lo.s64 {d}, {a}, {b};", "ddd", [](u64 a, u64 b, u64) { return u64(u128(a) * b); }},
      {"mul.lo.s16 {d}, {a}, {b};", "hhh", [](u64 a, u64 b, u64) { return u16(a * b); }},
      {"mul.hi.u32 {d}, {a}, {b};", "rrr", [](u64 a, u64 b, u64) { return a * b >> 32; }},
      {"mul.hi.s32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) { return u32(s128(s32(a)) * s32(b) >> 32); }},
      {"mul.hi.u16 {d}, {a}, {b};", "hhh", [](u64 a, u64 b, u64) { return a * b >> 16; }},
      {"mul.hi.s64 {d}, {a}, {b};", "ddd",
       [](u64 a, u64 b, u64) { return u64(s128(s64(a)) * s64(b) >> 64); }},
      {"mul.hi.u64 {d}, {a}, {b};", "ddd",
       [](u64 a, u64 b, u64) { return u64(u128(a) * b >> 64); }},
      {"mul.wide.s32 {d}, {a}, {b};", "drr",
       [](u64 a, u64 b, u64) { return u64(s64(s32(a)) * s32(b)); }},
      {"mul.wide.u16 {d}, {a}, {b};", "rhh", [](u64 a, u64 b, u64) { return a * b; }},
      {"mad.lo.s32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) { return u32(a * b + c); }},
      {"mad.wide.u32 {d}, {a}, {b}, {c};", "drrd",
       [](u64 a, u64 b, u64 c) { return u64(u128(a) * b + c); }},
      {"mad.hi.s32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) { return u32((s128(s32(a)) * s32(b) >> 32) + c); }},
      {"mul24.lo.u32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) { return u32((a & 0xFFFFFF) * (b & 0xFFFFFF)); }},
      {"mad24.lo.s32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) {
         const auto cut = [](u64 v) { return (s64(v & 0xFFFFFF) ^ 0x800000) - 0x800000; };
         return u32(cut(a) * cut(b) + s64(c));
       }},
      {"div.u32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) { return b == 0 ? 0xFFFFFFFF : a / b; }},
      {"div.s32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) { return b == 0 ? 0xFFFFFFFF : u32(s64(s32(a)) / s32(b)); }},
      {"rem.s64 {d}, {a}, {b};", "ddd",
       [](u64 a, u64 b, u64) { return b == 0 ? a : u64(s128(s64(a)) % s64(b)); }},
      {"rem.u16 {d}, {a}, {b};", "hhh", [](u64 a, u64 b, u64) { return b == 0 ? a : a % b; }},
      {"abs.s32 {d}, {a};", "rr", [](u64 a, u64, u64) { return u32(std::abs(s64(s32(a)))); }},
      {"neg.s64 {d}, {a};", "dd", [](u64 a, u64, u64) { return 0 - a; }},
      {"min.s32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) { return u32(std::min(s32(a), s32(b))); }},
      {"max.u64 {d}, {a}, {b};", "ddd", [](u64 a, u64 b, u64) { return std::max(a, b); }},
      {"sad.s32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) { return u32(u64(std::abs(s64(s32(a)) - s32(b))) + c); }},
      {"dp4a.s32.u32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) {
         s64 sum = s32(c);
         for (int i = 0; i < 32; i += 8) sum += s64(s8(a >> i)) * u8(b >> i);
         return u32(sum);
       }},
      {"dp2a.lo.u32.u32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) { return u32(c + u64(u16(a)) * u8(b) + (a >> 16) * u8(b >> 8)); }},
      {"dp2a.hi.s32.s32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) {
         return u32(s64(s32(c)) + s64(s16(a)) * s8(b >> 16) + s64(s16(a >> 16)) * s8(b >> 24));
       }},
      {"add.cc.u32 {d}, {a}, {b}; addc.u32 {d}, 0, 0;", "rrr",
       [](u64 a, u64 b, u64) { return (a + b) >> 32; }},
      {"sub.cc.u32 {d}, {a}, {b}; subc.u32 {d}, 0, 0;", "rrr",
       [](u64 a, u64 b, u64) { return a < b ? 0xFFFFFFFFU : 0U; }},
  });
}

TEST(PtxArithmetic, Bits) {
  const auto field = [](u64 a, u64 b, u64 c, bool is_signed) {
    // Bit by bit: past the top it is the sign or nothing.
    const u32 position = b & 255;
    const u32 length = c & 255;
    u64 sign = 0;
    if (is_signed && length != 0) sign = a >> std::min<u32>(position + length - 1, 31) & 1;
    u64 result = 0;
    for (u32 i = 0; i < 32; ++i) {
      const bool inside = i < length && position + i < 32;
      if (inside ? (a >> (position + i) & 1) != 0 : sign != 0) result |= u64{1} << i;
    }
    return result;
  };
  check({
      {"and.b32 {d}, {a}, {b};", "rrr", [](u64 a, u64 b, u64) { return a & b; }},
      {"or.b64 {d}, {a}, {b};", "ddd", [](u64 a, u64 b, u64) { return a | b; }},
      {"xor.b16 {d}, {a}, {b};", "hhh", [](u64 a, u64 b, u64) { return a ^ b; }},
      {"not.b32 {d}, {a};", "rr", [](u64 a, u64, u64) { return u32(~a); }},
      {"cnot.b32 {d}, {a};", "rr", [](u64 a, u64, u64) { return a == 0 ? 1 : 0; }},
      {"shl.b32 {d}, {a}, {b};", "rrr", [](u64 a, u64 b, u64) { return b > 31 ? 0 : u32(a << b); }},
      {"shl.b64 {d}, {a}, {b};", "ddr", [](u64 a, u64 b, u64) { return b > 63 ? 0 : a << b; }},
      {"shr.u32 {d}, {a}, {b};", "rrr", [](u64 a, u64 b, u64) { return b > 31 ? 0 : a >> b; }},
      {"shr.s32 {d}, {a}, {b};", "rrr",
       [](u64 a, u64 b, u64) { return u32(s64(s32(a)) >> std::min<u64>(b, 40)); }},
      {"shr.u16 {d}, {a}, {b};", "hhr", [](u64 a, u64 b, u64) { return b > 15 ? 0 : a >> b; }},
      {"shr.s64 {d}, {a}, {b};", "ddr",
       [](u64 a, u64 b, u64) { return u64(s128(s64(a)) >> std::min<u64>(b, 100)); }},
      {"shf.l.wrap.b32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) { return u32((b << 32 | a) << (c % 32) >> 32); }},
      {"shf.r.clamp.b32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) { return u32((b << 32 | a) >> std::min<u64>(c, 32)); }},
      {"popc.b32 {d}, {a};", "rr", [](u64 a, u64, u64) { return u64(std::popcount(a)); }},
      {"clz.b64 {d}, {a};", "rd", [](u64 a, u64, u64) { return u64(std::countl_zero(a)); }},
      {"brev.b32 {d}, {a};", "rr",
       [](u64 a, u64, u64) {
         u64 r = 0;
         for (int i = 0; i < 32; ++i) r = r << 1 | (a >> i & 1);
         return r;
       }},
      {"bfind.s32 {d}, {a};", "rr",
       [](u64 a, u64, u64) {
         const u32 v = s32(a) < 0 ? ~u32(a) : u32(a);
         return v == 0 ? 0xFFFFFFFF : u64(31 - std::countl_zero(v));
       }},
      {"bfe.u32 {d}, {a}, {b}, {c};", "rrrr",
       [&](u64 a, u64 b, u64 c) { return field(a, b, c, false); }},
      {"bfe.s32 {d}, {a}, {b}, {c};", "rrrr",
       [&](u64 a, u64 b, u64 c) { return field(a, b, c, true); }},
      {"bfi.b32 {d}, {a}, {b}, {c}, 7;", "rrrr",
       [](u64 a, u64 b, u64 c) {
         u64 r = b;
         for (u32 i = 0; i < 7; ++i) {
           const u64 at = (c & 255) + i;
           if (at < 32) r = (r & ~(u64{1} << at)) | (a >> i & 1) << at;
         }
         return r;
       }},
      {"prmt.b32 {d}, {a}, {b}, {c};", "rrrr",
       [](u64 a, u64 b, u64 c) {
         u64 r = 0;
         for (int i = 0; i < 4; ++i) {
           const u64 control = c >> 4 * i & 15;
           const u64 byte = (b << 32 | a) >> 8 * (control & 7) & 255;
           r |= (control > 7 ? (byte > 127 ? 255 : 0) : byte) << 8 * i;
         }
         return r;
       }},
      {"lop3.b32 {d}, {a}, {b}, {c}, 0xCA;", "rrrr",
       [](u64 a, u64 b, u64 c) { return (a & b) | (~a & c & 0xFFFFFFFF); }},
      {"lop3.b32 {d}, {a}, {b}, {c}, 0x1E;", "rrrr",
       [](u64 a, u64 b, u64 c) { return a ^ (b | c); }},
      {"selp.b32 {d}, {a}, {b}, {c};", "rrrp", [](u64 a, u64 b, u64 c) { return c != 0 ? a : b; }},
      {"slct.u64.s32 {d}, {a}, {b}, {c};", "dddr",
       [](u64 a, u64 b, u64 c) { return s32(c) >= 0 ? a : b; }},
      {"slct.b32.f32 {d}, {a}, {b}, {c};", "rrrf",
       [](u64 a, u64 b, u64 c) { return f32(c) >= 0 ? a : b; }},
      {"mov.b32 {d}, {{a}, {b}};", "rhh", [](u64 a, u64 b, u64) { return b << 16 | a; }},
      {"mov.b64 {%r8, {d}}, {a};", "rd", [](u64 a, u64, u64) { return a >> 32; }},
      {"and.pred {d}, {a}, {b};", "ppp", [](u64 a, u64 b, u64) { return a & b; }},
      {"xor.pred {d}, {a}, {b};", "ppp", [](u64 a, u64 b, u64) { return a ^ b; }},
      {"not.pred {d}, {a};", "pp", [](u64 a, u64, u64) { return a ^ 1; }},
  });
}

// What 113 bits lose of a sum.
quad lost(quad a, quad b) {
  const quad sum = a + b;
  const quad part = sum - a;
  return (a - (sum - part)) + (b - part);
}

double root(double a) {
  if (!(a > 0) || std::isinf(a)) return std::sqrt(a);
  auto r = double(std::sqrt((long double)a));
  const auto middle = [&](double other) { return (quad(r) + quad(other)) / 2; };
  const double up = std::nextafter(r, HUGE_VAL);
  const double down = std::nextafter(r, 0);
  if (middle(up) * middle(up) < quad(a)) return up;
  if (middle(down) * middle(down) > quad(a)) return down;
  return r;
}

// Rounds an exact value: the nearest or the neighbour on one side.
float rounded(quad exact, char mode) {
  const auto nearest = float(exact);
  if (mode == 'n' || std::isnan(nearest)) return nearest;
  float r = nearest;
  const bool down = mode == 'm' || (mode == 'z' && exact > 0);
  if (down && quad(r) > exact) r = std::nextafter(r, -HUGE_VALF);
  if (!down && quad(r) < exact) r = std::nextafter(r, HUGE_VALF);
  return r;
}

TEST(PtxArithmetic, Floats) {
  // A sum is right when no bit was lost in 113.
  const auto fma32 = [](u64 a, u64 b, u64 c, char mode) {
    const quad product = quad(f32(a)) * quad(f32(b));
    const quad sum = product + quad(f32(c));
    const auto part = float(sum);
    if (std::isnan(part)) return u64{0x7FFFFFFF};
    if (lost(product, quad(f32(c))) != 0) return kUnknown;
    if (sum == 0) return kUnknown;  // the sign of zero is tested below
    return bits(rounded(sum, mode));
  };
  const auto flush2 = [](u64 a, u64 b, float (*f)(double, double)) {
    return bits(flushed(f(double(flushed(f32(a))), double(flushed(f32(b))))));
  };
  check({
      // Rounding twice, first to 53 bits, is rounding once for these.
      {"add.rn.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) { return bits(float(double(f32(a)) + double(f32(b)))); }},
      {"sub.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) { return bits(float(double(f32(a)) - double(f32(b)))); }},
      {"mul.rn.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) { return bits(float(double(f32(a)) * double(f32(b)))); }},
      {"mul.rn.ftz.f32 {d}, {a}, {b};", "fff",
       [&](u64 a, u64 b, u64) {
         return flush2(a, b, [](double x, double y) { return float(x * y); });
       }},
      {"div.rn.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) { return bits(float(double(f32(a)) / double(f32(b)))); }},
      {"div.full.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) { return bits(float(double(f32(a)) / double(f32(b)))); }},
      {"sqrt.rn.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(float(std::sqrt(double(f32(a))))); }},
      {"rcp.rn.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(float(1 / double(f32(a)))); }},
      {"rcp.approx.ftz.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(flushed(float(1 / double(flushed(f32(a)))))); }},
      {"rsqrt.approx.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(float(1 / std::sqrt(double(f32(a))))); }},
      {"ex2.approx.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(float(std::exp2(double(f32(a))))); }},
      {"lg2.approx.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(float(std::log2(double(f32(a))))); }},
      {"fma.rn.f32 {d}, {a}, {b}, {c};", "ffff",
       [&](u64 a, u64 b, u64 c) { return fma32(a, b, c, 'n'); }, true},
      {"fma.rz.f32 {d}, {a}, {b}, {c};", "ffff",
       [&](u64 a, u64 b, u64 c) {
         const u64 r = fma32(a, b, c, 'z');
         return std::isinf(f32(r)) ? kUnknown : r;
       },
       true},
      {"add.rm.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) {
         const quad sum = quad(f32(a)) + quad(f32(b));
         const bool whole = lost(quad(f32(a)), quad(f32(b))) == 0;
         return sum == 0 || !whole || std::isinf(float(sum)) ? kUnknown : bits(rounded(sum, 'm'));
       },
       true},
      {"mul.rp.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) {
         const quad product = quad(f32(a)) * quad(f32(b));
         return std::isinf(float(product)) ? kUnknown : bits(rounded(product, 'p'));
       },
       true},
      {"add.sat.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) {
         const float s = f32(a) + f32(b);
         return bits(!(s > 0) ? 0.0F : std::min(s, 1.0F));
       }},
      {"neg.f32 {d}, {a};", "ff", [](u64 a, u64, u64) { return a ^ 0x80000000; }},
      {"abs.ftz.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return u64(std::bit_cast<u32>(flushed(f32(a))) & 0x7FFFFFFF); }},
      {"min.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) {
         const float x = f32(a);
         const float y = f32(b);
         if (x == 0 && y == 0) return std::signbit(x) || std::signbit(y) ? u64{0x80000000} : u64{0};
         return std::isnan(x) ? bits(y) : std::isnan(y) ? bits(x) : bits(x < y ? x : y);
       }},
      {"max.NaN.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) {
         const float x = f32(a);
         const float y = f32(b);
         if (x == 0 && y == 0) return std::signbit(x) && std::signbit(y) ? u64{0x80000000} : u64{0};
         return std::isnan(x) || std::isnan(y) ? u64{0x7FFFFFFF} : bits(x > y ? x : y);
       }},
      {"add.rn.f64 {d}, {a}, {b};", "ggg",
       [](u64 a, u64 b, u64) { return bits(double(quad(f64(a)) + quad(f64(b)))); }},
      {"mul.rn.f64 {d}, {a}, {b};", "ggg",
       [](u64 a, u64 b, u64) { return bits(double(quad(f64(a)) * quad(f64(b)))); }},
      {"div.rn.f64 {d}, {a}, {b};", "ggg",
       [](u64 a, u64 b, u64) { return bits(double(quad(f64(a)) / quad(f64(b)))); }},
      {"sqrt.rn.f64 {d}, {a};", "gg", [](u64 a, u64, u64) { return bits(root(f64(a))); }},
      {"rcp.rn.f64 {d}, {a};", "gg",
       [](u64 a, u64, u64) { return bits(double(quad(1) / quad(f64(a)))); }},
      {"add.rn.f32x2 {d}, {a}, {b};", "ddd",
       [](u64 a, u64 b, u64) {
         return bits(f32(a) + f32(b)) | bits(f32(a >> 32) + f32(b >> 32)) << 32;
       }},
      {"fma.rn.f32x2 {d}, {a}, {b}, {c};", "dddd",
       [&](u64 a, u64 b, u64 c) {
         const u64 low = fma32(a, b, c, 'n');
         const u64 high = fma32(a >> 32, b >> 32, c >> 32, 'n');
         return low == kUnknown || high == kUnknown ? kUnknown : low | high << 32;
       },
       true},
      {"testp.normal.f32 {d}, {a};", "pf",
       [](u64 a, u64, u64) { return u64(std::isnormal(f32(a))); }},
      {"copysign.f32 {d}, {a}, {b};", "fff",
       [](u64 a, u64 b, u64) { return (a & 0x80000000) | (b & 0x7FFFFFFF); }},
  });
}

TEST(PtxArithmetic, Comparisons) {
  const auto nan = [](u64 a, u64 b) { return std::isnan(f32(a)) || std::isnan(f32(b)); };
  check({
      {"setp.eq.s32 {d}, {a}, {b};", "prr", [](u64 a, u64 b, u64) { return u64(a == b); }},
      {"setp.lt.s64 {d}, {a}, {b};", "pdd", [](u64 a, u64 b, u64) { return u64(s64(a) < s64(b)); }},
      {"setp.gt.u16 {d}, {a}, {b};", "phh", [](u64 a, u64 b, u64) { return u64(a > b); }},
      {"setp.ls.u32 {d}, {a}, {b};", "prr", [](u64 a, u64 b, u64) { return u64(a <= b); }},
      {"setp.ne.f32 {d}, {a}, {b};", "pff",
       [&](u64 a, u64 b, u64) { return u64(!nan(a, b) && f32(a) != f32(b)); }},
      {"setp.neu.f32 {d}, {a}, {b};", "pff",
       [&](u64 a, u64 b, u64) { return u64(nan(a, b) || f32(a) != f32(b)); }},
      {"setp.leu.f32 {d}, {a}, {b};", "pff",
       [&](u64 a, u64 b, u64) { return u64(nan(a, b) || f32(a) <= f32(b)); }},
      {"setp.lt.ftz.f32 {d}, {a}, {b};", "pff",
       [](u64 a, u64 b, u64) { return u64(flushed(f32(a)) < flushed(f32(b))); }},
      {"setp.num.f64 {d}, {a}, {b};", "pgg",
       [](u64 a, u64 b, u64) { return u64(!std::isnan(f64(a)) && !std::isnan(f64(b))); }},
      {"setp.ge.f16 {d}, {a}, {b};", "phh",
       [](u64 a, u64 b, u64) { return u64(f16_to_f32(u16(a)) >= f16_to_f32(u16(b))); }},
      {"setp.lt.or.s32 {d}, {a}, {b}, !{c};", "prrp",
       [](u64 a, u64 b, u64 c) { return u64(s32(a) < s32(b) || c == 0); }},
      {"setp.lt.and.s32 %p9|{d}, {a}, {b}, {c};", "prrp",
       [](u64 a, u64 b, u64 c) { return u64(s32(a) >= s32(b) && c != 0); }},
      {"set.gt.u32.f32 {d}, {a}, {b};", "rff",
       [](u64 a, u64 b, u64) { return f32(a) > f32(b) ? 0xFFFFFFFFU : 0U; }},
  });
}

u64 narrow(double v, bool brain) { return std::isnan(v) ? 0x7FFF : brain ? to_bf16(v) : to_f16(v); }

TEST(PtxArithmetic, Conversions) {
  const auto to_s32 = [](double v) {
    if (std::isnan(v)) return u64{0};
    return u64(u32(s32(std::clamp(v, -0x1p31, 0x1p31 - 1))));
  };
  const auto f32_of = [](auto v) { return bits(float(quad(v))); };
  check({
      {"cvt.u64.u32 {d}, {a};", "dr", [](u64 a, u64, u64) { return a; }},
      {"cvt.s64.s32 {d}, {a};", "dr", [](u64 a, u64, u64) { return u64(s64(s32(a))); }},
      {"cvt.u16.u32 {d}, {a};", "hr", [](u64 a, u64, u64) { return u64(u16(a)); }},
      {"cvt.s32.s8 {d}, {a};", "rr", [](u64 a, u64, u64) { return u64(u32(s8(a))); }},
      {"cvt.u16.u8 {d}, {a};", "hh", [](u64 a, u64, u64) { return u64(u8(a)); }},
      {"cvt.sat.s8.s32 {d}, {a};", "rr",
       [](u64 a, u64, u64) { return u64(u32(std::clamp(s32(a), -128, 127))); }},
      {"cvt.sat.u16.s64 {d}, {a};", "hd",
       [](u64 a, u64, u64) { return u64(std::clamp<s64>(s64(a), 0, 65535)); }},
      {"cvt.rn.f32.s32 {d}, {a};", "fr", [&](u64 a, u64, u64) { return f32_of(s32(a)); }},
      {"cvt.rn.f32.u64 {d}, {a};", "fd", [&](u64 a, u64, u64) { return f32_of(a); }},
      {"cvt.rz.f32.s64 {d}, {a};", "fd",
       [](u64 a, u64, u64) { return bits(rounded(quad(s64(a)), s64(a) > 0 ? 'm' : 'p')); }},
      {"cvt.rp.f32.u32 {d}, {a};", "fr",
       [](u64 a, u64, u64) { return bits(rounded(quad(a), 'p')); }},
      {"cvt.rn.f64.u64 {d}, {a};", "gd", [](u64 a, u64, u64) { return bits(double(quad(a))); }},
      {"cvt.rn.f16.s32 {d}, {a};", "hr",
       [](u64 a, u64, u64) { return narrow(double(s32(a)), false); }},
      {"cvt.rzi.s32.f32 {d}, {a};", "rf",
       [&](u64 a, u64, u64) { return to_s32(std::trunc(f32(a))); }},
      {"cvt.rni.s32.f32 {d}, {a};", "rf",
       [&](u64 a, u64, u64) { return to_s32(std::nearbyint(f32(a))); }},
      {"cvt.rmi.s32.f32 {d}, {a};", "rf",
       [&](u64 a, u64, u64) { return to_s32(std::floor(f32(a))); }},
      {"cvt.rzi.u64.f64 {d}, {a};", "dg",
       [](u64 a, u64, u64) {
         const double v = std::trunc(f64(a));
         if (std::isnan(v)) return u64{1} << 63;
         return v <= 0 ? u64{0} : v >= 0x1p64 ? ~u64{0} : u64(v);
       }},
      {"cvt.rpi.f32.f32 {d}, {a};", "ff", [](u64 a, u64, u64) { return bits(std::ceil(f32(a))); }},
      {"cvt.f64.f32 {d}, {a};", "gf", [](u64 a, u64, u64) { return bits(double(f32(a))); }},
      {"cvt.rn.f32.f64 {d}, {a};", "fg", [](u64 a, u64, u64) { return bits(float(f64(a))); }},
      {"cvt.sat.f32.f32 {d}, {a};", "ff",
       [](u64 a, u64, u64) { return bits(!(f32(a) > 0) ? 0.0F : std::min(f32(a), 1.0F)); }},
      {"cvt.rn.f16.f32 {d}, {a};", "hf", [](u64 a, u64, u64) { return narrow(f32(a), false); }},
      {"cvt.rn.bf16.f32 {d}, {a};", "hf", [](u64 a, u64, u64) { return narrow(f32(a), true); }},
      {"cvt.rn.f16x2.f32 {d}, {a}, {b};", "rff",
       [](u64 a, u64 b, u64) { return narrow(f32(a), false) << 16 | narrow(f32(b), false); }},
      {"cvt.rn.relu.bf16x2.f32 {d}, {a}, {b};", "rff",
       [](u64 a, u64 b, u64) {
         const auto relu = [](float v) { return v < 0 || v == 0 ? u64{0} : narrow(v, true); };
         return relu(f32(a)) << 16 | relu(f32(b));
       }},
      {"cvt.rz.f16.f32 {d}, {a};", "hf",
       [](u64 a, u64, u64) {
         const float v = f32(a);
         u64 n = narrow(v, false);
         if (std::isinf(v) || std::isnan(v)) return n;
         if (std::abs(f16_to_f32(u16(n))) > std::abs(v)) --n;
         return n;
       }},
      {"cvt.f32.f16 {d}, {a};", "fh", [](u64 a, u64, u64) { return bits(f16_to_f32(u16(a))); }},
      {"cvt.f32.bf16 {d}, {a};", "fh", [](u64 a, u64, u64) { return bits(bf16_to_f32(u16(a))); }},
      {"cvt.rzi.s16.f16 {d}, {a};", "hh",
       [](u64 a, u64, u64) {
         const float v = f16_to_f32(u16(a));
         return std::isnan(v) ? u64{0} : u64(u16(s16(std::clamp(v, -32768.0F, 32767.0F))));
       }},
  });
}

TEST(PtxArithmetic, Halves) {
  const auto exact = [](u64 a, u64 b, u64 c, bool brain) {
    const auto in = [&](u64 v) { return quad(brain ? bf16_to_f32(u16(v)) : f16_to_f32(u16(v))); };
    const quad sum = in(a)*in(b) + in(c);
    const auto v = double(sum);
    // Where 53 bits don't hold it, rounding to them first may decide wrongly.
    const bool whole = quad(v) == sum && lost(in(a)*in(b), in(c)) == 0;
    return whole || std::isnan(v) ? narrow(v, brain) : kUnknown;
  };
  constexpr u64 kOne = 0x3C00;
  constexpr u64 kBrainOne = 0x3F80;
  check({
      {"add.rn.f16 {d}, {a}, {b};", "hhh",
       [&](u64 a, u64 b, u64) { return exact(a, kOne, b, false); }, true},
      {"mul.rn.bf16 {d}, {a}, {b};", "hhh",
       [](u64 a, u64 b, u64) {
         return narrow(double(bf16_to_f32(u16(a))) * double(bf16_to_f32(u16(b))), true);
       }},
      {"fma.rn.f16 {d}, {a}, {b}, {c};", "hhhh",
       [&](u64 a, u64 b, u64 c) { return exact(a, b, c, false); }, true},
      {"fma.rn.bf16x2 {d}, {a}, {b}, {c};", "rrrr",
       [&](u64 a, u64 b, u64 c) {
         const u64 low = exact(a, b, c, true);
         const u64 high = exact(a >> 16, b >> 16, c >> 16, true);
         return low == kUnknown || high == kUnknown ? kUnknown : low | high << 16;
       },
       true},
      {"sub.f16x2 {d}, {a}, {b};", "rrr",
       [&](u64 a, u64 b, u64) {
         const u64 minus = 0x80008000;
         return exact(a, kOne, b ^ minus, false) | exact(a >> 16, kOne, (b ^ minus) >> 16, false)
                                                       << 16;
       }},
      {"add.bf16 {d}, {a}, {b};", "hhh",
       [&](u64 a, u64 b, u64) { return exact(a, kBrainOne, b, true); }, true},
      {"neg.f16x2 {d}, {a};", "rr", [](u64 a, u64, u64) { return a ^ 0x80008000; }},
      {"abs.bf16 {d}, {a};", "hh", [](u64 a, u64, u64) { return a & 0x7FFF; }},
      {"max.f16 {d}, {a}, {b};", "hhh",
       [](u64 a, u64 b, u64) {
         const float x = f16_to_f32(u16(a));
         const float y = f16_to_f32(u16(b));
         if (std::isnan(x)) return std::isnan(y) ? u64{0x7FFF} : b;
         if (std::isnan(y)) return a;
         if (x == 0 && y == 0) return a & b;
         return x > y ? a : b;
       }},
  });
}

// A rounding half-way case that only one rounding gets right: 1 + 2^-8 + 2^-60 is above the middle
// of two bf16 numbers, but by less than a double holds.
TEST(PtxArithmetic, HalvesRoundOnce) {
  PtxRun run(
      ptx_kernel("mov.b16 %h1, 0x3F80;\nmov.b16 %h2, 0x3F81;\nmov.b16 %h3, 0x2180;\n"
                 "mov.b16 %h5, 0x3B80;\nfma.rn.bf16 %h4, %h1, %h1, %h3;\n"
                 "add.rn.f32 %f1, 0f3F800000, 0f00000000;\n"
                 "mov.b16 %h6, 0x3F88;\nfma.rn.bf16 %h7, %h6, %h6, %h3;\n"
                 "st.global.b16 [%d20], %h7;"));
  const u64 out = run.upload(std::vector<u16>(1));
  run.run({out}, {1, 1, 1}, {1, 1, 1});
  // 1.0625^2 = 1.12890625 = 1.125 + 2^-8: the middle of 1.125 and 1.1328125; with more it goes up.
  EXPECT_EQ(run.download<u16>(out, 1)[0], 0x3F91);
}

TEST(PtxArithmetic, ApproximationsAreOffByAtMostK) {
  PtxRun run(
      ptx_kernel("cvt.rn.f32.u32 %f1, %r29;\nadd.f32 %f1, %f1, 0f3F800000;\n"
                 "rcp.approx.ftz.f32 %f2, %f1;\nmul.wide.u32 %d1, %r29, 4;\n"
                 "add.u64 %d1, %d1, %d20;\nst.global.f32 [%d1], %f2;"));
  const u64 out = run.upload(std::vector<float>(256));
  LaunchOptions options;
  options.approximation_ulps = 2;
  options.seed = 5;
  run.run({out}, {1, 1, 1}, {256, 1, 1}, options);
  const std::vector<u32> found = run.download<u32>(out, 256);
  int moved = 0;
  for (u32 t = 0; t < 256; ++t) {
    const auto right = s32(std::bit_cast<u32>(1.0F / float(t + 1)));
    EXPECT_LE(std::abs(s32(found[t]) - right), 2);
    if (s32(found[t]) != right) ++moved;
  }
  EXPECT_GT(moved, 100);
}

}  // namespace
}  // namespace grkan::vgpu
