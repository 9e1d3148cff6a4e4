#include "core/schedule.h"

#include <algorithm>
#include <numeric>

#include "cpu/call.h"
#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 3> kDeterminisms = {"not_guaranteed", "run_to_run",
                                                           "gpu_to_gpu"};

constexpr std::array<std::string_view, 2> kCoefficients = {"bcast", "expand"};
constexpr std::array<std::string_view, 2> kBackward = {"split", "fused"};
constexpr std::array<std::string_view, 2> kStores = {"cached", "nt"};
constexpr std::array<std::string_view, 2> kPolynomial = {"powers", "estrin"};  // or none: Horner
constexpr std::array<std::string_view, 1> kPacked = {"packed"};
constexpr std::array<std::string_view, 3> kDivision = {"div", "newton", "approx"};
constexpr std::array<std::string_view, 1> kAccumulator = {"f64acc"};  // or none: compensated
constexpr std::array<std::string_view, 4> kSums = {"twopass", "programmatic", "lastblock",
                                                   "blockatomics"};
constexpr std::array<std::string_view, 1> kLoads = {"ldcs"};
constexpr std::array<std::string_view, 1> kCudaStores = {"stcs"};

constexpr std::array kZeroOne = {0, 1};
constexpr std::array kZeroOneTwo = {0, 1, 2};
constexpr std::array kOneTwo = {1, 2};
constexpr std::array kOneTwoThree = {1, 2, 3};
constexpr std::array kVector = {1, 4, 8, 16};
constexpr std::array kUnroll = {1, 2, 4};
constexpr std::array kBlockRows = {1, 2, 4, 8, 16};
constexpr std::array kCpuRun = {32, 64};
constexpr std::array kPrefetch = {0, 1, 2, 4};
constexpr std::array kSlice = {64, 256};
constexpr std::array kColumns = {1, 2, 4, 8};
constexpr std::array kInFlight = {1, 2, 4, 8};
constexpr std::array kTileColumns = {6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192};
constexpr std::array kTileRows = {1, 2, 4, 8, 10, 16, 20, 32, 40};
constexpr std::array kMinBlocks = {0, 2, 4, 5};
constexpr std::array kCudaRun = {8, 16, 32};
constexpr std::array kSumsValues = {1, 2, 3, 4};
constexpr std::array kBlocks = {1, 2, 4, 8, 16};
constexpr std::array kSlab = {0, 512};

using Cpu = CpuSchedule;
constexpr std::array<Parameter<Cpu>, 9> kCpuParameters = {{
    {"vector", "v", {}, kVector, true, true, &Cpu::vector},
    {"unroll", "u", {}, kUnroll, true, true, &Cpu::unroll},
    {"rows", "r", {}, kBlockRows, true, true, &Cpu::rows},
    {"coefficients", "", kCoefficients, kOneTwo, true, true, &Cpu::coefficients},
    {"run", "run", {}, kCpuRun, true, true, &Cpu::run},
    {"backward", "", kBackward, kOneTwo, true, true, &Cpu::backward},
    {"stores", "", kStores, kOneTwo, true, true, &Cpu::stores},
    {"prefetch", "pf", {}, kPrefetch, true, true, &Cpu::prefetch},
    {"slice_rows", "slice", {}, kSlice, false, true, &Cpu::slice_rows},
}};

using Cuda = CudaSchedule;
constexpr std::array<Parameter<Cuda>, 15> kCudaParameters = {{
    {"columns", "v", {}, kColumns, true, true, &Cuda::columns},
    {"rows_in_flight", "r", {}, kInFlight, true, true, &Cuda::rows_in_flight},
    {"tile_columns", "x", {}, kTileColumns, true, true, &Cuda::tile_columns},
    {"tile_rows", "y", {}, kTileRows, true, true, &Cuda::tile_rows},
    {"min_blocks", "mb", {}, kMinBlocks, true, true, &Cuda::min_blocks},
    {"polynomial", "", kPolynomial, kZeroOneTwo, true, false, &Cuda::polynomial},
    {"packed", "", kPacked, kZeroOne, true, false, &Cuda::packed},
    {"division", "", kDivision, kOneTwoThree, true, false, &Cuda::division},
    {"run", "run", {}, kCudaRun, true, false, &Cuda::run},
    {"accumulator", "", kAccumulator, kZeroOne, true, false, &Cuda::accumulator},
    {"sums", "", kSums, kSumsValues, true, false, &Cuda::sums},
    {"loads", "", kLoads, kZeroOne, true, false, &Cuda::loads},
    {"stores", "", kCudaStores, kZeroOne, true, false, &Cuda::stores},
    {"blocks", "blocks", {}, kBlocks, false, true, &Cuda::blocks},
    {"slab", "slab", {}, kSlab, false, false, &Cuda::slab},
}};

