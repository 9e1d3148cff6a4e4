#include "core/json.h"

#include <optional>

namespace grkan {

using Json = nlohmann::ordered_json;

void set_null(Json& object, const std::string& field, const std::string& why) {
  object[field] = nullptr;
  object["why"][field] = why;
}

void add_resources(Json& object, const Binary& binary) {
  const std::string why = binary.target.cuda() ? "the compiler did not report it"
                                               : "LLVM reports no such figure for an object";
  const auto add = [&](const char* field, const std::optional<int>& figure) {
    if (figure) {
      object[field] = *figure;
    } else {
      set_null(object, field, why);
    }
  };
  const KernelResources kernel = binary.kernels.empty() ? KernelResources() : binary.kernels[0];
  add("registers", kernel.registers);
  add("spills", kernel.spill_bytes);
  add("shared_bytes", kernel.shared_bytes);
  add("code_bytes", kernel.code_bytes);
}

}  // namespace grkan
