#include "virtual_gpu/machine/report.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace grkan::vgpu {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kMostLaunches = 100'000;

ordered_json to_json(const Dim3& d) { return {d.x, d.y, d.z}; }

double ratio(double part, double whole) { return whole == 0 ? 0 : part / whole; }

ordered_json to_json(const Counts::Access& access) {
  return {{"requests", access.requests},
          {"bytes", access.bytes},
          {"sectors", access.sectors},
          {"sectors_per_request", ratio(double(access.sectors), double(access.requests))},
          {"bytes_per_sector", ratio(double(access.bytes), double(access.sectors))}};
}

ordered_json to_json(const Counts& c) {
  return {{"instructions", c.instructions},
          {"warp_instructions", c.warp_instructions},
          {"lane_efficiency", ratio(double(c.instructions), 32.0 * double(c.warp_instructions))},
          {"classes", c.classes},
          {"loads", to_json(c.loads)},
          {"stores", to_json(c.stores)},
          {"atomics", c.atomics},
          {"atomic_addresses", c.atomic_addresses},
          {"most_atomics", c.most_atomics},
          {"atomic_passes", c.atomic_passes},
          {"most_line_passes", c.most_line_passes},
          {"shared_requests", c.shared_requests},
          {"bank_conflicts", c.bank_conflicts},
          {"barriers", c.barriers}};
}

ordered_json to_json(const Finding& f) {
  return {{"check", to_string(f.check)},  {"kernel", f.kernel}, {"line", f.line},
          {"instruction", f.instruction}, {"detail", f.detail}, {"times", f.times}};
}

ordered_json to_json(const LaunchRecord& record) {
  ordered_json findings = ordered_json::array();
  for (const Finding& finding : record.result.findings) findings.push_back(to_json(finding));
  return {{"kernel", record.kernel},
          {"device", record.device},
          {"model", record.model},
          {"grid", to_json(record.grid)},
          {"block", to_json(record.block)},
          {"registers", record.registers},
          {"registers_estimated", record.registers_estimated},
          {"shared_bytes", record.shared_bytes},
          {"local_bytes", record.local_bytes},
          {"resident_blocks", record.resident_blocks},
          {"occupancy", record.occupancy},
          {"counts", to_json(record.result.counts)},
          {"findings", findings},
          {"trap", record.result.trap}};
}

}  // namespace

void Report::add(LaunchRecord record) {
  for (const Finding& f : record.result.findings) {
    if (!printed_.emplace(f.check, f.kernel, f.line).second) continue;
    const std::string text =
        fmt::format("grkan virtual GPU: {}: {}, line {}: {}: {}\n", to_string(f.check), f.kernel,
                    f.line, f.instruction, f.detail);
    std::fputs(text.c_str(), stderr);
  }
  if (launches_.size() == kMostLaunches) {
    ++dropped_;
    return;
  }
  launches_.push_back(std::move(record));
}

std::string Report::json() const {
  ordered_json launches = ordered_json::array();
  for (const LaunchRecord& record : launches_) launches.push_back(to_json(record));
  const ordered_json all = {{"launches", std::move(launches)}, {"dropped", dropped_}};
  // Kernel names and instructions are a program's text: what is no UTF-8 is replaced.
  return all.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

void Report::clear() {
  launches_.clear();
  dropped_ = 0;
  printed_.clear();
}

}  // namespace grkan::vgpu
