#include "codegen/cuda/sass.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "cuda/launch.h"

namespace grkan {
namespace {

constexpr int kWarp = 32;

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(" \t;"));
}

// Collects one kernel's instructions; labels are resolved when it is complete.
class CodeBuilder {
 public:
  void begin(std::string_view symbol) {
    end();
    open_ = true;
    code_.symbol = symbol;
  }
  void label(std::string_view name) {
    if (open_) labels_[std::string(name)] = int(code_.instructions.size());
  }
  void add(Instruction instruction, std::string_view target) {
    if (!open_) return;
    code_.instructions.push_back(std::move(instruction));
    targets_.emplace_back(target);
  }
  void end() {
    if (open_) {
      for (std::size_t i = 0; i < targets_.size(); ++i) {
        const auto found = labels_.find(targets_[i]);
        if (found != labels_.end()) code_.instructions[i].target = found->second;
      }
      done_.push_back(std::move(code_));
    }
    code_ = {};
    labels_.clear();
    targets_.clear();
    open_ = false;
  }
  std::vector<Code> take() {
    end();
    return std::move(done_);
  }

 private:
  bool open_ = false;
  Code code_;
  std::map<std::string, int> labels_;
  std::vector<std::string> targets_;
  std::vector<Code> done_;
};

template <class F>
void for_each_line(std::string_view text, F&& use) {
  while (!text.empty()) {
    const std::size_t size = std::min(text.find('\n'), text.size());
    use(text.substr(0, size));
    text.remove_prefix(std::min(text.size(), size + 1));
  }
}

// The predicate of "@!P0 BRA ..." or "@%p1 bra ..." is taken off; true when there was one.
bool take_predicate(std::string_view& text) {
  if (!text.starts_with('@')) return false;
  text.remove_prefix(std::min(text.size(), text.find(' ')));
  text = trim(text);
  return true;
}

// The kinds that a reader thinks in. The first prefix that fits counts.
std::string_view class_of(std::string_view opcode) {
  constexpr std::pair<std::string_view, std::string_view> kClasses[] = {
      {"FFMA", "FFMA"},       {"FMUL", "FMUL"},    {"FADD", "FADD"},     {"MUFU", "MUFU"},
      {"DADD", "double"},     {"DFMA", "double"},  {"DMUL", "double"},   {"DSETP", "double"},
      {"LDG", "global"},      {"STG", "global"},   {"LDS", "shared"},    {"STS", "shared"},
      {"LDL", "local"},       {"STL", "local"},    {"LDC", "constant"},  {"ULDC", "constant"},
      {"ATOM", "atomic"},     {"RED", "atomic"},   {"F2F", "convert"},   {"HADD", "convert"},
      {"PRMT", "integer"},    {"IADD", "integer"}, {"UIADD", "integer"}, {"IMAD", "integer"},
      {"LOP", "integer"},     {"LEA", "integer"},  {"SHF", "integer"},   {"ISETP", "integer"},
      {"VIADD", "integer"},   {"MOV", "move"},     {"CS2R", "move"},     {"SEL", "move"},
      {"FSEL", "move"},       {"S2R", "move"},     {"BRA", "control"},   {"BSSY", "control"},
      {"BSYNC", "control"},   {"BAR", "control"},  {"EXIT", "control"},  {"CALL", "control"},
      {"WARPSYNC", "control"}};
  for (const auto& [prefix, name] : kClasses) {
    if (opcode.starts_with(prefix)) return name;
  }
  return "other";
}

bool is_atomic(std::string_view opcode) {
  for (const std::string_view prefix : {"ATOM", "RED", "atom", "red."}) {
    if (opcode.starts_with(prefix)) return true;
  }
  return false;
}

// How often a launch runs the parts of a kernel, in warps.
struct Runs {
  double warps = 0;
  double staying = 0;         // warps that go on after a conditional exit
  std::vector<double> loops;  // iterations of each loop of the source, in its order, all warps
  std::vector<int> parents;   // of each loop: the loop around it, or -1
};

