// CPU tensors in the place of CUDA ones: what PyTorch would tell of a CUDA device, and a queue()
// that takes a call's tensors to the virtual GPU and back. The extension's own is compiled under
// another name (-Dqueue=queue_on_device).
#include <torch/csrc/stable/c/shim.h>

#include <vector>

#include "launch.h"
#include "virtual_runtime.h"

extern "C" {

int32_t aoti_torch_device_type_cuda() { return aoti_torch_device_type_cpu(); }
AOTITorchError aoti_torch_create_device_guard(int32_t /*index*/, DeviceGuardHandle* guard) {
  *guard = nullptr;
  return 0;
}
AOTITorchError aoti_torch_delete_device_guard(DeviceGuardHandle /*guard*/) { return 0; }
AOTITorchError aoti_torch_get_current_cuda_stream(int32_t /*index*/, void** stream) {
  *stream = nullptr;
  return 0;
}
const char* grkan_test_report() { return virtual_runtime::report(); }

}  // extern "C"

namespace grkan_extension {

int queue_on_device(const Kernel& kernel, const Grid& grid, const Call& call, void* workspace,
                    void* stream);

namespace {

std::size_t size_of(Type type) {
  if (type == f64) return 8;
  return type == f32 ? 4 : 2;
}

// A tensor on the device for as long as a call lasts, as aligned as on the host.
class Moved {
 public:
  Moved(const void* host, std::size_t bytes)
      : host_(host),
        bytes_(host == nullptr ? 0 : bytes),
        shift_(reinterpret_cast<std::uintptr_t>(host) % 64) {
    if (host == nullptr) return;
    memory_ = static_cast<char*>(virtual_runtime::allocate(bytes_ + shift_));
    virtual_runtime::to_device(get(), host, bytes_);
  }
  Moved(const Moved&) = delete;
  Moved& operator=(const Moved&) = delete;
  ~Moved() {
    if (memory_ != nullptr) virtual_runtime::release(memory_);
  }
  [[nodiscard]] void* get() const { return memory_ == nullptr ? nullptr : memory_ + shift_; }
  void back() const {
    if (memory_ != nullptr) virtual_runtime::to_host(const_cast<void*>(host_), get(), bytes_);
  }

 private:
  const void* host_;
  std::size_t bytes_;
  std::size_t shift_;
  char* memory_ = nullptr;
};

}  // namespace

int queue(const Kernel& kernel, const Grid& grid, const Call& call, void* workspace, void* stream) {
  const Problem& p = kernel.problem;
  const auto elements = std::size_t(call.rows * call.inner * p.channels);
  const std::size_t a_terms = std::size_t(p.numerator_degree) + 1;
  const std::size_t b_terms = std::size_t(p.denominator_degree) + (p.variant == 'C' ? 1 : 0);
  const std::size_t a_bytes = std::size_t(p.numerator_groups) * a_terms * size_of(p.coefficients);
  const std::size_t b_bytes = std::size_t(p.denominator_groups) * b_terms * size_of(p.coefficients);
  const Moved x(call.x, elements * size_of(p.x));
  const Moved dy(call.dy, elements * size_of(p.y));
  const Moved out(call.out, elements * size_of(kernel.gradients == 0 ? p.y : p.x));
  const Moved a(call.a, a_bytes);
  const Moved b(call.b, b_bytes);
  const Moved da(call.da, a_bytes);
  const Moved db(call.db, b_bytes);
  const Moved sums(workspace, grid.workspace);
  Call moved = call;
  moved.x = x.get();
  moved.dy = dy.get();
  moved.out = out.get();
  moved.a = a.get();
  moved.b = b.get();
  moved.da = da.get();
  moved.db = db.get();
  const int error = queue_on_device(kernel, grid, moved, sums.get(), stream);
  for (const Moved* output : {&out, &da, &db}) output->back();
  return error;
}

}  // namespace grkan_extension
