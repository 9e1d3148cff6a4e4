// Task: a problem, a direction and, for backward, the gradients asked for. Plans, candidates,
// winners and cache folders belong to a task.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/problem.h"

namespace grkan {

enum class Direction : std::uint8_t { forward, backward };

struct Gradients {
  bool dx = false;
  bool da = false;
  bool db = false;
  bool operator==(const Gradients&) const = default;
  [[nodiscard]] bool any() const { return dx || da || db; }
  // As GRKAN_DX, GRKAN_DA and GRKAN_DB are or-ed.
  [[nodiscard]] unsigned bits() const { return (dx ? 1U : 0U) | (da ? 2U : 0U) | (db ? 4U : 0U); }
  static Gradients of_bits(unsigned bits) {
    return {.dx = (bits & 1U) != 0, .da = (bits & 2U) != 0, .db = (bits & 4U) != 0};
  }
};

struct Task {
  Problem problem;
  Direction direction = Direction::forward;
  Gradients gradients;  // none for forward; at least one for backward

  bool operator==(const Task&) const = default;

  [[nodiscard]] bool backward() const { return direction == Direction::backward; }
  [[nodiscard]] bool sums() const { return gradients.da || gradients.db; }
  // The sums one segment needs: numerator_terms() if da is asked for, then denominator_terms() if
  // db.
  [[nodiscard]] int sum_terms() const {
    return (gradients.da ? problem.numerator_terms() : 0) +
           (gradients.db ? problem.denominator_terms() : 0);
  }
};

Task forward_task(const Problem& problem);
Task backward_task(const Problem& problem, Gradients gradients = {true, true, true});

// Throws invalid_argument unless the problem is valid and the gradients fit the direction.
void validate(const Task& task);

// "forward/<problem>" or "backward.dx.da.db/<problem>"; parse_task is the inverse and validates.
std::string to_string(const Task& task);
Task parse_task(std::string_view text);

std::string_view to_string(Direction direction);   // "forward" "backward"
std::string to_string(Gradients gradients);        // "dx,da,db"
Gradients parse_gradients(std::string_view text);  // any subset, comma-separated, in any order

// The symbol of a kernel: "grkan_fwd_" or "grkan_bwd_dxdadb_", the problem, "__" and the compiled
// part of the schedule, with '-' and ':' as '_'. parse_symbol is the inverse: it returns the task
// and the schedule's text.
std::string kernel_symbol(const Task& task, std::string_view compiled_schedule);
struct KernelName {
  Task task;
  std::string compiled_schedule;
  bool operator==(const KernelName&) const = default;
};
KernelName parse_symbol(std::string_view symbol);

}  // namespace grkan
