// How programs find functions, and what the virtual GPU tells beyond the driver API.
#include <array>
#include <string_view>

#include "virtual_gpu/driver/state.h"

namespace grkan::vgpu::driver {
namespace {

constexpr int kProcSuccess = 0;
constexpr int kProcNotFound = 1;
constexpr int kProcTooNew = 2;  // there is one, for a later version than asked for

struct Entry {
  std::string_view name;
  void* function;
};

#define GRKAN_VIRTUAL_ENTRY(name, parameters) Entry{#name, reinterpret_cast<void*>(&name)},
constexpr int kEntryCount = 0
#define GRKAN_VIRTUAL_COUNT(name, parameters) +1
    GRKAN_VIRTUAL_FUNCTIONS(GRKAN_VIRTUAL_COUNT)
#undef GRKAN_VIRTUAL_COUNT
    ;

const std::array<Entry, kEntryCount>& entries() {
  static const std::array<Entry, kEntryCount> all = {GRKAN_VIRTUAL_FUNCTIONS(GRKAN_VIRTUAL_ENTRY)};
  return all;
}
#undef GRKAN_VIRTUAL_ENTRY

void* find(std::string_view name) {
  for (const Entry& entry : entries()) {
    if (entry.name == name) return entry.function;
  }
  return nullptr;
}

// Functions whose name goes to different ones by version. The rest: NAME_v2 where there is one (all
// of them older than any version in use), else NAME.
struct Versioned {
  std::string_view name;
  int since;
  std::string_view exported;
};
constexpr std::array kVersioned = {
    Versioned{"cuGetProcAddress", 12000, "cuGetProcAddress_v2"},
    Versioned{"cuGetProcAddress", 11030, "cuGetProcAddress"},
    Versioned{"cuCtxCreate", 12050, "cuCtxCreate_v4"},
    Versioned{"cuCtxCreate", 3020, "cuCtxCreate_v2"},
    Versioned{"cuGraphInstantiate", 12000, "cuGraphInstantiateWithFlags"},
    Versioned{"cuStreamBeginCapture", 10010, "cuStreamBeginCapture_v2"},
    Versioned{"cuStreamGetCaptureInfo", 12030, "cuStreamGetCaptureInfo_v3"},
    Versioned{"cuStreamGetCaptureInfo", 11030, "cuStreamGetCaptureInfo_v2"},
};

void* find(std::string_view symbol, int version, int& status) {
  status = kProcSuccess;
  for (const Versioned& v : kVersioned) {
    if (v.name != symbol) continue;
    if (version >= v.since) {
      status = kProcSuccess;
      return find(v.exported);
    }
    status = kProcTooNew;
  }
  if (status == kProcTooNew) return nullptr;
  void* function = find(std::string(symbol) + "_v2");
  if (function == nullptr) function = find(symbol);
  if (function == nullptr) status = kProcNotFound;
  return function;
}

}  // namespace

Result cuDriverGetVersion(int* version) {
  if (version == nullptr) return Result::invalid_value;
  *version = kVersion;
  return Result::success;
}

Result cuGetProcAddress_v2(const char* symbol, void** function, int version, std::uint64_t flags,
                           int* status) {
  if (symbol == nullptr || function == nullptr || flags > 2) return Result::invalid_value;
  *function = nullptr;
  if (version > kVersion) return Result::invalid_value;
  int found = kProcSuccess;
  *function = find(symbol, version, found);
  if (status != nullptr) *status = found;
  return Result::success;
}

Result cuGetProcAddress(const char* symbol, void** function, int version, std::uint64_t flags) {
  int status = kProcSuccess;
  const Result result = cuGetProcAddress_v2(symbol, function, version, flags, &status);
  if (result != Result::success) return result;
  return status == kProcSuccess ? Result::success : Result::not_found;
}

// Tables of a driver's inner functions: there are none. NVRTC asks for them and does without.
Result cuGetExportTable(const void** table, const Uuid*) {
  if (table != nullptr) *table = nullptr;
  return Result::not_supported;
}

const char* grkan_virtual_report() {
  thread_local std::string text;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  text = s.report.json();
  return text.c_str();
}

void grkan_virtual_reset() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.report.clear();
  for (const auto& context : s.contexts) context->fault = Result::success;
}

}  // namespace grkan::vgpu::driver
