// PyTorch's operators by its stable ABI: one binary for every PyTorch from 2.10 on.
#include "torch_binding.h"

#include <cuda_runtime_api.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#include "../csrc/launch.h"
#include "registration.h"

// Declared by PyTorch's header where USE_CUDA is defined.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index,
                                                             void** ret_stream);

namespace grkan_extension {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

Type type_of(ScalarType dtype, const char* name) {
  switch (dtype) {
    case ScalarType::Float:
      return f32;
    case ScalarType::Double:
      return f64;
    case ScalarType::Half:
      return f16;
    case ScalarType::BFloat16:
      return bf16;
    default:
      STD_TORCH_CHECK(false, name, " must be float32, float64, float16 or bfloat16, not ",
                      torch::headeronly::toString(dtype));
      return f32;
  }
}

void cuda_check(int error, const char* doing) {
  STD_TORCH_CHECK(error == cudaSuccess, doing,
                  " failed: ", cudaGetErrorString(static_cast<cudaError_t>(error)));
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  cuda_check(cudaDeviceGetAttribute(&value, which, device), "asking for the device's figures");
  return value;
}

// What a call is about, checked.
struct Place {
  Problem problem{};
  std::int64_t rows = 1;
  std::int64_t inner = 1;
  int device = 0;
  int multiprocessors = 0;
};

void check_coefficients(const Tensor& tensor, const char* name, const Tensor& x,
                        std::int64_t channels) {
  STD_TORCH_CHECK(tensor.is_cuda() && tensor.get_device_index() == x.get_device_index(), name,
                  " must be on x's device");
  STD_TORCH_CHECK(tensor.dim() == 2, name, " must be [groups, coefficients], but it has ",
                  tensor.dim(), " dimensions");
  const std::int64_t groups = tensor.size(0);
  STD_TORCH_CHECK(groups > 0 && channels % groups == 0, name, " has ", groups,
                  " groups, which do not divide x's ", channels, " channels");
}

Place place_of(const Tensor& x, const Tensor& a, const Tensor& b, const std::string& variant,
               std::int64_t channel_dim, ScalarType y_type) {
  STD_TORCH_CHECK(x.is_cuda(), "x must be on a CUDA device");
  const std::int64_t dimensions = x.dim();
  STD_TORCH_CHECK(-dimensions <= channel_dim && channel_dim < dimensions, "channel_dim ",
                  channel_dim, " is none of x's ", dimensions, " dimensions");
  STD_TORCH_CHECK(variant.size() == 1, "variant must be A, B, C, N or S, not '", variant, "'");
  const std::int64_t axis = channel_dim < 0 ? channel_dim + dimensions : channel_dim;
  Place place;
  Problem& p = place.problem;
  p.channels = x.size(axis);
  STD_TORCH_CHECK(p.channels > 0, "x has no channels");
  for (std::int64_t d = 0; d < axis; ++d) place.rows *= x.size(d);
  for (std::int64_t d = axis + 1; d < dimensions; ++d) place.inner *= x.size(d);
  check_coefficients(a, "numerator", x, p.channels);
  check_coefficients(b, "denominator", x, p.channels);
  p.variant = variant[0];
  p.numerator_groups = a.size(0);
  p.denominator_groups = b.size(0);
  p.numerator_degree = static_cast<int>(a.size(1)) - 1;
  p.denominator_degree = static_cast<int>(b.size(1)) - (p.variant == 'C' ? 1 : 0);
  p.x = type_of(x.scalar_type(), "x");
  p.y = type_of(y_type, "the output");
  p.coefficients = type_of(a.scalar_type(), "numerator");
  STD_TORCH_CHECK(a.scalar_type() == b.scalar_type(),
                  "numerator and denominator must have one dtype");
  p.channels_first = place.inner != 1;
  place.device = x.get_device_index();
  place.multiprocessors = attribute(cudaDevAttrMultiProcessorCount, place.device);
  return place;
}

const Kernel& kernel_of(Place& place, unsigned gradients) {
  const int capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor, place.device) +
                         attribute(cudaDevAttrComputeCapabilityMinor, place.device);
  Problem& p = place.problem;
  const Kernel* kernel = find(p, gradients, capability, place.rows, place.inner);
  if (kernel == nullptr && place.inner == 1) {  // both layouts are one and the same
    p.channels_first = true;
    kernel = find(p, gradients, capability, place.rows, place.inner);
    if (kernel == nullptr) p.channels_first = false;
  }
  STD_TORCH_CHECK(kernel != nullptr, why_none(p, gradients, capability));
  return *kernel;
}

// The tensor as kernels read it; a copy where its memory is not that way.
Tensor dense(const Tensor& tensor, const Kernel& kernel) {
  Tensor read = torch::stable::contiguous(tensor);
  const auto address = reinterpret_cast<std::uintptr_t>(read.const_data_ptr());
  const bool aligned = !needs_alignment(kernel) || address % kAlignment == 0;
  return aligned ? read : torch::stable::clone(read);
}

