// The C ABI: a thin layer over Context and Plan. One catch-all turns every exception into a status
// and this thread's message.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/version.h"
#include "grkan.h"
#include "runtime/context.h"
#include "runtime/plan.h"
#include "tuner/tune.h"

struct grkan_context {
  grkan::Context context;
};
struct grkan_plan {
  grkan::Plan plan;
};

namespace grkan {
namespace {

struct LastError {
  std::string message;
  const char* field = "";
};

LastError& last_error() {
  thread_local LastError error;
  return error;
}

grkan_status remember(Status status, const char* message, const char* field = "") noexcept {
  last_error().field = field;
  try {
    last_error().message = message;
  } catch (...) {
    last_error().message.clear();
  }
  return grkan_status(status);
}

// Runs the body of every function that has a status.
template <class Body>
grkan_status guarded(const Body& body) noexcept {
  try {
    body();
    return GRKAN_OK;
  } catch (const Error& error) {
    return remember(error.status(), error.what(), error.field());
  } catch (const std::bad_alloc&) {
    return remember(Status::out_of_memory, "out of memory; use fewer rows or free some");
  } catch (const std::exception& error) {
    return remember(Status::internal, error.what());
  } catch (...) {
    return remember(Status::internal, "an unknown exception");
  }
}

template <class T>
T& needed(T* pointer, const char* name) {
  if (pointer == nullptr) fail_field(name, "{} is null; bring one", name);
  return *pointer;
}

// No struct will ever be longer; a larger size is a size that was not set.
constexpr std::size_t kLargestStruct = 4096;

void check_struct(const void* bytes, std::size_t size, std::size_t first, std::size_t known,
                  const char* name) {
  if (size < first || size > kLargestStruct) {
    fail_field("size", "{}.size is {}; expected sizeof({}), {} in this version", name, size, name,
               known);
  }
  // A newer caller's fields must not ask for anything.
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (std::size_t i = known; i < size; ++i) {
    if (at[i] != 0) {
      fail_argument(
          "{} has a non-zero byte at {}, past the {} bytes that this version knows; "
          "update the library or leave the field zero",
          name, i, known);
    }
  }
}

// A struct of the caller: not null, and of a size that this version takes, from `first` on, which
// its first version had; what an older caller's does not have is zero.
template <class T>
T checked(const T* given, const char* name, std::size_t first = sizeof(T)) {
  const std::size_t size = needed(given, name).size;
  if (size == sizeof(T)) return *given;
  check_struct(given, size, first, sizeof(T), name);
  T value{};
  std::memcpy(&value, given, std::min(size, sizeof(T)));
  return value;
}

void check_value(const char* field, std::int32_t value, std::int32_t least, std::int32_t most) {
  if (value < least || value > most) {
    fail_field(field, "{} {} is unknown; use {} to {}", field, value, least, most);
  }
}

void check_zero(const char* field, std::int32_t value) {
  if (value != 0) fail_field(field, "{} is {}; use 0", field, value);
}

Problem problem_of(const grkan_problem& from) {
  check_value("variant", from.variant, GRKAN_VARIANT_A,
              GRKAN_VARIANT_A + std::int32_t(denominators().size()) - 1);
  check_value("layout", from.layout, GRKAN_CHANNELS_LAST, GRKAN_CHANNELS_FIRST);
  check_value("x_type", from.x_type, GRKAN_F32, GRKAN_BF16);
  check_value("y_type", from.y_type, 0, GRKAN_BF16);
  check_value("coefficient_type", from.coefficient_type, 0, GRKAN_BF16);
  check_zero("reserved", from.reserved);
  Problem p;
  p.numerator_degree = from.numerator_degree;
  p.denominator_degree = from.denominator_degree;
  p.variant = Variant(from.variant - GRKAN_VARIANT_A);
  p.channels = from.channels;
  p.numerator_groups = from.numerator_groups;
  p.denominator_groups = from.denominator_groups;
  p.x_type = Type(from.x_type - GRKAN_F32);
  p.y_type = from.y_type == 0 ? p.x_type : Type(from.y_type - GRKAN_F32);
  if (from.coefficient_type != 0) {
    set_coefficient_type(p, Type(from.coefficient_type - GRKAN_F32));
  }
  p.layout = Layout(from.layout - GRKAN_CHANNELS_LAST);
  validate(p);
  return p;
}

Problem problem_of(const grkan_problem* given) {
  return problem_of(checked(given, "grkan_problem", offsetof(grkan_problem, coefficient_type)));
}

grkan_problem c_problem_of(const Problem& from) {
  grkan_problem p;
  std::memset(&p, 0, sizeof(p));
  p.size = sizeof(p);
  p.numerator_degree = from.numerator_degree;
  p.denominator_degree = from.denominator_degree;
  p.variant = std::int32_t(from.variant) + GRKAN_VARIANT_A;
  p.layout = std::int32_t(from.layout) + GRKAN_CHANNELS_LAST;
  p.x_type = std::int32_t(from.x_type) + GRKAN_F32;
  p.y_type = std::int32_t(from.y_type) + GRKAN_F32;
  p.channels = from.channels;
  p.numerator_groups = from.numerator_groups;
  p.denominator_groups = from.denominator_groups;
  if (from.half_coefficients)
    p.coefficient_type = std::int32_t(from.coefficient_type()) + GRKAN_F32;
  return p;
}

void fill_text(grkan_text& to, const std::string& text) {
  auto* data = static_cast<char*>(std::malloc(text.size() + 1));
  if (data == nullptr) throw std::bad_alloc();
  std::memcpy(data, text.c_str(), text.size() + 1);
  to.data = data;
  to.size = text.size();
}

Effort effort_of(std::int32_t value, Effort otherwise) {
  check_value("effort", value, 0, GRKAN_EFFORT_EXHAUSTIVE);
  return value == 0 ? otherwise : Effort(value - GRKAN_EFFORT_NONE);
}

ContextOptions options_of(const grkan_context_options& from) {
  check_value("determinism", from.determinism, 0, GRKAN_DETERMINISM_GPU_TO_GPU);
  check_value("log_level", from.log_level, 0, GRKAN_LOG_DEBUG);
  ContextOptions o;
  if (from.cache_dir != nullptr) o.cache_dir = from.cache_dir;
  o.effort = effort_of(from.effort, Effort::instant);
  if (from.determinism != 0) {
    o.determinism = Determinism(from.determinism - GRKAN_DETERMINISM_NOT_GUARANTEED);
  }
  o.threads = from.threads;
  if (from.log_level != 0) o.log_level = LogLevel(from.log_level - GRKAN_LOG_ERROR);
  o.tune_memory = from.tune_memory;
  o.parallel_for = {from.parallel_for, from.parallel_for_user};
  o.allocator = {from.alloc, from.free, from.alloc_user};
  o.log = {from.log, from.log_user};
  return o;
}

Direction direction_of(std::int32_t direction) {
  if (direction != GRKAN_FORWARD && direction != GRKAN_BACKWARD) {
    fail_field("direction", "direction {} is unknown; use GRKAN_FORWARD (1) or GRKAN_BACKWARD (2)",
               direction);
  }
  return direction == GRKAN_FORWARD ? Direction::forward : Direction::backward;
}

Gradients gradients_of(std::int32_t mask) {
  check_value("gradients", mask, 0, GRKAN_DX | GRKAN_DA | GRKAN_DB);
  return {.dx = (mask & GRKAN_DX) != 0, .da = (mask & GRKAN_DA) != 0, .db = (mask & GRKAN_DB) != 0};
}

// `stopped` is set when the caller wants no more; it lives as long as what is returned.
TuneOptions tune_options_of(const grkan_tune_options& from, bool& stopped) {
  check_value("strict", from.strict, 0, 1);
  TuneOptions o;
  o.effort = effort_of(from.effort, Effort::quick);
  if (o.effort < Effort::quick) {
    fail_field("effort", "effort {} does not tune; use quick, thorough or exhaustive", from.effort);
  }
  if (!(from.budget_seconds >= 0)) {
    fail_field("budget_seconds", "budget_seconds {} is negative; use 0 for the effort's own",
               from.budget_seconds);
  }
  if (from.rows_hi != 0 && from.rows_hi < from.rows) {
    fail_field("rows_hi", "rows {} to {} is not a range; use 0 to tune at {} rows alone", from.rows,
               from.rows_hi, from.rows);
  }
  o.budget_seconds = from.budget_seconds;
  o.strict = from.strict != 0;
  if (from.progress == nullptr) return o;
  o.progress = [from, &stopped](const TuneProgress& at) {
    const int answer = from.progress(from.progress_user, std::int64_t(at.done),
                                     std::int64_t(at.total), at.seconds_left);
    stopped = stopped || answer != 0;
  };
  o.cancelled = [&stopped] { return stopped; };
  return o;
}

// The plan's own in this direction, or the one of a call that wants these of its gradients alone.
Task task_with(const Plan& plan, Direction direction, std::int32_t gradients) {
  const Task& own = plan.task(direction);
  const Gradients wanted = gradients_of(gradients);
  if (!own.backward() || !wanted.any()) return own;
  if ((wanted.bits() & ~own.gradients.bits()) != 0) {
    fail_field("gradients", "gradients {} are asked for, but the plan was made with {}",
               to_string(wanted), to_string(own.gradients));
  }
  return backward_task(own.problem, wanted);
}

// 0 stands for 1 with channels-last, so that the field may be left out.
std::int64_t inner_of(const Plan& plan, std::int64_t inner) {
  const bool last = plan.problem().layout == Layout::channels_last;
  return last && inner == 0 ? 1 : inner;
}

}  // namespace
}  // namespace grkan

