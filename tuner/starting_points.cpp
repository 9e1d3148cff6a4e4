#include "tuner/starting_points.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <variant>

namespace grkan {
namespace {

// By bench_starting_points from the tables of bench/lab, of one machine with AVX-512.
constexpr std::array<std::string_view, 8> kWithoutSums = {
    "v8_u1_r1_bcast_cached@slice64",       "v8_u1_r1_expand_cached@slice256",
    "v8_u2_r1_bcast_cached@slice256",      "v8_u4_r8_bcast_cached_pf2@slice256",
    "v8_u1_r4_expand_cached_pf1@slice256", "v8_u4_r1_bcast_cached_pf1@slice256",
    "v8_u2_r1_bcast_cached_pf4@slice256",  "v8_u4_r1_bcast_cached@slice256",
};
constexpr std::array<std::string_view, 8> kWithSums = {
    "v8_u1_r8_bcast_run64_fused_cached_pf1@slice256",
    "v8_u4_r1_bcast_run64_fused_cached@slice256",
    "v8_u1_r16_expand_run64_fused_cached_pf1@slice256",
    "v8_u2_r16_bcast_run32_fused_cached_pf2@slice256",
    "v8_u1_r1_bcast_run64_fused_cached@slice64",
    "v8_u2_r8_bcast_run64_fused_cached_pf1@slice256",
    "v8_u4_r8_bcast_run64_fused_cached_pf1@slice256",
    "v8_u4_r16_bcast_run64_fused_cached@slice256",
};

// How many parameters differ; a vector is as long as a problem lets it be.
int differences(const CpuSchedule& a, const CpuSchedule& b) {
  return int(std::count_if(cpu_parameters().begin(), cpu_parameters().end(),
                           [&](const Parameter<CpuSchedule>& p) {
                             return p.field != &CpuSchedule::vector && a.*p.field != b.*p.field;
                           }));
}

}  // namespace

std::vector<CpuSchedule> starting_points(const Task& task, const Target& target) {
  std::vector<CpuSchedule> points;
  if (target.cuda()) return points;
  for (const std::string_view text : task.sums() ? kWithSums : kWithoutSums) {
    points.push_back(std::get<CpuSchedule>(parse_schedule(text, target)));
  }
  return points;
}

std::vector<std::size_t> starting_candidates(const Space& space,
                                             std::span<const CpuSchedule> points) {
  std::vector<std::size_t> chosen;
  for (CpuSchedule point : points) {
    point.stores = std::get<CpuSchedule>(space.schedules.front()).stores;  // by the output's size
    std::size_t nearest = 0;
    int least = std::numeric_limits<int>::max();
    for (std::size_t i = 0; i < space.schedules.size(); ++i) {
      const int apart = differences(std::get<CpuSchedule>(space.schedules[i]), point);
      if (apart >= least) continue;
      least = apart;
      nearest = i;
    }
    if (nearest != 0 && std::find(chosen.begin(), chosen.end(), nearest) == chosen.end()) {
      chosen.push_back(nearest);
    }
  }
  return chosen;
}

}  // namespace grkan
