#include "codegen/cpu/kernel.h"

#include <mlir/Dialect/Arith/IR/Arith.h>
#include <mlir/Dialect/LLVMIR/LLVMDialect.h>
#include <mlir/Dialect/Math/IR/Math.h>
#include <mlir/Dialect/SCF/IR/SCF.h>
#include <mlir/Dialect/Vector/IR/VectorOps.h>

#include <algorithm>
#include <cstddef>
#include <optional>

#include "codegen/cpu/columns.h"
#include "codegen/cpu/ops.h"
#include "codegen/rational.h"
#include "cpu/call.h"

namespace grkan {
namespace {

using mlir::Value;
using Values = CpuOps::Values;

class Kernel {
 public:
  Kernel(mlir::OpBuilder& builder, const Task& task, const CpuSchedule& schedule,
         const Target& target)
      : ops_(builder),
        task_(task),
        problem_(task.problem),
        schedule_(schedule),
        target_(target),
        math_(task.problem.math_type()),
        last_(task.problem.layout == Layout::channels_last),
        writes_(!task.backward() || task.gradients.dx),
        out_type_(task.backward() ? task.problem.x_type : task.problem.y_type) {}

  void build(Value call);

 private:
  void load_fields(Value call);
  [[nodiscard]] unsigned nontemporal_alignment() const;
  Value is_aligned(unsigned alignment);

  void rows();
  void broadcast_segments();
  void expanded_segments();
  ColumnFunction segment_function(Value segment);
  ColumnFunction column_function(Value column, int width);
  Value segment_sums(Value segment, Value lane);

  void columns(const ColumnFunction& function, const Columns& columns);

  CpuOps ops_;
  const Task& task_;
  const Problem& problem_;
  const CpuSchedule& schedule_;
  const Target& target_;
  const Type math_;
  const bool last_;
  const bool writes_;
  const Type out_type_;
  unsigned store_alignment_ = 0;  // non-zero while building the non-temporal nest

