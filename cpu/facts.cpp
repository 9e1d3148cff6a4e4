#include "cpu/facts.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/operations.h"
#include "cpu/slices.h"

namespace grkan {
namespace {

constexpr double kLine = 64;
constexpr std::int64_t kNarrowestStore = 16;  // past the caches

// Instructions of the nest around the innermost loop, as the compiler leaves them: addresses,
// counts and ways back.
constexpr double kStepInstructions = 3;
constexpr double kRowInstructions = 5;  // of a row of a block, where there are several
constexpr double kRunInstructions = 3;  // into the columns of a row
constexpr double kVisitInstructions = 10;
constexpr double kBlockInstructions = 12;

double divide_up(double a, double b) { return std::ceil(a / b); }

class Counter {
 public:
  explicit Counter(const CpuWork& work)
      : work_(work),
        task_(work.task),
        p_(work.task.problem),
        s_(work.schedule),
        size_(std::int64_t(size_of(p_.math_type()))),
        register_bytes_(double(work.target.vector_bits()) / 8),
        backward_(task_.backward()),
        writes_(!backward_ || task_.gradients.dx),
        expanded_(s_.coefficients == CpuSchedule::expanded),
        last_(p_.layout == Layout::channels_last),
        out_type_(backward_ ? p_.x_type : p_.y_type),
        cut_(make_slices(SliceShape::make(task_, s_), work.rows, work.inner)) {}

  CpuFacts count() {
    walk();
    CpuFacts f;
    f.slices = double(cut_.count());
    f.busiest = busiest();
    core(f);
    memory(f);
    ends(f);
    return f;
  }

 private:
  [[nodiscard]] double pass_bytes() const { return work_.cpu.pass_bytes.value; }
  [[nodiscard]] double passes(double lanes, double bytes) const {
    return std::max(1.0, divide_up(lanes * bytes, pass_bytes()));
  }
  [[nodiscard]] double registers(double lanes, double bytes) const {
    return std::max(1.0, divide_up(lanes * bytes, register_bytes_));
  }

  // How the call is walked: over its rows, in steps of whole vectors and of single columns.
  void walk() {
    const double width = double(p_.segment_width()) * double(last_ ? 1 : work_.inner);
    const double segments = double(p_.segments());
    const double v = s_.vector;
    const double most = task_.sums() ? std::max(1, s_.run / s_.rows) : 0;  // vectors of a chunk
    const auto chunks = [&](double vectors) {
      return most > 0 ? divide_up(vectors, most) : double(vectors > 0);
    };
    if (expanded_) {
      wide_ = std::floor(double(p_.channels) / v);
      narrow_ = double(p_.channels) - wide_ * v;
      wide_pieces_ = wide_;
      narrow_pieces_ = narrow_;
      visits_ = wide_ + narrow_;
      piece_columns_ = v;
    } else {
      const auto of_columns = [&](double columns, double times) {
        const double wide = v > 1 ? std::floor(columns / v) : 0;
        const double narrow = columns - wide * v * double(v > 1);
        wide_ += times * wide;
        narrow_ += times * narrow;
        wide_pieces_ += times * chunks(wide);
        narrow_pieces_ += times * chunks(narrow);
        visits_ += times;
      };
      const double columns = last_ ? width : double(cut_.columns);
      const double whole = std::ceil(width / columns) - 1;
      of_columns(columns, segments * whole);
      of_columns(width - whole * columns, segments);
      piece_columns_ = most > 0 ? std::min(columns, most * v) : columns;
    }
    const double rest = double(work_.rows - (cut_.row_slices - 1) * cut_.rows);
    blocks_ = double(cut_.row_slices - 1) * divide_up(double(cut_.rows), s_.rows) +
              divide_up(rest, s_.rows);
  }

  [[nodiscard]] double pieces() const { return wide_pieces_ + narrow_pieces_; }

  [[nodiscard]] CoreCounts arithmetic(const Operations& ops, double lanes) const {
    const double one = passes(lanes, double(size_));
    CoreCounts c;
    c.instructions =
        (ops.multiplies + ops.others + ops.divisions) * registers(lanes, double(size_));
    c.multiplies = ops.multiplies * one;
    c.others = ops.others * one;
    c.divisions = ops.divisions * one;
    return c;
  }

