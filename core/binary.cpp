#include "core/binary.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace grkan {
namespace {

using nlohmann::json;

// The layout: one line of JSON with the lengths of what follows, then code and ptx as they are.
constexpr std::string_view kFormat = "grkan-binary";
constexpr int kVersion = 1;

[[noreturn]] void malformed(std::string_view what) {
  fail(Status::io_error, "a stored binary is malformed ({}); it has to be compiled again", what);
}

json to_json(const std::optional<int>& value) { return value ? json(*value) : json(); }

json to_json(const KernelResources& kernel) {
  return {{"symbol", kernel.symbol},
          {"registers", to_json(kernel.registers)},
          {"spill_bytes", to_json(kernel.spill_bytes)},
          {"shared_bytes", to_json(kernel.shared_bytes)},
          {"code_bytes", to_json(kernel.code_bytes)}};
}

const json& field(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) malformed(fmt::format("no field {}", name));
  return *found;
}

std::string text(const json& object, const char* name) {
  const json& value = field(object, name);
  if (!value.is_string()) malformed(fmt::format("{} is not a text", name));
  return value.get<std::string>();
}

std::optional<int> count(const json& object, const char* name) {
  const json& value = field(object, name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() > std::uint64_t(std::numeric_limits<int>::max())) {
    malformed(fmt::format("{} is not a count", name));
  }
  return value.get<int>();
}

// The next `length` bytes of the payload.
std::string take(const json& header, const char* name, std::string_view& payload) {
  const json& value = field(header, name);
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > payload.size()) {
    malformed(fmt::format("{} is not as long as its length says", name));
  }
  const std::string_view bytes = payload.substr(0, value.get<std::size_t>());
  payload.remove_prefix(bytes.size());
  return std::string(bytes);
}

KernelResources parse_kernel(const json& object) {
  if (!object.is_object()) malformed("a kernel is not an object");
  return {text(object, "symbol"), count(object, "registers"), count(object, "spill_bytes"),
          count(object, "shared_bytes"), count(object, "code_bytes")};
}

Binary parse_header(const json& header) {
  if (!header.is_object()) malformed("its first line is not a JSON object");
  if (text(header, "format") != kFormat) malformed("it has another format");
  if (field(header, "version") != kVersion) malformed("it has another version");
  Binary binary;
  binary.task = parse_task(text(header, "task"));
  binary.compiled_schedule = text(header, "schedule");
  binary.target = parse_target(text(header, "target"));
  binary.compiler = text(header, "compiler");
  binary.source_hash = text(header, "source_hash");
  const json& kernels = field(header, "kernels");
  if (!kernels.is_array()) malformed("kernels is not a list");
  for (const json& kernel : kernels) binary.kernels.push_back(parse_kernel(kernel));
  return binary;
}

}  // namespace

std::string serialize(const Binary& binary) {
  json kernels = json::array();
  for (const KernelResources& kernel : binary.kernels) kernels.push_back(to_json(kernel));
  const json header = {{"format", kFormat},
                       {"version", kVersion},
                       {"task", to_string(binary.task)},
                       {"schedule", binary.compiled_schedule},
                       {"target", binary.target.name},
                       {"compiler", binary.compiler},
                       {"source_hash", binary.source_hash},
                       {"kernels", std::move(kernels)},
                       {"code", binary.code.size()},
                       {"ptx", binary.ptx.size()}};
  // ASCII only, so the line ends at the first newline; bytes that aren't UTF-8 don't throw.
  return header.dump(-1, ' ', true, json::error_handler_t::replace) + "\n" + binary.code +
         binary.ptx;
}

Binary parse_binary(std::string_view bytes) {
  const std::size_t line = bytes.find('\n');
  if (line == std::string_view::npos) malformed("it has no first line");
  const json header = json::parse(bytes.substr(0, line), nullptr, false);
  std::string_view payload = bytes.substr(line + 1);
  try {
    Binary binary = parse_header(header);
    binary.code = take(header, "code", payload);
    binary.ptx = take(header, "ptx", payload);
    if (!payload.empty()) malformed("bytes follow its end");
    if (binary.target.cuda() && binary.kernels.empty()) malformed("it names no kernel");
    return binary;
  } catch (const Error& e) {
    if (e.status() == Status::io_error) throw;
    malformed(e.what());
  }
}

}  // namespace grkan
