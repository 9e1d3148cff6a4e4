#include "tuner/candidate_calls.h"

#include <array>

#include "core/error.h"

namespace grkan {
namespace {

using Json = nlohmann::ordered_json;

// What a caller's status says of the candidate.
CandidateStatus candidate_status(std::int32_t code, CandidateStatus otherwise) {
  switch (Status(code)) {
    case Status::ok:
      return CandidateStatus::ok;
    case Status::compile_failed:
      return CandidateStatus::compile_failed;
    case Status::wrong_answer:
      return CandidateStatus::wrong_answer;
    case Status::device_error:
      return CandidateStatus::launch_failed;
    case Status::unsupported:
    case Status::out_of_memory:
      return CandidateStatus::exceeds_device;
    default:
      return otherwise;
  }
}

// call(value, why, why_size) is the caller's function.
template <class Call>
StepResult step(const Call& call, CandidateStatus otherwise) {
  std::array<char, 1024> why{};
  StepResult result;
  const std::int32_t code = call(&result.value, why.data(), why.size());
  result.status = candidate_status(code, otherwise);
  if (result.status == CandidateStatus::ok) return result;
  why.back() = '\0';
  result.why = why.front() != '\0' ? why.data() : status_name(Status(code));
  return result;
}

// call(text, why, why_size) leaves a JSON text.
template <class Call>
StepResult json_step(const Call& call, Json& json) {
  const char* text = nullptr;
  StepResult result =
      step([&](double*, char* why, std::size_t size) { return call(&text, why, size); },
           CandidateStatus::launch_failed);
  if (result.status != CandidateStatus::ok) return result;
  json = Json::parse(text == nullptr ? "" : text, nullptr, false);
  if (!json.is_discarded()) return result;
  return {.status = CandidateStatus::launch_failed, .why = "what was counted is no JSON"};
}

}  // namespace

StepResult CandidateCalls::build(const std::string& schedule) const {
  return step(
      [&](double*, char* why, std::size_t size) {
        return callbacks_.build(callbacks_.self, schedule.c_str(), why, size);
      },
      CandidateStatus::compile_failed);
}

StepResult CandidateCalls::check(const std::string& schedule) const {
  return step(
      [&](double* value, char* why, std::size_t size) {
        return callbacks_.check(callbacks_.self, schedule.c_str(), value, why, size);
      },
      CandidateStatus::launch_failed);
}

StepResult CandidateCalls::measure(const std::string& schedule) const {
  return step(
      [&](double* value, char* why, std::size_t size) {
        return callbacks_.measure(callbacks_.self, schedule.c_str(), value, why, size);
      },
      CandidateStatus::launch_failed);
}

StepResult CandidateCalls::report(const std::string& schedule, Json& json) const {
  json = Json::object();
  if (callbacks_.report == nullptr) return {};
  return json_step(
      [&](const char** text, char* why, std::size_t size) {
        return callbacks_.report(callbacks_.self, schedule.c_str(), text, why, size);
      },
      json);
}

StepResult CandidateCalls::count(const std::string& schedule, Json& json) const {
  return json_step(
      [&](const char** text, char* why, std::size_t size) {
        return callbacks_.count(callbacks_.self, schedule.c_str(), text, why, size);
      },
      json);
}

StepResult CandidateCalls::execute(const std::string& schedule, std::int64_t rows,
                                   int multiprocessors, Json& json) const {
  return json_step(
      [&](const char** text, char* why, std::size_t size) {
        return callbacks_.execute(callbacks_.self, schedule.c_str(), rows, multiprocessors, text,
                                  why, size);
      },
      json);
}

void CandidateCalls::record(const Json& line) const {
  if (callbacks_.record == nullptr) return;
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace);
  callbacks_.record(callbacks_.self, text.c_str());
}

void CandidateCalls::progress(std::size_t done, std::size_t total, double seconds_left,
                              const std::string& schedule) const {
  if (callbacks_.progress == nullptr) return;
  callbacks_.progress(callbacks_.self, std::int64_t(done), std::int64_t(total), seconds_left,
                      schedule.c_str());
}

bool CandidateCalls::cancelled() const {
  return callbacks_.cancelled != nullptr && callbacks_.cancelled(callbacks_.self) != 0;
}

}  // namespace grkan
