// The layer of winners in the product: each is whole, of a known GPU and no default's; and one of
// them is made again, the same byte for byte.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "cache/winner.h"
#include "core/gpu_models.h"
#include "tests/cli/cli_command.h"

namespace grkan {
namespace {

// By path, as in a cache folder.
std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), folder.parent_path()).string()] = read_file(entry.path());
  }
  return files;
}

std::map<std::string, Winner> shipped() {
  std::map<std::string, Winner> winners;
  for (const auto& [path, bytes] : files_of(GRKAN_WINNERS)) {
    Winner winner;
    EXPECT_EQ(parse_winner_file(bytes, path, winner), "") << path;
    winners[path] = winner;
  }
  return winners;
}

TEST(ShippedWinners, AreWholeAndNoDefaults) {
  const std::map<std::string, Winner> winners = shipped();
  EXPECT_GE(winners.size(), 4U);
  int measured = 0;
  for (const auto& [path, w] : winners) {
    SCOPED_TRACE(path);
    EXPECT_NE(w.schedule, w.default_schedule);
    EXPECT_TRUE(w.binary.empty());
    EXPECT_FALSE(w.disturbed);
    EXPECT_TRUE(w.rows.holds(w.tuned_rows) && w.inner.holds(w.tuned_inner));
    const GpuModel* gpu = find_gpu_model(Target{w.device.architecture}.compute_capability(),
                                         int(w.device.units), double(w.device.memory_bytes));
    EXPECT_NE(gpu, nullptr);
    ASSERT_TRUE(w.time);
    if (w.evidence == Evidence::measured) {
      ++measured;
      EXPECT_GE(w.time->samples, 8);
      continue;
    }
    EXPECT_EQ(w.evidence, Evidence::predicted_static);
    ASSERT_TRUE(w.default_time && w.prediction);
    EXPECT_LT(w.time->median, w.default_time->median);
  }
  EXPECT_GT(measured, 0);
}

TEST(ShippedWinners, AreMadeAgain) {
  const std::map<std::string, Winner> winners = shipped();
  const auto predicted = std::ranges::find_if(
      winners, [](const auto& w) { return w.second.evidence != Evidence::measured; });
  ASSERT_NE(predicted, winners.end());
  const auto& [path, winner] = *predicted;
  std::string name = ::testing::TempDir() + "grkan_shipped_XXXXXX";
  ASSERT_NE(mkdtemp(name.data()), nullptr);
  Command command(name);
  const GpuModel* gpu =
      find_gpu_model(Target{winner.device.architecture}.compute_capability(),
                     int(winner.device.units), double(winner.device.memory_bytes));
  // 2026-12-01T00:00:00Z, as scripts/winners has it.
  setenv("SOURCE_DATE_EPOCH", "1796083200", 1);
  const Result tuned =
      command.run({"tune", to_string(winner.task), "--gpu", std::string(gpu->name), "--effort",
                   "instant", "--rows", std::to_string(winner.tuned_rows), "--inner",
                   std::to_string(winner.tuned_inner), "--json"});
  if (tuned.err.find("NVRTC") != std::string::npos && tuned.exit_code != 0) {
    GTEST_SKIP() << "SKIP: no NVRTC on this machine: " << tuned.err;
  }
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  const fs::path layer = fs::path(name) / "layer";
  const Result exported = command.run({"cache", "export", "--winners", layer.string()});
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const std::map<std::string, std::string> made = files_of(layer / "winners");
  ASSERT_EQ(made.size(), 1U) << tuned.out;
  Winner again;
  ASSERT_EQ(parse_winner_file(made.begin()->second, made.begin()->first, again), "");
  if (again.compiler != winner.compiler) {
    GTEST_SKIP() << "SKIP: winners/ was made with " << winner.compiler << ", here is "
                 << again.compiler;
  }
  EXPECT_EQ(made.begin()->first, path) << "run scripts/winners";
  EXPECT_EQ(made.begin()->second, to_text(winner)) << "run scripts/winners";
  fs::remove_all(name);
}

}  // namespace
}  // namespace grkan