  [[nodiscard]] CoreCounts load(Type type, double lanes) const {
    return access(&CoreCounts::loads, type, lanes, 1);
  }
  [[nodiscard]] CoreCounts store(Type type, double lanes) const {
    constexpr double kRounding = 7;  // to bf16, by integers
    return access(&CoreCounts::stores, type, lanes, kRounding);
  }
  // `shifts`: integer operations between bf16 and f32.
  [[nodiscard]] CoreCounts access(double CoreCounts::* kind, Type type, double lanes,
                                  double shifts) const {
    CoreCounts c;
    const double math = passes(lanes, double(size_));
    c.*kind = passes(lanes, double(size_of(type)));
    c.instructions = registers(lanes, double(size_));
    if (size_of(type) == 2) c.conversions = math;
    if (type == Type::bf16) {
      c.others = shifts * math;
      c.instructions *= 1 + shifts;
    }
    return c;
  }

  // Values that stay in registers but find no room: read again in each step.
  [[nodiscard]] double spilled(bool with_sums) const {
    constexpr double kTemporaries = 8;
    const double registers = work_.target.name == "aarch64" || register_bytes_ == 64 ? 32 : 16;
    const double kept = p_.numerator_terms() + p_.denominator_terms() + kTemporaries +
                        s_.unroll * (backward_ ? 2 : 1) + (with_sums ? task_.sum_terms() : 0);
    return std::max(0.0, kept - registers);
  }

  // Lines of the read tensors that one vector's requests name.
  [[nodiscard]] double requests(double lanes, int unroll) const {
    if (s_.prefetch == 0) return 0;
    const auto of = [&](Type type) {
      const double bytes = lanes * double(size_of(type));
      return std::ceil(double(unroll) * std::min(1.0, bytes / kLine)) / double(unroll);
    };
    return of(p_.x_type) + (backward_ ? of(p_.y_type) : 0);
  }

  [[nodiscard]] bool split() const { return s_.backward == CpuSchedule::split; }

  // The loop over the tensors, one vector.
  [[nodiscard]] CoreCounts first_step(double lanes, int unroll) const {
    CoreCounts c = arithmetic(element_operations(task_), lanes) + load(p_.x_type, lanes);
    if (backward_) c += load(p_.y_type, lanes);
    if (writes_) c += store(out_type_, lanes);
    const bool fused = task_.sums() && !split();
    if (fused) c += arithmetic(sum_operations(task_), lanes);
    if (task_.sums() && split()) c += kept() * store(p_.math_type(), lanes);
    c.loads += spilled(fused) * passes(lanes, double(size_));
    c.instructions += step_instructions() / unroll + requests(lanes, unroll);
    c.loads += requests(lanes, unroll);
    const double chain = element_operations(task_).chain * work_.cpu.multiply_latency.value +
                         element_operations(task_).divisions * work_.cpu.division_latency.value;
    hide(c, chain, fused);
    return c;
  }

  // An expanded vector of columns is one step in each row.
  [[nodiscard]] double step_instructions() const { return expanded_ ? 0 : kStepInstructions; }
  [[nodiscard]] double run_instructions() const {
    return (s_.rows > 1 ? kRowInstructions : 0) + (expanded_ ? 0 : kRunInstructions);
  }

  [[nodiscard]] CoreCounts second_step(double lanes) const {
    CoreCounts c = arithmetic(sum_operations(task_), lanes) + load(p_.x_type, lanes);
    c += kept() * load(p_.math_type(), lanes);
    c.instructions += step_instructions();
    hide(c, 3 * work_.cpu.multiply_latency.value, true);
    return c;
  }

  // w and v, as far as they are wanted.
  [[nodiscard]] double kept() const {
    return double(task_.gradients.da) + double(task_.gradients.db && p_.denominator_terms() > 0);
  }

  // As many chains run side by side as the window has room for; a sum waits for itself.
  void hide(CoreCounts& c, double chain, bool summing) const {
    const double beside = std::max(1.0, work_.cpu.window.value / c.instructions);
    c.dependent_clocks = chain / beside;
    if (summing) {
      c.dependent_clocks = std::max(c.dependent_clocks, work_.cpu.multiply_latency.value);
    }
  }

