// What a kernel does with a run of columns in a block of rows: the innermost loops. The nest around
// them is cpu_kernel's.
#pragma once

#include <mlir/IR/Value.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "codegen/cpu/ops.h"
#include "codegen/rational.h"
#include "core/task.h"
#include "cpu/schedule.h"

namespace grkan {

// The call's tensors; null where the task has none.
struct CpuTensors {
  mlir::Value x, dy, out;
  mlir::Value x_stride, dy_stride, out_stride;
  mlir::Value scratch;
};

// Rows begin to begin + rows of the slice.
struct RowBlock {
  mlir::Value begin;
  mlir::Value rows;
};

// The coefficients of a run of columns, for `width` of them at a time.
struct ColumnFunction {
  int width;
  Coefficients coefficients;
};

// A run of adjacent columns that one ColumnFunction serves.
struct Columns {
  mlir::Value first;  // from the start of the row
  mlir::Value count;  // a multiple of the function's width
  mlir::Value sums;   // of these columns' first term and lane; null where the task has none
};

class CpuColumns {
 public:
  // store_alignment: non-zero where vectors are stored past the cache, to addresses aligned so.
  CpuColumns(CpuOps& ops, const Task& task, const CpuSchedule& schedule, const CpuTensors& tensors,
             const RowBlock& block, unsigned store_alignment)
      : ops_(ops),
        task_(task),
        problem_(task.problem),
        schedule_(schedule),
        tensors_(tensors),
        block_(block),
        store_alignment_(store_alignment),
        math_(task.problem.math_type()),
        out_type_(task.backward() ? task.problem.x_type : task.problem.y_type) {}

  void build(const ColumnFunction& function, const Columns& columns);

 private:
  using Value = mlir::Value;
  using Values = CpuOps::Values;
  struct Element {
    Value at;  // from the start of the row
    Value x;
    Value dy;
  };
  struct Row {
    Value x, dy, out;
    Value x_ahead, dy_ahead;  // the rows to request; null where the schedule asks for none
  };

  void elements(const ColumnFunction& function, Value first, Value count);
  void chunks(const ColumnFunction& function, const Columns& columns);
  [[nodiscard]] std::int64_t chunk_vectors(std::optional<std::int64_t> vectors) const;
  Values split(const ColumnFunction& function, Value first, Value count, std::int64_t chunk,
               const Values& zeros);
  Values fused(const ColumnFunction& function, Value first, Value count, const Values& zeros);

  Row row_pointers(Value row);
  Values vectors(int width, Value count, int unroll, const Values& carried,
                 const std::function<Values(const Values&, const Values&)>& body);
  std::vector<Element> load(const Row& row, int width, Value first, const Values& offsets);
  void store(const Row& row, int width, const Element& element, Value value);

  CpuOps& ops_;
  const Task& task_;
  const Problem& problem_;
  const CpuSchedule& schedule_;
  const CpuTensors& tensors_;
  const RowBlock block_;
  const unsigned store_alignment_;
  const Type math_;
  const Type out_type_;
};

}  // namespace grkan
