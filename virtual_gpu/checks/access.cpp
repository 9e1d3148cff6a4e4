#include "virtual_gpu/checks/access.h"

namespace grkan::vgpu {

const char* verb(AccessKind kind) {
  switch (kind) {
    case AccessKind::load:
      return "reads";
    case AccessKind::store:
      return "writes";
    default:
      return "updates";
  }
}

}  // namespace grkan::vgpu