using namespace grkan;  // NOLINT(google-build-using-namespace): the functions below are its C face

const char* grkan_version(void) { return kVersion; }

const char* grkan_status_name(grkan_status status) { return status_name(Status(status)); }

const char* grkan_last_error(void) { return last_error().message.c_str(); }

const char* grkan_last_error_field(void) { return last_error().field; }

void grkan_text_free(grkan_text* text) {
  if (text == nullptr) return;
  std::free(text->data);
  text->data = nullptr;
  text->size = 0;
}

grkan_status grkan_problem_validate(const grkan_problem* problem) {
  return guarded([&] { problem_of(problem); });
}

grkan_status grkan_problem_parse(const char* text, grkan_problem* problem) {
  return guarded([&] {
    const grkan_problem parsed = c_problem_of(parse_problem(&needed(text, "text")));
    needed(problem, "problem") = parsed;
  });
}

grkan_status grkan_problem_print(const grkan_problem* problem, grkan_text* text) {
  return guarded([&] { fill_text(needed(text, "text"), to_string(problem_of(problem))); });
}

grkan_status grkan_context_create(const grkan_context_options* options, grkan_context** context) {
  return guarded([&] {
    grkan_context*& result = needed(context, "context");
    ContextOptions chosen;
    if (options != nullptr) chosen = options_of(checked(options, "grkan_context_options"));
    result = new grkan_context{Context(std::move(chosen))};
  });
}

