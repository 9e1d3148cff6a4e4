// Calls executed on the virtual GPU without its driver: what the cost model's benches share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <vector>

#include "core/binary.h"
#include "core/target.h"
#include "core/task.h"
#include "cuda/launch_facts.h"
#include "virtual_gpu/machine/launch.h"

namespace grkan {

inline constexpr std::size_t kDeviceMemory = std::size_t{1} << 33;

inline constexpr std::int64_t kKatRows = 25216;  // 128 images of 197 tokens
// KAT's layers of these widths: f32 and bf16, forward and backward.
std::vector<Task> kat_tasks(std::span<const std::int64_t> channels);

Target target_of(const GpuModel& gpu);

// A launch that was executed, as the driver reports it.
nlohmann::json report_launch(const vgpu::LaunchResult& result, const KernelResources& compiled,
                             vgpu::Dim3 grid, vgpu::Dim3 block, const GpuModel& gpu);

// Executes the call's sample; `binary` is of its task and schedule.
std::vector<LaunchFacts> execute(const GpuCall& call, const Binary& binary);

}  // namespace grkan
