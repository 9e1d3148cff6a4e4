// A user's program in C++: one call, whose result is told, and the devices asked for on the command
// line. Changes its folder first, as a program may after its libraries were opened.
#include <grkan.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

void check(grkan_status status) {
  if (status == GRKAN_OK) return;
  std::fprintf(stderr, "%s: %s\n", grkan_status_name(status), grkan_last_error());
  std::exit(1);
}

}  // namespace

int main(int count, char** devices) {
  const std::string version = std::to_string(GRKAN_VERSION_MAJOR) + "." +
                              std::to_string(GRKAN_VERSION_MINOR) + "." +
                              std::to_string(GRKAN_VERSION_PATCH);
  if (version != grkan_version() || chdir("/") != 0) return 1;

  grkan_context* context = nullptr;
  grkan_plan* plan = nullptr;
  grkan_problem problem;
  check(grkan_context_create(nullptr, &context));
  check(grkan_problem_parse("p1q1-A-c4-g1-f32-last", &problem));
  check(grkan_plan_create(context, &problem, "cpu", 0, &plan));
  std::size_t bytes = 0;
  check(grkan_plan_workspace_size(plan, GRKAN_FORWARD, 1, &bytes));
  std::vector<char> memory(bytes + 64);
  const std::array<float, 4> x = {-3, 0, 1, 3};
  const std::array<float, 2> a = {0, 1};
  const std::array<float, 1> b = {1};
  std::array<float, 4> y = {};
  grkan_forward_args args{};
  args.size = sizeof args;
  args.rows = 1;
  args.x = x.data();
  args.x_stride = 4;
  args.y = y.data();
  args.y_stride = 4;
  args.a = a.data();
  args.b = b.data();
  args.workspace = memory.data() + (64 - reinterpret_cast<std::size_t>(memory.data()) % 64) % 64;
  args.workspace_size = bytes;
  check(grkan_forward(plan, &args));
  std::printf("grkan %s: y %g %g %g %g\n", grkan_version(), double(y[0]), double(y[1]),
              double(y[2]), double(y[3]));
  check(grkan_plan_destroy(plan));

  for (int i = 1; i < count; ++i) {
    check(grkan_plan_create(context, &problem, devices[i], 0, &plan));
    check(grkan_plan_destroy(plan));
    std::printf("a plan on %s\n", devices[i]);
  }
  check(grkan_context_destroy(context));
  return 0;
}
