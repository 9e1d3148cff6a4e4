#include "core/error.h"

namespace grkan {

const char* status_name(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::invalid_argument:
      return "invalid_argument";
    case Status::unsupported:
      return "unsupported";
    case Status::out_of_memory:
      return "out_of_memory";
    case Status::no_device:
      return "no_device";
    case Status::no_compiler:
      return "no_compiler";
    case Status::compile_failed:
      return "compile_failed";
    case Status::device_error:
      return "device_error";
    case Status::io_error:
      return "io_error";
    case Status::wrong_answer:
      return "wrong_answer";
    case Status::disturbed:
      return "disturbed";
    case Status::internal:
      return "internal";
  }
  return "unknown";
}

}  // namespace grkan