// Regions that conditions jump over and that no warp runs: the slow path of a division.
void drop_rare(const Code& code, std::vector<double>& weight) {
  const auto& all = code.instructions;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].flow != Flow::call || all[i].target < 0) continue;
    // A subroutine: from where the call goes to its return.
    std::size_t end = std::size_t(all[i].target);
    while (end < all.size() && all[end].flow != Flow::ret && all[end].flow != Flow::exit) ++end;
    if (end == all.size() || all[end].flow != Flow::ret) continue;
    for (std::size_t k = std::size_t(all[i].target); k < all.size(); ++k) weight[k] = 0;
    // The block around the call, which a branch jumps over.
    for (std::size_t j = i; j-- > 0;) {
      if (all[j].flow == Flow::branch && all[j].predicated && all[j].target > int(i)) {
        for (std::size_t k = j + 1; k < std::size_t(all[j].target); ++k) weight[k] = 0;
        break;
      }
    }
  }
}

// The loops of the source; empty when those of the code are others.
std::vector<CodeLoop> matching_loops(const Code& code, const Runs& runs) {
  for (const bool apart : {false, true}) {
    std::vector<CodeLoop> loops = find_loops(code, apart);
    if (std::equal(loops.begin(), loops.end(), runs.parents.begin(), runs.parents.end(),
                   [](const CodeLoop& loop, int parent) { return loop.parent == parent; })) {
      return loops;
    }
  }
  return {};
}

// How many warps issue each instruction. Empty when the loops are not those of the source.
std::vector<double> weights(const Code& code, const Runs& runs) {
  const std::vector<CodeLoop> loops = matching_loops(code, runs);
  if (loops.size() != runs.loops.size()) return {};
  const auto& all = code.instructions;
  std::vector<double> weight(all.size(), runs.warps);
  double warps = runs.warps;
  for (std::size_t i = 0; i < all.size(); ++i) {
    weight[i] = warps;
    if (all[i].flow == Flow::exit && all[i].predicated) warps = runs.staying;
  }
  for (std::size_t l = 0; l < loops.size(); ++l) {
    for (int i = loops[l].first; i <= loops[l].last; ++i) {
      weight[std::size_t(i)] = runs.loops[l];
    }
  }
  drop_rare(code, weight);
  return weight;
}

struct Counts {
  double total = 0;  // lanes
  double atomics = 0;
  std::map<std::string, double> classes;
  std::map<std::string, double> opcodes;  // warps
};

bool add_counts(const Code& code, const Runs& runs, Counts& counts) {
  const std::vector<double> weight = weights(code, runs);
  if (weight.empty()) return false;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const std::string& opcode = code.instructions[i].opcode;
    const double lanes = weight[i] * kWarp;
    counts.total += lanes;
    if (is_atomic(opcode)) counts.atomics += lanes;
    if (lanes <= 0) continue;
    counts.classes[std::string(class_of(opcode))] += lanes;
    counts.opcodes[opcode] += weight[i];
  }
  return true;
}

// Coefficients' gradients, and the sums of columns that lastblock adds to them.
struct OutputSums {
  double outputs = 0;
  double additions = 0;
};
OutputSums output_sums(const Task& task, const CudaSchedule& s, std::int64_t inner) {
  const Problem& p = task.problem;
  const double tiles = double(cuda_tiles_of_segment(task, s, p.segment_width() * inner));
  OutputSums sums;
  const auto add = [&](std::int64_t outputs, std::int64_t segments) {
    sums.outputs += double(outputs);
    sums.additions += double(outputs * segments) * tiles;
  };
  if (task.gradients.da) {
    add(p.numerator_groups * p.numerator_terms(), p.segments_per_numerator_group());
  }
  if (task.gradients.db) {
    add(p.denominator_groups * p.denominator_terms(), p.segments_per_denominator_group());
  }
  return sums;
}

