#include "bench/lab/executed_call.h"

#include <nlohmann/json.hpp>

#include "core/device_info.h"
#include "core/occupancy.h"
#include "cuda/launch.h"
#include "tests/support/virtual_sample.h"
#include "virtual_gpu/machine/report.h"

namespace grkan {

std::vector<Task> kat_tasks(std::span<const std::int64_t> channels) {
  std::vector<Task> all;
  for (const std::int64_t width : channels) {
    for (const Type type : {Type::f32, Type::bf16}) {
      Problem problem;
      problem.channels = width;
      problem.denominator_groups = 8;
      problem.x_type = problem.y_type = type;
      all.push_back(forward_task(problem));
      all.push_back(backward_task(problem));
    }
  }
  return all;
}

Target target_of(const GpuModel& gpu) { return describe_gpu(gpu).target; }

nlohmann::json report_launch(const vgpu::LaunchResult& result, const KernelResources& compiled,
                             vgpu::Dim3 grid, vgpu::Dim3 block, const GpuModel& gpu) {
  vgpu::LaunchRecord record;
  record.kernel = compiled.symbol;
  record.grid = grid;
  record.block = block;
  record.registers = compiled.registers.value_or(1);
  record.shared_bytes = std::size_t(compiled.shared_bytes.value_or(0));
  record.resident_blocks =
      resident_blocks(gpu, int(block.x), record.registers, record.shared_bytes);
  record.result = result;
  vgpu::Report report;
  report.add(std::move(record));
  return nlohmann::json::parse(report.json()).at("launches").at(0);
}

std::vector<LaunchFacts> execute(const GpuCall& call, const Binary& binary) {
  const SampleShape shape = sample_shape(call);
  vgpu::Memory memory(kDeviceMemory);
  const vgpu::Module module(binary.ptx, memory);
  Sample sample(call.task, {.rows = shape.rows, .inner = call.inner});
  vgpu::VirtualSample device(sample, memory);
  const std::vector<vgpu::LaunchResult> results =
      device.run(module, call.schedule, shape.multiprocessors, {});
  const CudaLaunch launch =
      cuda_launch(call.task, call.schedule, shape.rows, call.inner, shape.multiprocessors);
  nlohmann::json launches = nlohmann::json::array();
  launches.push_back(report_launch(results.at(0), binary.kernels.at(0),
                                   {launch.grid_x, launch.grid_y, 1}, {launch.threads, 1, 1},
                                   call.gpu));
  if (results.size() > 1) {
    launches.push_back(report_launch(results.at(1), binary.kernels.at(1),
                                     {launch.second_pass_blocks, 1, 1},
                                     {launch.second_pass_threads, 1, 1}, call.gpu));
  }
  return executed_facts(call, shape, launches);
}

}  // namespace grkan
