#include "tuner/trial.h"

#include <exception>
#include <new>

#include "core/error.h"

namespace grkan {
namespace {

CandidateStatus candidate_status(Status status, CandidateStatus otherwise) {
  switch (status) {
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

}  // namespace

StepResult failed_step(CandidateStatus otherwise) {
  try {
    throw;
  } catch (const Error& error) {
    const std::string why = error.what();
    return {.status = candidate_status(error.status(), otherwise),
            .why = why.empty() ? status_name(error.status()) : why};
  } catch (const std::bad_alloc&) {
    return {.status = CandidateStatus::exceeds_device, .why = "out of memory"};
  } catch (const std::exception& error) {
    return {.status = otherwise, .why = error.what()};
  }
}

}  // namespace grkan
