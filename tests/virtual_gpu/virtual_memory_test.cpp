// Memory of the virtual GPU against a plain model: bytes and "written" marks kept one by one.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "virtual_gpu/checks/finding.h"
#include "virtual_gpu/machine/memory.h"

namespace grkan::vgpu {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kGiB = std::size_t{1} << 30;

bool is_written(const Allocation& allocation, std::size_t offset) {
  return (allocation.written[offset / 64] >> (offset % 64) & 1) != 0;
}

TEST(VirtualMemory, AllocatesAlignedAndApart) {
  Memory memory(kMiB);
  std::uint64_t end = 0;
  for (const std::size_t size : {1, 255, 256, 257, 4096}) {
    const std::uint64_t address = memory.allocate(size);
    ASSERT_NE(address, 0);
    EXPECT_EQ(address % 256, 0);
    EXPECT_GE(address, end + 4096) << "no gap";
    end = address + size;
  }
  EXPECT_EQ(memory.used(), 1 + 255 + 256 + 257 + 4096);
  EXPECT_EQ(memory.capacity(), kMiB);
}

TEST(VirtualMemory, RefusesMoreThanItsCapacity) {
  Memory memory(1000);
  EXPECT_EQ(memory.allocate(1001), 0);
  EXPECT_EQ(memory.allocate(0), 0);
  EXPECT_EQ(memory.allocate(~std::size_t{0}), 0);
  const std::uint64_t first = memory.allocate(600);
  EXPECT_NE(first, 0);
  EXPECT_EQ(memory.allocate(401), 0);
  EXPECT_NE(memory.allocate(400), 0);
  EXPECT_TRUE(memory.free(first));
  EXPECT_NE(memory.allocate(600), 0);
}

TEST(VirtualMemory, FreesOnlyWhatBeginsThere) {
  Memory memory(kMiB);
  const std::uint64_t address = memory.allocate(100);
  EXPECT_FALSE(memory.free(address + 1));
  EXPECT_FALSE(memory.free(0));
  EXPECT_TRUE(memory.free(address));
  EXPECT_FALSE(memory.free(address));
  EXPECT_EQ(memory.used(), 0);
  char byte = 0;
  EXPECT_FALSE(memory.read(&byte, address, 1));
  EXPECT_FALSE(memory.write(address, &byte, 1));
}

TEST(VirtualMemory, NamesTheAllocationNearAnAddress) {
  Memory memory(kMiB);
  const std::uint64_t a = memory.allocate(100);
  const std::uint64_t b = memory.allocate(200);
  ASSERT_NE(memory.find(a), nullptr);
  EXPECT_EQ(memory.find(a + 99)->number, 1);
  EXPECT_EQ(memory.find(a + 100)->number, 1) << "one byte past the end";
  EXPECT_EQ(memory.find(b - 1)->number, 2) << "one byte before";
  EXPECT_EQ(memory.find(0), nullptr);
  EXPECT_EQ(memory.find(std::uint64_t{1} << 60), nullptr);
  EXPECT_EQ(memory.find(~std::uint64_t{0}), nullptr);
  std::array<char, 64> expected{};
  std::snprintf(expected.data(), expected.size(), "allocation 2 (200 bytes at 0x%llx)",
                static_cast<unsigned long long>(b));
  EXPECT_EQ(memory.find(b)->describe(), expected.data());
  memory.free(a);
  ASSERT_NE(memory.find(a + 50), nullptr);
  EXPECT_TRUE(memory.find(a + 50)->freed);
  EXPECT_EQ(memory.find(a + 50)->data, nullptr);
  EXPECT_EQ(memory.find(a + 50)->describe().substr(0, 18), "freed allocation 1");
}

TEST(VirtualMemory, ForgetsTheOldestFreedOnes) {
  Memory memory(kMiB);
  const std::uint64_t first = memory.allocate(16);
  memory.free(first);
  for (int i = 0; i < 5000; ++i) memory.free(memory.allocate(16));
  EXPECT_EQ(memory.find(first), nullptr);
}

TEST(VirtualMemory, RangesStayWithinOneAllocation) {
  Memory memory(kMiB);
  const std::uint64_t a = memory.allocate(100);
  const std::uint64_t b = memory.allocate(100);
  std::array<char, 200> host{};
  EXPECT_TRUE(memory.write(a, host.data(), 100));
  EXPECT_FALSE(memory.write(a, host.data(), 101));
  EXPECT_FALSE(memory.write(a + 1, host.data(), 100));
  EXPECT_FALSE(memory.write(a - 1, host.data(), 1));
  EXPECT_FALSE(memory.write(a, host.data(), ~std::size_t{0}));
  EXPECT_FALSE(memory.read(host.data(), a + 50, 51));
  EXPECT_FALSE(memory.copy(b + 1, a, 100));
  EXPECT_FALSE(memory.copy(b, a + 1, 100));
  EXPECT_TRUE(memory.copy(b, a, 100));
  const std::uint32_t pattern = 0;
  EXPECT_TRUE(memory.set(a, &pattern, 4, 25));
  EXPECT_FALSE(memory.set(a, &pattern, 4, 26));
  EXPECT_FALSE(memory.set(a, &pattern, 4, (~std::size_t{0} >> 2) + 2)) << "the size wraps";
  EXPECT_TRUE(memory.write(a + 100, host.data(), 0)) << "nothing at the very end";
}

// A large allocation costs only what is touched: no machine of the project has this much.
TEST(VirtualMemory, LargeAllocationsAreLazy) {
  Memory memory(200 * kGiB);
  const std::uint64_t address = memory.allocate(140 * kGiB);
  ASSERT_NE(address, 0);
  const int sent = 42;
  int got = 0;
  EXPECT_TRUE(memory.write(address + 139 * kGiB, &sent, sizeof sent));
  EXPECT_TRUE(memory.read(&got, address + 139 * kGiB, sizeof got));
  EXPECT_EQ(got, 42);
  EXPECT_TRUE(is_written(*memory.find(address), 139 * kGiB + 3));
  EXPECT_FALSE(is_written(*memory.find(address), 139 * kGiB + 4));
}

struct Model {
  explicit Model(std::size_t size) : bytes(size), written(size) {}
  std::vector<unsigned char> bytes;
  std::vector<bool> written;
};

// Random writes, sets and copies (overlapping ones too) against a byte-by-byte model. Few in each
// memory, so that bytes that nothing wrote are left.
TEST(VirtualMemory, AgreesWithAPlainModel) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return std::size_t(random()) % n; };
  constexpr std::size_t kSize = 700;
  for (int trial = 0; trial < 300; ++trial) {
    Memory memory(kMiB);
    const std::array<std::uint64_t, 2> address = {memory.allocate(kSize), memory.allocate(kSize)};
    std::array<Model, 2> model = {Model(kSize), Model(kSize)};
    for (int round = 0; round < 12; ++round) {
      const std::size_t target = below(2);
      const std::size_t size = below(round % 3 == 0 ? kSize : 100);
      const std::size_t to = below(kSize - size + 1);
      Model& m = model[target];
      const std::size_t kind = below(4);
      if (kind == 0) {  // a host buffer
        std::vector<unsigned char> host(size);
        for (unsigned char& byte : host) byte = static_cast<unsigned char>(random());
        ASSERT_TRUE(memory.write(address[target] + to, host.data(), size));
        for (std::size_t i = 0; i < size; ++i) {
          m.bytes[to + i] = host[i];
          m.written[to + i] = true;
        }
      } else if (kind == 1) {  // a pattern
        const std::size_t width = std::size_t{1} << below(3);
        const auto pattern = std::uint32_t(random());
        ASSERT_TRUE(memory.set(address[target] + to, &pattern, width, size / width));
        for (std::size_t i = 0; i < size / width * width; ++i) {
          m.bytes[to + i] = static_cast<unsigned char>(pattern >> 8 * (i % width));
          m.written[to + i] = true;
        }
      } else {
        const std::size_t source = below(2);
        const std::size_t from = below(kSize - size + 1);
        ASSERT_TRUE(memory.copy(address[target] + to, address[source] + from, size));
        const Model before = model[source];
        for (std::size_t i = 0; i < size; ++i) {
          m.bytes[to + i] = before.bytes[from + i];
          m.written[to + i] = before.written[from + i];
        }
      }
    }
    for (std::size_t a = 0; a < 2; ++a) {
      std::vector<unsigned char> bytes(kSize);
      ASSERT_TRUE(memory.read(bytes.data(), address[a], kSize));
      EXPECT_EQ(bytes, model[a].bytes);
      for (std::size_t i = 0; i < kSize; ++i) {
        ASSERT_EQ(is_written(*memory.find(address[a]), i), model[a].written[i]) << i;
      }
    }
  }
}

