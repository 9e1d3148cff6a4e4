// The one place that says which backend a target has.
#include "core/backend.h"
#include "cpu/schedule.h"
#include "cuda/schedule.h"

namespace grkan {

const Backend& backend_of(const Target& target) {
  if (target.cuda()) return cuda_backend();
  return cpu_backend();
}

}  // namespace grkan
