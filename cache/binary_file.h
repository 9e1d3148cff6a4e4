// A cached binary: its key and its file's bytes.
//
// The file: "GRKANBIN", u32 format version, u32 zero, u64 key size, u64 payload size, the key, the
// payload, XXH3-128 of all before it (32 hexadecimal digits). Integers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/target.h"
#include "core/task.h"

namespace grkan {

inline constexpr std::uint32_t kBinaryFileVersion = 1;
inline constexpr std::size_t kLargestBinaryFile = std::size_t{256} << 20;

// Everything that can change a binary.
struct BinaryKey {
  Task task;
  std::string compiled_schedule;  // compiled_text() of the schedule
  Target target;
  std::string compiler;     // name, version and build
  std::string generator;    // the generator's version or build id
  std::string source_hash;  // of the source text and the options; may be empty where the
                            // generator's id stands for it

  bool operator==(const BinaryKey&) const = default;
};

// The whole key as one JSON text: equal keys give equal texts.
std::string to_text(const BinaryKey& key);

// The file's place in the cache: "binaries/<first 2 digits>/<hash>.grkan". The hash of a key is
// content_hash(key text).
std::string binary_path(std::string_view key_hash);

struct BinaryFile {
  std::string key;      // to_text(BinaryKey)
  std::string payload;  // serialize(Binary)
  bool operator==(const BinaryFile&) const = default;
};
std::string to_bytes(const BinaryFile& file);

// The inverse: fills `file` and returns "", or returns the defect.
std::string parse_binary_file(std::string_view bytes, BinaryFile& file);

}  // namespace grkan