  // Adding a chunk's sums to the call's doubles.
  [[nodiscard]] CoreCounts flush(double lanes) const {
    constexpr double kTwoSum = 6;
    const double terms = task_.sum_terms();
    const double doubles = passes(lanes, 8);
    const double wide = registers(lanes, 8);
    const bool compensated = p_.math_type() == Type::f64;
    CoreCounts c;
    c.loads = c.stores = terms * doubles * (compensated ? 2 : 1);
    c.others = terms * doubles * (compensated ? kTwoSum + 1 : 1);
    c.conversions = compensated ? 0 : terms * doubles;
    // Clearing the sums is one instruction too.
    c.instructions = kVisitInstructions + terms * (wide * (compensated ? kTwoSum + 4 : 4) + 1);
    return c;
  }

  // Reading the coefficients of a segment or of a vector of columns.
  [[nodiscard]] CoreCounts visit(double lanes) const {
    const double terms = p_.numerator_terms() + p_.denominator_terms();
    const double absolute = p_.denominator().absolute_terms() ? p_.denominator_terms() : 0;
    const double loads = expanded_ ? passes(lanes, double(size_)) : 1;
    CoreCounts c;
    c.loads = terms * loads;
    c.others = absolute * loads + (expanded_ ? 0 : terms * passes(lanes, double(size_)));
    c.instructions = kVisitInstructions + terms + 2 * absolute;
    return c;
  }

  void core(CpuFacts& f) const {
    if (!task_.sums() && !writes_) return;
    const auto rows = double(work_.rows);
    const double lanes = s_.vector;
    f.first = rows * (wide_ * first_step(lanes, s_.unroll) + narrow_ * first_step(1, 1));
    f.between = blocks_ * visits_ * visit(lanes);
    f.between.instructions += rows * pieces() * run_instructions() + blocks_ * kBlockInstructions;
    if (task_.sums())
      f.between += blocks_ * (wide_pieces_ * flush(lanes) + narrow_pieces_ * flush(1));
    if (task_.sums() && split()) {
      f.second = rows * (wide_ * second_step(lanes) + narrow_ * second_step(1));
      f.second.instructions += rows * pieces() * run_instructions();
    }
  }

  // Whether the kernel stores past the caches: as codegen/cpu_kernel decides it.
  [[nodiscard]] bool past_caches() const {
    if (!writes_ || s_.stores != CpuSchedule::nontemporal) return false;
    const auto size = std::int64_t(size_of(out_type_));
    const std::int64_t alignment = std::min(s_.vector * size, std::int64_t(register_bytes_));
    if (alignment < kNarrowestStore) return false;
    const auto whole = [&](std::int64_t elements) { return elements * size % alignment == 0; };
    const std::int64_t inner = last_ ? 1 : work_.inner;
    if (!whole(p_.channels * inner)) return false;
    if (last_) return expanded_ || whole(p_.segment_width());
    return whole(p_.segment_width() * inner) && (cut_.column_slices == 1 || whole(cut_.columns));
  }

  void memory(CpuFacts& f) const {
    const CpuModel& cpu = work_.cpu;
    const auto rows = double(work_.rows);
    const double elements = double(p_.channels) * double(work_.inner);
    // A slice's part of a row lies in so many stretches of memory.
    const bool whole = cut_.segment_slices == 1 && cut_.column_slices == 1;
    const double stretches =
        double(cut_.column_slices > 1 ? p_.segments() * cut_.column_slices : cut_.segment_slices);
    // Rows read one after another are one stream. The rows of a block read side by side, or parts
    // of rows, are followed anew each.
    const bool in_order = s_.rows == 1 || pieces() <= stretches;
    const auto tensor = [&](Type type) {
      const double lines = elements * double(size_of(type)) / kLine;
      const double learnt = std::min(lines / stretches, cpu.lines_to_learn.value);
      const double exposed = whole && in_order
                                 ? double(cut_.row_slices) *
                                       std::min(lines * double(cut_.rows), cpu.lines_to_learn.value)
                                 : rows * stretches * learnt;
      return std::pair(rows * lines, std::min(exposed, rows * lines));
    };
    double read = 0;
    const auto add_read = [&](Type type) {
      const auto [lines, exposed] = tensor(type);
      read += lines;
      f.exposed_lines += exposed;
      f.streamed_lines += lines - exposed;
    };
    add_read(p_.x_type);
    if (backward_) add_read(p_.y_type);
    f.tensor_bytes = read * kLine;
    request(f, read);
    if (!writes_) return;
    const auto [lines, exposed] = tensor(out_type_);
    f.least_stored_bytes = lines * kLine;
    f.tensor_bytes += f.least_stored_bytes;
    if (past_caches()) {
      // A line that is left and finished later goes out in pieces.
      const double piece = piece_columns_ * double(size_of(out_type_)) / kLine;
      f.stored_lines = in_order ? lines : lines * std::ceil(piece) / piece;
      return;
    }
    f.streamed_lines += lines - exposed;
    f.exposed_lines += exposed;
    f.overwritten_lines = exposed;
    f.written_lines = lines;
  }