  CpuTensors tensors_;
  Value a_, b_, sums_;
  Value row_count_, width_;
  Value segment_begin_, segment_end_, column_begin_, column_end_;
  RowBlock block_;  // the one under way
};

void Kernel::load_fields(Value call) {
  const auto pointer = [&](std::size_t offset, const char* name) {
    return ops_.pointer_field(call, offset, name);
  };
  const auto integer = [&](std::size_t offset, const char* name) {
    return ops_.integer_field(call, offset, name);
  };
  tensors_.x = pointer(offsetof(CpuCall, x), "x");
  if (task_.backward()) tensors_.dy = pointer(offsetof(CpuCall, dy), "dy");
  if (writes_) tensors_.out = pointer(offsetof(CpuCall, out), "out");
  a_ = pointer(offsetof(CpuCall, a), "a");
  b_ = pointer(offsetof(CpuCall, b), "b");
  if (task_.sum_terms() > 0) {
    sums_ = pointer(offsetof(CpuCall, sums), "sums");
    tensors_.scratch = pointer(offsetof(CpuCall, scratch), "scratch");
  }
  row_count_ = integer(offsetof(CpuCall, rows), "rows");
  tensors_.x_stride = integer(offsetof(CpuCall, x_stride), "x_stride");
  if (task_.backward()) tensors_.dy_stride = integer(offsetof(CpuCall, dy_stride), "dy_stride");
  if (writes_) tensors_.out_stride = integer(offsetof(CpuCall, out_stride), "out_stride");
  segment_begin_ = integer(offsetof(CpuCall, segment_begin), "segment_begin");
  segment_end_ = integer(offsetof(CpuCall, segment_end), "segment_end");
  width_ =
      last_ ? ops_.integer(problem_.segment_width()) : integer(offsetof(CpuCall, width), "width");
  column_begin_ =
      last_ ? ops_.integer(0) : integer(offsetof(CpuCall, column_begin), "column_begin");
  column_end_ = last_ ? width_ : integer(offsetof(CpuCall, column_end), "column_end");
}

void Kernel::build(Value call) {
  load_fields(call);
  const unsigned alignment = nontemporal_alignment();
  mlir::OpBuilder& builder = ops_.builder();
  if (alignment == 0) {
    rows();
  } else {
    auto choice = mlir::scf::IfOp::create(builder, builder.getUnknownLoc(), is_aligned(alignment),
                                          /*withElseRegion=*/true);
    const mlir::OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(choice.thenBlock());
    store_alignment_ = alignment;
    rows();
    store_alignment_ = 0;
    if (target_.name != "aarch64") {
      mlir::LLVM::CallIntrinsicOp::create(builder, builder.getUnknownLoc(),
                                          builder.getStringAttr("llvm.x86.sse.sfence"),
                                          mlir::ValueRange{});
    }
    builder.setInsertionPointToStart(choice.elseBlock());
    rows();
  }
  mlir::LLVM::ReturnOp::create(builder, builder.getUnknownLoc(), mlir::ValueRange{});
}

// The alignment that non-temporal stores need: a vector's, or a register's where that is less. 0:
// no such stores here, because they aren't asked for, a vector is narrower than any such store, or
// segments don't begin at whole vectors.
unsigned Kernel::nontemporal_alignment() const {
  constexpr unsigned kNarrowest = 16;
  if (schedule_.stores != CpuSchedule::nontemporal) return 0;
  const auto size = unsigned(size_of(out_type_));
  const unsigned alignment =
      std::min(unsigned(schedule_.vector) * size, unsigned(target_.vector_bits()) / 8);
  if (alignment < kNarrowest) return 0;
  const bool broadcast = schedule_.coefficients == CpuSchedule::broadcast;
  if (last_ && broadcast && problem_.segment_width() * size % alignment != 0) return 0;
  return alignment;
}

// Whether every row and segment of the output begins at a multiple of `alignment` bytes.
Value Kernel::is_aligned(unsigned alignment) {
  mlir::OpBuilder& builder = ops_.builder();
  const mlir::Location at = builder.getUnknownLoc();
  const Value size = ops_.integer(std::int64_t(size_of(out_type_)));
  Value bits = mlir::LLVM::PtrToIntOp::create(builder, at, builder.getI64Type(), tensors_.out);
  Values terms = {tensors_.out_stride};
  if (!last_) {
    terms.push_back(width_);
    terms.push_back(column_begin_);
  }
  for (const Value term : terms) {
    bits = mlir::arith::OrIOp::create(builder, at, bits, ops_.mul(term, size, "bytes"));
  }
  const Value low = mlir::arith::AndIOp::create(builder, at, bits, ops_.integer(alignment - 1));
  return mlir::arith::CmpIOp::create(builder, at, mlir::arith::CmpIPredicate::eq, low,
                                     ops_.integer(0));
}

// Blocks of rows, outermost.
void Kernel::rows() {
  ops_.loop(
      ops_.integer(0), row_count_, schedule_.rows,
      [&](Value row) {
        block_.begin = row;
        block_.rows = schedule_.rows == 1
                          ? ops_.integer(1)
                          : ops_.min(ops_.integer(schedule_.rows),
                                     ops_.sub(row_count_, row, "rows_left"), "block_rows");
        if (schedule_.coefficients == CpuSchedule::expanded) {
          expanded_segments();
        } else {
          broadcast_segments();
        }
      },
      "row_block");
}

void Kernel::broadcast_segments() {
  const int vector = schedule_.vector;
  ops_.loop(
      segment_begin_, segment_end_, 1,
      [&](Value segment) {
        const ColumnFunction scalar = segment_function(segment);
        const Value count = ops_.sub(column_end_, column_begin_, "columns");
        const Value whole = ops_.round_down(count, vector, "whole");
        const Value first =
            ops_.add(ops_.mul(segment, width_, "segment_column"), column_begin_, "first_column");
        const Value sums = segment_sums(segment, ops_.integer(0));
        if (vector > 1) {
          ColumnFunction wide{vector, {}};
          for (const Value a : scalar.coefficients.a) {
            wide.coefficients.a.push_back(ops_.broadcast(a, vector));
          }
          for (const Value b : scalar.coefficients.b) {
            wide.coefficients.b.push_back(ops_.broadcast(b, vector));
          }
          columns(wide, {first, whole, sums});
        }
        const Value done = vector > 1 ? whole : ops_.integer(0);
        columns(scalar,
                {ops_.add(first, done, "tail"), ops_.sub(count, done, "tail_columns"), sums});
      },
      "segment");
}

void Kernel::expanded_segments() {
  const int vector = schedule_.vector;
  const std::int64_t whole = problem_.channels / vector * vector;
  ops_.loop(
      ops_.integer(0), ops_.integer(whole), vector,
      [&](Value column) {
        const Value sums = segment_sums(ops_.divide(column, vector, "segment"), ops_.integer(0));
        columns(column_function(column, vector), {column, ops_.integer(vector), sums});
      },
      "column");
  ops_.loop(
      ops_.integer(whole), ops_.integer(problem_.channels), 1,
      [&](Value column) {
        const Value lane = ops_.sub(column, ops_.integer(whole), "lane");
        const Value sums = segment_sums(ops_.integer(whole / vector), lane);
        columns(column_function(column, 1), {column, ops_.integer(1), sums});
      },
      "tail_column");
}

// bcast: the coefficients of the segment's two groups, as scalars.
ColumnFunction Kernel::segment_function(Value segment) {
  const auto load = [&](Value base, std::int64_t segments_per_group, int terms, const char* name) {
    const Value group = ops_.divide(segment, segments_per_group, "group");
    const Value first = ops_.mul(group, ops_.integer(terms), "coefficient");
    Values values;
    for (int i = 0; i < terms; ++i) {
      const Value at = ops_.address(base, math_, ops_.add(first, ops_.integer(i), name), name);
      values.push_back(ops_.load(at, math_, 1, name + std::to_string(i)));
    }
    return values;
  };
  const Values a =
      load(a_, problem_.segments_per_numerator_group(), problem_.numerator_terms(), "a");
  const Values b =
      load(b_, problem_.segments_per_denominator_group(), problem_.denominator_terms(), "b");
  return {1, prepare_coefficients(ops_.builder(), problem_, Scheme{}, a, b)};
}

// expand: each column's own coefficients, from the planes.
ColumnFunction Kernel::column_function(Value column, int width) {
  const auto load = [&](Value base, int terms, const char* name) {
    Values values;
    for (int i = 0; i < terms; ++i) {
      const Value index = ops_.add(column, ops_.integer(i * problem_.channels), name);
      const Value at = ops_.address(base, math_, index, name);
      values.push_back(ops_.load(at, math_, width, name + std::to_string(i)));
    }
    return values;
  };
  const Values a = load(a_, problem_.numerator_terms(), "a");
  const Values b = load(b_, problem_.denominator_terms(), "b");
  return {width, prepare_coefficients(ops_.builder(), problem_, Scheme{}, a, b)};
}

Value Kernel::segment_sums(Value segment, Value lane) {
  if (!sums_) return {};
  const std::int64_t size = std::int64_t{task_.sum_terms()} * 2 * schedule_.vector;
  const Value local = schedule_.coefficients == CpuSchedule::expanded
                          ? segment
                          : ops_.sub(segment, segment_begin_, "local_segment");
  const Value at = ops_.add(ops_.mul(local, ops_.integer(size), "sums"), lane, "sums");
  return ops_.address(sums_, Type::f64, at, "sums");
}

void Kernel::columns(const ColumnFunction& function, const Columns& columns) {
  CpuColumns(ops_, task_, schedule_, tensors_, block_, store_alignment_).build(function, columns);
}

}  // namespace

mlir::OwningOpRef<mlir::ModuleOp> build_cpu_kernel(mlir::MLIRContext& context, const Task& task,
                                                   const CpuSchedule& schedule,
                                                   const Target& target) {
  context.loadDialect<mlir::arith::ArithDialect, mlir::math::MathDialect, mlir::scf::SCFDialect,
                      mlir::vector::VectorDialect, mlir::LLVM::LLVMDialect>();
  mlir::OpBuilder builder(&context);
  const mlir::Location at = builder.getUnknownLoc();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::ModuleOp::create(at);
  builder.setInsertionPointToEnd(module->getBody());
  const mlir::Type pointer = mlir::LLVM::LLVMPointerType::get(&context);
  const mlir::Type type = mlir::LLVM::LLVMFunctionType::get(mlir::LLVM::LLVMVoidType::get(&context),
                                                            mlir::ArrayRef<mlir::Type>{pointer});
  auto function = mlir::LLVM::LLVMFuncOp::create(
      builder, at, kernel_symbol(task, compiled_text(schedule)), type);
  builder.setInsertionPointToStart(function.addEntryBlock(builder));
  const Value call = function.getArgument(0);
  Kernel(builder, task, schedule, target).build(call);
  return module;
}

}  // namespace grkan
