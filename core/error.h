// Errors: one exception type inside the product; the C ABI turns it into a status and a message.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace grkan {

// The values are those of grkan_status in grkan.h.
enum class Status : std::int32_t {
  ok = 0,
  invalid_argument = 1,  // the call is wrong: the message names the field and both values
  unsupported = 2,       // a right call that this build, device or compiler cannot serve
  out_of_memory = 3,
  no_device = 4,       // no such device, or no driver: the message says what was looked for
  no_compiler = 5,     // libgrkan_compiler or NVRTC not found
  compile_failed = 6,  // a compiler refused a generated source
  device_error = 7,    // a driver call failed: the message has its name and code
  io_error = 8,        // a file asked for by name could not be read or written
  wrong_answer = 9,    // a kernel is past its error bound
  disturbed = 10,      // a measurement was refused under `strict`
  internal = 11,       // ours: please report
};

// The name of a status as a word, e.g. "invalid_argument".
const char* status_name(Status status);

class Error : public std::runtime_error {
 public:
  Error(Status status, const std::string& message, const char* field = "")
      : std::runtime_error(message), status_(status), field_(field) {}
  [[nodiscard]] Status status() const { return status_; }
  // The one field or parameter of grkan.h that was wrong; empty where it was not one alone.
  [[nodiscard]] const char* field() const { return field_; }

 private:
  Status status_;
  const char* field_;  // lives as long as the program
};

// Throws an Error with a message in fmt's notation. The message says what was expected, what came,
// and what to do.
template <class... Args>
[[noreturn]] void fail(Status status, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(status, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_argument(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(Status::invalid_argument, fmt::format(format, std::forward<Args>(args)...));
}

// The same for one field or parameter of grkan.h, under the name it has there.
template <class... Args>
[[noreturn]] void fail_field(const char* field, fmt::format_string<Args...> format,
                             Args&&... args) {
  throw Error(Status::invalid_argument, fmt::format(format, std::forward<Args>(args)...), field);
}

}  // namespace grkan
