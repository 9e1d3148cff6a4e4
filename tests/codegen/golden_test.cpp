// The generated CUDA sources of tests/golden/table.txt as text: a change of the generator shows as
// a diff that a reviewer can read. GRKAN_WRITE_GOLDEN=1 makes the files again; scripts/golden does
// it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "codegen/cuda/source.h"

namespace grkan {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = GRKAN_GOLDEN;

std::string read(const fs::path& path) {
  const std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Golden {
  std::string name, task, schedule, architecture;
};
std::vector<Golden> table() {
  std::ifstream file(kFolder / "table.txt");
  std::vector<Golden> all;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.starts_with('#')) continue;
    std::istringstream words(line);
    Golden one;
    words >> one.name >> one.task >> one.schedule >> one.architecture;
    all.push_back(one);
  }
  return all;
}

// The default schedule, with what the text names.
CudaSchedule schedule_of(const Golden& golden, const Task& task, const Target& target) {
  Schedule schedule = default_schedule(task, target, 25216);
  if (golden.schedule == "default") return CudaSchedule(schedule);
  const Schedule named = parse_schedule(golden.schedule, target);
  const auto parameters = cuda_backend().parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].compiled && named.values[i] != 0) schedule.values[i] = named.values[i];
  }
  return CudaSchedule(schedule);
}

std::string generate(const Golden& golden) {
  const Task task = parse_task(golden.task);
  const Target target = parse_target(golden.architecture);
  return cuda_source(task, schedule_of(golden, task, target), target).text;
}

// "line 3 is 'x', not 'y'", or empty for equal texts.
std::string first_difference(const std::string& found, const std::string& wanted) {
  std::istringstream found_lines(found);
  std::istringstream wanted_lines(wanted);
  const auto next = [](std::istringstream& lines) -> std::string {
    std::string line;
    return std::getline(lines, line) ? "'" + line + "'" : "the end";
  };
  for (int number = 1; found != wanted; ++number) {
    const std::string here = next(found_lines);
    const std::string there = next(wanted_lines);
    if (here != there) return fmt::format("line {} is {}, not {}", number, here, there);
    if (here == "the end") return "the last line ends otherwise";
  }
  return {};
}

TEST(Golden, FirstDifference) {
  EXPECT_EQ(first_difference("a\nb\n", "a\nb\n"), "");
  EXPECT_EQ(first_difference("a\nb\n", "a\nc\nd\n"), "line 2 is 'b', not 'c'");
  EXPECT_EQ(first_difference("a\n", "a\nc\n"), "line 2 is the end, not 'c'");
  EXPECT_EQ(first_difference("a\nb\n", "a\n"), "line 2 is 'b', not the end");
  EXPECT_EQ(first_difference("a", "a\n"), "the last line ends otherwise");
}

TEST(Golden, SourcesAreThoseOfTheTable) {
  const bool write = std::getenv("GRKAN_WRITE_GOLDEN") != nullptr;
  std::set<std::string> named;
  for (const Golden& golden : table()) {
    const fs::path path = kFolder / (golden.name + ".cu");
    EXPECT_TRUE(named.insert(golden.name + ".cu").second)
        << golden.name << " is in the table twice";
    try {
      const std::string text = generate(golden);
      if (write) std::ofstream(path) << text;
      EXPECT_TRUE(fs::exists(path)) << path << " is missing; run scripts/golden";
      EXPECT_EQ(first_difference(text, read(path)), "")
          << "in the source generated for " << path << ", " << golden.task << " " << golden.schedule
          << " " << golden.architecture
          << "\nIf the change is meant, run scripts/golden and look at the diff.";
    } catch (const std::exception& error) {
      ADD_FAILURE() << golden.name << " in " << kFolder / "table.txt" << ": " << error.what();
    }
  }
  EXPECT_GE(named.size(), 12U) << "lines in " << kFolder / "table.txt";
  for (const fs::directory_entry& entry : fs::directory_iterator(kFolder)) {
    const std::string file = entry.path().filename();
    if (file == "table.txt" || named.contains(file)) continue;
    if (write) {
      fs::remove(entry.path());
    } else {
      ADD_FAILURE() << entry.path() << " is not in the table; run scripts/golden";
    }
  }
}

}  // namespace
}  // namespace grkan
