"""The same function in plain PyTorch: slow, and differentiable as often as one likes."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["group_rational"]


def _absolute(x: Tensor) -> Tensor:
    # The derivative is the sign bit's, as the kernels have it: that of torch.abs is 0 at 0.
    return torch.where(torch.signbit(x), -x, x)


def _polynomial(x: Tensor, terms: Tensor) -> Tensor:
    """sum_i terms[..., i] x^i, by Horner; terms is [channels, n], x [..., channels]."""
    count = terms.shape[-1]
    if count == 0:
        return torch.zeros_like(x)
    result = terms[:, count - 1].expand_as(x)
    for i in range(count - 2, -1, -1):
        result = result * x + terms[:, i]
    return result


def _for_channels(terms: Tensor, channels: int) -> Tensor:
    groups, count = terms.shape
    width = channels // groups
    return terms.unsqueeze(1).expand(groups, width, count).reshape(channels, count)


def group_rational(
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """As grkan.torch.group_rational, by PyTorch's own operations.

    16-bit data is computed in float32, as the kernels do.
    """
    math = torch.float64 if x.dtype == torch.float64 else torch.float32
    v = x.movedim(channel_dim, -1).to(math)
    a = _for_channels(numerator.to(math), v.shape[-1])
    b = _for_channels(denominator.to(math), v.shape[-1])
    p = _polynomial(v, a)
    if variant == "A":
        v = _absolute(v)
        # sign(0) is +1 for b, so that a zero can learn.
        q = 1 + v * _polynomial(v, torch.where(b < 0, -b, b))
    elif variant == "B":
        q = 1 + _absolute(v * _polynomial(v, b))
    elif variant == "C":
        q = 0.1 + _absolute(_polynomial(v, b))
    elif variant == "N":
        q = 1 + v * _polynomial(v, b)
    else:
        q = 1 + (v * _polynomial(v, b)).square()
    return (p / q).to(out_dtype or x.dtype).movedim(-1, channel_dim)
