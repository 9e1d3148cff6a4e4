// glibc has arc4random from 2.36 on, and archives that were built beside such a one ask for it:
// libstdc++ (std::random_device) and LLVM (names of temporary files). With this one in it, which
// nothing outside sees, a binary starts beside glibc 2.34 too.
#include <sys/random.h>

#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() noexcept {
  std::uint32_t value = 0;
  // So few bytes come whole, or not at all: before the system has gathered enough, or where a
  // filter of system calls forbids it.
  if (getrandom(&value, sizeof value, 0) != sizeof value) std::abort();
  return value;
}
