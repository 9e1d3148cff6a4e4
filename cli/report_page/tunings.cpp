#include "cli/report_page/tunings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "core/error.h"
#include "tuner/search/statistics.h"

namespace grkan::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestLine = std::size_t{1} << 16;
constexpr double kNsPerSecond = 1e9;

// A line of tuner/tune.h, as stamped by cache/measurements.h.
struct Line {
  Task task;
  DeviceDescription device;
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  std::string default_schedule;
  std::string compiler;
  std::string generator;
  std::string date;
  std::string schedule;
  std::string status;
  std::string why;
  std::optional<double> error_scaled;
  std::vector<double> seconds;
  std::vector<double> reference_seconds;
};

std::string text_of(const Json& line, const char* key) {
  const auto at = line.find(key);
  return at != line.end() && at->is_string() ? at->get<std::string>() : std::string();
}

std::int64_t size_of(const Json& line, const char* key) {
  const auto at = line.find(key);
  return at != line.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
}

std::vector<double> times_of(const Json& line, const char* key) {
  std::vector<double> times;
  const auto at = line.find(key);
  if (at == line.end() || !at->is_array()) return times;
  for (const Json& value : *at) {
    const double seconds = value.is_number() ? value.get<double>() : 0;
    if (!std::isfinite(seconds) || seconds <= 0) return {};
    times.push_back(seconds);
  }
  return times;
}

std::optional<Line> read_line(std::string_view text) {
  if (text.size() > kLongestLine) return {};
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return {};
  Line line;
  try {
    line.task = parse_task(text_of(json, "task"));
  } catch (const Error&) {
    return {};
  }
  line.device = device_of_json(json.value("device", Json()));
  line.rows = size_of(json, "rows");
  line.inner = size_of(json, "inner");
  line.default_schedule = text_of(json, "default");
  line.compiler = text_of(json, "compiler");
  line.generator = text_of(json, "generator");
  line.date = text_of(json, "date");
  line.schedule = text_of(json, "schedule");
  line.status = text_of(json, "status");
  line.why = text_of(json, "why");
  if (const auto at = json.find("error_scaled"); at != json.end() && at->is_number()) {
    line.error_scaled = at->get<double>();
  }
  line.seconds = times_of(json, "seconds");
  line.reference_seconds = times_of(json, "reference_seconds");
  if (line.rows < 1 || line.inner < 1 || line.schedule.empty() || line.status.empty() ||
      line.seconds.size() != line.reference_seconds.size()) {
    return {};
  }
  return line;
}

// All lines of one schedule, made by one compiler and generator.
struct Measured {
  Line last;  // its status holds
  std::vector<double> nanoseconds;
  std::vector<double> ratios;
};
struct Run {
  std::string date;
  std::int64_t lines = 0;
  std::map<std::string, Measured> schedules;
};
struct SizeKey {
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  std::string default_schedule;

  auto operator<=>(const SizeKey&) const = default;
};
using Runs = std::map<std::pair<std::string, std::string>, Run>;  // by compiler and generator

// What was met of a task on a device.
struct Found {
  TunedTask tuned;
  std::map<SizeKey, Runs> sizes;
};

class Reader {
 public:
  explicit Reader(const TuningFilter& filter) : filter_(filter) {}

  void add(const Winner& winner, const std::string& path) {
    if (!wanted(winner)) return;
    const std::size_t slash = path.rfind('/') + 1;
    Found& found = of(winner.task, winner.device);
    found.sizes[{winner.tuned_rows, winner.tuned_inner, winner.default_schedule}];
    found.tuned.winners.push_back({.winner = winner,
                                   .hash = path.substr(slash, path.rfind('.') - slash),
                                   .path = path,
                                   .prebuilt = false});
    ++result_.winners;
  }

  void add(std::string_view text) {
    const std::optional<Line> line = read_line(text);
    if (!line) {
      ++result_.unreadable_lines;
      return;
    }
    if (!wanted(line->task) || !wanted(line->inner)) return;
    if (filter_.rows && !filter_.rows->holds(line->rows)) return;
    ++result_.lines;
    Runs& runs =
        of(line->task, line->device).sizes[{line->rows, line->inner, line->default_schedule}];
    Run& run = runs[{line->compiler, line->generator}];
    run.date = std::max(run.date, line->date);
    ++run.lines;
    Measured& measured = run.schedules[line->schedule];
    for (std::size_t i = 0; i < line->seconds.size(); ++i) {
      measured.nanoseconds.push_back(line->seconds[i] * kNsPerSecond);
      measured.ratios.push_back(line->seconds[i] / line->reference_seconds[i]);
    }
    measured.last = *line;
  }

  CacheTunings finish(std::vector<CacheDefect> defects);

