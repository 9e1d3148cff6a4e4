// What a plan's first choice costs where nothing is known: the default, or what effort instant
// predicts from schedules alone. The difference is what instant adds to a miss.
#include <benchmark/benchmark.h>

#include <string>

#include "core/backend.h"
#include "core/device_info.h"
#include "core/gpu_models.h"
#include "tuner/instant_run.h"

namespace grkan {
namespace {

constexpr const char* kProblem = "p5q4-A-c768-g1x8-f32-last";
constexpr std::int64_t kRows = 25216;

void choose(benchmark::State& state, const DeviceInfo& device, const char* direction) {
  const Task task = parse_task(std::string(direction) + kProblem);
  for (auto _ : state) {
    benchmark::DoNotOptimize(predict_schedule(device, task, kRows, 1, Determinism::run_to_run));
  }
}

void choose_default(benchmark::State& state, const DeviceInfo& device, const char* direction) {
  const Task task = parse_task(std::string(direction) + kProblem);
  for (auto _ : state) {
    benchmark::DoNotOptimize(default_schedule(task, device.target, kRows));
  }
}

void add(const char* name, const DeviceInfo& device) {
  for (const char* direction : {"forward/", "backward.dx.da.db/"}) {
    const std::string where = std::string(name) + "/" + direction;
    benchmark::RegisterBenchmark((where + "default").c_str(), choose_default, device, direction)
        ->Unit(benchmark::kMicrosecond);
    benchmark::RegisterBenchmark((where + "instant").c_str(), choose, device, direction)
        ->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  const grkan::DeviceInfo cpu = grkan::describe_cpu(0);
  // The portable kernels have nothing to choose.
  if (!cpu.target.name.empty()) grkan::add("cpu", cpu);
  grkan::add("h200", grkan::describe_gpu(grkan::gpu_model("h200")));
  grkan::add("b200", grkan::describe_gpu(grkan::gpu_model("b200")));
  benchmark::RunSpecifiedBenchmarks();
}
