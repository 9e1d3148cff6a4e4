// Parts of JSON documents that several of them share (docs/json.md).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/binary.h"

namespace grkan {

// A field that is unknown or does not apply: null, with the reason in object["why"][field].
void set_null(nlohmann::ordered_json& object, const std::string& field, const std::string& why);

// {registers, spills, shared_bytes, code_bytes}: what the compiler says of the main kernel.
void add_resources(nlohmann::ordered_json& object, const Binary& binary);

}  // namespace grkan
