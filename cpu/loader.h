// Loads a generated CPU object (a relocatable ELF64 file, as in Binary::code) into memory, without
// LLVM: its sections are copied side by side, relocated, and protected (code read and execute, data
// read only). The objects have no undefined symbol and no writable data.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cpu/call.h"

namespace grkan {

class CpuModule {
 public:
  // Throws io_error, naming what was expected and found, on anything that isn't a well-formed
  // object of this machine: no byte sequence may crash it. Undefined symbols, unknown relocations
  // and writable sections are such errors too. The bytes aren't needed afterwards.
  explicit CpuModule(std::string_view object);
  ~CpuModule();
  CpuModule(CpuModule&& other) noexcept;
  CpuModule& operator=(CpuModule&& other) noexcept;
  CpuModule(const CpuModule&) = delete;
  CpuModule& operator=(const CpuModule&) = delete;

  // The function of that name; throws io_error, naming it, where there is none. Valid as long as
  // the module.
  [[nodiscard]] CpuKernel entry(std::string_view symbol) const;

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
  std::vector<std::pair<std::string, CpuKernel>> functions_;
};

}  // namespace grkan
