"""What PyTorch's transforms need to know of the operators: shapes, derivatives, batching."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _ops, composite
from ._codes import DA, DB, DTYPES, DX, TYPES, VARIANT_NAMES
from ._determinism import determinism_code

# ---------------------------------------------------------------- shapes


def _check(x: Tensor, a: Tensor, b: Tensor, channel_dim: int) -> None:
    """What can be known before a call: a graph that can't run is not made. PyTorch asks for shapes
    too where one tensor is on the meta device and another is not."""
    if x.dtype not in TYPES:
        raise TypeError(f"x is {x.dtype}; it must be float32, float64, float16 or bfloat16")
    if not -x.dim() <= channel_dim < x.dim():
        raise ValueError(f"channel_dim {channel_dim} is none of x, whose shape is {list(x.shape)}")
    for name, t in (("numerator", a), ("denominator", b)):
        _check_device(name, t, x)
        if t.dtype not in TYPES or (t.dtype == torch.float64) != (x.dtype == torch.float64):
            raise TypeError(f"{name} is {t.dtype} and x {x.dtype}, which don't go together")
        if t.dim() != 2:
            raise ValueError(
                f"{name} must be [groups, coefficients], but its shape is {list(t.shape)}"
            )
        channels, groups = x.shape[channel_dim], t.shape[0]
        torch._check_value(
            groups > 0 and channels % groups == 0,
            lambda name=name, channels=channels, groups=groups: (
                f"channels {channels} is not a multiple of the {groups} groups of {name}"
            ),
        )


def _check_device(name: str, t: Tensor, x: Tensor) -> None:
    if t.device != x.device:
        raise ValueError(f"{name} is on {t.device}, but x on {x.device}; move one of them")


def _check_like(name: str, t: Tensor, x: Tensor) -> None:
    _check_device(name, t, x)
    if t.shape != x.shape:
        raise ValueError(f"{name} must have x's shape {list(x.shape)}, not {list(t.shape)}")


def _forward_shape(
    x: Tensor, a: Tensor, b: Tensor, variant: int, channel_dim: int, out_dtype: int
) -> Tensor:
    _check(x, a, b, channel_dim)
    return torch.empty_like(x, dtype=DTYPES[out_dtype])


def _backward_shape(
    dy: Tensor,
    x: Tensor,
    a: Tensor,
    b: Tensor,
    variant: int,
    channel_dim: int,
    gradients: int,
    determinism: int,
) -> tuple[Tensor, Tensor, Tensor]:
    _check(x, a, b, channel_dim)
    _check_like("the gradient of y", dy, x)

    def coefficients(t: Tensor, wanted: int) -> Tensor:
        return t.new_empty(t.shape if gradients & wanted else 0)

    dx = torch.empty_like(x) if gradients & DX else x.new_empty(0)
    return dx, coefficients(a, DA), coefficients(b, DB)


for _name in ("forward", "_forward"):
    torch.library.register_fake(f"grkan::{_name}", _forward_shape)
for _name in ("backward", "_backward"):
    torch.library.register_fake(f"grkan::{_name}", _backward_shape)


@torch.library.register_fake("grkan::forward_out")
def _out_shape(
    x: Tensor, a: Tensor, b: Tensor, out: Tensor, variant: int, channel_dim: int
) -> None:
    _check(x, a, b, channel_dim)
    _check_like("out", out, x)


# ---------------------------------------------------------------- derivatives


def _keep_forward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, a, b, variant, channel_dim, _ = inputs
    ctx.save_for_backward(x, a, b)
    ctx.options = variant, channel_dim


def _differentiate_forward(ctx: Any, dy: Tensor, backward: Any = _ops.backward) -> tuple[Any, ...]:
    needs_x, needs_a, needs_b, *_ = ctx.needs_input_grad
    dx, da, db = backward(
        dy,
        *ctx.saved_tensors,
        *ctx.options,
        needs_x * DX | needs_a * DA | needs_b * DB,
        determinism_code(),
    )
    return (
        dx if needs_x else None,
        da if needs_a else None,
        db if needs_b else None,
        None,
        None,
        None,
    )


def _keep_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    dy, x, a, b, variant, channel_dim, gradients, _ = inputs
    ctx.save_for_backward(dy, x, a, b)
    ctx.options = variant, channel_dim, gradients


def _differentiate_backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
    """Second derivatives: those of the backward of the composite."""
    variant, channel_dim, gradients = ctx.options
    saved = ctx.saved_tensors

    def backward(dy: Tensor, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        def forward(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
            return composite.group_rational(
                x, a, b, variant=VARIANT_NAMES[variant], channel_dim=channel_dim, out_dtype=dy.dtype
            )

        return torch.func.vjp(forward, x, a, b)[1](dy)

    asked = tuple(
        g if gradients & flag else torch.zeros_like(t)
        for g, flag, t in zip(cotangents, (DX, DA, DB), saved[1:], strict=True)
    )
    results = torch.func.vjp(backward, *saved)[1](asked)
    return (
        *(g if need else None for g, need in zip(results, ctx.needs_input_grad)),
        None,
        None,
        None,
        None,
    )


torch.library.register_autograd(
    "grkan::forward", _differentiate_forward, setup_context=_keep_forward
)
torch.library.register_autograd(
    "grkan::backward", _differentiate_backward, setup_context=_keep_backward
)

# ---------------------------------------------------------------- batching

# A batch of coefficients is folded into the channels: B calls of G groups are one of B * G groups.


def _from_end(channel_dim: int, x: Tensor, batched: bool) -> int:
    return channel_dim if channel_dim < 0 else channel_dim - (x.dim() - batched)


def _fold_data(x: Tensor, dim: int | None, size: int, channel_dim: int) -> Tensor:
    """[..., C, ...] of each batch entry to [..., B * C, ...]."""
    x = x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
    at = x.dim() + channel_dim  # the channels' place
    return x.movedim(0, at - 1).flatten(at - 1, at)


def _unfold_data(x: Tensor, size: int, channel_dim: int) -> Tensor:
    return x.unflatten(channel_dim, (size, -1)).movedim(channel_dim - 1, 0)


def _fold_coefficients(c: Tensor, dim: int | None, size: int) -> Tensor:
    c = c.expand(size, *c.shape) if dim is None else c.movedim(dim, 0)
    return c.reshape(-1, c.shape[-1])


def _batch_forward(
    info: Any,
    in_dims: tuple[Any, ...],
    x: Tensor,
    a: Tensor,
    b: Tensor,
    variant: int,
    channel_dim: int,
    out_dtype: int,
    forward: Any = _ops.forward,
) -> tuple[Tensor, int]:
    size = info.batch_size
    channel_dim = _from_end(channel_dim, x, in_dims[0] is not None)
    if in_dims[1] is None and in_dims[2] is None:
        return forward(x.movedim(in_dims[0], 0), a, b, variant, channel_dim, out_dtype), 0
    y = forward(
        _fold_data(x, in_dims[0], size, channel_dim),
        _fold_coefficients(a, in_dims[1], size),
        _fold_coefficients(b, in_dims[2], size),
        variant,
        channel_dim,
        out_dtype,
    )
    return _unfold_data(y, size, channel_dim), 0


def _batch_backward(
    info: Any,
    in_dims: tuple[Any, ...],
    dy: Tensor,
    x: Tensor,
    a: Tensor,
    b: Tensor,
    variant: int,
    channel_dim: int,
    gradients: int,
    determinism: int,
    backward: Any = _ops.backward,
) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
    size = info.batch_size
    channel_dim = _from_end(channel_dim, x, in_dims[1] is not None)
    if gradients == DX and in_dims[2] is None and in_dims[3] is None:
        dy, x = (
            t.expand(size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in ((dy, in_dims[0]), (x, in_dims[1]))
        )
        results = backward(dy, x, a, b, variant, channel_dim, gradients, determinism)
        return results, (0, None, None)
    dx, da, db = backward(
        _fold_data(dy, in_dims[0], size, channel_dim),
        _fold_data(x, in_dims[1], size, channel_dim),
        _fold_coefficients(a, in_dims[2], size),
        _fold_coefficients(b, in_dims[3], size),
        variant,
        channel_dim,
        gradients,
        determinism,
    )
    results = (
        _unfold_data(dx, size, channel_dim) if gradients & DX else dx,
        da.unflatten(0, (size, -1)) if gradients & DA else da,
        db.unflatten(0, (size, -1)) if gradients & DB else db,
    )
    return results, tuple(0 if gradients & wanted else None for wanted in (DX, DA, DB))


torch.library.register_vmap("grkan::forward", _batch_forward)
torch.library.register_vmap("grkan::backward", _batch_backward)

# ---------------------------------------------------------------- torch.func

# PyTorch's transforms take a derivative from an autograd.Function with setup_context alone, not
# from an operator.


class Backward(torch.autograd.Function):
    forward = staticmethod(_ops.backward)
    setup_context = staticmethod(_keep_backward)
    backward = staticmethod(_differentiate_backward)

    @staticmethod
    def vmap(*args: Any) -> Any:
        return _batch_backward(*args, backward=Backward.apply)


class Forward(torch.autograd.Function):
    forward = staticmethod(_ops.forward)
    setup_context = staticmethod(_keep_forward)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        return _differentiate_forward(ctx, dy, Backward.apply)

    @staticmethod
    def vmap(*args: Any) -> Any:
        return _batch_forward(*args, forward=Forward.apply)
