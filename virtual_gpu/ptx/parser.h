// PTX text to its tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "virtual_gpu/ptx/token_reader.h"

namespace grkan::vgpu {

class Parser : TokenReader {
 public:
  explicit Parser(std::string_view text) : TokenReader(text) {}

  PtxModule parse();

 private:
  // The module: directives and variables.
  void top_level();
  void target();
  void declaration();
  static std::optional<Space> variable_space(std::string_view directive);
  PtxType type(std::string_view what);
  // After its space directive, up to but not including ';'.
  PtxVariable variable(Space space, bool external, PtxFunction* owner);
  std::size_t alignment();
  void initial(PtxVariable& v, std::size_t element);
  void initial_values(PtxVariable& v, std::size_t element, std::size_t& at);

  // Functions, their statements and operands.
  void function(bool entry);
  std::vector<int> formal_parameters();
  int declare_variable(Space space);
  void performance_directives(PtxFunction& f);
  void body();
  void statement();
  void label();
  void registers();
  void add_register(std::string name, PtxType t, int line);
  // The innermost register or variable of that name; else a symbol of the module.
  [[nodiscard]] PtxOperand resolve(std::string name) const;
  void instruction();
  PtxOperand operand();
  PtxOperand literal();
  // After '['.
  PtxOperand address();
  PtxOperand list();

  struct Scope {
    int number;
    std::map<std::string, int, std::less<>> registers;
    std::map<std::string, int, std::less<>> variables;
  };

  PtxModule module_;
  PtxFunction* function_ = nullptr;  // that is being read
  std::vector<Scope> scopes_;        // of it, the innermost last
};

}  // namespace grkan::vgpu
