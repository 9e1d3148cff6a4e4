#include "tests/support/kernels/covering.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <span>
#include <utility>

#include "core/backend.h"

namespace grkan {
namespace {

// One value of one parameter, by places in the table.
struct Cell {
  std::size_t parameter;
  std::size_t value;
};

// A row as the places of its values.
using Places = std::vector<std::size_t>;

class Cover {
 public:
  Cover(const std::vector<std::vector<int>>& values,
        const std::function<std::string(const Row&)>& why_illegal, std::uint64_t seed)
      : values_(values), why_illegal_(why_illegal), random_(seed) {
    for (const std::vector<int>& of_one : values_) {
      first_cell_.push_back(cells_);
      cells_ += of_one.size();
    }
    covered_.assign(cells_ * cells_, false);
  }

  // Takes up the rows that cover what can be covered.
  void run(const Row& start) {
    Places places;
    for (std::size_t p = 0; p < values_.size(); ++p) {
      const auto at = std::find(values_[p].begin(), values_[p].end(), start[p]);
      places.push_back(std::size_t(at - values_[p].begin()));
    }
    take(places);
    std::vector<std::pair<Cell, Cell>> pairs = pairs_of_possible_values();
    shuffle(pairs);
    for (const auto& [a, b] : pairs) {
      if (covered(a, b)) continue;
      const std::array<Cell, 2> wanted = {a, b};
      if (!find_row(wanted, places)) continue;
      gather(wanted, places);
      take(places);
    }
  }

  [[nodiscard]] std::vector<Row> rows() const {
    std::vector<Row> rows;
    for (const Places& places : taken_) rows.push_back(row_of(places));
    return rows;
  }

 private:
  // Rows from which a pair is looked for: each costs up to some thousand questions.
  static constexpr std::size_t kMostBases = 4;

  [[nodiscard]] Row row_of(const Places& places) const {
    Row row;
    for (std::size_t p = 0; p < places.size(); ++p) row.push_back(values_[p][places[p]]);
    return row;
  }
  [[nodiscard]] std::size_t cell(Cell c) const { return first_cell_[c.parameter] + c.value; }
  [[nodiscard]] bool covered(Cell a, Cell b) const { return covered_[cell(a) * cells_ + cell(b)]; }

  void take(const Places& places) {
    for (std::size_t p = 0; p < places.size(); ++p) {
      for (std::size_t q = 0; q < places.size(); ++q) {
        covered_[cell({p, places[p]}) * cells_ + cell({q, places[q]})] = true;
      }
    }
    taken_.push_back(places);
  }

