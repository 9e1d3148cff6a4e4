// Problem lists: the tasks of a model, a line of JSON each, as `grkan tune --problems` takes them.
//
//   {"task": "backward.dx.da.db/p5q4-A-c768-g8-f32-last", "rows": "1..4096", "count": 12}
//   {"problem": "p5q4-A-c768-g8-f32-last", "direction": "both", "rows": 25216}
//
// Blank lines and lines that begin with # are passed over.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "core/range.h"
#include "core/task.h"

namespace grkan {

// The tasks of a problem by a direction's name: forward, backward, or both, which is first the one
// and then the other. Throws invalid_argument for any other name.
std::vector<Task> tasks_of(const Problem& problem, std::string_view direction, Gradients gradients);

struct ListedTask {
  Task task;
  Range rows;
  std::int64_t inner = 1;
  std::int64_t count = 1;  // how often a model calls it

  bool operator==(const ListedTask&) const = default;
};

// "forward/p5q4-A-c768-g8-f32-last, 1..4096 rows, 1 inner": without the count.
std::string to_string(const ListedTask& listed);

// In the order of the list; a task that stands there again, with the same rows and inner, is one
// with the counts added. `rows` and `inner` are those of a line that says none. Throws
// invalid_argument with `name`, the line's number, the field and what was expected.
std::vector<ListedTask> parse_problem_list(std::istream& text, const std::string& name, Range rows,
                                           std::int64_t inner);

// The same of a file, or of standard input where the path is "-". Throws io_error where it can't be
// read.
std::vector<ListedTask> read_problem_list(const std::string& path, Range rows, std::int64_t inner);

}  // namespace grkan
