// The backward kernel beside the algorithms of KAT and FlashKAT: registers, spills, SASS
// instructions an element counted from the machine code, and what the virtual GPU counts when it
// executes the PTX. All three go through NVRTC with the same options. No figure is a time.
//
//   build/bin/bench_peers [--arch sm_80,sm_90,sm_100] [--rows 25216] [--kat-rows 3152]
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/guarded.h"
#include "bench/peers/peer_kernels.h"
#include "codegen/compiler.h"
#include "codegen/cuda/binary.h"
#include "codegen/cuda/sass.h"
#include "core/check.h"
#include "core/error.h"

namespace grkan {
namespace {

constexpr std::int64_t kGroups = 8;
constexpr std::array<std::int64_t, 3> kWidths = {24, 96, 384};
constexpr int kMultiprocessors = 132;
constexpr std::int64_t kCheckedRows = 500;
constexpr std::size_t kMemoryBytes = std::size_t{1} << 36;
constexpr int kWarp = 32;

struct Options {
  std::vector<Target> targets;
  std::int64_t rows = 25216;
  std::int64_t kat_rows = 3152;  // its counts an element do not depend on the rows
};

// A kernel as compiled, and how it runs on a sample.
struct Built {
  std::string name;
  KernelResources kernel;  // of the main kernel
  std::optional<double> sass;
  std::string why_no_sass;
  std::string ptx;
  CudaSchedule error_schedule;  // whose error bounds hold
};

Task task_of(std::int64_t width) {
  Problem problem;
  problem.channels = width * kGroups;
  problem.numerator_groups = problem.denominator_groups = kGroups;
  return backward_task(problem);
}

// SASS instructions an element of a kernel whose loops all take a known number of steps. A
// conditional block counts as run by all warps, as codegen/cuda/sass.h does.
double instructions_an_element(const PeerKernel& kernel, const Code& code, std::int64_t rows) {
  const std::vector<CodeLoop> loops = find_loops(code);
  if (loops.size() != kernel.loop_steps.size()) {
    fail(Status::unsupported, "{} loops in the machine code, {} in the source", loops.size(),
         kernel.loop_steps.size());
  }
  double instructions = 0;
  for (int i = 0; i < int(code.instructions.size()); ++i) {
    const Instruction& instruction = code.instructions[std::size_t(i)];
    const bool padding = instruction.opcode == "NOP" || instruction.target == i;
    double times = padding ? 0 : 1;
    for (std::size_t l = 0; l < loops.size(); ++l) {
      if (i >= loops[l].first && i <= loops[l].last) times *= kernel.loop_steps[l];
    }
    instructions += times;
  }
  const double threads = double(kernel.grid(rows).count()) * kernel.threads;
  return instructions * threads / (double(rows) * double(kernel.task.problem.channels));
}

Built build_peer(const PeerKernel& kernel, const Target& target, std::int64_t rows) {
  const NvrtcOutput output =
      nvrtc_compile(choose_nvrtc(target), kernel.text, kernel.symbol + ".cu", target);
  Built built;
  built.name = to_string(kernel.peer);
  built.kernel = read_ptxas_log(output.log, output.cubin).at(0);
  built.ptx = output.ptx;
  built.error_schedule = kernel.error_schedule(kCheckedRows);
  try {
    const std::vector<Code> code = parse_sass(disassemble(output.cubin));
    const auto entry = std::find_if(code.begin(), code.end(),
                                    [&](const Code& c) { return c.symbol == kernel.symbol; });
    if (entry == code.end()) fail(Status::internal, "the cubin has no {}", kernel.symbol);
    built.sass = instructions_an_element(kernel, *entry, rows);
  } catch (const Error& error) {
    built.why_no_sass = error.what();
  }
  return built;
}

Built build_own(const Task& task, const CudaSchedule& schedule, const Target& target,
                std::int64_t rows) {
  const Binary binary = compile_cuda(task, schedule, target);
  Built built;
  built.name = "grkan";
  built.kernel = binary.kernels.at(0);
  built.ptx = binary.ptx;
  built.error_schedule = schedule;
  const nlohmann::json json = count_instructions(binary, schedule, rows, 1, kMultiprocessors);
  const nlohmann::json& sass = json["instructions_per_element"]["sass"];
  if (sass.is_number()) {
    built.sass = sass.get<double>();
  } else {
    built.why_no_sass = json["why"].get<std::string>();
  }
  return built;
}

std::vector<vgpu::LaunchResult> execute(const Built& built, const PeerKernel* peer,
                                        Sample& sample) {
  sample.reset();
  vgpu::Memory memory(kMemoryBytes);
  const vgpu::Module module(built.ptx, memory);
  vgpu::VirtualSample device(sample, memory);
  std::vector<vgpu::LaunchResult> results;
  if (peer != nullptr) {
    results.push_back(run_peer(*peer, module, device, {}));
  } else {
    results = device.run(module, built.error_schedule, kMultiprocessors, {});
  }
  device.read_back();
  return results;
}

// The largest error over its bound. Throws wrong_answer past it.
double check(const Built& built, const PeerKernel* peer, const Task& task) {
  Sample sample(task, {.rows = kCheckedRows});
  const Reference reference = make_reference(task, sample.call());
  for (const vgpu::LaunchResult& result : execute(built, peer, sample)) {
    if (result.findings.empty()) continue;
    const vgpu::Finding& f = result.findings.front();
    fail(Status::wrong_answer, "{}: {} at '{}': {}", f.kernel, to_string(f.check), f.instruction,
         f.detail);
  }
  const TensorErrors errors =
      compare(task, Schedule(built.error_schedule), reference, sample.call());
  if (!errors.passes()) {
    fail(Status::wrong_answer, "{}, {}: {}", built.name, to_string(task), errors.why_failed());
  }
  return errors.scaled();
}

void print_line(const Built& built, const PeerKernel* peer, const Target& target, Sample& sample) {
  const Task& task = sample.task();
  const double error = check(built, peer, task);
  double warps = 0;
  double active = 0;
  double bytes = 0;
  double sectors = 0;
  double atomics = 0;
  std::uint64_t most = 0;
  for (const vgpu::LaunchResult& result : execute(built, peer, sample)) {
    const vgpu::Counts& c = result.counts;
    warps += double(c.warp_instructions);
    active += double(c.instructions);
    bytes += double(c.loads.bytes + c.stores.bytes);
    sectors += double(c.loads.sectors + c.stores.sectors);
    atomics += double(c.atomics);
    most = std::max(most, c.most_atomics);
  }
  const double elements = double(sample.options().rows) * double(task.problem.channels);
  fmt::print(
      "{:<9} {:>5} {:<6} {:>9} {:>6} {:>6} {:>6.1f} {:>5.1f} {:>6.2f} {:>7.3f} {:>9.5f} {:>10} "
      "{:>7} {:>7.2g}\n",
      built.name, task.problem.segment_width(), target.name, built.kernel.registers.value_or(-1),
      built.kernel.spill_bytes.value_or(-1), built.sass ? fmt::format("{:.1f}", *built.sass) : "-",
      warps * kWarp / elements, 100 * active / (warps * kWarp), bytes / elements,
      sectors / elements, atomics / elements, most, sample.options().rows, error);
  if (!built.sass) fmt::print("  no SASS figure: {}\n", built.why_no_sass);
  std::fflush(stdout);
}

void print_width(std::int64_t width, const Options& options) {
  const Task task = task_of(width);
  Sample sample(task, {.rows = options.rows});
  Sample fewer(task, {.rows = options.kat_rows});
  for (const Target& target : options.targets) {
    for (const Peer peer : kPeers) {
      const PeerKernel kernel = peer_kernel(peer, task);
      print_line(build_peer(kernel, target, options.rows), &kernel, target,
                 peer == Peer::kat ? fewer : sample);
    }
    const auto schedule = CudaSchedule(default_schedule(task, target, options.rows));
    print_line(build_own(task, schedule, target, options.rows), nullptr, target, sample);
  }
}

Options read(int argc, char** argv) {
  Options options;
  std::vector<std::string> targets = {"sm_80", "sm_90", "sm_100"};
  CLI::App app{"The backward kernel beside the algorithms of KAT and FlashKAT, counted"};
  app.add_option("--arch", targets, "Targets")->delimiter(',')->capture_default_str();
  app.add_option("--rows", options.rows, "Rows")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--kat-rows", options.kat_rows, "Rows that KAT's kernel is executed at")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  for (const std::string& name : targets) options.targets.push_back(parse_target(name));
  return options;
}

int run(int argc, char** argv) {
  const Options options = read(argc, argv);
  fmt::print(
      "backward.dx.da.db, p5q4-A, {} groups, f32. KAT and FlashKAT: their algorithms in CUDA C++ "
      "of "
      "this project's\nown, all three compiled alike; not the published Triton kernels, which "
      "issue "
      "more (docs/earlier-kernels.md).\nNothing here is a time.\n\n"
      "sass       lane instructions issued an element, counted from the machine code, {} rows "
      "(grkan: "
      "a grid for {} multiprocessors)\n"
      "executed by the virtual GPU at `rows` rows:\n"
      "ptx        lane instructions issued an element; lanes%: those of active lanes\n"
      "bytes      an element, of global loads and stores; sectors: of 32 bytes. Without atomics\n"
      "atomics    an element; most: at one address\n"
      "error      the largest over its bound, {} rows against the reference\n\n",
      kGroups, options.rows, kMultiprocessors, kCheckedRows);
  fmt::print(
      "{:<9} {:>5} {:<6} {:>9} {:>6} {:>6} {:>6} {:>5} {:>6} {:>7} {:>9} {:>10} {:>7} {:>7}\n",
      "kernel", "width", "target", "registers", "spills", "sass", "ptx", "lanes%", "bytes",
      "sectors", "atomics", "most", "rows", "error");
  for (const std::int64_t width : kWidths) print_width(width, options);
  return 0;
}

}  // namespace
}  // namespace grkan

int main(int argc, char** argv) { return grkan::guarded(grkan::run, argc, argv); }
