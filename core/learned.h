// Learned: what was learnt from recorded times (bench/lab/learn), as data. It orders the schedules
// of one call: the logarithm of a schedule's cost, up to a constant of the call, is
//
//   physics * log(time by the cost model) + the sum of the trees' values
//
// Trees are boosted regression trees (Friedman, 2001): each asks features for less or more and ends
// in a value. Far from what it has seen, where a feature is outside of its range there, it says so
// and knows nothing.
//
// The build checks the data's SHA-256, in a file beside it.
//
//   grkan-learned 1
//   from <what it was learnt from, for people>
//   devices <names, one at least: those it was learnt from>
//   physics <weight>
//   feature <name> <least> <most>          a line each, in the order of the caller's table
//   band <basis> <ratio low> <ratio high> <time low> <time high>    of each basis
//   unseen <physics, or trees>             what orders schedules on a device not seen
//   tree <node> ...                        a line each; a node, then the nodes of its left branch,
//                                          then of its right one: "3<0.5" (feature 3 is at most
//                                          0.5: left), "=0.012" (a leaf)
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/prediction.h"

namespace grkan {

class Learned {
 public:
  // Throws invalid_argument with what is wrong: another format, names of features that are not
  // `features`, a tree that is none.
  static Learned parse(std::string_view text, std::span<const std::string_view> features);

  // Adds to what the cost model says of a call on a device (ns, and all that comes of physics) what
  // was learnt of it, and how wrong it may be. As many features as parse() was told.
  void judge(Prediction& prediction, std::span<const double> features,
             std::string_view device) const;

  [[nodiscard]] bool has_seen(std::string_view device) const;
  // The first feature that is outside of what it has seen, with its value and range; empty: none.
  [[nodiscard]] std::string why_far(std::span<const double> features) const;
  // The logarithm of a cost, up to a constant of the call.
  [[nodiscard]] double log_cost(std::span<const double> features, double log_physics) const;

 private:
  struct TreeReader;
  struct Feature {
    std::string name;
    double least = 0;
    double most = 0;
  };
  struct Node {
    int feature = -1;  // a leaf
    double value = 0;  // of a leaf; else what the feature is compared with
    int right = 0;     // where the right branch begins; the left one follows the node
  };
  struct Bands {
    Band ratio;
    Band time;
  };

  void read(std::string_view line, bool head);

  std::string from_;
  std::vector<std::string> devices_;
  double physics_ = 0;
  std::vector<Feature> features_;
  std::array<Bands, kBases> bands_;
  bool learns_unseen_ = false;  // trees order the schedules of devices that were not seen, too
  std::vector<Node> nodes_;
  std::vector<int> trees_;  // where each begins
};

}  // namespace grkan
