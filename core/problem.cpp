#include "core/problem.h"

#include <array>
#include <charconv>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace grkan {
namespace {

constexpr std::array<std::string_view, 4> kTypes = {"f32", "f64", "f16", "bf16"};
constexpr std::array<std::string_view, 2> kLayouts = {"last", "first"};
constexpr std::string_view kForm = "p5q4-A-c768-g1x8-f32:bf16-last";

void validate_degree(const char* field, std::string_view name, int degree) {
  if (degree < 0 || degree > kMaxDegree) {
    fail_field(field, "{} degree {} is out of range; use 0 to {}", name, degree, kMaxDegree);
  }
}

// The multiples of `groups` around `channels`, and the largest divisor of channels below groups:
// what a user who met the error can do.
void validate_groups(const char* field, std::string_view name, std::int64_t groups,
                     std::int64_t channels) {
  if (groups < 1)
    fail_field(field, "{} groups {} is not positive; use 1 to {}", name, groups, channels);
  if (channels % groups == 0) return;
  std::int64_t fewer = groups < channels ? groups : channels;
  while (channels % fewer != 0) --fewer;
  const std::int64_t below = channels / groups * groups;
  const std::string use = below > 0 ? fmt::format("{} or {}", below, below + groups)
                                    : fmt::format("{}", below + groups);
  fail_field(field, "channels {} is not a multiple of {} groups {}; use {} channels, or {} group{}",
             channels, name, groups, use, fewer, fewer == 1 ? "" : "s");
}

}  // namespace

std::int64_t Problem::segments() const { return std::lcm(numerator_groups, denominator_groups); }

void validate(const Problem& problem) {
  validate_degree("numerator_degree", "numerator", problem.numerator_degree);
  validate_degree("denominator_degree", "denominator", problem.denominator_degree);
  if (problem.channels < 1 || problem.channels > kMaxChannels) {
    fail_field("channels", "channels {} is out of range; use 1 to {}", problem.channels,
               kMaxChannels);
  }
  validate_groups("numerator_groups", "numerator", problem.numerator_groups, problem.channels);
  validate_groups("denominator_groups", "denominator", problem.denominator_groups,
                  problem.channels);
  const bool half_x = is_half(problem.x_type);
  const bool half_y = is_half(problem.y_type);
  const bool mixed =
      (problem.x_type == Type::f32 && half_y) || (half_x && problem.y_type == Type::f32);
  if (problem.x_type != problem.y_type && !mixed) {
    fail_field("y_type", "types {}:{} do not go together; use equal types, or f32 with f16 or bf16",
               to_string(problem.x_type), to_string(problem.y_type));
  }
  if (problem.half_coefficients && !half_x && !half_y) {
    fail_field("coefficient_type", "16-bit coefficients go with 16-bit data, not with {}; use {}",
               to_string(problem.x_type), to_string(problem.math_type()));
  }
}

void set_coefficient_type(Problem& problem, Type said) {
  problem.half_coefficients = is_half(problem.x_type) || is_half(problem.y_type);
  const Type half = problem.coefficient_type();
  if (said == half) return;
  problem.half_coefficients = false;
  if (said == problem.math_type()) return;
  fail_field("coefficient_type", "coefficients of {} do not go with {} data; use {}{}",
             to_string(said), print_types(problem), to_string(problem.math_type()),
             is_half(half) ? fmt::format(" or {}", to_string(half)) : "");
}

std::string print_types(const Problem& p) {
  std::string types(to_string(p.x_type));
  if (p.half_coefficients) {
    return fmt::format("{}:{}:{}", types, to_string(p.y_type), to_string(p.coefficient_type()));
  }
  if (p.x_type != p.y_type) types += fmt::format(":{}", to_string(p.y_type));
  return types;
}

void parse_types(std::string_view text, Problem& problem) {
  bool more = true;
  const auto next = [&] {
    const std::size_t colon = text.find(':');
    const std::string_view type = text.substr(0, colon);
    more = colon != std::string_view::npos;
    if (more) text.remove_prefix(colon + 1);
    return parse_type(type);
  };
  problem.x_type = next();
  problem.y_type = more ? next() : problem.x_type;
  problem.half_coefficients = false;
  if (more) set_coefficient_type(problem, parse_type(text));
}

std::string to_string(const Problem& p) {
  std::string groups = fmt::format("{}", p.numerator_groups);
  if (p.numerator_groups != p.denominator_groups)
    groups += fmt::format("x{}", p.denominator_groups);
  return fmt::format("p{}q{}-{}-c{}-g{}-{}-{}", p.numerator_degree, p.denominator_degree,
                     to_string(p.variant), p.channels, groups, print_types(p), to_string(p.layout));
}

Problem parse_problem(std::string_view text) {
  Problem p;
  TextReader reader(text, "problem", kForm);
  reader.expect("p");
  p.numerator_degree = reader.number<int>();
  reader.expect("q");
  p.denominator_degree = reader.number<int>();
  reader.expect("-");
  p.variant = parse_variant(reader.until("-"));
  reader.expect("-c");
  p.channels = reader.number<std::int64_t>();
  reader.expect("-g");
  p.numerator_groups = reader.number<std::int64_t>();
  p.denominator_groups = reader.accept("x") ? reader.number<std::int64_t>() : p.numerator_groups;
  reader.expect("-");
  parse_types(reader.until("-"), p);
  reader.expect("-");
  p.layout = parse_layout(reader.rest());
  validate(p);
  return p;
}

std::string_view to_string(Type type) { return kTypes.at(std::size_t(type)); }
std::string_view to_string(Layout layout) { return kLayouts.at(std::size_t(layout)); }

Type parse_type(std::string_view text) { return Type(index_of_word(kTypes, text, "type")); }
Layout parse_layout(std::string_view text) {
  constexpr std::string_view kLong = "channels-";
  if (text.starts_with(kLong)) text.remove_prefix(kLong.size());
  return Layout(index_of_word(kLayouts, text, "layout"));
}

std::size_t size_of(Type type) {
  switch (type) {
    case Type::f64:
      return 8;
    case Type::f32:
      return 4;
    case Type::f16:
    case Type::bf16:
      return 2;
  }
  fail(Status::internal, "unknown type {}", int(type));
}

}  // namespace grkan
