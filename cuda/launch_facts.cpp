#include "cuda/launch_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/occupancy.h"
#include "core/ptx_class.h"
#include "cuda/code_estimate.h"

namespace grkan {
namespace {

using nlohmann::json;

constexpr double kWarp = 32;
constexpr double kSector = 32;
constexpr double kLine = 128;
constexpr double kSampleRounding = 0.02;  // of a block's rows
constexpr int kSampleRows = 64;  // of a thread, at most: whole runs, and a long way past its start

// How many instructions of which pipes an instruction stands for.
struct Pipe {
  std::string_view name;
  double WarpInstructions::* pipe;
  double times = 1;
};

// PTX, by core/ptx_class.h. What machine code does not have is not counted: an operand's sign, a
// parameter (an operand in constant memory), a move (another name of a register). A division is a
// reciprocal and some ten others.
constexpr std::array kPtxPipes = {Pipe{"fma", &WarpInstructions::fp32},
                                  Pipe{"add", &WarpInstructions::fp32},
                                  Pipe{"mul", &WarpInstructions::fp32},
                                  Pipe{"fma f16", &WarpInstructions::fp32},
                                  Pipe{"add f16", &WarpInstructions::fp32},
                                  Pipe{"mul f16", &WarpInstructions::fp32},
                                  Pipe{"fma f32x2", &WarpInstructions::packed},
                                  Pipe{"add f32x2", &WarpInstructions::packed},
                                  Pipe{"mul f32x2", &WarpInstructions::packed},
                                  Pipe{"fma f64", &WarpInstructions::fp64},
                                  Pipe{"add f64", &WarpInstructions::fp64},
                                  Pipe{"mul f64", &WarpInstructions::fp64},
                                  Pipe{"special", &WarpInstructions::special},
                                  Pipe{"float division", &WarpInstructions::special},
                                  Pipe{"float division", &WarpInstructions::fp32, 10},
                                  Pipe{"convert", &WarpInstructions::convert},
                                  Pipe{"integer", &WarpInstructions::integer},
                                  Pipe{"integer division", &WarpInstructions::integer, 20},
                                  Pipe{"logic", &WarpInstructions::integer},
                                  Pipe{"compare", &WarpInstructions::integer},
                                  Pipe{"global load", &WarpInstructions::memory},
                                  Pipe{"global store", &WarpInstructions::memory},
                                  Pipe{"shared load", &WarpInstructions::memory},
                                  Pipe{"shared store", &WarpInstructions::memory},
                                  Pipe{"local load", &WarpInstructions::memory},
                                  Pipe{"local store", &WarpInstructions::memory},
                                  Pipe{"generic load", &WarpInstructions::memory},
                                  Pipe{"generic store", &WarpInstructions::memory},
                                  Pipe{"atomic", &WarpInstructions::memory},
                                  Pipe{"shared atomic", &WarpInstructions::memory},
                                  Pipe{"warp", &WarpInstructions::memory},
                                  Pipe{"sign", &WarpInstructions::other, 0},
                                  Pipe{"move", &WarpInstructions::other, 0},
                                  Pipe{"param load", &WarpInstructions::other, 0}};

// Machine code: the first prefix that fits.
constexpr std::array kSassPipes = {
    Pipe{"FFMA2", &WarpInstructions::packed},  Pipe{"FADD2", &WarpInstructions::packed},
    Pipe{"FMUL2", &WarpInstructions::packed},  Pipe{"FFMA", &WarpInstructions::fp32},
    Pipe{"FADD", &WarpInstructions::fp32},     Pipe{"FMUL", &WarpInstructions::fp32},
    Pipe{"HFMA", &WarpInstructions::fp32},     Pipe{"HADD", &WarpInstructions::fp32},
    Pipe{"HMUL", &WarpInstructions::fp32},     Pipe{"DADD", &WarpInstructions::fp64},
    Pipe{"DFMA", &WarpInstructions::fp64},     Pipe{"DMUL", &WarpInstructions::fp64},
    Pipe{"DSETP", &WarpInstructions::fp64},    Pipe{"MUFU", &WarpInstructions::special},
    Pipe{"F2", &WarpInstructions::convert},    Pipe{"I2F", &WarpInstructions::convert},
    Pipe{"LDG", &WarpInstructions::memory},    Pipe{"STG", &WarpInstructions::memory},
    Pipe{"LDS", &WarpInstructions::memory},    Pipe{"STS", &WarpInstructions::memory},
    Pipe{"LDL", &WarpInstructions::memory},    Pipe{"STL", &WarpInstructions::memory},
    Pipe{"ATOM", &WarpInstructions::memory},   Pipe{"RED", &WarpInstructions::memory},
    Pipe{"SHFL", &WarpInstructions::memory},   Pipe{"IADD", &WarpInstructions::integer},
    Pipe{"VIADD", &WarpInstructions::integer}, Pipe{"IMAD", &WarpInstructions::integer},
    Pipe{"IABS", &WarpInstructions::integer},  Pipe{"LOP", &WarpInstructions::integer},
    Pipe{"LEA", &WarpInstructions::integer},   Pipe{"SHF", &WarpInstructions::integer},
    Pipe{"PRMT", &WarpInstructions::integer},  Pipe{"ISETP", &WarpInstructions::integer},
    Pipe{"FSETP", &WarpInstructions::integer}, Pipe{"FSEL", &WarpInstructions::integer},
    Pipe{"SEL", &WarpInstructions::integer},   Pipe{"FMNMX", &WarpInstructions::integer},
    Pipe{"FCHK", &WarpInstructions::integer}};

void add_ptx(WarpInstructions& to, std::string_view ptx, double count) {
  bool found = false;
  for (const Pipe& pipe : kPtxPipes) {
    if (ptx != pipe.name) continue;
    to.*pipe.pipe += count * pipe.times;
    found = true;
  }
  if (!found) to.other += count;
}

void add_sass(WarpInstructions& to, std::string_view opcode, double count) {
  const auto pipe = std::find_if(kSassPipes.begin(), kSassPipes.end(),
                                 [&](const Pipe& p) { return opcode.starts_with(p.name); });
  (pipe == kSassPipes.end() ? to.other : to.*pipe->pipe) += count;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

CudaLaunch launch_of(const GpuCall& call, std::int64_t rows, int multiprocessors) {
  return cuda_launch(call.task, call.schedule, rows, call.inner, multiprocessors);
}
CudaLaunch launch_of(const GpuCall& call) {
  return launch_of(call, call.rows, int(call.gpu.multiprocessors.value));
}

// Rows of a row block in a sample: those of the call, but no more than show what a row costs.
double sample_block_rows(const GpuCall& call, const CudaLaunch& whole) {
  const CudaSchedule& s = call.schedule;
  const int most = s.slab > 0 ? s.slab : kSampleRows * s.tile_rows;
  return std::min(double(call.rows) / whole.grid_y, double(most));
}

// Partial sums of one coefficient, at most, that a second pass adds.
std::int64_t partials_of(const GpuCall& call, const CudaLaunch& launch) {
  const Problem& p = call.task.problem;
  const std::int64_t segments =
      std::max(call.task.gradients.da ? p.segments_per_numerator_group() : 0,
               call.task.gradients.db ? p.segments_per_denominator_group() : 0);
  return segments * launch.grid_y *
         cuda_tiles_of_segment(call.task, call.schedule, p.segment_width() * call.inner);
}

// Rounds of a thread of the second pass, each with four loads side by side.
double second_pass_steps(const GpuCall& call, const CudaLaunch& launch) {
  return double(ceil_div(partials_of(call, launch), std::int64_t{4} * launch.second_pass_threads));
}

// What lastblock waits for when all blocks are done (templates/last_block.cu): two counters and the
// fences around them, a warp's pairs one after another, then the coefficients of a thread.
double last_block_trips(const GpuCall& call, const CudaLaunch& launch) {
  const Problem& p = call.task.problem;
  const std::int64_t pairs = cuda_tile(call.task, call.schedule).segments * call.task.sum_terms();
  const std::int64_t warps = std::max<std::int64_t>(1, call.schedule.threads() / 32);
  const std::int64_t outputs =
      (call.task.gradients.da ? p.numerator_groups * p.numerator_terms() : 0) +
      (call.task.gradients.db ? p.denominator_groups * p.denominator_terms() : 0);
  const std::int64_t adding = ceil_div(pairs, warps) * ceil_div(launch.grid_y, 32);
  const std::int64_t columns =
      ceil_div(outputs, call.schedule.threads()) * partials_of(call, launch) / launch.grid_y;
  return 4 + double(adding + columns);
}

// Sectors that the requests of a block's warps touch, over the least that its bytes of a tensor
// need: more than 1 where tiles or warps end within a sector.
double sectors_touched(const GpuCall& call, std::int64_t size) {
  const Problem& p = call.task.problem;
  const CudaSchedule& s = call.schedule;
  constexpr auto sector = std::int64_t(kSector);
  constexpr auto warp = std::int64_t(kWarp);
  const std::int64_t bytes = s.columns * size;  // of a thread, in a row
  const std::int64_t tile = s.tile_columns * bytes;
  const std::int64_t row =
      (p.layout == Layout::channels_last ? p.channels : p.segment_width() * call.inner) * size;
  if (row % sector == 0 && std::gcd(std::int64_t{s.tile_columns}, warp) * bytes % sector == 0) {
    return 1;
  }
  // Tiles begin at so many places of a sector.
  const std::int64_t places = sector / std::gcd(sector, tile);
  std::int64_t touched = 0;
  for (std::int64_t place = 0; place < places; ++place) {
    std::int64_t seen = -1;
    for (std::int64_t thread = 0; thread < s.threads(); ++thread) {
      const std::int64_t start =
          thread / s.tile_columns * row + place * tile + thread % s.tile_columns * bytes;
      if (thread % warp == 0) seen = -1;
      const std::int64_t first = std::max(start / sector, seen + 1);
      seen = (start + bytes - 1) / sector;
      touched += std::max<std::int64_t>(0, seen + 1 - first);
    }
  }
  return double(touched * sector) / double(places * s.threads() * bytes);
}

// Of the whole call: its tensors, where requests are as the schedule says.
double sectors_of(const GpuCall& call) {
  const Problem& p = call.task.problem;
  const double elements = double(call.rows) * double(call.inner) * double(p.channels);
  const auto of = [&](Type type) {
    const auto size = std::int64_t(size_of(type));
    return elements * double(size) / kSector * sectors_touched(call, size);
  };
  if (!call.task.backward()) return of(p.x_type) + of(p.y_type);
  return of(p.x_type) * (call.task.gradients.dx ? 2 : 1) + of(p.y_type);
}

// What task and schedule alone tell of the main kernel.
void describe_main(LaunchFacts& f, const GpuCall& call, const CudaLaunch& launch) {
  const Problem& p = call.task.problem;
  const CudaSchedule& s = call.schedule;
  const double elements = double(call.rows) * double(call.inner) * double(p.channels);
  const auto x = double(size_of(p.x_type));
  const auto y = double(size_of(p.y_type));
  const bool backward = call.task.backward();
  const double loaded = backward ? x + y : x;
  const double stored = !backward ? y : call.task.gradients.dx ? x : 0;
  f.blocks = double(launch.grid_x) * launch.grid_y;
  f.threads = int(launch.threads);
  f.independent = 2.0 * s.columns / (s.packed != 0 ? 2 : 1);  // P and Q, each with its slope
  f.dram_bytes = elements * (loaded + stored);
  f.streamed_bytes = elements * loaded;
  f.bytes_ahead = double(s.rows_in_flight) * s.columns * loaded;
  f.round_trips = 1;  // the coefficients
  if (call.task.sums() && s.sums == CudaSchedule::last_block) {
    f.last_round_trips = last_block_trips(call, launch);
  }
}

void describe_second_pass(LaunchFacts& f, const GpuCall& call, const CudaLaunch& launch) {
  f.blocks = launch.second_pass_blocks;
  f.threads = int(launch.second_pass_threads);
  f.programmatic = call.schedule.sums == CudaSchedule::programmatic;
  f.independent = 1;
  const auto bytes = double(launch.workspace_bytes);
  f.dram_bytes = bytes > call.gpu.l2_bytes.value ? bytes : 0;
  f.sectors = bytes / kSector;
  f.round_trips = 1 + second_pass_steps(call, launch);
}

// Memory to clear before the main kernel: cuda/launch.h's cuda_clears.
void add_clears(std::vector<LaunchFacts>& facts, const GpuCall& call, bool executed) {
  int clears = 0;
  if (call.task.sums() && call.schedule.sums == CudaSchedule::last_block) clears = 1;
  if (call.schedule.sums == CudaSchedule::block_atomics) {
    clears = (call.task.gradients.da ? 1 : 0) + (call.task.gradients.db ? 1 : 0);
  }
  LaunchFacts clear;
  clear.kernel = "memset";
  clear.executed = executed;
  facts.insert(facts.end(), std::size_t(clears), clear);
}

// Per block, as a launch of the report says it was.
void check_shape(const json& launch, std::int64_t x, std::int64_t y, std::int64_t threads) {
  const auto grid = launch.at("grid").get<std::array<std::int64_t, 3>>();
  const auto block = launch.at("block").get<std::array<std::int64_t, 3>>();
  if (grid == std::array<std::int64_t, 3>{x, y, 1} &&
      block == std::array<std::int64_t, 3>{threads, 1, 1}) {
    return;
  }
  fail_argument(
      "{} was executed with {} x {} blocks of {} threads, not {} x {} of {}: give the rows and "
      "multiprocessors it was executed with",
      launch.at("kernel").get<std::string>(), grid[0], grid[1], block[0], x, y, threads);
}

// `use` of JSON that others wrote.
template <class Use>
auto read(const char* what, Use&& use) {
  try {
    return use();
  } catch (const json::exception& error) {
    fail_argument("these are no {}: {}", what, error.what());
  }
}

// Warp requests of an opcode through shared memory: wide accesses take several passes.
double shared_passes(std::string_view opcode) {
  const auto has = [&](std::string_view part) { return opcode.find(part) != opcode.npos; };
  const bool sass = opcode.starts_with("LDS") || opcode.starts_with("STS");
  if (!sass && !has(".shared")) return 0;
  if (has(".128") || has(".v2.f64") || has(".v4")) return 4;
  return has("64") || has(".v2") ? 2 : 1;
}

bool is_global(std::string_view opcode) {
  for (const std::string_view start : {"LDG", "STG", "ATOMG", "RED", "ld.global", "st.global"}) {
    if (opcode.starts_with(start)) return true;
  }
  return false;
}

bool is_atomic(std::string_view opcode) {
  for (const std::string_view start : {"ATOMG", "RED", "atom.global", "red.global"}) {
    if (opcode.starts_with(start)) return true;
  }
  return false;
}

LaunchFacts facts_of_code(const json& launch, const GpuCall& call) {
  LaunchFacts f;
  f.kernel = launch.at("kernel").get<std::string>();
  const bool sass = launch.at("counted").get<std::string>() == "sass";
  const bool counts = call.schedule.sums != CudaSchedule::block_atomics;
  const double block_warps = std::ceil(call.schedule.threads() / kWarp);
  for (const auto& [opcode, value] : launch.at("opcodes").items()) {
    const auto warps = value.get<double>();
    if (sass) {
      add_sass(f.instructions, opcode, warps);
    } else {
      add_ptx(f.instructions, ptx_class(opcode), warps);
    }
    if (is_global(opcode)) f.requests += warps;
    f.shared_passes += shared_passes(opcode) * warps;
    // Lanes at different addresses, 8 of 4 bytes in a sector; at a counter, one thread of a block.
    if (is_atomic(opcode))
      f.atomic_passes += warps * (counts ? 1 / block_warps : kWarp * 4 / kSector);
  }
  if (counts) {
    f.most_line_passes = f.atomic_passes;
    return f;
  }
  // They go to the coefficients' gradients, spread evenly.
  const Problem& p = call.task.problem;
  const double gradients = double(p.numerator_groups * p.numerator_terms() +
                                  p.denominator_groups * p.denominator_terms());
  f.most_line_passes = f.atomic_passes * std::min(1.0, kLine / 4 / gradients);
  return f;
}

// How many blocks a multiprocessor holds; throws unsupported where it holds none.
void set_resident_blocks(LaunchFacts& f, const GpuCall& call, int registers, std::size_t shared) {
  f.resident_blocks = resident_blocks(call.gpu, f.threads, registers, shared);
  if (f.resident_blocks < 1) {
    fail(Status::unsupported,
         "{}: a block of {} threads with {} registers and {} bytes of shared memory does not fit "
         "on a multiprocessor of {}",
         f.kernel, f.threads, registers, shared, call.gpu.name);
  }
}

}  // namespace

LaunchFacts scaled(LaunchFacts f, double factor) {
  for (double WarpInstructions::* pipe :
       {&WarpInstructions::fp32, &WarpInstructions::packed, &WarpInstructions::fp64,
        &WarpInstructions::special, &WarpInstructions::convert, &WarpInstructions::integer,
        &WarpInstructions::memory, &WarpInstructions::other}) {
    f.instructions.*pipe *= factor;
  }
  for (double LaunchFacts::* count :
       {&LaunchFacts::blocks, &LaunchFacts::dram_bytes, &LaunchFacts::streamed_bytes,
        &LaunchFacts::sectors, &LaunchFacts::requests, &LaunchFacts::shared_passes,
        &LaunchFacts::atomic_passes, &LaunchFacts::most_line_passes}) {
    f.*count *= factor;
  }
  return f;
}

LaunchFacts launch_facts(const json& launch) {
  return read("launch of a virtual GPU's report", [&] {
    const json& counts = launch.at("counts");
    const auto count = [&](const char* name) { return counts.at(name).get<double>(); };
    const auto grid = launch.at("grid").get<std::array<double, 3>>();
    const auto block = launch.at("block").get<std::array<int, 3>>();
    LaunchFacts f;
    f.kernel = launch.at("kernel").get<std::string>();
    f.executed = true;
    f.blocks = grid[0] * grid[1] * grid[2];
    f.threads = block[0] * block[1] * block[2];
    f.resident_blocks = launch.at("resident_blocks").get<int>();
    if (f.threads < 1 || f.resident_blocks < 1) {
      fail_argument("{} has {} threads a block and {} blocks on a multiprocessor: not one runs",
                    f.kernel, f.threads, f.resident_blocks);
    }
    // Classes count active lanes; a warp instruction is issued for all.
    const double lanes = count("instructions");
    const double warps = lanes > 0 ? count("warp_instructions") / lanes : 0;
    for (const auto& [name, value] : counts.at("classes").items()) {
      add_ptx(f.instructions, name, value.get<double>() * warps);
    }
    for (const char* direction : {"loads", "stores"}) {
      f.sectors += counts.at(direction).at("sectors").get<double>();
      f.requests += counts.at(direction).at("requests").get<double>();
    }
    f.shared_passes = count("shared_requests") + count("bank_conflicts");
    f.atomic_passes = count("atomic_passes");
    f.most_line_passes = count("most_line_passes");
    return f;
  });
}

SampleShape sample_shape(const GpuCall& call) {
  const CudaSchedule& s = call.schedule;
  const int all = int(call.gpu.multiprocessors.value);
  const CudaLaunch whole = launch_of(call);
  const double of_block = sample_block_rows(call, whole);
  // A short last group of rows would be counted with every sample.
  const std::int64_t group = call.rows % s.rows_in_flight == 0 ? std::int64_t{s.rows_in_flight} : 1;
  for (std::int64_t blocks = 1; blocks <= whole.grid_y; ++blocks) {
    const double share = of_block * double(blocks);
    const std::int64_t rows =
        std::max<std::int64_t>(1, std::llround(share / double(group))) * group;
    if (rows >= call.rows) break;
    // Multiprocessors that have a place for so many, if all of the schedule's blocks are used.
    const int few = int(
        std::clamp<std::int64_t>(ceil_div(blocks * whole.grid_x, std::max(1, s.blocks)), 1, all));
    const bool near = std::abs(double(rows) - share) <= kSampleRounding * share;
    if (near && launch_of(call, rows, few).grid_y == blocks) return {rows, few};
  }
  return {call.rows, all};
}

std::vector<LaunchFacts> executed_facts(const GpuCall& call, const SampleShape& sample,
                                        const json& launches) {
  const CudaLaunch whole = launch_of(call);
  const CudaLaunch part = launch_of(call, sample.rows, sample.multiprocessors);
  // Of the call for each of the sample. They differ where a sample's blocks have fewer rows.
  const double blocks = double(whole.grid_y) / part.grid_y;
  const double rows = double(call.rows) / double(sample.rows);
  const double executed = double(sample.rows) / part.grid_y;
  const auto near = [&](double expected) {
    return std::abs(executed / expected - 1) <= 2 * kSampleRounding;
  };
  const bool as_long = near(double(call.rows) / whole.grid_y);
  if (!as_long && !near(sample_block_rows(call, whole))) {
    fail_argument(
        "a row block had {:.0f} rows when {} were executed, it has {:.0f} of the call's {}: "
        "execute "
        "the sample that sample_shape() gives",
        executed, sample.rows, double(call.rows) / whole.grid_y, call.rows);
  }
  const std::size_t expected = part.second_pass_blocks > 0 ? 2 : 1;
  return read("launches of a virtual GPU's report", [&] {
    if (launches.size() != expected) {
      fail_argument("{} launches were executed; {} has {}", launches.size(), to_string(call.task),
                    expected);
    }
    std::vector<LaunchFacts> facts;
    add_clears(facts, call, true);
    check_shape(launches.at(0), part.grid_x, part.grid_y, part.threads);
    LaunchFacts main = scaled(launch_facts(launches.at(0)), as_long ? blocks : rows);
    if (!as_long) {  // a block adds its sums once, however long it is
      main.atomic_passes *= blocks / rows;
      main.most_line_passes *= blocks / rows;
    }
    describe_main(main, call, whole);
    facts.push_back(std::move(main));
    if (expected == 1) return facts;
    check_shape(launches.at(1), part.second_pass_blocks, 1, part.second_pass_threads);
    // As many blocks, each with more rounds of its loop and the same tree of sums behind it.
    const LaunchFacts counted = launch_facts(launches.at(1));
    LaunchFacts second =
        scaled(counted, second_pass_steps(call, whole) / second_pass_steps(call, part));
    second.shared_passes = counted.shared_passes;
    describe_second_pass(second, call, whole);
    facts.push_back(std::move(second));
    return facts;
  });
}

std::vector<LaunchFacts> static_facts(const GpuCall& call, const json& counts) {
  const CudaLaunch launch = launch_of(call);
  return read("instruction counts of a compiler", [&] {
    const json& launches = counts.at("launches");
    if (launches.is_null()) {
      fail(Status::unsupported, "{}: its instructions could not be counted: {}",
           to_string(Schedule(call.schedule)), counts.at("why").get<std::string>());
    }
    std::vector<LaunchFacts> facts;
    add_clears(facts, call, false);
    for (const json& entry : launches) {
      LaunchFacts f = facts_of_code(entry, call);
      const bool second = &entry != &launches.at(0);
      if (second) {
        describe_second_pass(f, call, launch);
      } else {
        describe_main(f, call, launch);
        f.sectors = sectors_of(call);  // coefficients hit the first-level cache
      }
      set_resident_blocks(f, call, entry.at("registers").get<int>(),
                          entry.at("shared_bytes").get<std::size_t>());
      facts.push_back(std::move(f));
    }
    return facts;
  });
}

std::vector<LaunchFacts> estimated_facts(const GpuCall& call, const CudaLaunch& launch) {
  std::vector<LaunchFacts> facts;
  add_clears(facts, call, false);
  const auto add = [&](const CodeEstimate& code, auto&& describe) {
    LaunchFacts& f = facts.emplace_back(code.facts);
    describe(f, call, launch);
    set_resident_blocks(f, call, code.registers, code.shared_bytes);
  };
  add(estimate_main(call, launch), describe_main);
  facts.back().sectors = sectors_of(call);
  if (launch.second_pass_blocks > 0) {
    add(estimate_second_pass(launch, second_pass_steps(call, launch)), describe_second_pass);
  }
  return facts;
}

}  // namespace grkan
