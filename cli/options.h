// The options that verbs share: how a problem, its rows and a device are named.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/range.h"
#include "core/schedule.h"
#include "core/task.h"

namespace grkan::cli {

// A check for a numeric option: a whole number in decimal that its variable can hold, from `low` to
// `high`. Whether it makes sense is the verb's to say.
CLI::Validator whole_number(std::int64_t low = INT64_MIN, std::int64_t high = INT64_MAX);

// Texts as the user gave them; the functions turn them into values and throw invalid_argument.
struct TaskOptions {
  std::string name;  // a printed problem or task, or empty: then the options below
  std::int64_t channels = 0;
  std::string groups = "8";
  std::string degrees = "5,4";
  std::string variant = "A";
  std::string types = "f32";
  std::string layout = "channels-last";
  std::string direction = "both";
  std::string gradients = "dx,da,db";
  std::string rows = "25216";
  std::int64_t inner = 1;
  std::string determinism = "run_to_run";

  void declare(CLI::App& command);

  // The tasks named: forward, backward, or both. A printed task names one; an option that says what
  // the printed form says already is refused.
  [[nodiscard]] std::vector<Task> tasks() const;
  [[nodiscard]] Range row_range() const;
  // row_range() where a verb takes one number; throws on a range.
  [[nodiscard]] std::int64_t row_count() const;
  [[nodiscard]] std::int64_t inner_of(const Problem& problem) const;
  [[nodiscard]] Determinism determinism_class() const { return parse_determinism(determinism); }
  // Whether anything of the tasks was given.
  [[nodiscard]] bool named() const;

 private:
  std::vector<const CLI::Option*> of_problem_;  // what a printed problem says
  std::vector<const CLI::Option*> of_task_;     // what only a printed task says
};

struct DeviceOptions {
  std::string device = "cpu";
  int threads = 0;  // 0: all
  std::string cache;

  void declare(CLI::App& command);
};

// Where the cache lies, for verbs that are about it; throws where there is none.
std::string cache_folder(const std::string& option);

// "a,b,c" as its parts; throws on an empty one.
std::vector<std::string> split_list(const std::string& text, const std::string& what);

}  // namespace grkan::cli
