#include "cli/schedules.h"

#include "core/error.h"

namespace grkan::cli {

void ScheduleOptions::declare(CLI::App& command, bool many_targets) {
  command.add_option("--schedule", schedule,
                     "A printed schedule, v8_u1_r4_bcast@slice256; else the default one");
  CLI::Option* arch =
      command.add_option("--arch", targets,
                         many_targets ? "Targets: sm_75,sm_90,x86-64-v3 ...; else the device's"
                                      : "Target: sm_90, x86-64-v4 ...; else the device's");
  command
      .add_option("--device", device,
                  "Device to build for: cuda:0, virtual:h200; else this machine's CPU")
      ->excludes(arch);
}

std::vector<Target> ScheduleOptions::target_list(Context& context) const {
  std::vector<Target> list;
  if (!targets.empty()) {
    for (const std::string& name : split_list(targets, "--arch"))
      list.push_back(parse_target(name));
  } else {
    list.push_back(device.empty() ? host_target() : context.device(device).target());
    if (list.back().name.empty()) {
      fail(Status::unsupported,
           "this CPU is below x86-64-v3 and runs the portable kernels; name a target with --arch");
    }
  }
  return list;
}

Schedule ScheduleOptions::schedule_for(const Task& task, const Target& target, std::int64_t rows,
                                       std::int64_t inner, Determinism determinism) const {
  if (schedule.empty()) return default_schedule(task, target, rows, inner, determinism);
  const Schedule parsed = parse_schedule(schedule, target);
  if (const std::string why = why_illegal(task, parsed, target, determinism); !why.empty()) {
    fail_argument("schedule '{}' does not fit {} on {}: {}", schedule, to_string(task), target.name,
                  why);
  }
  return parsed;
}

}  // namespace grkan::cli
