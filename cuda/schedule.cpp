#include "cuda/schedule.h"

#include "core/schedule_rows.h"
#include "cuda/backend.h"
#include "cuda/limits.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 2> kPolynomial = {"powers", "estrin"};
constexpr std::array<std::string_view, 1> kPacked = {"packed"};
constexpr std::array<std::string_view, 3> kDivision = {"div", "newton", "approx"};
constexpr std::array<std::string_view, 1> kAccumulator = {"f64acc"};
constexpr std::array<std::string_view, 4> kSums = {"twopass", "programmatic", "lastblock",
                                                   "blockatomics"};
constexpr std::array<std::string_view, 1> kLoads = {"ldcs"};
constexpr std::array<std::string_view, 1> kStores = {"stcs"};

constexpr std::array kZeroOne = {0, 1};
constexpr std::array kZeroOneTwo = {0, 1, 2};
constexpr std::array kOneTwoThree = {1, 2, 3};
constexpr std::array kOneToFour = {1, 2, 3, 4};
constexpr std::array kColumns = {1, 2, 4, 8};
constexpr std::array kInFlight = {1, 2, 4, 8};
constexpr std::array kTileColumns = {6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192};
constexpr std::array kTileRows = {1, 2, 4, 8, 10, 16, 20, 32, 40};
constexpr std::array kMinBlocks = {0, 2, 4, 5};
constexpr std::array kRun = {8, 16, 32};
constexpr std::array kBlocks = {1, 2, 4, 8, kMostBlocks};
constexpr std::array kSlab = {0, 512};

using Cuda = CudaSchedule;
constexpr std::array<ScheduleRow<Cuda>, 15> kRowsOfSchedule = {{
    {{.name = "columns",
      .token = "v",
      .values = kColumns,
      .unit = "columns of a thread",
      .says = "adjacent elements of a thread, all in one segment, in accesses of up to "
              "16 bytes, 32 on sm_100"},
     &Cuda::columns},
    {{.name = "rows_in_flight",
      .token = "r",
      .values = kInFlight,
      .unit = "rows of a thread",
      .says = "rows requested before the earlier ones are computed"},
     &Cuda::rows_in_flight},
    {{.name = "tile_columns",
      .token = "x",
      .values = kTileColumns,
      .unit = "threads of a block",
      .says = "threads of a block side by side along the columns"},
     &Cuda::tile_columns},
    {{.name = "tile_rows",
      .token = "y",
      .values = kTileRows,
      .unit = "threads of a block",
      .says = "threads of a block along the rows"},
     &Cuda::tile_rows},
    {{.name = "min_blocks",
      .token = "mb",
      .values = kMinBlocks,
      .unit = "blocks a multiprocessor",
      .says = "the second value of __launch_bounds__: resident blocks that registers are kept to"},
     &Cuda::min_blocks},
    {{.name = "polynomial",
      .words = kPolynomial,
      .none = "horner",
      .values = kZeroOneTwo,
      .shape = false,
      .says = "instead of Horner's scheme; powers: sums of a_i x^i, with the powers of da and db; "
              "estrin: pairs of terms, a shorter chain"},
     &Cuda::polynomial},
    {{.name = "packed",
      .words = kPacked,
      .values = kZeroOne,
      .shape = false,
      .says = "two adjacent columns in one f32x2 operation: one instruction on sm_100 "
              "and sm_103, two on later ones"},
     &Cuda::packed},
    {{.name = "division",
      .words = kDivision,
      .values = kOneTwoThree,
      .shape = false,
      .says = "div: correctly rounded; newton: rcp.approx and a Newton step; approx: "
              "rcp.approx alone"},
     &Cuda::division},
    {{.name = "run",
      .token = "run",
      .values = kRun,
      .shape = false,
      .unit = "terms of a sum",
      .says = "rows that a thread sums in f32 before a flush"},
     &Cuda::run},
    {{.name = "accumulator",
      .words = kAccumulator,
      .none = "compensated",
      .values = kZeroOne,
      .shape = false,
      .says = "f64acc: runs are flushed to double instead of f32 with its rounding "
              "error"},
     &Cuda::accumulator},
    {{.name = "sums",
      .words = kSums,
      .values = kOneToFour,
      .shape = false,
      .says = "twopass: partial sums, then a second kernel; programmatic: which starts while the "
              "first ends (sm_90 and later); lastblock: the last block to finish adds them; "
              "blockatomics: each block adds to da and db, in any order"},
     &Cuda::sums},
    {{.name = "loads",
      .words = kLoads,
      .values = kZeroOne,
      .shape = false,
      .says = "ldcs: what is loaded leaves the caches first"},
     &Cuda::loads},
    {{.name = "stores",
      .words = kStores,
      .values = kZeroOne,
      .shape = false,
      .says = "stcs: y or dx leaves the caches first"},
     &Cuda::stores},
    {{.name = "blocks",
      .token = "blocks",
      .values = kBlocks,
      .compiled = false,
      .unit = "blocks a multiprocessor",
      .says = "blocks a multiprocessor: more than fit come one wave after another; "
              "fewer where a thread would get under 4 rows, 8 where sums are added"},
     &Cuda::blocks},
    {{.name = "slab",
      .token = "slab",
      .values = kSlab,
      .compiled = false,
      .shape = false,
      .unit = "rows of a block",
      .says = "instead of blocks: rows of a block, the same grid on any device"},
     &Cuda::slab},
}};
constexpr auto kParameters = parameters_of(kRowsOfSchedule);

}  // namespace

CudaSchedule::operator Schedule() const {
  return schedule_of(cuda_backend(), kRowsOfSchedule, *this);
}
CudaSchedule CudaSchedule::from(const Schedule& schedule) {
  return fields_of(cuda_backend(), kRowsOfSchedule, schedule);
}

std::span<const Parameter> CudaBackend::parameters() const { return kParameters; }

const Backend& cuda_backend() {
  static const CudaBackend backend;
  return backend;
}

}  // namespace grkan
