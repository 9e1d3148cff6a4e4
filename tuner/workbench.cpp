#include "tuner/workbench.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/half.h"

namespace grkan {
namespace {

constexpr std::int64_t kCacheMultiple = 3;
constexpr std::int64_t kAssumedCache = std::int64_t{32} << 20;  // where the device does not tell
constexpr std::size_t kDefaultLimit = std::size_t{1} << 30;
constexpr std::int64_t kMostSets = 1024;
constexpr double kShortestTiming = 100e-6;
constexpr double kShortestGpuTiming = 500e-6;  // events tell half microseconds apart
constexpr int kMostRepeats = 10000;

std::unique_ptr<DeviceMemory> allocate_elements(Device& device, std::int64_t elements, Type type) {
  return device.allocate(std::size_t(elements) * size_of(type));
}

}  // namespace

Workbench::Workbench(const TuneSite& site, const Task& task, std::int64_t rows, std::int64_t inner)
    : device_(site.device),
      task_(task),
      rows_(rows),
      inner_(inner),
      row_elements_(task.problem.channels * inner) {
  const Problem& p = task_.problem;
  const bool writes = !task_.backward() || task_.gradients.dx;
  const Type out = task_.backward() ? p.x_type : p.y_type;
  row_bytes_ =
      row_elements_ * std::int64_t(size_of(p.x_type) + (task_.backward() ? size_of(p.y_type) : 0) +
                                   (writes ? size_of(out) : 0));
  std::size_t limit = site.memory;
  if (limit == 0) limit = std::min(device_.free_memory() / 4, kDefaultLimit);
  for (;;) {
    rows_ = std::min(rows_, std::max<std::int64_t>(1, std::int64_t(limit) / row_bytes_));
    try {
      allocate(limit);
      break;
    } catch (const Error& error) {
      if (error.status() != Status::out_of_memory || rows_ == 1) throw;
      sets_.clear();
      limit = std::size_t(rows_ / 2 * row_bytes_);
    }
  }
  if (rows_ < rows) {
    site.log(LogLevel::warn,
             "{} rows of {} need more memory than tuning may hold; timing {} rows instead", rows,
             to_string(task_), rows_);
  }
  fill_coefficients();
}

Workbench::~Workbench() = default;

void Workbench::allocate(std::size_t limit) {
  const Problem& p = task_.problem;
  const std::int64_t cache = device_.info().cache > 0 ? device_.info().cache : kAssumedCache;
  const std::int64_t bytes_of_set = bytes();
  const std::int64_t fitting = std::max<std::int64_t>(1, std::int64_t(limit) / bytes_of_set);
  const std::int64_t wanted = kCacheMultiple * cache / bytes_of_set + 1;
  // What only counts need not come from memory.
  const std::int64_t sets = device_.info().is_virtual ? 1 : std::min({wanted, fitting, kMostSets});
  const std::int64_t elements = rows_ * row_elements_;
  for (std::int64_t i = 0; i < sets; ++i) {
    Set set;
    set.x = allocate_elements(device_, elements, p.x_type);
    fill(*set.x, p.x_type);
    if (task_.backward()) {
      set.dy = allocate_elements(device_, elements, p.y_type);
      fill(*set.dy, p.y_type);
    }
    if (!task_.backward() || task_.gradients.dx) {
      const Type out = task_.backward() ? p.x_type : p.y_type;
      set.out = allocate_elements(device_, elements, out);
      fill(*set.out, out);  // pages that were never written would read and write for free
    }
    sets_.push_back(std::move(set));
  }
  const std::size_t size = size_of(p.coefficient_type());
  const auto a = std::size_t(p.numerator_groups * p.numerator_terms());
  const auto b = std::size_t(p.denominator_groups * p.denominator_terms());
  a_ = device_.allocate(a * size);
  b_ = device_.allocate(b * size);
  da_ = device_.allocate(a * size);
  db_ = device_.allocate(b * size);
  workspace_ = device_.allocate(device_.workspace_bound(task_).bytes(inner_));
}

// About N(0, 1), from a small table over and over: the values decide nothing but that none is
// special.
void Workbench::fill(DeviceMemory& memory, Type type) const {
  constexpr std::int64_t kPattern = 16384;
  const std::size_t size = size_of(type);
  std::vector<std::byte> pattern(std::size_t(kPattern) * size);
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < kPattern; ++i) {
    double sum = 0;
    for (int k = 0; k < 4; ++k) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      sum += double(state >> 11) * 0x1p-53 - 0.5;
    }
    store_element(type, pattern.data(), i, sum * std::sqrt(3.0));
  }
  auto* to = static_cast<std::byte*>(memory.data());
  for (std::size_t at = 0; at < memory.size(); at += pattern.size()) {
    device_.upload(to + at, pattern.data(), std::min(pattern.size(), memory.size() - at));
  }
}

// Small coefficients: a denominator near 1 and no large values.
void Workbench::fill_coefficients() {
  const Type type = task_.problem.coefficient_type();
  for (const auto& memory : {&a_, &b_}) {
    std::vector<std::byte> values((*memory)->size());
    for (std::size_t i = 0; i < values.size() / size_of(type); ++i) {
      store_element(type, values.data(), std::int64_t(i), 0.1 / double(1 + i % 7));
    }
    device_.upload((*memory)->data(), values.data(), values.size());
  }
}

Call Workbench::next_call() {
  const Set& set = sets_[next_++ % sets_.size()];
  Call call;
  call.rows = rows_;
  call.inner = inner_;
  call.x = set.x->data();
  call.x_stride = row_elements_;
  call.dy_stride = row_elements_;
  call.out_stride = row_elements_;
  if (set.dy != nullptr) call.dy = set.dy->data();
  if (set.out != nullptr) call.out = set.out->data();
  call.a = a_->data();
  call.b = b_->data();
  if (task_.gradients.da) call.da = da_->data();
  if (task_.gradients.db) call.db = db_->data();
  return call;
}

template <class Run>
double Workbench::time_repeated(int& repeats, const Run& run) {
  if (timer_ == nullptr) timer_ = device_.timer();
  const bool queued = !device_.info().cpu();
  if (repeats == 0) {
    timer_->start();
    run();  // also wakes threads and caches
    timer_->stop();
    timer_->start();
    run();
    const double once = timer_->stop();
    const double shortest = queued ? kShortestGpuTiming : kShortestTiming;
    repeats = int(std::clamp(shortest / std::max(once, 1e-9), 1.0, double(kMostRepeats)));
  }
  if (queued) run();  // the others are queued behind it, so that none waits for its launch
  timer_->start();
  for (int i = 0; i < repeats; ++i) run();
  return timer_->stop() / repeats;
}

void Workbench::run(const Kernel& kernel) {
  kernel.run(next_call(), {.data = workspace_->data(), .size = workspace_->size()});
}

double Workbench::time(const Kernel& kernel) {
  return time_repeated(repeats_, [&] { run(kernel); });
}

void Workbench::run_bound_once(BoundKind kind) {
  const Set& set = sets_[next_++ % sets_.size()];
  const auto data = [](const std::unique_ptr<DeviceMemory>& memory) {
    return memory == nullptr ? nullptr : static_cast<std::byte*>(memory->data());
  };
  device_.run_bound(kind, task_,
                    {.x = data(set.x),
                     .dy = data(set.dy),
                     .out = data(set.out),
                     .elements = rows_ * row_elements_});
}

double Workbench::time_bound(BoundKind kind) {
  return time_repeated(bound_repeats_, [&] { run_bound_once(kind); });
}

}  // namespace grkan