 private:
  bool wanted(const Task& task) const {
    return filter_.tasks.empty() ||
           std::find(filter_.tasks.begin(), filter_.tasks.end(), task) != filter_.tasks.end();
  }
  bool wanted(std::int64_t inner) const { return !filter_.inner || *filter_.inner == inner; }
  bool wanted(const Winner& winner) const {
    const auto overlap = [&](const Range& rows) {
      return rows.low <= filter_.rows->high && filter_.rows->low <= rows.high;
    };
    return wanted(winner.task) && wanted(winner.tuned_inner) &&
           (!filter_.rows || overlap(winner.rows) || filter_.rows->holds(winner.tuned_rows)) &&
           (!filter_.determinism || *filter_.determinism == winner.determinism);
  }

  Found& of(const Task& task, const DeviceDescription& device) {
    std::vector<Found>& devices = tasks_[to_string(task)];
    const auto same = std::find_if(devices.begin(), devices.end(), [&](const Found& found) {
      return same_device(found.tuned.device, device);
    });
    if (same != devices.end()) return *same;
    Found& found = devices.emplace_back();
    found.tuned.task = task;
    found.tuned.device = device;
    return found;
  }

  const TuningFilter& filter_;
  std::map<std::string, std::vector<Found>> tasks_;
  CacheTunings result_;
};

TunedCandidate candidate_of(const std::string& schedule, const Measured& measured) {
  TunedCandidate candidate{.schedule = schedule,
                           .status = measured.last.status,
                           .why = measured.last.why,
                           .predicted = false,
                           .time = {},
                           .ratio_to_default = {},
                           .error_scaled = measured.last.error_scaled};
  if (measured.nanoseconds.empty()) return candidate;
  const Summary times = summarize(measured.nanoseconds);
  candidate.time = TimeNs{.median = times.median,
                          .p10 = times.p10,
                          .p90 = times.p90,
                          .samples = std::int64_t(times.samples)};
  candidate.ratio_to_default = median(measured.ratios);
  return candidate;
}

// What a winner's entry tells of schedules that no line has a time of: the entry of another
// machine, or a prediction, whose lines are counts.
void add_told(const Winner& winner, std::vector<TunedCandidate>& candidates) {
  const auto add = [&](const std::string& schedule, const std::string& status,
                       const std::optional<TimeNs>& time, const std::optional<double>& error) {
    if (schedule.empty()) return;
    const auto known =
        std::find_if(candidates.begin(), candidates.end(),
                     [&](const TunedCandidate& c) { return c.schedule == schedule; });
    if (known != candidates.end() && (known->time || !time)) return;
    TunedCandidate candidate{.schedule = schedule,
                             .status = status,
                             .why = {},
                             .predicted = winner.evidence == Evidence::predicted_executed ||
                                          winner.evidence == Evidence::predicted_static,
                             .time = time,
                             .ratio_to_default = {},
                             .error_scaled = error};
    if (time && winner.default_time && winner.default_time->median > 0) {
      candidate.ratio_to_default = time->median / winner.default_time->median;
    }
    if (known != candidates.end()) {
      *known = std::move(candidate);
    } else {
      candidates.push_back(std::move(candidate));
    }
  };
  add(winner.schedule, winner.time ? "ok" : "skipped", winner.time, winner.error_scaled);
  add(winner.default_schedule, winner.default_time ? "ok" : "skipped", winner.default_time, {});
  for (const WinnerCandidate& c : winner.candidates) {
    add(c.schedule, c.status, c.time, c.error_scaled);
  }
}

WinnerQuery query_of(const TunedTask& tuned, Determinism determinism, std::int64_t rows,
                     std::int64_t inner) {
  return {.task = tuned.task,
          .device = tuned.device,
          .determinism = determinism,
          .rows = rows,
          .inner = inner};
}

// The index of the one of `some` that a lookup takes.
std::optional<std::size_t> choose(const TunedTask& tuned, const std::vector<StoredWinner>& some,
                                  const WinnerQuery& query) {
  const std::optional<FoundWinner> found = choose_winner(some, query);
  if (!found) return {};
  const auto at =
      std::find_if(tuned.winners.begin(), tuned.winners.end(),
                   [&](const StoredWinner& winner) { return winner.path == found->stored.path; });
  return std::size_t(at - tuned.winners.begin());
}

std::vector<std::size_t> answers_at(const TunedTask& tuned, const SizeKey& size) {
  std::map<Determinism, std::vector<StoredWinner>> classes;
  for (const StoredWinner& stored : tuned.winners) {
    const Winner& w = stored.winner;
    if (SizeKey{w.tuned_rows, w.tuned_inner, w.default_schedule} == size) {
      classes[w.determinism].push_back(stored);
    }
  }
  std::vector<std::size_t> answers;
  for (const auto& [determinism, winners] : classes) {
    const WinnerQuery query = query_of(tuned, determinism, size.rows, size.inner);
    if (const auto at = choose(tuned, winners, query)) answers.push_back(*at);
  }
  return answers;
}

