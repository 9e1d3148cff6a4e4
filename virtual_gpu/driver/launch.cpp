// Launches: everything is checked before work is submitted.
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "virtual_gpu/driver/code.h"
#include "virtual_gpu/driver/limits.h"
#include "virtual_gpu/ptx/program.h"

namespace grkan::vgpu::driver {
namespace {

// What a GPU stops for. The other findings are wrong programs that it runs.
Result fault_of(const LaunchResult& result) {
  for (const Finding& finding : result.findings) {
    if (finding.check == Check::out_of_bounds) return Result::illegal_address;
    if (finding.check == Check::misaligned) return Result::misaligned_address;
    if (finding.check == Check::deadlock) return Result::launch_timeout;
  }
  return result.trap.empty() ? Result::success : Result::launch_failed;
}

void tell(const ModuleKernel& kernel, const std::string& what) {
  std::fprintf(stderr, "grkan virtual GPU: %s: %s\n", kernel.name.c_str(), what.c_str());
}

struct Shape {
  Dim3 grid, block;
  std::size_t dynamic_shared = 0;
};

Result check_shape(const FunctionState& function, const Shape& shape) {
  const auto& [grid, block, dynamic_shared] = shape;
  if (grid.count() == 0 || block.x == 0 || block.y == 0 || block.z == 0) {
    return Result::invalid_value;
  }
  if (grid.x > kMostGridX || grid.y > kMostGridYZ || grid.z > kMostGridYZ ||
      block.x > unsigned(kMostThreads) || block.y > unsigned(kMostThreads) ||
      block.z > kMostBlockZ || block.count() > std::uint64_t(kMostThreads) ||
      block.count() > std::uint64_t(function.kernel->max_threads)) {
    return Result::invalid_value;
  }
  const GpuModel& model = *function.module->context->device->model;
  if (dynamic_shared > function.settings->most_dynamic_shared ||
      function.kernel->shared_bytes + dynamic_shared > block_limits(model).shared_opt_in) {
    return Result::invalid_value;
  }
  return Result::success;
}

// CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END
Result read_buffer(void** extra, std::vector<std::byte>& to) {
  const void* data = nullptr;
  const std::size_t* size = nullptr;
  for (; *extra != nullptr; extra += 2) {
    const auto kind = reinterpret_cast<std::uintptr_t>(extra[0]);
    if (kind == 1) data = extra[1];
    if (kind == 2) size = static_cast<const std::size_t*>(extra[1]);
    if (kind > 2) return Result::invalid_value;
  }
  if (data == nullptr || size == nullptr || *size < to.size()) return Result::invalid_value;
  std::memcpy(to.data(), data, to.size());
  return Result::success;
}

Result read_parameters(const ModuleKernel& kernel, void** parameters, void** extra,
                       std::vector<std::byte>& to) {
  if (parameters != nullptr && extra != nullptr) return Result::invalid_value;
  to.resize(kernel.parameter_bytes);
  if (kernel.parameters.empty()) return Result::success;
  if (extra != nullptr) return read_buffer(extra, to);
  if (parameters == nullptr) return Result::invalid_value;
  for (std::size_t i = 0; i < kernel.parameters.size(); ++i) {
    if (parameters[i] == nullptr) return Result::invalid_value;
    const KernelParameter& p = kernel.parameters[i];
    std::memcpy(to.data() + p.offset, parameters[i], p.size);
  }
  return Result::success;
}

// What is known of a launch before it runs.
LaunchRecord record_of(const FunctionState& function, const Shape& shape) {
  const DeviceState& device = *function.module->context->device;
  const Resources resources = resources_of(*function.kernel, function.module->build);
  const auto threads = int(shape.block.count());
  const int blocks = occupancy(function, threads, shape.dynamic_shared);
  const int warps = (threads + kLanes - 1) / kLanes;
  return {.device = device.ordinal,
          .model = std::string(device.model->name),
          .kernel = function.kernel->name,
          .grid = shape.grid,
          .block = shape.block,
          .registers = resources.registers,
          .registers_estimated = !resources.of_cubin,
          .shared_bytes = resources.shared_bytes + shape.dynamic_shared,
          .local_bytes = resources.local_bytes,
          .resident_blocks = blocks,
          .occupancy = blocks * warps * kLanes / device.model->threads_per_multiprocessor.value,
          .result = {}};
}

Result execute(const FunctionState& function, const Shape& shape,
               const std::vector<std::byte>& parameters) {
  State& s = state();
  ContextState& context = *function.module->context;
  if (context.fault != Result::success) return context.fault;
  const ModuleKernel& kernel = *function.kernel;
  LaunchRecord record = record_of(function, shape);
  try {
    record.result = launch(kernel, shape.grid, shape.block, shape.dynamic_shared, parameters,
                           *context.device->memory, s.options);
    context.fault = fault_of(record.result);
    if (!record.result.trap.empty()) tell(kernel, record.result.trap);
    s.report.add(std::move(record));
  } catch (const Error& error) {
    tell(kernel, error.what());
    context.fault = Result::launch_failed;
  }
  return Result::success;  // as on a GPU, the next call that waits tells
}

Result launch_in(StreamState& stream, Function handle, const Shape& shape, void** parameters,
                 void** extra) {
  if (stream.legacy) {
    const Result refused = refuse_beside_legacy(*stream.context);
    if (refused != Result::success) return refused;
  }
  std::shared_ptr<FunctionState> function;
  Result result = resolve(handle, *stream.context, function);
  if (result != Result::success) return result;
  if (function->module->context != stream.context) return Result::invalid_handle;
  result = check_shape(*function, shape);
  std::vector<std::byte> values;
  if (result == Result::success) {
    result = read_parameters(*function->kernel, parameters, extra, values);
  }
  if (result != Result::success) return result;
  return submit(stream, {NodeKind::kernel, [function, shape, values = std::move(values)] {
                           return execute(*function, shape, values);
                         }});
}

// What a launch may ask for: hints, and an earlier start, which work in order allows.
Result check_attribute(const LaunchAttribute& attribute) {
  int value = 0;
  std::memcpy(&value, attribute.value, sizeof value);
  switch (attribute.id) {
    case 0:   // IGNORE
    case 1:   // ACCESS_POLICY_WINDOW
    case 5:   // CLUSTER_SCHEDULING_POLICY_PREFERENCE
    case 6:   // PROGRAMMATIC_STREAM_SERIALIZATION
    case 8:   // PRIORITY
    case 9:   // MEM_SYNC_DOMAIN_MAP
    case 10:  // MEM_SYNC_DOMAIN
    case 14:  // PREFERRED_SHARED_MEMORY_CARVEOUT
      return Result::success;
    case 2:  // COOPERATIVE
      return value == 0 ? Result::success : Result::not_supported;
    case 4: {  // CLUSTER_DIMENSION
      Dim3 cluster;
      std::memcpy(&cluster, attribute.value, sizeof cluster);
      return cluster.count() == 1 ? Result::success : Result::not_supported;
    }
    default:
      return attribute.id < 0 || attribute.id > 16 ? Result::invalid_value : Result::not_supported;
  }
}

}  // namespace

Result cuLaunchKernel(Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                      Stream stream, void** parameters, void** extra) {
  return with_stream(stream, [&](StreamState& found) {
    const Shape shape{{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes};
    return launch_in(found, function, shape, parameters, extra);
  });
}

Result cuLaunchKernelEx(const LaunchConfig* config, Function function, void** parameters,
                        void** extra) {
  if (config == nullptr) return Result::invalid_value;
  const LaunchConfig& c = *config;
  return with_stream(c.stream, [&](StreamState& found) {
    if (c.attribute_count != 0 && c.attributes == nullptr) return Result::invalid_value;
    for (unsigned i = 0; i < c.attribute_count; ++i) {
      const Result result = check_attribute(c.attributes[i]);
      if (result != Result::success) return result;
    }
    const Shape shape{
        {c.grid_x, c.grid_y, c.grid_z}, {c.block_x, c.block_y, c.block_z}, c.shared_bytes};
    return launch_in(found, function, shape, parameters, extra);
  });
}

}  // namespace grkan::vgpu::driver