  // std::shuffle differs between libraries.
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random_() % i]);
  }

  // Pairs of values that some legal row has, each alone.
  std::vector<std::pair<Cell, Cell>> pairs_of_possible_values() {
    std::vector<Cell> possible;
    for (std::size_t p = 0; p < values_.size(); ++p) {
      for (std::size_t v = 0; v < values_[p].size(); ++v) {
        const std::array<Cell, 1> wanted = {{{p, v}}};
        Places unused;
        if (find_row(wanted, unused)) possible.push_back({p, v});
      }
    }
    std::vector<std::pair<Cell, Cell>> pairs;
    for (const Cell a : possible) {
      for (const Cell b : possible) {
        if (a.parameter < b.parameter) pairs.emplace_back(a, b);
      }
    }
    return pairs;
  }

  // Makes a row that is illegal for the reason `why` legal by changing up to `changes` parameters,
  // but not those wanted.
  bool repair(std::span<const Cell> wanted, Places& places, const std::string& why, int changes) {
    if (why.empty() || changes == 0) return why.empty();
    for (std::size_t p = 0; p < places.size(); ++p) {
      if (fixed(wanted, p)) continue;
      const std::size_t old = places[p];
      for (std::size_t v = 0; v < values_[p].size(); ++v) {
        places[p] = v;
        const std::string now = why_illegal_(row_of(places));
        if (now != why && repair(wanted, places, now, changes - 1)) return true;
      }
      places[p] = old;
    }
    return false;
  }

  // A legal row with the cells wanted, from the rows taken: those that have one of them first.
  bool find_row(std::span<const Cell> wanted, Places& found) {
    std::vector<Places> bases = taken_;
    std::stable_partition(bases.begin(), bases.end(), [&](const Places& base) {
      return std::any_of(wanted.begin(), wanted.end(),
                         [&](Cell c) { return base[c.parameter] == c.value; });
    });
    if (bases.size() > kMostBases) bases.resize(kMostBases);
    for (int changes = 0; changes <= 2; ++changes) {
      for (const Places& base : bases) {
        found = base;
        for (const Cell c : wanted) found[c.parameter] = c.value;
        if (repair(wanted, found, why_illegal_(row_of(found)), changes)) return true;
      }
    }
    return false;
  }

  static bool fixed(std::span<const Cell> wanted, std::size_t parameter) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](Cell c) { return c.parameter == parameter; });
  }

  // How many pairs of one parameter's value with the row's others are not covered yet.
  [[nodiscard]] int gain(const Places& places, std::size_t p) const {
    int count = 0;
    for (std::size_t q = 0; q < places.size(); ++q) {
      if (q != p && !covered({p, places[p]}, {q, places[q]})) ++count;
    }
    return count;
  }

  // Changes what is not wanted so that a legal row covers more pairs.
  void gather(std::span<const Cell> wanted, Places& places) {
    std::vector<std::size_t> order(places.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (int pass = 0; pass < 2; ++pass) {
      shuffle(order);
      for (const std::size_t p : order) {
        if (fixed(wanted, p)) continue;
        std::size_t best = places[p];
        int most = gain(places, p);
        for (std::size_t v = 0; v < values_[p].size(); ++v) {
          places[p] = v;
          const int now = gain(places, p);
          if (now <= most || !why_illegal_(row_of(places)).empty()) continue;
          best = v;
          most = now;
        }
        places[p] = best;
      }
    }
  }

  const std::vector<std::vector<int>>& values_;
  const std::function<std::string(const Row&)>& why_illegal_;
  std::mt19937_64 random_;
  std::vector<std::size_t> first_cell_;  // cells of all parameters are numbered in a row
  std::size_t cells_ = 0;
  std::vector<bool> covered_;  // [cell][cell]
  std::vector<Places> taken_;
};

Row row_of(const Schedule& schedule) {
  const auto parameters = std::ptrdiff_t(schedule.backend->parameters().size());
  return {schedule.values.begin(), schedule.values.begin() + parameters};
}

}  // namespace

std::vector<ValuePair> value_pairs(const Row& row) {
  std::vector<ValuePair> pairs;
  for (std::size_t p = 0; p < row.size(); ++p) {
    for (std::size_t q = p + 1; q < row.size(); ++q) pairs.push_back({p, row[p], q, row[q]});
  }
  return pairs;
}

std::vector<ValuePair> value_pairs(const Schedule& schedule) {
  return value_pairs(row_of(schedule));
}

std::vector<Row> covering_rows(const std::vector<std::vector<int>>& values, const Row& start,
                               const std::function<std::string(const Row&)>& why_illegal,
                               std::uint64_t seed) {
  Cover cover(values, why_illegal, seed);
  cover.run(start);
  return cover.rows();
}

std::vector<Schedule> covering_schedules(const Task& task, const Target& target,
                                         Determinism determinism, std::int64_t rows,
                                         std::int64_t inner, std::uint64_t seed) {
  const Schedule standard = default_schedule(task, target, rows, inner, determinism);
  std::vector<std::vector<int>> values;
  for (const Parameter& p : standard.backend->parameters()) {
    const int usual = standard.values[values.size()];
    values.emplace_back(p.values.begin(), p.values.end());
    if (std::find(values.back().begin(), values.back().end(), usual) == values.back().end()) {
      values.back().push_back(usual);
    }
  }
  const auto schedule_of = [&](const Row& row) {
    Schedule schedule{.backend = standard.backend};
    std::copy(row.begin(), row.end(), schedule.values.begin());
    return schedule;
  };
  const auto why = [&](const Row& row) {
    return why_illegal(task, schedule_of(row), target, determinism);
  };
  std::vector<Schedule> schedules;
  for (const Row& row : covering_rows(values, row_of(standard), why, seed)) {
    schedules.push_back(schedule_of(row));
  }
  return schedules;
}

}  // namespace grkan