// Which winners hold changes only where a range begins or has ended.
std::vector<AnsweredRows> parts_of(const TunedTask& tuned, Determinism determinism,
                                   std::int64_t inner, const std::vector<StoredWinner>& winners) {
  std::set<std::int64_t> begins;
  for (const StoredWinner& stored : winners) {
    begins.insert(stored.winner.rows.low);
    if (stored.winner.rows.high < INT64_MAX) begins.insert(stored.winner.rows.high + 1);
  }
  std::vector<AnsweredRows> parts;
  for (auto at = begins.begin(); at != begins.end(); ++at) {
    const Range rows{*at, std::next(at) == begins.end() ? INT64_MAX : *std::next(at) - 1};
    const bool held = std::any_of(winners.begin(), winners.end(), [&](const StoredWinner& stored) {
      return stored.winner.rows.holds(rows.low);
    });
    if (!held) continue;
    const auto winner = choose(tuned, winners, query_of(tuned, determinism, rows.low, inner));
    if (!winner) continue;
    const bool goes_on =
        !parts.empty() && parts.back().winner == *winner && parts.back().rows.high + 1 == rows.low;
    if (goes_on) {
      parts.back().rows.high = rows.high;
    } else {
      parts.push_back({rows, *winner});
    }
  }
  return parts;
}

std::vector<AnswerStrip> strips_of(const TunedTask& tuned) {
  std::map<std::tuple<Determinism, std::int64_t, std::int64_t>, std::vector<StoredWinner>> sharing;
  for (const StoredWinner& stored : tuned.winners) {
    const Winner& w = stored.winner;
    sharing[{w.determinism, w.inner.low, w.inner.high}].push_back(stored);
  }
  std::vector<AnswerStrip> strips;
  for (const auto& [key, winners] : sharing) {
    const auto& [determinism, low, high] = key;
    strips.push_back({determinism, {low, high}, parts_of(tuned, determinism, low, winners)});
  }
  return strips;
}

Tuning tuning_of(const TunedTask& tuned, const SizeKey& size, const Runs& runs) {
  Tuning tuning;
  tuning.rows = size.rows;
  tuning.inner = size.inner;
  tuning.default_schedule = size.default_schedule;
  tuning.answers = answers_at(tuned, size);
  const auto last = std::max_element(runs.begin(), runs.end(), [](const auto& a, const auto& b) {
    return a.second.date < b.second.date;
  });
  for (auto run = runs.begin(); run != runs.end(); ++run) {
    if (run != last) tuning.older_lines += run->second.lines;
  }
  if (last != runs.end()) {
    std::tie(tuning.compiler, tuning.generator) = last->first;
    tuning.date = last->second.date;
    for (const auto& [schedule, measured] : last->second.schedules) {
      tuning.timings += std::int64_t(measured.nanoseconds.size());
      tuning.candidates.push_back(candidate_of(schedule, measured));
    }
  }
  for (const std::size_t at : tuning.answers) {
    const Winner& winner = tuned.winners[at].winner;
    tuning.date = std::max(tuning.date, winner.date);
    add_told(winner, tuning.candidates);
  }
  std::sort(tuning.candidates.begin(), tuning.candidates.end(),
            [](const TunedCandidate& a, const TunedCandidate& b) {
              const auto key = [](const TunedCandidate& c) {
                return std::make_tuple(!c.time, c.time ? c.time->median : 0, std::cref(c.status),
                                       std::cref(c.schedule));
              };
              return key(a) < key(b);
            });
  return tuning;
}

CacheTunings Reader::finish(std::vector<CacheDefect> defects) {
  for (auto& [name, devices] : tasks_) {
    for (Found& found : devices) {
      TunedTask& tuned = found.tuned;
      std::sort(tuned.winners.begin(), tuned.winners.end(),
                [](const StoredWinner& a, const StoredWinner& b) {
                  return std::tie(b.winner.date, a.path) < std::tie(a.winner.date, b.path);
                });
      tuned.strips = strips_of(tuned);
      for (const auto& [size, runs] : found.sizes) {
        tuned.tunings.push_back(tuning_of(tuned, size, runs));
      }
      result_.tasks.push_back(std::move(tuned));
    }
  }
  result_.defects = std::move(defects);
  return std::move(result_);
}

}  // namespace

CacheTunings read_tunings(const std::string& folder, const TuningFilter& filter) {
  Reader reader(filter);
  std::vector<CacheDefect> defects = visit_tunings(
      folder, [&](const Winner& winner, const std::string& path) { reader.add(winner, path); },
      [&](std::string_view line) { reader.add(line); });
  return reader.finish(std::move(defects));
}

}  // namespace grkan::cli
