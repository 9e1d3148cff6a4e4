// Instant runs: from schedules alone, on this kind of CPU and on GPUs that are not here.
#include "tuner/instant_run.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/backend.h"
#include "core/cost_model.h"
#include "core/gpu_models.h"
#include "cpu/schedule.h"

namespace grkan {
namespace {

DeviceInfo gpu(std::string_view name) { return describe_gpu(gpu_model(name)); }

DeviceInfo cpu(std::string_view target) {
  DeviceInfo info;
  info.name = "cpu";
  info.model = "AMD EPYC";
  info.target = parse_target(target);
  info.units = 2;
  return info;
}

TuneRequest request(const DeviceInfo& device, std::string_view task, std::int64_t rows) {
  TuneRequest r;
  r.task = parse_task(task);
  r.target = device.target;
  r.rows = rows;
  r.effort = Effort::instant;
  r.model = backend_of(device.target).cost_model_of(device);
  return r;
}

// Whoever wins is ahead of the default by more than it may be wrong, or it is the default.
void expect_safe(const TuneOutcome& found) {
  ASSERT_TRUE(found.prediction.has_value());
  if (found.schedule == found.default_schedule) return;
  ASSERT_TRUE(found.against_default.has_value());
  EXPECT_LT(found.against_default->high, 1);
  EXPECT_EQ(found.evidence, Evidence::predicted_static);
}

// Thinks that blocks of 8 rows take a quarter less, and knows that within a band.
class Invented final : public CostModel {
 public:
  explicit Invented(double band) : band_(band) {}
  [[nodiscard]] std::optional<Prediction> of_schedule(const SizedCall& call) const override {
    Prediction p;
    p.ns = CpuSchedule(call.schedule).rows == 8 ? 750 : 1000;
    p.log_cost = std::log(p.ns);
    p.ratio = {.low = -band_, .high = band_};
    return p;
  }
  [[nodiscard]] Prediction of_code(const SizedCall& /*call*/,
                                   const nlohmann::json& /*counts*/) const override {
    return {};
  }
  [[nodiscard]] SampleShape sample(const SizedCall& /*call*/) const override { return {}; }
  [[nodiscard]] Prediction of_execution(const SizedCall& /*call*/,
                                        const nlohmann::json& /*launches*/) const override {
    return {};
  }

 private:
  double band_;
};

TEST(InstantRun, TakesWhatIsAheadByMoreThanItMayBeWrong) {
  TuneRequest r = request(cpu("x86-64-v4"), "forward/p5q4-A-c768-g8-f32-last", 1000);
  r.model = std::make_shared<Invented>(0.1);
  const TuneOutcome sure = instant_run(r);
  expect_safe(sure);
  EXPECT_EQ(CpuSchedule(sure.schedule).rows, 8);
  EXPECT_NEAR(sure.against_default->ratio, 0.75, 1e-9);
  r.model = std::make_shared<Invented>(0.4);
  const TuneOutcome unsure = instant_run(r);
  EXPECT_EQ(unsure.schedule, unsure.default_schedule);
  EXPECT_EQ(unsure.against_default->high, 1);
  ASSERT_TRUE(unsure.passed_over.has_value());
  EXPECT_EQ(CpuSchedule(unsure.passed_over->schedule).rows, 8);
  EXPECT_GT(unsure.passed_over->against_default.high, 1);
}

TEST(InstantRun, WinnersAreSafelyAhead) {
  for (const char* problem :
       {"p5q4-A-c768-g1x8-f32-last", "p5q4-A-c192-g1x8-bf16-last", "p5q4-A-c3072-g1x8-bf16-last"}) {
    for (const char* direction : {"forward/", "backward.dx.da.db/"}) {
      for (const DeviceInfo& device : {gpu("h200"), gpu("t4"), cpu("x86-64-v3")}) {
        const TuneOutcome found =
            instant_run(request(device, std::string(direction) + problem, 25216));
        expect_safe(found);
        EXPECT_LE(found.candidates.size(), 8U);
      }
    }
  }
}

// What was timed of a GPU is believed further than what never was.
TEST(InstantRun, AGpuNeverTimedHasWiderBounds) {
  const std::string task = "backward.dx.da.db/p5q4-A-c192-g1x8-bf16-last";
  const TuneOutcome timed = instant_run(request(gpu("h200"), task, 25216));
  const TuneOutcome never = instant_run(request(gpu("t4"), task, 25216));
  EXPECT_EQ(timed.prediction->basis, Basis::learnt);
  EXPECT_EQ(never.prediction->basis, Basis::unseen);
  const auto width = [](const Prediction& p) { return p.high_ns / p.low_ns; };
  EXPECT_GT(width(*never.prediction), width(*timed.prediction));
  // Another degree was never timed either, on any.
  const TuneOutcome far =
      instant_run(request(gpu("h200"), "forward/p9q8-A-c768-g1x8-f32-last", 25216));
  EXPECT_EQ(far.prediction->basis, Basis::far);
  EXPECT_NE(far.prediction->basis_why.find("numerator_terms"), std::string::npos);
}

TEST(InstantRun, WithoutAModelTheDefaultIsTheAnswer) {
  TuneRequest r = request(cpu("x86-64-v4"), "forward/p5q4-A-c768-g8-f32-last", 1000);
  r.model = nullptr;
  const TuneOutcome found = instant_run(r);
  EXPECT_EQ(found.schedule, found.default_schedule);
  EXPECT_FALSE(found.prediction.has_value());
  EXPECT_TRUE(found.candidates.empty());
  // A GPU that the data file does not have.
  DeviceInfo unknown = gpu("h200");
  unknown.units = 17;
  EXPECT_FALSE(predict_schedule(unknown, r.task, 1000, 1, Determinism::run_to_run).has_value());
}

}  // namespace
}  // namespace grkan
