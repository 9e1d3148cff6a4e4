// What main() of a bench does with an error: its message on standard error, and exit 1.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <exception>

namespace grkan {

inline int guarded(int (*run)(int, char**), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

}  // namespace grkan