template <class S>
std::string print(const S& schedule, std::span<const Parameter<S>> parameters, bool compiled) {
  std::vector<std::string> tokens;
  for (const Parameter<S>& p : parameters) {
    const int value = schedule.*p.field;
    if (p.compiled != compiled || value == 0) continue;
    tokens.push_back(p.words.empty() ? fmt::format("{}{}", p.token, value)
                                     : std::string(p.words[std::size_t(value - 1)]));
  }
  return fmt::format("{}", fmt::join(tokens, "_"));
}

// Sets the parameter that `token` stands for; false when none does.
template <class S>
bool set_token(S& schedule, const Parameter<S>& p, std::string_view token) {
  for (std::size_t i = 0; i < p.words.size(); ++i) {
    if (p.words[i] != token) continue;
    schedule.*p.field = int(i) + 1;
    return true;
  }
  if (!p.words.empty() || !token.starts_with(p.token)) return false;
  token.remove_prefix(p.token.size());
  int value = 0;
  const auto [stop, error] = std::from_chars(token.data(), token.data() + token.size(), value);
  if (error != std::errc() || stop != token.data() + token.size() || value < 1) return false;
  if (token.front() == '0') return false;
  schedule.*p.field = value;
  return true;
}

// Tokens come in the table's order, each at most once; what is absent is 0 in the compiled part and
// keeps its default in the launch part.
template <class S>
S parse(std::string_view text, std::span<const Parameter<S>> parameters, std::string_view example) {
  S schedule;
  const std::size_t at = text.find('@');
  const auto part = [&](std::string_view tokens, bool compiled) {
    std::size_t next = 0;
    while (!tokens.empty()) {
      const std::string_view token = tokens.substr(0, tokens.find('_'));
      tokens.remove_prefix(std::min(tokens.size(), token.size() + 1));
      while (next < parameters.size() && (parameters[next].compiled != compiled ||
                                          !set_token(schedule, parameters[next], token))) {
        ++next;
      }
      if (next++ == parameters.size()) {
        fail_argument("schedule '{}' has an unknown or misplaced part '{}'; the form is {}",
                      shortened(text), shortened(token), example);
      }
    }
  };
  for (const Parameter<S>& p : parameters) {
    if (p.compiled) schedule.*p.field = 0;
  }
  part(text.substr(0, at), true);
  if (at != std::string_view::npos) part(text.substr(at + 1), false);
  return schedule;
}

}  // namespace

std::string_view to_string(Determinism determinism) {
  return kDeterminisms.at(std::size_t(determinism));
}
Determinism parse_determinism(std::string_view text) {
  return Determinism(index_of_word(kDeterminisms, text, "determinism"));
}

std::span<const Parameter<CpuSchedule>> cpu_parameters() { return kCpuParameters; }
std::span<const Parameter<CudaSchedule>> cuda_parameters() { return kCudaParameters; }

namespace {
std::string print(const Schedule& schedule, bool compiled) {
  if (const auto* cpu = std::get_if<CpuSchedule>(&schedule)) {
    return print(*cpu, cpu_parameters(), compiled);
  }
  return print(std::get<CudaSchedule>(schedule), cuda_parameters(), compiled);
}
}  // namespace

std::string compiled_text(const Schedule& schedule) { return print(schedule, true); }

std::string to_string(const Schedule& schedule) {
  return print(schedule, true) + "@" + print(schedule, false);
}

Schedule parse_schedule(std::string_view text, const Target& target) {
  if (target.cuda()) {
    return parse<CudaSchedule>(text, cuda_parameters(),
                               "v4_r2_x24_y10_newton_run16_twopass@blocks4");
  }
  return parse<CpuSchedule>(text, cpu_parameters(), "v8_u1_r4_bcast_run64_split_nt@slice256");
}

}  // namespace grkan