TEST(VirtualMemory, TwoThreadsMayUseIt) {
  Memory memory(kMiB);
  const std::uint64_t shared = memory.allocate(1024);
  const auto work = [&](int thread) {
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t own = memory.allocate(64);
      ASSERT_NE(own, 0);
      const int sent = i * 2 + thread;
      int got = 0;
      ASSERT_TRUE(memory.write(own + 60, &sent, 4));
      ASSERT_TRUE(memory.read(&got, own + 60, 4));
      ASSERT_EQ(got, sent);
      // Neighbouring bytes: their marks stand in one word.
      const char byte = 1;
      ASSERT_TRUE(
          memory.write(shared + std::uint64_t(i % 512) * 2 + std::uint64_t(thread), &byte, 1));
      ASSERT_TRUE(memory.free(own));
    }
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  for (std::size_t i = 0; i < 1024; ++i) EXPECT_TRUE(is_written(*memory.find(shared), i)) << i;
}

TEST(VirtualFinding, ChecksHaveNames) {
  for (int i = 0; i < kChecks; ++i) {
    EXPECT_EQ(parse_check(to_string(Check(i))), Check(i));
  }
  EXPECT_EQ(to_string(Check::bad_shuffle), "bad_shuffle");
  EXPECT_EQ(parse_check("deadlock"), Check::deadlock);
  try {
    parse_check("races");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), Status::invalid_argument);
    EXPECT_STREQ(error.what(),
                 "there is no check 'races'; there are out_of_bounds, misaligned, uninitialised, "
                 "read_only, shared_race, global_race, divergent_barrier, bad_shuffle, deadlock");
  }
}

}  // namespace
}  // namespace grkan::vgpu
