// The hand-made declarations of python/src/torch_abi.h against PyTorch's headers: this compiles, or
// it fails.
#include "python/src/torch_abi.h"

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/c/shim.h>

#include <type_traits>

#include "tests/support/same_function.h"

#ifndef TORCH_VERSION_2_13_0  // before which it is not there, and nothing is to be compared
extern "C" const char* torch_exception_get_what_without_backtrace();
#endif

namespace grkan::torch {
namespace {

#define GRKAN_TORCH_SAME(symbol, name, result, parameters)                     \
  static_assert(SameFunction<decltype(Abi::name), decltype(&::symbol)>::value, \
                #symbol " is declared otherwise in PyTorch's headers");
GRKAN_TORCH_FUNCTIONS(GRKAN_TORCH_SAME)
GRKAN_TORCH_OPTIONAL_FUNCTIONS(GRKAN_TORCH_SAME)

static_assert(std::is_same_v<Slot, StableIValue>);
static_assert(kVersion == TORCH_VERSION_2_10_0);
static_assert(std::is_same_v<RangeBody, ParallelFunc>);

}  // namespace
}  // namespace grkan::torch

int main() { return 0; }
