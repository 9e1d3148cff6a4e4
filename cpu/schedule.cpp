#include "cpu/schedule.h"

#include "core/schedule_rows.h"
#include "cpu/backend.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 2> kCoefficients = {"bcast", "expand"};
constexpr std::array<std::string_view, 2> kBackward = {"split", "fused"};
constexpr std::array<std::string_view, 2> kStores = {"cached", "nt"};

constexpr std::array kOneTwo = {1, 2};
constexpr std::array kVector = {1, 4, 8, kCpuWidestVector};
constexpr std::array kUnroll = {1, 2, 4};
constexpr std::array kRows = {1, 2, 4, 8, 16};
constexpr std::array kRun = {32, 64};
constexpr std::array kPrefetch = {0, 1, 2, 4};
constexpr std::array kSliceRows = {64, 256};

using Cpu = CpuSchedule;
constexpr std::array<ScheduleRow<Cpu>, 9> kRowsOfSchedule = {{
    {{.name = "vector",
      .token = "v",
      .values = kVector,
      .unit = "lanes",
      .says = "lanes of a vector; LLVM splits what is wider than a register"},
     &Cpu::vector},
    {{.name = "unroll",
      .token = "u",
      .values = kUnroll,
      .unit = "vectors of a step",
      .says = "vectors computed in one step of the inner loop"},
     &Cpu::unroll},
    {{.name = "rows",
      .token = "r",
      .values = kRows,
      .unit = "rows of a block",
      .says = "rows that share coefficients in registers"},
     &Cpu::rows},
    {{.name = "coefficients",
      .words = kCoefficients,
      .values = kOneTwo,
      .says = "bcast: a segment at a time, one coefficient for all lanes; expand: a vector of "
              "columns at a time, each lane its own, for groups narrower than a vector"},
     &Cpu::coefficients},
    {{.name = "run",
      .token = "run",
      .values = kRun,
      .unit = "terms of a sum",
      .says = "terms that one f32 sum takes before it is added into double"},
     &Cpu::run},
    {{.name = "backward",
      .words = kBackward,
      .values = kOneTwo,
      .says = "split: the factors of the sums go through a scratch in L1 to a second loop; fused: "
              "one loop for both"},
     &Cpu::backward},
    {{.name = "stores",
      .words = kStores,
      .values = kOneTwo,
      .says = "cached: y or dx is stored as usual; nt: past the caches"},
     &Cpu::stores},
    {{.name = "prefetch",
      .token = "pf",
      .values = kPrefetch,
      .unit = "blocks ahead",
      .says = "blocks of rows ahead of a load that the same columns are requested"},
     &Cpu::prefetch},
    {{.name = "slice_rows",
      .token = "slice",
      .values = kSliceRows,
      .compiled = false,
      .unit = "rows of a slice",
      .says = "rows that a thread takes at a time, and that one partial sum covers"},
     &Cpu::slice_rows},
}};
constexpr auto kParameters = parameters_of(kRowsOfSchedule);

}  // namespace

CpuSchedule::operator Schedule() const {
  return schedule_of(cpu_backend(), kRowsOfSchedule, *this);
}
CpuSchedule CpuSchedule::from(const Schedule& schedule) {
  return fields_of(cpu_backend(), kRowsOfSchedule, schedule);
}

std::span<const Parameter> CpuBackend::parameters() const { return kParameters; }

const Backend& cpu_backend() {
  static const CpuBackend backend;
  return backend;
}

}  // namespace grkan
