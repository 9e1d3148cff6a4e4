#include "codegen/cuda/source.h"

#include <algorithm>
#include <vector>

#include "codegen/cuda/printer.h"
#include "core/error.h"
#include "core/version.h"
#include "templates/fill.h"
#include "templates/templates.h"

namespace grkan {
namespace {

std::string_view math_name(Type type) { return type == Type::f64 ? "double" : "float"; }
// How an element lies in memory; NVRTC has no 16-bit floating types without headers.
std::string_view storage_name(Type type) {
  return is_half(type) ? "unsigned short" : math_name(type);
}

// One coefficient as the arithmetic takes it.
std::string loaded_coefficient(const Problem& p, std::string_view of, bool packed) {
  std::string value = fmt::format("__ldg({} + i)", of);
  if (p.half_coefficients)
    value = fmt::format("low_{}({})", to_string(p.coefficient_type()), value);
  return packed ? fmt::format("both({})", value) : value;
}

using Conditions = decltype(TemplateValues::conditions);
using Values = decltype(TemplateValues::values);

bool sums_db(const Task& task) { return task.gradients.db && task.problem.denominator_terms() > 0; }

Conditions conditions_of(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  const CudaTile tile = cuda_tile(task, s);
  const bool da = task.gradients.da;
  const bool db = sums_db(task);
  const bool b = p.denominator_terms() > 0;
  const bool packed = s.packed != 0;
  return {
      {"channels_last", p.layout == Layout::channels_last},
      {"b", b},
      {"sums", da || db},
      {"da", da},
      {"db", db},
      {"both", da && db},
      {"dx", task.gradients.dx},
      {"backward", task.backward()},
      {"out", !task.backward() || task.gradients.dx},
      {"newton", s.division != CudaSchedule::ieee && b},
      {"prepare", cuda_prepares(p, s)},
      {"half_coefficients", p.half_coefficients},
      {"magnitudes_of_b", p.denominator().absolute_terms() && b},
      {"tail", s.rows_in_flight > 1},
      {"narrow", tile.segments > 1},
      {"ragged", tile.ragged},
      {"parts", tile.parts > 1},
      {"packed", packed},
      {"minus_da", packed && da},
      {"f64acc", s.accumulator == CudaSchedule::f64},
      {"programmatic", s.sums == CudaSchedule::programmatic},
      {"second_pass", cuda_has_second_pass(task, s)},
      {"lastblock", s.sums == CudaSchedule::last_block},
      {"blockatomics", s.sums == CudaSchedule::block_atomics},
      {"ldcs", s.loads != 0},
      {"stcs", s.stores != 0},
  };
}

// The constants of a source: extents, tile, run.
Values extents_of(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  const CudaTile tile = cuda_tile(task, s);
  const bool last = p.layout == Layout::channels_last;
  const auto number = [](auto value) { return fmt::format("{}", value); };
  return {
      {"columns", number(s.columns)},
      {"rows_in_flight", number(s.rows_in_flight)},
      {"tile_columns", number(s.tile_columns)},
      {"tile_rows", number(s.tile_rows)},
      {"run", number(s.run)},
      {"launch_bounds", s.min_blocks > 0 ? fmt::format("kThreads, {}", s.min_blocks) : "kThreads"},
      {"segments", number(p.segments())},
      {"segments_per_a", number(p.segments_per_numerator_group())},
      {"segments_per_b", number(p.segments_per_denominator_group())},
      {"segment_width", number(p.segment_width())},
      {"numerator_terms", number(p.numerator_terms())},
      {"denominator_terms", number(p.denominator_terms())},
      {"sum_terms", number(task.sum_terms())},
      {"parts", number(tile.parts)},
      {"tiles", number(last ? cuda_tiles_of_segment(task, s, p.segment_width()) : 0)},
      {"second_threads", number(cuda_second_pass_threads(task))},
  };
}

// Types, names and expressions.
Values words_of(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  const bool da = task.gradients.da;
  const bool db = sums_db(task);
  const bool packed = s.packed != 0;
  std::string terms = da ? fmt::format("da0..da{}", p.numerator_degree) : "";
  if (db) {
    terms += fmt::format("{}db{}..db{}", da ? ", " : "", p.denominator().first_power,
                         p.denominator_degree);
  }
  const std::string_view math = math_name(p.math_type());
  // What the arithmetic works on: one column, or two.
  const std::string_view value = packed ? "float2" : math;
  const std::string_view count = packed ? "kColumns / 2" : "kColumns";
  const std::string dx_parameter = fmt::format(", {} (&result)[{}]", value, count);
  const std::string sum_parameter = fmt::format(", {} (&sum)[kTerms]", value);
  const std::string sum = da || db ? ", sum" : "";
  return {
      {"math", std::string(math)},
      {"value", std::string(value)},
      {"count", std::string(count)},
      {"zero", packed ? "make_float2(0.0f, 0.0f)" : "0"},
      {"part", packed ? "part" : "sum[i]"},
      {"left", packed ? "(sum[i].x + sum[i].y)" : "sum[i]"},
      {"rest", packed ? "make_float2(rest, 0.0f)" : "rest"},
      {"kept", s.accumulator == CudaSchedule::f64 ? "total" : "high"},
      {"load_a", loaded_coefficient(p, "a", packed)},
      {"load_b", loaded_coefficient(p, "b", packed)},
      {"coefficient", std::string(storage_name(p.coefficient_type()))},
      {"coefficient_type", std::string(to_string(p.coefficient_type()))},
      {"x", std::string(to_string(p.x_type))},
      {"y", std::string(to_string(p.y_type))},
      {"x_storage", std::string(storage_name(p.x_type))},
      {"y_storage", std::string(storage_name(p.y_type))},
      {"sum_names", terms},
      {"compute_parameters",
       (task.gradients.dx ? dx_parameter : "") + (da || db ? sum_parameter : "")},
      {"compute_arguments", (task.gradients.dx ? ", result" : "") + sum},
      {"gradient_arguments", (task.gradients.dx ? ", result[j]" : "") + sum},
  };
}

// Everything the templates ask for, but what belongs to one element type.
TemplateValues values_of(const Task& task, const CudaSchedule& s, const CudaSource& source) {
  TemplateValues with{.values = words_of(task, s), .conditions = conditions_of(task, s)};
  with.values.merge(extents_of(task, s));
  with.values["symbol"] = source.symbol;
  return with;
}

// How one element type is read and written in this task.
struct TypeUse {
  Type type;
  bool load;
  bool store;
};
std::vector<TypeUse> types_of(const Task& task) {
  const Problem& p = task.problem;
  TypeUse x{p.x_type, true, task.gradients.dx};
  const TypeUse y{p.y_type, task.backward(), !task.backward()};
  if (x.type != y.type) return {x, y};
  x.store = x.store || y.store;
  return {x};
}

std::string convert_text(const Task& task, TemplateValues with) {
  for (const Type type : {Type::bf16, Type::f16}) {
    const std::string name(to_string(type));
    with.conditions[name] = false;
    with.conditions["store_" + name] = false;
  }
  for (const TypeUse& use : types_of(task)) {
    with.conditions[std::string(to_string(use.type))] = use.load;
    with.conditions["store_" + std::string(to_string(use.type))] = use.store;
  }
  if (task.problem.half_coefficients) {
    const std::string name(to_string(task.problem.coefficient_type()));
    with.conditions[name] = true;
    if (task.sum_terms() > 0) with.conditions["store_" + name] = true;
  }
  return fill_template(template_text("convert"), with);
}

// What packed arithmetic leaves to the halves: only what the task uses of it.
std::string packed_text(const Task& task, const CudaSchedule& s, TemplateValues with) {
  const Problem& p = task.problem;
  const bool b = p.denominator_terms() > 0;
  const bool signs = b && p.denominator().takes_signs();
  const bool slope = task.gradients.dx && p.denominator_degree > 0;
  with.conditions["divisions"] = b && s.division == CudaSchedule::ieee;
  with.conditions["magnitudes"] = signs;
  with.conditions["signs"] = signs && task.backward() && (slope || task.gradients.db);
  return fill_template(template_text("packed"), with);
}

// The built-in type of an access of that many bytes.
std::string_view chunk_name(int bytes) {
  switch (bytes) {
    case 2:
      return "unsigned short";
    case 4:
      return "unsigned";
    case 8:
      return "uint2";
    default:
      return "uint4";
  }
}

std::string vector_text(const CudaSchedule& s, const Target& target, const TypeUse& use,
                        TemplateValues with) {
  const int widest = cuda_widest_access(s, target);
  const int access = std::min(widest, s.columns * int(size_of(use.type)));
  with.values["type"] = to_string(use.type);
  with.values["element"] = s.packed != 0 ? "float2" : storage_name(use.type);
  with.values["access"] = fmt::format("{}", access);
  with.values["widest"] = fmt::format("{}", widest);
  with.values["chunk"] = chunk_name(access);
  with.conditions["half"] = is_half(use.type);
  with.conditions["pairs"] = s.columns > 1;
  with.conditions["load"] = use.load;
  with.conditions["store"] = use.store;
  return fill_template(template_text("vector"), with);
}

std::string sums_reason(const Task& task, const CudaSchedule& s) {
  const std::string_view flush = s.accumulator == CudaSchedule::f64
                                     ? "they are added in double"
                                     : "what was rounded off is carried on";
  std::string_view sums = "twopass: no atomics; sums are added in one order, the same in every run";
  if (s.sums == CudaSchedule::programmatic) {
    sums = "programmatic: as two passes; the second is set up while the first ends";
  }
  if (s.sums == CudaSchedule::last_block) {
    sums = "lastblock: the last block to finish adds partial sums, in one order";
  }
  if (s.sums == CudaSchedule::block_atomics) {
    sums = "blockatomics: each block adds to da and db, in any order";
  }
  return fmt::format("run {}: rows summed in {} before {}\n//   {}", s.run,
                     math_name(task.problem.math_type()), flush, sums);
}

// "64 columns of 4 elements" and why: what a reader of the source asks first.
std::string reasons(const Task& task, const CudaSchedule& s) {
  const Problem& p = task.problem;
  const CudaTile tile = cuda_tile(task, s);
  const int bytes = s.columns * int(size_of(p.x_type));
  std::string text;
  const auto line = [&](std::string_view about) { text += fmt::format("//   {}\n", about); };
  line(fmt::format("columns {}: a thread's elements of a row are one run of {} bytes of x",
                   s.columns, bytes));
  line(fmt::format("rows_in_flight {}: rows requested before the earlier ones are computed",
                   s.rows_in_flight));
  if (p.layout == Layout::channels_first) {
    line(fmt::format("tile {} x {}: within a segment", s.tile_columns, s.tile_rows));
  } else if (tile.segments > 1) {
    line(fmt::format("tile {} x {}: {} whole segments of {} elements", s.tile_columns, s.tile_rows,
                     tile.segments, p.segment_width()));
  } else {
    line(fmt::format("tile {} x {}: {} of the {} elements of a segment", s.tile_columns,
                     s.tile_rows, s.tile_columns * s.columns, p.segment_width()));
  }
  if (s.polynomial == CudaSchedule::powers) line("powers: polynomials as sums of a_i x^i");
  if (s.polynomial == CudaSchedule::estrin) line("estrin: polynomials by pairs of terms");
  if (s.packed != 0) {
    line("packed: two columns in one operation, with -P and -1/Q, which leave nothing to negate");
  }
  if (s.division == CudaSchedule::ieee) line("div: correctly rounded division");
  if (s.division == CudaSchedule::newton) {
    line("newton: an approximate reciprocal and one Newton step");
  }
  if (s.division == CudaSchedule::approximate) line("approx: an approximate reciprocal alone");
  if (task.sum_terms() > 0) line(sums_reason(task, s));
  if (s.loads != 0) line("ldcs: what is loaded leaves the caches first");
  if (s.stores != 0) line("stcs: what is stored leaves the caches first");
  return text;
}

std::string head(const Task& task, const CudaSchedule& s, const Target& target) {
  const Problem& p = task.problem;
  return fmt::format(
      "// {}\n// {} groups of numerator and {} of denominator coefficients, degrees {} and {}.\n"
      "// Schedule {}:\n{}"
      "// Generated by grkan {}. Compile: nvcc -arch={} -std=c++17 -fmad=false -cubin\n"
      "// (-fmad=false keeps multiplications and additions as they are written here).\n\n",
      to_string(task), p.numerator_groups, p.denominator_groups, p.numerator_degree,
      p.denominator_degree, compiled_text(s), reasons(task, s), kVersion, target.name);
}

}  // namespace

CudaSource cuda_source(const Task& task, const CudaSchedule& s, const Target& target) {
  validate(task);
  if (const std::string why = why_illegal(task, Schedule(s), target, Determinism::not_guaranteed);
      !why.empty()) {
    fail_argument("schedule {} is illegal for {} on {}: {}", to_string(Schedule(s)),
                  to_string(task), target.name, why);
  }
  CudaSource source;
  source.symbol = kernel_symbol(task, compiled_text(Schedule(s)));
  if (cuda_has_second_pass(task, s)) source.second_pass_symbol = source.symbol + "_second_pass";

  const TemplateValues with = values_of(task, s, source);
  const auto add = [&](std::string_view name) {
    source.text += fill_template(template_text(name), with);
  };
  source.text = head(task, s, target);
  add("parameters");
  source.text += convert_text(task, with);
  if (s.packed != 0) source.text += packed_text(task, s, with);
  for (const TypeUse& use : types_of(task)) source.text += vector_text(s, target, use, with);
  source.text += print_cuda_functions(task, s);
  add("place");
  if (task.sum_terms() > 0) {
    add(s.sums == CudaSchedule::block_atomics ? "block_atomics" : "outputs");
    add("block_sums");
    if (s.sums == CudaSchedule::last_block) add("last_block");
  }
  add(task.backward() ? "backward" : "forward");
  if (cuda_has_second_pass(task, s)) {
    source.text += '\n';
    add("second_pass");
  }
  return source;
}

std::string cuda_launch_example(const Task& task, const CudaSchedule& s, const Target& target,
                                std::int64_t rows, std::int64_t inner, int multiprocessors) {
  const CudaSource source = cuda_source(task, s, target);
  const CudaLaunch launch = cuda_launch(task, s, rows, inner, multiprocessors);
  const Problem& p = task.problem;
  // The number 1 as it lies in memory.
  const auto one = [](Type type) {
    if (type == Type::bf16) return "0x3f80";
    return type == Type::f16 ? "0x3c00" : "1";
  };
  // A power of two from 1/2 down, likewise.
  const auto fraction = [](Type type, double value, std::string_view f16, std::string_view bf16) {
    if (type == Type::bf16) return std::string(bf16);
    return type == Type::f16 ? std::string(f16) : fmt::format("{}", value);
  };
  TemplateValues with = values_of(task, s, source);
  const Type out = task.backward() ? p.x_type : p.y_type;
  with.values.insert({
      {"file", source.symbol + ".cu"},
      {"rows", fmt::format("{}", rows)},
      {"inner", fmt::format("{}", inner)},
      {"channels", fmt::format("{}", p.channels)},
      {"x_one", one(p.x_type)},
      {"y_one", one(p.y_type)},
      {"half", fraction(p.coefficient_type(), 0.5, "0x3800", "0x3f00")},
      {"quarter", fraction(p.coefficient_type(), 0.25, "0x3400", "0x3e80")},
      {"out_storage", std::string(storage_name(out))},
      {"grid_x", fmt::format("{}", launch.grid_x)},
      {"grid_y", fmt::format("{}", launch.grid_y)},
      {"second_blocks", fmt::format("{}", launch.second_pass_blocks)},
      {"workspace_bytes", fmt::format("{}", launch.workspace_bytes)},
      {"tile_sums_offset", fmt::format("{}", launch.tile_sums_offset)},
      {"counters_offset", fmt::format("{}", launch.counters_offset)},
  });
  return source.text + fill_template(template_text("example"), with);
}

}  // namespace grkan
