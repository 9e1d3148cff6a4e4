#include "tuner/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace grkan {
namespace {

TEST(Parallel, EachPieceOnceOnAnyNumberOfThreads) {
  for (const std::size_t threads : {1, 2, 7}) {
    for (const std::size_t count : {0, 1, 5, 100}) {
      std::vector<std::atomic<int>> done(count);
      for_each_in_threads(count, threads, [&](std::size_t k) { ++done[k]; });
      for (const std::atomic<int>& times : done) EXPECT_EQ(times, 1);
    }
  }
}

TEST(Parallel, WhatIsThrownComesAfterTheRest) {
  std::atomic<int> done = 0;
  const auto work = [&](std::size_t k) {
    if (k == 3) throw std::runtime_error("third");
    ++done;
  };
  EXPECT_THROW(for_each_in_threads(20, 3, work), std::runtime_error);
  EXPECT_EQ(done, 19);
}

}  // namespace
}  // namespace grkan
