#include "core/learned.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "core/error.h"

namespace grkan {
namespace {

// The words of a line, one after another.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}

  // Empty at the end.
  std::string_view next() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    const std::string_view word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(word.size());
    return word;
  }
  double number() { return number_of(next()); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

  static double number_of(std::string_view word) {
    double value = 0;
    const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (failed != std::errc{} || end != word.data() + word.size() || !std::isfinite(value)) {
      fail_argument("'{}' is not a number", word);
    }
    return value;
  }

 private:
  std::string_view rest_;
};

}  // namespace

// Reads one tree: a node and, where it has branches, both, the left one first.
struct Learned::TreeReader {
  Learned& to;
  Words& words;

  void read() {
    const std::string_view word = words.next();
    if (word.empty()) fail_argument("a tree ends too early");
    const std::size_t at = to.nodes_.size();
    to.nodes_.emplace_back();
    if (word.front() == '=') {
      to.nodes_[at].value = Words::number_of(word.substr(1));
      return;
    }
    const std::size_t less = word.find('<');
    const double feature = Words::number_of(word.substr(0, less));
    if (less == word.npos || feature < 0 || feature >= double(to.features_.size())) {
      fail_argument("'{}' is no node", word);
    }
    to.nodes_[at].feature = int(feature);
    to.nodes_[at].value = Words::number_of(word.substr(less + 1));
    read();
    to.nodes_[at].right = int(to.nodes_.size());
    read();
  }
};

Learned Learned::parse(std::string_view text, std::span<const std::string_view> features) {
  Learned learned;
  std::size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    try {
      learned.read(line, number == 1);
    } catch (const Error& error) {
      fail_argument("what was learnt, line {}: {}", number, error.what());
    }
  }
  const auto same = [](const Feature& feature, std::string_view name) {
    return feature.name == name;
  };
  if (!std::equal(learned.features_.begin(), learned.features_.end(), features.begin(),
                  features.end(), same)) {
    fail_argument("what was learnt has other features than the {} of now: train it anew",
                  features.size());
  }
  return learned;
}

void Learned::read(std::string_view line, bool head) {
  Words words(line);
  const std::string_view what = words.next();
  if (head) {
    if (line != "grkan-learned 1") fail_argument("'{}' is not \"grkan-learned 1\"", line);
    return;
  } else if (what == "from") {
    from_ = words.rest().substr(std::min<std::size_t>(1, words.rest().size()));
  } else if (what == "devices") {
    for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
      devices_.emplace_back(word);
    }
  } else if (what == "physics") {
    physics_ = words.number();
  } else if (what == "feature") {
    Feature& feature = features_.emplace_back();
    feature.name = words.next();
    feature.least = words.number();
    feature.most = words.number();
  } else if (what == "band") {
    const std::string_view name = words.next();
    const std::optional<Basis> basis = find_basis(name);
    if (!basis) fail_argument("'{}' is no basis", name);
    Bands& bands = bands_.at(std::size_t(*basis));
    for (double* end : {&bands.ratio.low, &bands.ratio.high, &bands.time.low, &bands.time.high}) {
      *end = words.number();
    }
  } else if (what == "unseen") {
    const std::string_view by = words.next();
    if (by != "physics" && by != "trees") fail_argument("'{}' is not physics or trees", by);
    learns_unseen_ = by == "trees";
  } else if (what == "tree") {
    trees_.push_back(int(nodes_.size()));
    TreeReader{*this, words}.read();
  } else {
    fail_argument("'{}' is unknown", what);
  }
  if (what != "from" && !words.next().empty()) fail_argument("there is more than expected");
}

bool Learned::has_seen(std::string_view device) const {
  return std::find(devices_.begin(), devices_.end(), device) != devices_.end();
}

std::string Learned::why_far(std::span<const double> features) const {
  for (std::size_t i = 0; i < features_.size(); ++i) {
    const Feature& f = features_[i];
    // Not a number: outside too.
    if (features[i] >= f.least && features[i] <= f.most) continue;
    return fmt::format("{} is {:.4g}, where times are known from {:.4g} to {:.4g}", f.name,
                       features[i], f.least, f.most);
  }
  return {};
}

double Learned::log_cost(std::span<const double> features, double log_physics) const {
  double sum = physics_ * log_physics;
  for (const int tree : trees_) {
    const Node* node = &nodes_[std::size_t(tree)];
    while (node->feature >= 0) {
      const bool left = features[std::size_t(node->feature)] <= node->value;
      node = left ? node + 1 : &nodes_[std::size_t(node->right)];
    }
    sum += node->value;
  }
  return sum;
}

void Learned::judge(Prediction& p, std::span<const double> features,
                    std::string_view device) const {
  p.physics_ns = p.ns;
  p.log_cost = std::log(p.ns);
  p.basis_why = why_far(features);
  p.basis = !has_seen(device) ? Basis::unseen : p.basis_why.empty() ? Basis::learnt : Basis::far;
  if (p.basis == Basis::unseen) p.basis_why = fmt::format("no times of {} are known", device);
  if (p.basis == Basis::learnt) p.basis_why = from_;
  if (p.basis == Basis::learnt || (p.basis == Basis::unseen && learns_unseen_)) {
    p.log_cost = log_cost(features, p.log_cost);
    // With all of the physics in it, what was learnt is of the time too.
    if (physics_ == 1) p.ns = std::exp(p.log_cost);
  }
  const Bands& bands = bands_.at(std::size_t(p.basis));
  p.ratio = bands.ratio;
  p.low_ns = p.ns * std::exp(bands.time.low);
  p.high_ns = p.ns * std::exp(bands.time.high);
}

}  // namespace grkan
