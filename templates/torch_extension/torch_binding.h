// The operators, on CUDA tensors. Each finds the kernel that was made for its problem, and says
// which there are when it finds none.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include <cstdint>
#include <string>
#include <tuple>

namespace grkan_extension {

// y = P(x) / Q(x), of x's shape, contiguous. `a` and `b`: coefficients, [groups, terms].
torch::stable::Tensor forward(const torch::stable::Tensor& x, const torch::stable::Tensor& a,
                              const torch::stable::Tensor& b, const std::string& variant,
                              std::int64_t channel_dim, torch::headeronly::ScalarType out_dtype);

// dx, da and db; what `gradients` (1: dx, 2: da, 4: db, or-ed) doesn't ask for has no elements.
std::tuple<torch::stable::Tensor, torch::stable::Tensor, torch::stable::Tensor> backward(
    const torch::stable::Tensor& dy, const torch::stable::Tensor& x, const torch::stable::Tensor& a,
    const torch::stable::Tensor& b, const std::string& variant, std::int64_t channel_dim,
    std::int64_t gradients);

}  // namespace grkan_extension
