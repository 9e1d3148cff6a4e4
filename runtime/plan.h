// Plan: a problem on a device. Finds for each size the schedule with the best evidence, prepares
// its kernel, and runs calls. A prepared call takes one table look-up: no lock, no allocation, no
// file.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/context.h"
#include "runtime/plan_table.h"

namespace grkan {

// Any thread may call any function; only destroying is for one.
class Plan {
 public:
  // gradients: none for a plan that has no backward. Compiles nothing. Throws invalid_argument for
  // a wrong problem or device name, no_device for a device that isn't there.
  Plan(Context& context, const Problem& problem, std::string_view device, Gradients gradients);
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  [[nodiscard]] Context& context() const { return context_; }
  [[nodiscard]] const Problem& problem() const { return problem_; }
  [[nodiscard]] Device& device() const { return device_; }
  [[nodiscard]] bool has(Direction direction) const {
    return tables_.at(std::size_t(direction)) != nullptr;
  }
  // Throws invalid_argument where the plan has no backward, as do all that take a direction.
  [[nodiscard]] const Task& task(Direction direction) const;

  // Finds, compiles and loads the kernels for all sizes in the ranges; with effort quick and above,
  // tunes first what no measurement on this device holds for.
  void prepare(Range rows, Range inner);
  // Bytes that a call of any rows and of up to `inner` must bring; never changes.
  [[nodiscard]] std::size_t workspace_size(Direction direction, std::int64_t inner = 1) const;
  // Bytes that a call of up to so many rows must bring; no more, and never changing either.
  [[nodiscard]] std::size_t workspace_size(Direction direction, std::int64_t rows,
                                           std::int64_t inner) const;
  // Checks the call (throws invalid_argument, nothing written), prepares its size where that was
  // not done, and runs it. A gradient whose pointer is null is not computed.
  void run(Direction direction, const Call& call, const Workspace& workspace);

  // That a call of this size finds its kernel loaded.
  [[nodiscard]] bool is_prepared(Direction direction, std::int64_t rows, std::int64_t inner) const;
  // What a call of this size would run; prepares nothing.
  Choice choose(Direction direction, std::int64_t rows, std::int64_t inner);
  // The same as a JSON document, with what the compiler said of the kernel, for one of tasks().
  std::string explain(const Task& task, std::int64_t rows, std::int64_t inner);
  // Reads the winners again, in place of what was imported, and chooses anew for the sizes prepared
  // so far: after a tuning.
  void refresh();

  // What this plan chooses from, for every size and every subset of its gradients, as bytes for
  // import_winners of another process, which then chooses the same; that throws invalid_argument on
  // bytes of another problem or architecture, and on damaged ones.
  std::string export_winners();
  void import_winners(std::string_view bytes);

 private:
  [[nodiscard]] PlanTable& table(Direction direction) const;
  // Of the gradients that a call brings memory for.
  PlanTable& table_of(const Call& call);
  // Of some of the plan's gradients; made where it is not there yet.
  PlanTable& part_of(Gradients gradients);
  // The tasks of the plan, of its subsets and of all gradients.
  [[nodiscard]] std::vector<Task> tasks() const;
  // Chooses anew for the sizes prepared so far.
  void choose_again();

  Context& context_;
  Problem problem_;
  Device& device_;
  Imports imports_;
  // Backward of all gradients, where the plan has fewer: its tuning serves theirs.
  std::unique_ptr<PlanTable> whole_;
  std::array<std::unique_ptr<PlanTable>, 2> tables_;  // by direction; backward's may be null
  // Of fewer gradients than the plan's, by their bits; made by the first call that has them.
  std::array<std::atomic<PlanTable*>, 8> parts_{};
  std::array<WorkspaceBound, 2> workspaces_;  // by direction; whatever gradients a call has
};

}  // namespace grkan