grkan_status grkan_context_destroy(grkan_context* context) {
  return guarded([&] { delete context; });
}

grkan_status grkan_plan_create(grkan_context* context, const grkan_problem* problem,
                               const char* device, int32_t gradients, grkan_plan** plan) {
  return guarded([&] {
    Context& owner = needed(context, "context").context;
    const Problem p = problem_of(problem);
    const Gradients asked = gradients_of(gradients);
    const char* name = &needed(device, "device");
    grkan_plan*& result = needed(plan, "plan");
    result = new grkan_plan{Plan(owner, p, name, asked)};
  });
}

grkan_status grkan_plan_destroy(grkan_plan* plan) {
  return guarded([&] { delete plan; });
}

grkan_status grkan_plan_prepare(grkan_plan* plan, int64_t rows_lo, int64_t rows_hi,
                                int64_t inner_lo, int64_t inner_hi) {
  return guarded(
      [&] { needed(plan, "plan").plan.prepare({rows_lo, rows_hi}, {inner_lo, inner_hi}); });
}

grkan_status grkan_plan_workspace_size(const grkan_plan* plan, int32_t direction, int64_t inner,
                                       size_t* bytes) {
  return guarded([&] {
    const Plan& p = needed(plan, "plan").plan;
    const std::size_t size = p.workspace_size(direction_of(direction), inner_of(p, inner));
    needed(bytes, "bytes") = size;
  });
}

grkan_status grkan_plan_workspace_for_rows(const grkan_plan* plan, int32_t direction, int64_t rows,
                                           int64_t inner, size_t* bytes) {
  return guarded([&] {
    const Plan& p = needed(plan, "plan").plan;
    const std::size_t size = p.workspace_size(direction_of(direction), rows, inner_of(p, inner));
    needed(bytes, "bytes") = size;
  });
}