void run(const Place& place, const Kernel& kernel, const Call& call, const Tensor& like) {
  const Grid grid = grid_of(kernel, call.rows, call.inner, place.multiprocessors);
  STD_TORCH_CHECK(grid.x > 0, "x is too large for one launch; split it");
  const std::int64_t bytes[] = {static_cast<std::int64_t>(grid.workspace)};
  Tensor workspace = torch::stable::new_empty(like, bytes, ScalarType::Byte);
  void* stream = nullptr;
  STD_TORCH_CHECK(aoti_torch_get_current_cuda_stream(place.device, &stream) == 0,
                  "PyTorch told no current stream");
  cuda_check(queue(kernel, grid, call, workspace.mutable_data_ptr(), stream), kernel.task);
}

Tensor nothing(const Tensor& like) {
  const std::int64_t size[] = {0};
  return torch::stable::new_empty(like, size);
}

}  // namespace

Tensor forward(const Tensor& x, const Tensor& a, const Tensor& b, const std::string& variant,
               std::int64_t channel_dim, ScalarType out_dtype) {
  Place place = place_of(x, a, b, variant, channel_dim, out_dtype);
  const torch::stable::accelerator::DeviceGuard guard(place.device);
  const Kernel& kernel = kernel_of(place, 0);
  Tensor y = torch::stable::new_empty(x, x.sizes(), out_dtype);
  if (x.numel() == 0) return y;
  const Tensor x_read = dense(x, kernel);
  const Tensor a_read = torch::stable::contiguous(a);
  const Tensor b_read = torch::stable::contiguous(b);
  Call call;
  call.rows = place.rows;
  call.inner = place.inner;
  call.x = x_read.const_data_ptr();
  call.out = y.mutable_data_ptr();
  call.a = a_read.const_data_ptr();
  call.b = b_read.const_data_ptr();
  run(place, kernel, call, x);
  return y;
}

std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& dy, const Tensor& x, const Tensor& a,
                                            const Tensor& b, const std::string& variant,
                                            std::int64_t channel_dim, std::int64_t gradients) {
  STD_TORCH_CHECK(0 < gradients && gradients < 8, "gradients must be 1 to 7, not ", gradients);
  Place place = place_of(x, a, b, variant, channel_dim, dy.scalar_type());
  STD_TORCH_CHECK(dy.is_cuda() && dy.get_device_index() == place.device,
                  "the output's gradient must be on x's device");
  STD_TORCH_CHECK(dy.sizes().equals(x.sizes()), "the output's gradient must have x's shape");
  const torch::stable::accelerator::DeviceGuard guard(place.device);
  const auto wanted = static_cast<unsigned>(gradients);
  const Kernel& kernel = kernel_of(place, wanted);
  const bool empty = x.numel() == 0;
  // What the kernel computes and nobody asked for has to go somewhere.
  const unsigned made = empty ? wanted : kernel.gradients;
  const auto output = [&](unsigned which, const Tensor& like) {
    if ((made & which) == 0) return nothing(like);
    return empty ? torch::stable::new_zeros(like, like.sizes())
                 : torch::stable::new_empty(like, like.sizes());
  };
  Tensor dx = output(kDx, x);
  Tensor da = output(kDa, a);
  Tensor db = output(kDb, b);
  if (!empty) {
    const Tensor x_read = dense(x, kernel);
    const Tensor dy_read = dense(dy, kernel);
    const Tensor a_read = torch::stable::contiguous(a);
    const Tensor b_read = torch::stable::contiguous(b);
    Call call;
    call.rows = place.rows;
    call.inner = place.inner;
    call.x = x_read.const_data_ptr();
    call.dy = dy_read.const_data_ptr();
    call.a = a_read.const_data_ptr();
    call.b = b_read.const_data_ptr();
    if ((made & kDx) != 0) call.out = dx.mutable_data_ptr();
    if ((made & kDa) != 0) call.da = da.mutable_data_ptr();
    if ((made & kDb) != 0) call.db = db.mutable_data_ptr();
    run(place, kernel, call, x);
  }
  return {(wanted & kDx) != 0 ? dx : nothing(x), (wanted & kDa) != 0 ? da : nothing(a),
          (wanted & kDb) != 0 ? db : nothing(b)};
}

}  // namespace grkan_extension

STABLE_TORCH_LIBRARY_EXPAND(TORCH_EXTENSION_NAME, ops) {
  ops.def(
      "forward(Tensor x, Tensor numerator, Tensor denominator, str variant, int channel_dim, "
      "ScalarType out_dtype) -> Tensor");
  ops.def(
      "backward(Tensor dy, Tensor x, Tensor numerator, Tensor denominator, str variant, "
      "int channel_dim, int gradients) -> (Tensor, Tensor, Tensor)");
}

STABLE_TORCH_LIBRARY_IMPL_EXPAND(TORCH_EXTENSION_NAME, CUDA, ops) {
  ops.impl("forward", TORCH_BOX(&grkan_extension::forward));
  ops.impl("backward", TORCH_BOX(&grkan_extension::backward));
}

REGISTER_EXTENSION(TORCH_EXTENSION_NAME)