  // What is in flight, by the window or by the schedule's requests.
  void request(CpuFacts& f, double read) const {
    const CpuModel& cpu = work_.cpu;
    const bool vectors = wide_ > 0;
    const double lanes = vectors ? s_.vector : 1;
    const double bytes_a_step =
        lanes * double(size_of(p_.x_type) + (backward_ ? size_of(p_.y_type) : 0));
    const CoreCounts step = first_step(lanes, vectors ? s_.unroll : 1);
    f.lines_ahead = std::clamp(cpu.window.value / step.instructions * bytes_a_step / kLine, 1.0,
                               cpu.lines_in_flight.value);
    if (s_.prefetch == 0) return;
    const double ahead = double(s_.prefetch) * s_.rows;
    const double bytes = ahead * read / double(work_.rows) * kLine;
    // The first rows of a slice have nobody to ask for them, and what is asked for past its end is
    // read for nothing.
    const double missed = std::min(1.0, ahead / double(cut_.rows));
    f.streamed_lines += missed * read;
    if (bytes > cpu.l2_bytes.value / 2) return;  // gone before it is used
    f.requested_lines = (1 - missed) * f.exposed_lines;
    if (bytes > cpu.l1_bytes.value) f.evicted_lines = (1 - missed) * read;
  }

  // Slices go to whichever thread is free.
  [[nodiscard]] double busiest() const {
    const auto threads = std::clamp<std::int64_t>(work_.threads, 1, cut_.count());
    std::vector<std::int64_t> rows(std::size_t(threads), 0);
    const std::int64_t beside = cut_.segment_slices * cut_.column_slices;
    for (std::int64_t i = 0; i < cut_.count(); ++i) {
      const std::int64_t first = i / beside * cut_.rows;
      *std::min_element(rows.begin(), rows.end()) += std::min(cut_.rows, work_.rows - first);
    }
    return double(*std::max_element(rows.begin(), rows.end())) / double(work_.rows * beside);
  }

  // What is done when a slice ends, and when all have.
  void ends(CpuFacts& f) const {
    const double terms = p_.numerator_terms() + p_.denominator_terms();
    if (expanded_) {
      f.serial_clocks += terms * double(p_.channels) * double(size_) / pass_bytes();
    }
    if (!task_.sums()) return;
    const double lanes = expanded_ ? double(p_.channels) : double(p_.segments() * s_.vector);
    f.reduced = double(cut_.row_slices * cut_.column_slices) * lanes * task_.sum_terms();
    f.serial_clocks += f.slices * double(partial_doubles(task_));
  }

  const CpuWork& work_;
  const Task& task_;
  const Problem& p_;
  const CpuSchedule& s_;
  const std::int64_t size_;
  const double register_bytes_;
  const bool backward_;
  const bool writes_;
  const bool expanded_;
  const bool last_;
  const Type out_type_;
  const Slices cut_;

  // Of a row:
  double wide_ = 0;           // vectors
  double narrow_ = 0;         // single columns
  double visits_ = 0;         // of a segment or a vector of columns, in each block
  double wide_pieces_ = 0;    // runs of the innermost loop, over vectors
  double narrow_pieces_ = 0;  // and over single columns
  double piece_columns_ = 0;  // columns of a piece
  double blocks_ = 0;         // of rows, of all slices
};

}  // namespace

CoreCounts& CoreCounts::operator+=(const CoreCounts& other) {
  instructions += other.instructions;
  multiplies += other.multiplies;
  others += other.others;
  divisions += other.divisions;
  conversions += other.conversions;
  loads += other.loads;
  stores += other.stores;
  dependent_clocks += other.dependent_clocks;
  return *this;
}

CoreCounts operator*(double times, CoreCounts counts) {
  for (double* count :
       {&counts.instructions, &counts.multiplies, &counts.others, &counts.divisions,
        &counts.conversions, &counts.loads, &counts.stores, &counts.dependent_clocks}) {
    *count *= times;
  }
  return counts;
}

CpuFacts cpu_facts(const CpuWork& work) { return Counter(work).count(); }

}  // namespace grkan
