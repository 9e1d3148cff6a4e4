#include "codegen/cpu/columns.h"

#include <algorithm>
#include <cstddef>

namespace grkan {

using mlir::Value;

void CpuColumns::build(const ColumnFunction& function, const Columns& columns) {
  if (columns.sums) {
    chunks(function, columns);
  } else {
    elements(function, columns.first, columns.count);
  }
}

// Forward, and backward without sums: each element on its own.
void CpuColumns::elements(const ColumnFunction& function, Value first, Value count) {
  if (!tensors_.out) return;
  ops_.loop(
      ops_.integer(0), block_.rows, 1,
      [&](Value r) {
        const Row row = row_pointers(r);
        vectors(
            function.width, count, schedule_.unroll, {}, [&](const Values& offsets, const Values&) {
              mlir::OpBuilder& builder = ops_.builder();
              const std::vector<Element> loaded = load(row, function.width, first, offsets);
              Values results;
              results.reserve(loaded.size());
              for (const Element& e : loaded) {
                results.push_back(
                    task_.backward()
                        ? build_backward(builder, task_, Scheme{}, function.coefficients, e.x, e.dy)
                              .dx
                        : build_forward(builder, problem_, Scheme{}, function.coefficients, e.x));
              }
              for (std::size_t i = 0; i < loaded.size(); ++i) {
                store(row, function.width, loaded[i], results[i]);
              }
              return Values();
            });
      },
      "row");
}

// Backward with sums: chunks of columns such that rows x chunk gives a lane at most `run` terms.
void CpuColumns::chunks(const ColumnFunction& function, const Columns& columns) {
  const int width = function.width;
  std::optional<std::int64_t> vectors;
  if (const auto constant = CpuOps::constant_of(columns.count)) vectors = *constant / width;
  const std::int64_t chunk = chunk_vectors(vectors);
  const bool whole_chunks = vectors && *vectors % chunk == 0;
  const Values zeros(std::size_t(task_.sum_terms()), ops_.zero(math_, width));
  ops_.loop(
      ops_.integer(0), columns.count, chunk * width,
      [&](Value offset) {
        const Value most = ops_.integer(chunk * width);
        const Value count =
            whole_chunks
                ? most
                : ops_.min(most, ops_.sub(columns.count, offset, "columns_left"), "chunk_columns");
        const Value first = ops_.add(columns.first, offset, "chunk_column");
        const Values sums = schedule_.backward == CpuSchedule::split
                                ? split(function, first, count, chunk, zeros)
                                : fused(function, first, count, zeros);
        for (std::size_t i = 0; i < sums.size(); ++i) {
          const std::int64_t term = std::int64_t(i) * 2 * schedule_.vector;
          const Value at = ops_.address(columns.sums, Type::f64, ops_.integer(term), "sum");
          ops_.add_to_sums(sums[i], at, math_, width, schedule_.vector);
        }
      },
      "chunk");
}

// As many vectors as a run has room for; where their number is known, in even parts.
std::int64_t CpuColumns::chunk_vectors(std::optional<std::int64_t> vectors) const {
  const std::int64_t most = std::max(1, schedule_.run / schedule_.rows);
  if (!vectors || *vectors == 0) return most;
  const std::int64_t parts = (*vectors + most - 1) / most;
  return (*vectors + parts - 1) / parts;
}

// One loop computes dx and leaves w and v in the scratch, a second one sums: together they need
// more registers than there are.
CpuColumns::Values CpuColumns::split(const ColumnFunction& function, Value first, Value count,
                                     std::int64_t chunk, const Values& zeros) {
  const int width = function.width;
  const bool keep_w = task_.gradients.da;
  const bool keep_v = task_.gradients.db && problem_.denominator_terms() > 0;
  const auto alignment = unsigned(std::min<std::size_t>(64, size_of(math_) * std::size_t(width)));
  const int kept = int(keep_w) + int(keep_v);
  // w and v of one vector lie side by side.
  const auto scratch_at = [&](Value r, Value offset, int which) {
    const Value row = ops_.mul(r, ops_.integer(chunk * width * kept), "scratch_row");
    const Value vector = ops_.mul(offset, ops_.integer(kept), "scratch_vector");
    const Value at = ops_.add(row, vector, "scratch_index");
    return ops_.address(tensors_.scratch, math_,
                        ops_.add(at, ops_.integer(std::int64_t{which} * width), "scratch_index"),
                        "scratch_at");
  };
  ops_.loop(
      ops_.integer(0), block_.rows, 1,
      [&](Value r) {
        const Row row = row_pointers(r);
        vectors(width, count, schedule_.unroll, {}, [&](const Values& offsets, const Values&) {
          const std::vector<Element> loaded = load(row, width, first, offsets);
          std::vector<ElementGradient> gradients;
          gradients.reserve(loaded.size());
          for (const Element& e : loaded) {
            gradients.push_back(
                build_backward(ops_.builder(), task_, Scheme{}, function.coefficients, e.x, e.dy));
          }
          for (std::size_t i = 0; i < loaded.size(); ++i) {
            if (tensors_.out) store(row, width, loaded[i], gradients[i].dx);
            const auto keep = [&](Value value, int which) {
              ops_.store(value, scratch_at(r, offsets[i], which), math_, width, alignment, false);
            };
            if (keep_w) keep(gradients[i].w, 0);
            if (keep_v) keep(gradients[i].v, kept - 1);
          }
          return Values();
        });
      },
      "row");
  return ops_.loop(
      ops_.integer(0), block_.rows, 1, zeros,
      [&](Value r, const Values& row_sums) {
        const Row row = row_pointers(r);
        return vectors(width, count, 1, row_sums, [&](const Values& offsets, const Values& sums) {
          const Value offset = offsets.front();
          const Value at = ops_.add(first, offset, "column");
          const Value x = ops_.load(ops_.address(row.x, problem_.x_type, at, "x_at"),
                                    problem_.x_type, width, "x");
          const auto kept_value = [&](int which, const char* name) {
            return ops_.load(scratch_at(r, offset, which), math_, width, name);
          };
          const Value w = keep_w ? kept_value(0, "w") : Value();
          const Value v = keep_v ? kept_value(kept - 1, "v") : Value();
          return build_sums(ops_.builder(), task_, x, w, v, sums);
        });
      },
      "row");
}

CpuColumns::Values CpuColumns::fused(const ColumnFunction& function, Value first, Value count,
                                     const Values& zeros) {
  return ops_.loop(
      ops_.integer(0), block_.rows, 1, zeros,
      [&](Value r, const Values& row_sums) {
        const Row row = row_pointers(r);
        return vectors(function.width, count, schedule_.unroll, row_sums,
                       [&](const Values& offsets, const Values& carried) {
                         const std::vector<Element> loaded =
                             load(row, function.width, first, offsets);
                         Values sums = carried;
                         for (const Element& e : loaded) {
                           const ElementGradient g = build_backward(
                               ops_.builder(), task_, Scheme{}, function.coefficients, e.x, e.dy);
                           sums = build_sums(ops_.builder(), task_, e.x, g.w, g.v, sums);
                           if (tensors_.out) store(row, function.width, e, g.dx);
                         }
                         return sums;
                       });
      },
      "row");
}

CpuColumns::Row CpuColumns::row_pointers(Value row) {
  const Value index = ops_.add(block_.begin, row, "row_index");
  const auto at = [&](Value base, Type type, Value stride, const char* name, int ahead = 0) {
    if (!base) return Value();
    const Value first = ops_.add(index, ops_.integer(ahead), name);
    return ops_.address(base, type, ops_.mul(first, stride, name), name);
  };
  Row pointers = {at(tensors_.x, problem_.x_type, tensors_.x_stride, "x_row"),
                  at(tensors_.dy, problem_.y_type, tensors_.dy_stride, "dy_row"),
                  at(tensors_.out, out_type_, tensors_.out_stride, "out_row"),
                  {},
                  {}};
  // What lies past the last row is never read: a request has no fault.
  if (const int ahead = schedule_.prefetch * schedule_.rows; ahead > 0) {
    pointers.x_ahead = at(tensors_.x, problem_.x_type, tensors_.x_stride, "x_ahead", ahead);
    pointers.dy_ahead = at(tensors_.dy, problem_.y_type, tensors_.dy_stride, "dy_ahead", ahead);
  }
  return pointers;
}

// Walks `count` columns, `unroll` vectors a step, then one at a time. The body gets the offsets of
// a step's vectors and what is carried.
CpuColumns::Values CpuColumns::vectors(
    int width, Value count, int unroll, const Values& carried,
    const std::function<Values(const Values&, const Values&)>& body) {
  const auto walk = [&](Value begin, Value end, int step, const Values& start) {
    return ops_.loop(
        begin, end, std::int64_t{step} * width, start,
        [&](Value offset, const Values& now) {
          Values offsets;
          for (int i = 0; i < step; ++i) {
            offsets.push_back(ops_.add(offset, ops_.integer(std::int64_t{i} * width), "offset"));
          }
          return body(offsets, now);
        },
        "column");
  };
  if (unroll == 1) return walk(ops_.integer(0), count, 1, carried);
  const Value whole = ops_.round_down(count, std::int64_t{unroll} * width, "unrolled");
  return walk(whole, count, 1, walk(ops_.integer(0), whole, unroll, carried));
}

// All loads of a step come before its stores: the output may be the input.
std::vector<CpuColumns::Element> CpuColumns::load(const Row& row, int width, Value first,
                                                  const Values& offsets) {
  constexpr std::int64_t kLine = 64;
  std::vector<Element> elements;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    Element e;
    e.at = ops_.add(first, offsets[i], "column");
    const auto element = [&](Value base, Value ahead, Type type, const char* name) {
      // Of the vectors of a step that lie in one line, the first requests it.
      const auto bytes = std::int64_t(i) * width * std::int64_t(size_of(type));
      if (ahead && bytes % kLine == 0) ops_.prefetch(ops_.address(ahead, type, e.at, "ahead"));
      return ops_.load(ops_.address(base, type, e.at, name), type, width, name);
    };
    e.x = element(row.x, row.x_ahead, problem_.x_type, "x");
    if (task_.backward()) e.dy = element(row.dy, row.dy_ahead, problem_.y_type, "dy");
    elements.push_back(e);
  }
  return elements;
}

void CpuColumns::store(const Row& row, int width, const Element& element, Value value) {
  const Value at = ops_.address(row.out, out_type_, element.at, "out_at");
  const bool nontemporal = store_alignment_ != 0 && width == schedule_.vector;
  const unsigned alignment = nontemporal ? store_alignment_ : unsigned(size_of(out_type_));
  ops_.store(value, at, out_type_, width, alignment, nontemporal);
}

}  // namespace grkan
