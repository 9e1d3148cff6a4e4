#include "core/task.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::string_view kForm = "forward/<problem> or backward.dx.da.db/<problem>";

// The gradients' names joined by `separator`, in their fixed order.
std::string join_gradients(Gradients g, std::string_view separator) {
  std::vector<std::string_view> names;
  if (g.dx) names.emplace_back("dx");
  if (g.da) names.emplace_back("da");
  if (g.db) names.emplace_back("db");
  return fmt::format("{}", fmt::join(names, separator));
}

// Sets the gradient called `name`; throws on an unknown name or one given twice.
void add_gradient(Gradients& g, std::string_view name) {
  bool Gradients::* field = nullptr;
  if (name == "dx") field = &Gradients::dx;
  if (name == "da") field = &Gradients::da;
  if (name == "db") field = &Gradients::db;
  if (field == nullptr) fail_argument("unknown gradient '{}'; use dx, da, db", name);
  if (g.*field) fail_argument("gradient '{}' is given twice; name each once", name);
  g.*field = true;
}

}  // namespace

Task forward_task(const Problem& problem) { return {problem, Direction::forward, {}}; }
Task backward_task(const Problem& problem, Gradients gradients) {
  return {problem, Direction::backward, gradients};
}

void validate(const Task& task) {
  validate(task.problem);
  if (!task.backward() && task.gradients.any()) {
    fail_argument("forward takes no gradients, but {} came", to_string(task.gradients));
  }
  if (task.backward() && !task.gradients.any()) {
    fail_argument("backward needs at least one gradient; ask for dx, da or db");
  }
}

std::string to_string(const Task& task) {
  std::string head(to_string(task.direction));
  if (task.backward()) head += "." + join_gradients(task.gradients, ".");
  return head + "/" + to_string(task.problem);
}

Task parse_task(std::string_view text) {
  Task task;
  TextReader reader(text, "task", kForm);
  if (reader.accept("backward")) {
    task.direction = Direction::backward;
    while (reader.accept(".")) add_gradient(task.gradients, reader.until("./"));
  } else {
    reader.expect("forward");
  }
  reader.expect("/");
  task.problem = parse_problem(reader.rest());
  validate(task);
  return task;
}

std::string_view to_string(Direction direction) {
  return direction == Direction::forward ? "forward" : "backward";
}

std::string to_string(Gradients gradients) { return join_gradients(gradients, ","); }

Gradients parse_gradients(std::string_view text) {
  Gradients g;
  for (;;) {
    const std::size_t comma = text.find(',');
    add_gradient(g, text.substr(0, comma));
    if (comma == std::string_view::npos) return g;
    text.remove_prefix(comma + 1);
  }
}

std::string kernel_symbol(const Task& task, std::string_view compiled_schedule) {
  std::string symbol = task.backward()
                           ? fmt::format("grkan_bwd_{}_", join_gradients(task.gradients, ""))
                           : std::string("grkan_fwd_");
  symbol += to_string(task.problem);
  symbol += "__";
  symbol += compiled_schedule;
  std::replace(symbol.begin(), symbol.end(), '-', '_');
  std::replace(symbol.begin(), symbol.end(), ':', '_');
  return symbol;
}

KernelName parse_symbol(std::string_view symbol) {
  KernelName name;
  TextReader reader(symbol, "kernel symbol", "grkan_fwd_p5q4_A_c768_g8_f32_last__v4_r4");
  if (reader.accept("grkan_bwd_")) {
    name.task.direction = Direction::backward;
    for (const std::string_view gradient : {"dx", "da", "db"}) {
      if (reader.accept(gradient)) add_gradient(name.task.gradients, gradient);
    }
    reader.expect("_");
  } else {
    reader.expect("grkan_fwd_");
  }
  const std::string_view rest = reader.rest();
  const std::size_t split = rest.find("__");
  if (split == std::string_view::npos) {
    fail_argument("kernel symbol '{}' has no '__' between problem and schedule", symbol);
  }
  // '_' stood for ':' between types, which follow the fourth, and for '-' elsewhere.
  std::string problem(rest.substr(0, split));
  const std::size_t last = problem.rfind('_');
  for (std::size_t at = problem.find('_'), count = 0; at != std::string::npos;
       at = problem.find('_', at)) {
    problem[at] = count++ < 4 || at == last ? '-' : ':';
  }
  name.task.problem = parse_problem(problem);
  validate(name.task);
  name.compiled_schedule = rest.substr(split + 2);
  return name;
}

}  // namespace grkan
