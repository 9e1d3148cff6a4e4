#include "cache/binary_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cache/files.h"

namespace grkan {
namespace {

constexpr std::string_view kMagic = "GRKANBIN";
constexpr std::size_t kHeader = 32;
constexpr std::size_t kChecksum = 32;

void put(std::string& bytes, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) bytes += char(value >> unsigned(8 * i) & 0xFFU);
}

std::uint64_t get(std::string_view bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + std::size_t(i)])}
             << unsigned(8 * i);
  }
  return value;
}

}  // namespace

std::string to_text(const BinaryKey& key) {
  const nlohmann::ordered_json json = {
      {"task", to_string(key.task)}, {"schedule", key.compiled_schedule},
      {"target", key.target.name},   {"compiler", key.compiler},
      {"generator", key.generator},  {"source_hash", key.source_hash}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string binary_path(std::string_view key_hash) {
  return fmt::format("binaries/{}/{}.grkan", key_hash.substr(0, 2), key_hash);
}

std::string to_bytes(const BinaryFile& file) {
  std::string bytes(kMagic);
  put(bytes, kBinaryFileVersion, 4);
  put(bytes, 0, 4);
  put(bytes, file.key.size(), 8);
  put(bytes, file.payload.size(), 8);
  bytes += file.key;
  bytes += file.payload;
  bytes += content_hash(bytes);
  return bytes;
}

std::string parse_binary_file(std::string_view bytes, BinaryFile& file) {
  if (!bytes.starts_with(kMagic)) return "not a grkan binary";
  if (bytes.size() < kHeader + kChecksum) {
    return fmt::format("truncated: {} bytes are less than a header", bytes.size());
  }
  const std::uint64_t version = get(bytes, 8, 4);
  if (version != kBinaryFileVersion) {
    return fmt::format("of format version {}; this grkan reads version {}", version,
                       kBinaryFileVersion);
  }
  const std::uint64_t key = get(bytes, 16, 8);
  const std::uint64_t payload = get(bytes, 24, 8);
  const std::uint64_t room = bytes.size() - kHeader - kChecksum;
  if (key > room || payload != room - key) {
    return fmt::format("truncated or damaged: {} bytes with a key of {} and a payload of {}",
                       bytes.size(), key, payload);
  }
  if (content_hash(bytes.substr(0, bytes.size() - kChecksum)) !=
      bytes.substr(bytes.size() - kChecksum)) {
    return "damaged: the checksum does not match";
  }
  file.key = bytes.substr(kHeader, key);
  file.payload = bytes.substr(kHeader + key, payload);
  return {};
}

}  // namespace grkan
