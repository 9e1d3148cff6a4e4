#include "cache/lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

namespace grkan {
namespace {

constexpr std::array<std::string_view, 6> kGrades = {"measured",          "measured_disturbed",
                                                     "predicted",         "nearest",
                                                     "same_architecture", "default_schedule"};

double octaves(std::int64_t a, std::int64_t b) {
  return std::abs(
      std::log2(double(std::max<std::int64_t>(a, 1)) / double(std::max<std::int64_t>(b, 1))));
}

double octaves(const Range& range, std::int64_t value) {
  if (range.holds(value)) return 0;
  return octaves(value < range.low ? range.low : range.high, value);
}

// The grade, or nothing where the winner can't answer the query at all.
std::optional<FoundWinner> grade(const StoredWinner& stored, const WinnerQuery& query) {
  const Winner& w = stored.winner;
  if (w.task != query.task || w.determinism != query.determinism ||
      w.device.architecture != query.device.architecture) {
    return std::nullopt;
  }
  FoundWinner found;
  found.stored = stored;
  found.range_distance = octaves(w.rows, query.rows) + octaves(w.inner, query.inner);
  found.tuned_distance = octaves(w.tuned_rows, query.rows) + octaves(w.tuned_inner, query.inner);
  const bool here = same_device(w.device, query.device);
  const bool holds = w.rows.holds(query.rows) && w.inner.holds(query.inner);
  if (stored.prebuilt && !(here && holds)) return std::nullopt;
  if (w.evidence == Evidence::measured) {
    if (!here) {
      found.grade = Grade::same_architecture;
    } else if (!holds) {
      found.grade = Grade::nearest;
    } else {
      found.grade = w.disturbed ? Grade::measured_disturbed : Grade::measured;
    }
    return found;
  }
  // A prediction says nothing of other sizes or devices, a default nothing of other sizes.
  if (!holds) return std::nullopt;
  if (w.evidence == Evidence::default_schedule) {
    found.grade = Grade::default_schedule;
  } else if (here) {
    found.grade = Grade::predicted;
  } else {
    return std::nullopt;
  }
  return found;
}

bool better(const FoundWinner& a, const FoundWinner& b) {
  const auto rank = [](const FoundWinner& f) {
    const Winner& w = f.stored.winner;
    return std::make_tuple(f.grade, w.disturbed, f.range_distance, f.stored.prebuilt, w.evidence);
  };
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  // UTC dates in this form sort as text.
  const Winner& wa = a.stored.winner;
  const Winner& wb = b.stored.winner;
  if (wa.date != wb.date) return wa.date > wb.date;
  return a.stored.hash < b.stored.hash;
}

}  // namespace

std::string_view to_string(Grade grade) { return kGrades.at(std::size_t(grade)); }

std::optional<FoundWinner> choose_winner(const std::vector<StoredWinner>& winners,
                                         const WinnerQuery& query) {
  std::optional<FoundWinner> best;
  for (const StoredWinner& stored : winners) {
    std::optional<FoundWinner> found = grade(stored, query);
    if (found && (!best || better(*found, *best))) best = std::move(found);
  }
  return best;
}

// In the order of `better`.
std::string why_better(const FoundWinner& won, const FoundWinner& lost) {
  const Winner& w = won.stored.winner;
  const Winner& l = lost.stored.winner;
  if (won.grade != lost.grade) {
    return fmt::format("{} before {}", to_string(won.grade), to_string(lost.grade));
  }
  if (w.disturbed != l.disturbed) return "undisturbed before disturbed";
  if (won.range_distance != lost.range_distance) return "the nearer range";
  if (won.stored.prebuilt != lost.stored.prebuilt) return "the user's before a prebuilt one";
  if (w.evidence != l.evidence) return "executed counts before static ones";
  if (w.date != l.date) return fmt::format("the later date, {} after {}", w.date, l.date);
  return "equal dates; the smaller hash";
}

}  // namespace grkan