// Iterations of the main kernel's loops over all warps of the launch.
Runs main_runs(const Task& task, const CudaSchedule& s, const CudaLaunch& launch, std::int64_t rows,
               std::int64_t inner) {
  const bool tail = s.rows_in_flight > 1;
  const bool sums = task.sum_terms() > 0;
  const int warps = (s.threads() + kWarp - 1) / kWarp;
  const std::int64_t groups = rows / s.rows_in_flight;
  const std::int64_t step = std::int64_t{launch.grid_y} * s.tile_rows;
  const std::int64_t run = sums ? s.run / s.rows_in_flight : 1;
  double left = 0;
  double steps = 0;
  double flushes = 0;
  for (std::int64_t block = 0; block < launch.grid_y; ++block) {
    for (int warp = 0; warp < warps; ++warp) {
      // A warp goes on as long as one of its lanes does: the first has the most groups.
      const std::int64_t first = block * s.tile_rows + warp * kWarp / s.tile_columns;
      const int lane = std::min(s.threads(), (warp + 1) * kWarp) - 1;
      const std::int64_t last = block * s.tile_rows + lane / s.tile_columns;
      const std::int64_t trips = groups > first ? (groups - first + step - 1) / step : 0;
      steps += double(trips);
      const std::int64_t runs_of_thread = (trips + run - 1) / run;
      flushes += double(runs_of_thread);
      if (last == step - 1) left += double(rows % s.rows_in_flight);
    }
  }
  Runs runs;
  runs.warps = double(launch.grid_x) * double(launch.grid_y) * warps;
  runs.staying = runs.warps;
  const auto add = [&](double iterations, int parent) {
    runs.loops.push_back(iterations * double(launch.grid_x));
    runs.parents.push_back(parent);
  };
  if (tail) add(left, -1);
  if (sums) {
    const CudaTile tile = cuda_tile(task, s);
    const std::int64_t pairs = tile.segments * task.sum_terms();
    if (tile.parts > 1) {
      const std::int64_t adding = (pairs + kWarp - 1) / kWarp;
      runs.staying = double(launch.grid_x) * double(launch.grid_y) * double(adding);
    }
    const int around = int(runs.loops.size());
    add(flushes, -1);
    add(steps, around);
    if (s.sums == CudaSchedule::last_block) {
      // The last block of each column adds its pairs, a warp each; the last of all the outputs.
      const int column = int(runs.loops.size());
      add(double(pairs), -1);
      const std::int64_t rounds = (std::int64_t{launch.grid_y} + kWarp - 1) / kWarp;
      add(double(pairs * rounds), column);
      const OutputSums outputs = output_sums(task, s, inner);
      const int all = int(runs.loops.size());
      const double once = 1.0 / launch.grid_x;
      add(once * std::ceil(outputs.outputs / kWarp), -1);
      add(once * std::ceil(outputs.additions / kWarp), all);
    }
  } else {
    add(steps, -1);
  }
  return runs;
}

Runs second_runs(const Task& task, const CudaSchedule& s, const CudaLaunch& launch,
                 std::int64_t inner) {
  const Problem& p = task.problem;
  const int threads = int(launch.second_pass_threads);
  const std::int64_t partials =
      cuda_tiles_of_segment(task, s, p.segment_width() * inner) * launch.grid_y;
  const auto iterations = [&](std::int64_t segments) {
    const std::int64_t step = std::int64_t{4} * threads;
    std::int64_t sum = 0;
    for (int first = 0; first < threads; first += kWarp) {
      const std::int64_t left = segments * partials - first;
      if (left > 0) sum += (left + step - 1) / step;
    }
    return double(sum);
  };
  double all = 0;
  if (task.gradients.da) {
    all += double(p.numerator_groups * p.numerator_terms()) *
           iterations(p.segments_per_numerator_group());
  }
  if (task.gradients.db) {
    all += double(p.denominator_groups * p.denominator_terms()) *
           iterations(p.segments_per_denominator_group());
  }
  Runs runs;
  runs.warps = double(launch.second_pass_blocks) * threads / kWarp;
  runs.staying = launch.second_pass_blocks;
  runs.loops = {all};
  runs.parents = {-1};
  return runs;
}

