"""Drop-in for the package kat_rational (https://github.com/Adamdad/rational_kat_cu).

KAT_Group, KAT_Group2D and KAT_Group_Torch keep their constructors, parameters and state_dicts:
``weight_numerator`` [1, 6] and ``weight_denominator`` [num_groups, 4]. On every device all compute

    y = (a0 + a1 x + ... + a5 x^5) / (1 + |b1| |x| + ... + |b4| |x|^4)

which is what that package's GPU kernels compute; its path for the CPU has no |x| and is another
function. Also taken: ``order=(m, n)`` or ``poly_order=(m, n)``, by name or as the second argument,
as in forks; and ``half_output=True``, with which autocast gets 16 bits rather than the float32
that the package returns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._modules import Apply, Group, apply_rational, check_groups, rational_backward

__all__ = [
    "KAT_Group",
    "KAT_Group2D",
    "KAT_Group_Torch",
    "RationalTriton1DGroup",
    "RationalTriton2D",
    "Rational_CUDA_A_1DGroup",
    "rational_1dgroup",
    "rational_bwd_triton",
    "rational_bwd_triton_2d",
    "rational_fwd_triton",
    "rational_fwd_triton_2d",
]


class KAT_Group(Group):
    """``KAT_Group(num_groups=8, mode="gelu", device="cuda")``; input [..., channels].

    device is taken and ignored: parameters are where they are moved to, as in any module.
    """


class KAT_Group_Torch(Group):
    """``KAT_Group_Torch(num_groups=8, mode="gelu")``; input [..., channels]."""


class KAT_Group2D(Group):
    """``KAT_Group2D(num_groups=8, mode="gelu", device="cuda")``; input [batch, channels, height,
    width], in either memory format."""

    channel_dim = -3


RationalTriton1DGroup = Apply
rational_1dgroup = Apply


class RationalTriton2D:
    """``RationalTriton2D.apply(input, weight_numerator, weight_denominator, group)``; input [batch,
    channels, height, width]."""

    @staticmethod
    def apply(
        input: Tensor,
        weight_numerator: Tensor,
        weight_denominator: Tensor,
        group: int | None = None,
    ) -> Tensor:
        check_groups(weight_denominator, group)
        return apply_rational(input, weight_numerator, weight_denominator, channel_dim=-3)


def Rational_CUDA_A_1DGroup(
    x: Tensor, weight_numerator: Tensor, weight_denominator: Tensor, group: int | None = None
) -> Tensor:
    """As RationalTriton1DGroup.apply."""
    return Apply.apply(x, weight_numerator, weight_denominator, group)


def rational_fwd_triton(x: Tensor, n: Tensor, d: Tensor, group: int | None = None) -> Tensor:
    """As RationalTriton1DGroup.apply, without gradients."""
    with torch.no_grad():
        return Apply.apply(x, n, d, group)


def rational_bwd_triton(
    grad_output: Tensor, x: Tensor, n: Tensor, d: Tensor, group: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, n and d, those of n and d in float32."""
    check_groups(d, group)
    return rational_backward(grad_output, x, n, d)


def rational_fwd_triton_2d(x: Tensor, n: Tensor, d: Tensor, group: int | None = None) -> Tensor:
    """As RationalTriton2D.apply, without gradients."""
    with torch.no_grad():
        return RationalTriton2D.apply(x, n, d, group)


def rational_bwd_triton_2d(
    grad_output: Tensor, x: Tensor, n: Tensor, d: Tensor, group: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """As rational_bwd_triton, for [batch, channels, height, width]."""
    check_groups(d, group)
    return rational_backward(grad_output, x, n, d, channel_dim=-3)
