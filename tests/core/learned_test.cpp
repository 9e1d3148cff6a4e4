// What was learnt, as data: small trees worked out by hand, and what is no such data.
#include "core/learned.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/error.h"

namespace grkan {
namespace {

const std::vector<std::string_view> kNames = {"threads", "rows"};

std::string text_of(const std::string& physics = "1", const std::string& unseen = "physics") {
  return "grkan-learned 1\n"
         "from 2 tables of an invented GPU\n"
         "devices one two\n"
         "unseen " +
         unseen + "\nphysics " + physics +
         "\n"
         "feature threads 32 512\n"
         "feature rows 1 8\n"
         "band learnt -0.1 0.2 -0.3 0.4\n"
         "band far -0.5 0.6 -0.7 0.8\n"
         "band unseen -1 1 -2 2\n"
         "tree 0<96 =0.1 1<2.5 =-0.2 =0.3\n"
         "tree =0.01\n";
}

Learned learned(const std::string& text = text_of()) { return Learned::parse(text, kNames); }

Prediction physics(double ns) {
  Prediction p;
  p.ns = ns;
  return p;
}

TEST(Learned, TreesAskLessOrEqualAndAddUp) {
  const Learned l = learned();
  EXPECT_DOUBLE_EQ(l.log_cost(std::vector{96.0, 8.0}, 0), 0.11);
  EXPECT_DOUBLE_EQ(l.log_cost(std::vector{97.0, 2.5}, 0), -0.19);
  EXPECT_DOUBLE_EQ(l.log_cost(std::vector{97.0, 2.6}, 0), 0.31);
  EXPECT_DOUBLE_EQ(l.log_cost(std::vector{97.0, 2.6}, 2), 2.31);
  EXPECT_DOUBLE_EQ(learned(text_of("0.5")).log_cost(std::vector{97.0, 2.6}, 2), 1.31);
}

TEST(Learned, WhatIsKnownOfACallDecidesItsBasis) {
  const Learned l = learned();
  Prediction p = physics(1000);
  l.judge(p, std::vector{64.0, 4.0}, "two");
  EXPECT_EQ(p.basis, Basis::learnt);
  EXPECT_EQ(p.basis_why, "2 tables of an invented GPU");
  EXPECT_NEAR(p.ns, 1000 * std::exp(0.11), 1e-9);
  EXPECT_EQ(p.physics_ns, 1000);
  EXPECT_EQ(p.ratio, (Band{-0.1, 0.2}));
  EXPECT_NEAR(p.low_ns, p.ns * std::exp(-0.3), 1e-9);
  EXPECT_NEAR(p.high_ns, p.ns * std::exp(0.4), 1e-9);
  // Outside of what it has seen, and not a number.
  for (const double rows : {0.5, 9.0, std::nan("")}) {
    p = physics(1000);
    l.judge(p, std::vector{64.0, rows}, "one");
    EXPECT_EQ(p.basis, Basis::far);
    EXPECT_EQ(p.ns, 1000);
    EXPECT_EQ(p.ratio, (Band{-0.5, 0.6}));
    EXPECT_NE(p.basis_why.find("rows is"), std::string::npos) << p.basis_why;
    EXPECT_NE(p.basis_why.find("from 1 to 8"), std::string::npos) << p.basis_why;
  }
  p = physics(1000);
  l.judge(p, std::vector{64.0, 4.0}, "three");
  EXPECT_EQ(p.basis, Basis::unseen);
  EXPECT_EQ(p.ns, 1000);
  EXPECT_EQ(p.log_cost, std::log(1000));
  EXPECT_EQ(p.basis_why, "no times of three are known");
}

TEST(Learned, OfOtherDevicesMayOrderOnesThatWereNotSeen) {
  const Learned l = learned(text_of("0.5", "trees"));
  Prediction p = physics(1000);
  l.judge(p, std::vector{64.0, 4.0}, "three");
  EXPECT_EQ(p.basis, Basis::unseen);
  EXPECT_NEAR(p.log_cost, 0.5 * std::log(1000) + 0.11, 1e-12);
  EXPECT_EQ(p.ns, 1000);  // a half of the physics is no time
}

TEST(Learned, RatiosAreByTheWorseBasis) {
  const Learned l = learned();
  Prediction standard = physics(1000);
  l.judge(standard, std::vector{64.0, 4.0}, "one");
  Prediction fast = physics(800);
  l.judge(fast, std::vector{97.0, 1.0}, "one");
  PredictedRatio r = ratio_of(fast, standard);
  EXPECT_NEAR(r.ratio, 0.8 * std::exp(-0.19 - 0.11), 1e-12);
  EXPECT_NEAR(r.high, r.ratio * std::exp(0.2), 1e-12);
  EXPECT_NEAR(r.low, r.ratio * std::exp(-0.1), 1e-12);
  Prediction far = physics(800);
  l.judge(far, std::vector{97.0, 100.0}, "one");
  r = ratio_of(far, standard);
  EXPECT_NEAR(r.ratio, 0.8, 1e-12);
  EXPECT_NEAR(r.high, 0.8 * std::exp(0.6), 1e-12);
  EXPECT_NEAR(ratio_of(standard, far).high, 1.25 * std::exp(0.6), 1e-12);
}

TEST(Learned, WhatIsNoSuchDataIsRefusedWithTheLine) {
  const auto refused = [](const std::string& text) -> std::string {
    try {
      learned(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), Status::invalid_argument);
      return error.what();
    }
    return "no error";
  };
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = text_of();
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_EQ(refused(with("learned 1", "learned 2")),
            "what was learnt, line 1: 'grkan-learned 2' is not \"grkan-learned 1\"");
  EXPECT_EQ(refused(with("feature rows", "feature columns")),
            "what was learnt has other features than the 2 of now: train it anew");
  EXPECT_EQ(refused(with("tree =0.01", "tree =0.01 =2")),
            "what was learnt, line 12: there is more than expected");
  EXPECT_EQ(refused(with("tree =0.01", "tree 0<1 =2")),
            "what was learnt, line 12: a tree ends too early");
  EXPECT_EQ(refused(with("tree =0.01", "tree 2<1 =2 =3")),
            "what was learnt, line 12: '2<1' is no node");
  EXPECT_EQ(refused(with("tree =0.01", "tree =nan")),
            "what was learnt, line 12: 'nan' is not a number");
  EXPECT_EQ(refused(with("band far", "band near")), "what was learnt, line 9: 'near' is no basis");
  EXPECT_EQ(refused(with("unseen physics", "unseen dreams")),
            "what was learnt, line 4: 'dreams' is not physics or trees");
  EXPECT_EQ(refused(with("physics 1", "chemistry 1")),
            "what was learnt, line 5: 'chemistry' is unknown");
}

}  // namespace
}  // namespace grkan