grkan_status grkan_plan_is_prepared(const grkan_plan* plan, int32_t direction, int64_t rows,
                                    int64_t inner, int32_t* prepared) {
  return guarded([&] {
    const Plan& p = needed(plan, "plan").plan;
    const bool ready = p.is_prepared(direction_of(direction), rows, inner_of(p, inner));
    needed(prepared, "prepared") = ready ? 1 : 0;
  });
}

grkan_status grkan_forward(grkan_plan* plan, const grkan_forward_args* args) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    const grkan_forward_args g =
        checked(args, "grkan_forward_args", offsetof(grkan_forward_args, threads));
    check_value("threads", g.threads, 0, kMostThreads);
    check_zero("reserved", g.reserved);
    p.run(
        Direction::forward,
        {.rows = g.rows,
         .inner = inner_of(p, g.inner),
         .x = g.x,
         .x_stride = g.x_stride,
         .out = g.y,
         .out_stride = g.y_stride,
         .a = g.a,
         .b = g.b},
        {.data = g.workspace, .size = g.workspace_size, .stream = g.stream, .threads = g.threads});
  });
}

grkan_status grkan_backward(grkan_plan* plan, const grkan_backward_args* args) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    const grkan_backward_args g = checked(args, "grkan_backward_args");
    check_value("accumulate", g.accumulate, 0, 1);
    check_value("threads", g.threads, 0, kMostThreads);
    p.run(
        Direction::backward,
        {.rows = g.rows,
         .inner = inner_of(p, g.inner),
         .x = g.x,
         .x_stride = g.x_stride,
         .dy = g.dy,
         .dy_stride = g.dy_stride,
         .out = g.dx,
         .out_stride = g.dx_stride,
         .a = g.a,
         .b = g.b,
         .da = g.da,
         .db = g.db,
         .accumulate = g.accumulate != 0},
        {.data = g.workspace, .size = g.workspace_size, .stream = g.stream, .threads = g.threads});
  });
}

grkan_status grkan_plan_explain(grkan_plan* plan, int32_t direction, int64_t rows, int64_t inner,
                                grkan_text* json) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    grkan_text& to = needed(json, "json");
    fill_text(to, p.explain(p.task(direction_of(direction)), rows, inner_of(p, inner)));
  });
}

grkan_status grkan_plan_explain_gradients(grkan_plan* plan, int32_t gradients, int64_t rows,
                                          int64_t inner, grkan_text* json) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    const Task task = task_with(p, Direction::backward, gradients);
    grkan_text& to = needed(json, "json");
    fill_text(to, p.explain(task, rows, inner_of(p, inner)));
  });
}

grkan_status grkan_plan_tune(grkan_plan* plan, const grkan_tune_options* options,
                             grkan_text* json) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    const grkan_tune_options g =
        checked(options, "grkan_tune_options", offsetof(grkan_tune_options, rows_hi));
    check_value("direction", g.direction, 0, GRKAN_FORWARD | GRKAN_BACKWARD);
    bool stopped = false;
    const TuneOptions how = tune_options_of(g, stopped);
    const TuneSite site = p.context().tune_site(p.device());
    const std::int64_t inner = inner_of(p, g.inner);
    nlohmann::json results = nlohmann::json::array();
    for (const Direction direction : {Direction::forward, Direction::backward}) {
      const std::int32_t bit = direction == Direction::forward ? GRKAN_FORWARD : GRKAN_BACKWARD;
      if (g.direction == 0 ? !p.has(direction) : (g.direction & bit) == 0) continue;
      if (stopped) break;
      const Task task = task_with(p, direction, g.gradients);
      const std::vector<TuneResult> found =
          g.rows_hi == 0 ? std::vector<TuneResult>{tune(site, task, g.rows, inner, how)}
                         : tune_range(site, task, {g.rows, g.rows_hi}, {inner, inner}, how);
      for (const TuneResult& result : found) {
        results.push_back(nlohmann::json::parse(to_text(result.winner)));
      }
    }
    p.refresh();
    if (json != nullptr) fill_text(*json, results.dump(2));
  });
}

grkan_status grkan_plan_export(grkan_plan* plan, grkan_text* bytes) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    fill_text(needed(bytes, "bytes"), p.export_winners());
  });
}

grkan_status grkan_plan_import(grkan_plan* plan, const void* bytes, size_t size) {
  return guarded([&] {
    Plan& p = needed(plan, "plan").plan;
    const auto* data = static_cast<const char*>(&needed(static_cast<const char*>(bytes), "bytes"));
    p.import_winners({data, size});
  });
}