// "@P0 BRA `(.L_x_2)": the predicate may also stand among the operands ("BRA P1, ...").
Instruction read_sass(std::string_view body, std::string_view& target) {
  Instruction instruction;
  instruction.predicated = take_predicate(body);
  instruction.opcode = first_word(body);
  const std::string_view opcode = instruction.opcode;
  if (opcode.starts_with("BRA")) instruction.flow = Flow::branch;
  if (opcode.starts_with("CALL")) instruction.flow = Flow::call;
  if (opcode.starts_with("RET")) instruction.flow = Flow::ret;
  if (opcode == "EXIT") instruction.flow = Flow::exit;
  const std::size_t at = body.find("`(");
  if (at != std::string_view::npos) {
    target = body.substr(at + 2, body.find(')', at) - at - 2);
    const std::string_view operands = trim(body.substr(opcode.size(), at - opcode.size()));
    if (operands.find('P') != std::string_view::npos) instruction.predicated = true;
  }
  return instruction;
}

}  // namespace

std::vector<Code> parse_sass(std::string_view text) {
  CodeBuilder builder;
  for_each_line(text, [&](std::string_view raw) {
    constexpr std::string_view kSection = ".text.";
    const std::string_view line = trim(raw);
    const bool section = line.starts_with(".section\t") || line.starts_with(".section ");
    if (section || line.starts_with("//-----")) {
      const std::size_t at = line.find(kSection);
      builder.end();
      if (section && at != std::string_view::npos) {
        const std::string_view name = line.substr(at + kSection.size());
        builder.begin(name.substr(0, name.find_first_of(",\" \t")));
      }
    } else if (line.starts_with(".L_") && line.ends_with(':')) {
      builder.label(line.substr(0, line.size() - 1));
    } else if (line.starts_with("/*") && line.ends_with(';')) {
      std::string_view target;
      Instruction instruction =
          read_sass(trim(line.substr(std::min(line.size(), line.find("*/") + 2))), target);
      builder.add(std::move(instruction), target);
    }
  });
  return builder.take();
}

std::vector<Code> parse_ptx(std::string_view text) {
  CodeBuilder builder;
  for_each_line(text, [&](std::string_view raw) {
    std::string_view line = trim(raw.substr(0, raw.find("//")));
    constexpr std::string_view kEntry = ".entry ";
    if (const std::size_t at = line.find(kEntry); at != std::string_view::npos) {
      const std::string_view name = line.substr(at + kEntry.size());
      builder.begin(name.substr(0, name.find('(')));
    } else if (line.starts_with('$') && line.ends_with(':')) {
      builder.label(line.substr(0, line.size() - 1));
    } else if (line.ends_with(';') && !line.starts_with('.')) {
      Instruction instruction;
      instruction.predicated = take_predicate(line);
      instruction.opcode = first_word(line);
      std::string_view target;
      if (instruction.opcode.starts_with("bra")) {
        instruction.flow = Flow::branch;
        target = trim(line.substr(instruction.opcode.size()));
        target.remove_suffix(1);
      }
      if (instruction.opcode == "ret") instruction.flow = Flow::exit;
      builder.add(std::move(instruction), target);
    }
  });
  return builder.take();
}

std::vector<CodeLoop> find_loops(const Code& code, bool apart) {
  std::vector<CodeLoop> loops;
  for (int i = 0; i < int(code.instructions.size()); ++i) {
    const Instruction& branch = code.instructions[std::size_t(i)];
    // A branch to itself ends the code, it is no loop.
    if (branch.flow != Flow::branch || branch.target < 0 || branch.target >= i) continue;
    const auto same = std::find_if(loops.begin(), loops.end(), [&](const CodeLoop& loop) {
      return loop.first == branch.target;
    });
    if (same != loops.end() && !apart) {
      same->last = i;
    } else {
      loops.push_back({branch.target, i, -1});
    }
  }
  std::sort(loops.begin(), loops.end(), [](const CodeLoop& a, const CodeLoop& b) {
    return std::pair(a.first, -a.last) < std::pair(b.first, -b.last);
  });
  for (std::size_t i = 0; i < loops.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (loops[k].last >= loops[i].last) loops[i].parent = int(k);
    }
  }
  return loops;
}

