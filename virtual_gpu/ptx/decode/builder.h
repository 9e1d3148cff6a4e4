// The program under way: what all functions of a kernel share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "virtual_gpu/ptx/decode/decode.h"

namespace grkan::vgpu {

inline std::size_t rounded_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

struct FunctionInfo {
  std::uint32_t begin = 0;
  std::uint32_t return_slot = kNoSlot;
  std::vector<ParameterPlace> parameters;  // in the thread's frame
  std::vector<ParameterPlace> results;
};

class Builder {
 public:
  Builder(const PtxModule& module, const Symbols& symbols) : module_(module), symbols_(symbols) {}

  std::shared_ptr<const Program> build(const PtxFunction& kernel);
  // A function that another one calls, decoded when it is first asked for. `line`: of the call.
  const FunctionInfo& function(const std::string& name, int line);

  // Slots. `size`: bytes of a lane; 0 for a predicate.
  std::uint32_t constant(int size, std::uint64_t bits);
  std::uint32_t predicate_constant(bool value);
  std::uint32_t special(Special which, int size);
  std::uint32_t register_slot(int size);
  // Dynamic shared memory begins where the static ends, which is known when all is decoded.
  std::uint32_t dynamic_shared(int size, std::uint64_t offset);

  // Offset of a shared variable of known size.
  std::uint64_t shared_address(const PtxVariable& variable, const std::string& owner);
  const std::uint32_t* element_list(const std::vector<std::uint32_t>& slots);
  // Offset of new bytes in the thread's frame.
  std::size_t frame(std::size_t bytes, std::size_t alignment);

  [[nodiscard]] const PtxModule& module() const { return module_; }
  [[nodiscard]] const Symbols& symbols() const { return symbols_; }
  Program& program() { return *program_; }
  std::uint32_t& next_slot() { return next_; }

 private:
  // Constants and specials lie behind the registers; their place is given at the end.
  std::uint32_t static_slot(int size);
  void finish();

  static constexpr std::uint32_t kStatic = 0x80000000U;

  const PtxModule& module_;
  const Symbols& symbols_;
  std::shared_ptr<Program> program_ = std::make_shared<Program>();
  std::map<std::pair<int, std::uint64_t>, std::uint32_t> constants_;
  std::map<std::pair<int, int>, std::uint32_t> specials_;
  std::map<std::string, std::uint64_t> shared_;
  std::map<std::pair<int, std::uint64_t>, std::uint32_t> dynamic_;
  std::vector<std::size_t> dynamic_constants_;  // among the program's constants
  std::vector<std::pair<std::uint32_t*, std::size_t>> lists_;
  std::map<std::string, FunctionInfo, std::less<>> functions_;
  std::set<std::string> under_way_;
  std::uint32_t next_ = 0;
  std::uint32_t static_next_ = 0;
};

}  // namespace grkan::vgpu
