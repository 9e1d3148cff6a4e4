"""group_rational: the operators of this folder as one differentiable function."""

from typing import Any, Optional

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._ops import add_op_namespace_prefix, ops

_DX, _DA, _DB = 1, 2, 4
_DEVICES = ("cuda", "meta")


@torch.library.register_fake(add_op_namespace_prefix("forward"))
def _forward_fake(
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    variant: str,
    channel_dim: int,
    out_dtype: torch.dtype,
) -> Tensor:
    return x.new_empty(x.shape, dtype=out_dtype)


@torch.library.register_fake(add_op_namespace_prefix("backward"))
def _backward_fake(
    dy: Tensor,
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    variant: str,
    channel_dim: int,
    gradients: int,
) -> tuple[Tensor, Tensor, Tensor]:
    dx, da, db = (
        t.new_empty(t.shape if gradients & which else (0,))
        for t, which in ((x, _DX), (numerator, _DA), (denominator, _DB))
    )
    return dx, da, db


class _GroupRational(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        numerator: Tensor,
        denominator: Tensor,
        variant: str,
        channel_dim: int,
        out_dtype: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(x, numerator, denominator)
        ctx.variant = variant
        ctx.channel_dim = channel_dim
        return ops.forward(x, numerator, denominator, variant, channel_dim, out_dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Optional[Tensor], ...]:
        x, numerator, denominator = ctx.saved_tensors
        needs_x, needs_a, needs_b = ctx.needs_input_grad[:3]
        wanted = needs_x * _DX | needs_a * _DA | needs_b * _DB
        dx, da, db = ops.backward(
            dy, x, numerator, denominator, ctx.variant, ctx.channel_dim, wanted
        )
        return (
            dx if needs_x else None,
            da if needs_a else None,
            db if needs_b else None,
            None,
            None,
            None,
        )


def group_rational(
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    out_dtype: Optional[torch.dtype] = None,
) -> Tensor:
    """y = P(x) / Q(x), with a P and a Q for each group of channels.

    ::

        P(x) = a0 + a1 x + ... + am x^m
        A: Q = 1 + sum |b_i| |x|^i
        B: Q = 1 + |sum b_i x^i|
        C: Q = 0.1 + |sum b_i x^i|, i >= 0
        N: Q = 1 + sum b_i x^i (has poles)
        S: Q = 1 + (sum b_i x^i)^2

    Only what this extension was made for: TASKS lists it, README.md says how to make another. Any
    number of rows is served; the schedules were chosen for those that README.md names.

    Args:
        x: any shape, on a CUDA device. Computed as it lies where it is contiguous, or where its
            channels lie innermost (torch.channels_last); else copied once.
        numerator: [groups, m + 1], from a0 up; groups divides the channels, 1 is shared by all.
        denominator: [groups, n], from b1 up; of variant C [groups, n + 1], from b0 up.
        variant: "A", "B", "C", "N" or "S".
        channel_dim: the dimension of x that holds the channels.
        out_dtype: the type of y; None: that of x.

    Returns:
        y, of the shape of x.

    Raises:
        ValueError: x is not on a CUDA device, or has no dimension channel_dim.
        RuntimeError: no kernel was made for the problem (the message lists those there are), or
            arguments that don't go together.

    Differentiable once, in x and both coefficients.
    """
    if x.device.type not in _DEVICES:
        raise ValueError(f"the kernels of this extension are for CUDA devices; x is on {x.device}")
    if not -x.dim() <= channel_dim < x.dim():
        raise ValueError(f"channel_dim {channel_dim} is none of x, whose shape is {list(x.shape)}")
    dtype = x.dtype if out_dtype is None else out_dtype
    last = x.movedim(channel_dim, -1)
    moved = not x.is_contiguous() and last.is_contiguous()
    if moved:
        x, back, channel_dim = last, channel_dim, -1
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, numerator, denominator)):
        y = _GroupRational.apply(x, numerator, denominator, variant, channel_dim, dtype)
    else:
        y = ops.forward(x, numerator, denominator, variant, channel_dim, dtype)
    return y.movedim(-1, back) if moved else y