nlohmann::json count_instructions(const Binary& binary, const Schedule& schedule, std::int64_t rows,
                                  std::int64_t inner, int multiprocessors) {
  const Task& task = binary.task;
  const CudaSchedule s(schedule);
  if (compiled_text(schedule) != binary.compiled_schedule || binary.kernels.empty()) {
    fail_argument("the binary is of schedule {}, not of {}", binary.compiled_schedule,
                  to_string(schedule));
  }
  const CudaLaunch launch = cuda_launch(task, s, rows, inner, multiprocessors);
  const double elements = double(rows) * double(inner) * double(task.problem.channels);
  std::vector<std::pair<std::string, Runs>> kernels = {
      {binary.kernels[0].symbol, main_runs(task, s, launch, rows, inner)}};
  if (binary.kernels.size() > 1) {
    kernels.emplace_back(binary.kernels[1].symbol, second_runs(task, s, launch, inner));
  }
  // The counts of each kernel; empty when a kernel is missing or its loops are others.
  const auto count = [&](const std::vector<Code>& codes) {
    std::vector<Counts> counts;
    for (const auto& [symbol, runs] : kernels) {
      const auto code =
          std::find_if(codes.begin(), codes.end(),
                       [&, &name = symbol](const Code& c) { return c.symbol == name; });
      if (code == codes.end() || !add_counts(*code, runs, counts.emplace_back())) {
        return std::vector<Counts>();
      }
    }
    return counts;
  };
  nlohmann::json json = {{"instructions_per_element", {{"ptx", nullptr}, {"sass", nullptr}}},
                         {"atomics_per_element", nullptr},
                         {"classes", nullptr},
                         {"second_pass_per_element", nullptr},
                         {"launches", nullptr},
                         {"why", nullptr}};
  const auto set_launches = [&](const std::vector<Counts>& counts, const char* of) {
    json["launches"] = nlohmann::json::array();
    for (std::size_t k = 0; k < counts.size(); ++k) {
      const KernelResources& kernel = binary.kernels[k];
      nlohmann::json entry = {{"kernel", kernels[k].first},
                              {"counted", of},
                              {"registers", nullptr},
                              {"shared_bytes", nullptr},
                              {"opcodes", counts[k].opcodes}};
      if (kernel.registers) entry["registers"] = *kernel.registers;
      if (kernel.shared_bytes) entry["shared_bytes"] = *kernel.shared_bytes;
      json["launches"].push_back(std::move(entry));
    }
  };
  const auto total = [](const std::vector<Counts>& counts, double Counts::* field) {
    double sum = 0;
    for (const Counts& c : counts) sum += c.*field;
    return sum;
  };
  if (const auto ptx = count(parse_ptx(binary.ptx)); !ptx.empty()) {
    json["instructions_per_element"]["ptx"] = total(ptx, &Counts::total) / elements;
    set_launches(ptx, "ptx");
  } else {
    json["why"] = "the loops of the PTX are not those of the source";
  }
  try {
    const auto sass = count(parse_sass(disassemble(binary.code)));
    if (sass.empty()) {
      json["why"] = "the loops of the SASS are not those of the source";
      return json;
    }
    json["instructions_per_element"]["sass"] = total(sass, &Counts::total) / elements;
    json["atomics_per_element"] = total(sass, &Counts::atomics) / elements;
    json["second_pass_per_element"] = sass.size() > 1 ? sass[1].total / elements : 0;
    json["classes"] = nlohmann::json::object();
    for (const Counts& counts : sass) {
      for (const auto& [name, value] : counts.classes) {
        json["classes"][name] = json["classes"].value(name, 0.0) + value / elements;
      }
    }
    set_launches(sass, "sass");
  } catch (const Error& error) {
    json["why"] = error.what();
  }
  return json;
}

}  // namespace grkan
