"""group_rational: the activation as a function of PyTorch tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import _ops, composite
from ._codes import DA, DB, DTYPES, DX, TYPES, VARIANT_NAMES, VARIANTS, type_code, variant_code
from ._determinism import determinism_code
from ._rules import Backward, Forward

__all__ = ["group_rational", "set_thread_pool"]

# Looked up once: a call is a few microseconds.
_any_autocast = torch._C._is_any_autocast_enabled
_is_traced = torch.compiler.is_dynamo_compiling  # other tracers bring tensors of their own types
_is_grad_enabled = torch.is_grad_enabled
_raw_backward = _ops.raw_backward
_raw_forward = _ops.raw_forward
_transformed = torch._C._are_functorch_transforms_active
_forward_mode = torch.autograd.forward_ad
_PLAIN = frozenset((Tensor, torch.nn.Parameter))


def set_thread_pool(pool: str) -> None:
    """Chooses the threads of CPU calls: "torch" (the default) or "own", grkan's.

    Both use ``torch.get_num_threads()`` of them. PyTorch's are awake right after another operator;
    grkan's own suffer less where several processes share the cores. A forked child always uses
    its own.

    Raises:
        ValueError: another name.
    """
    if pool not in ("torch", "own"):
        raise ValueError(f"pool must be torch or own, not {pool!r}")
    _ops.set_own_pool(int(pool == "own"))


class _GroupRational(torch.autograd.Function):
    """The eager path: a fifth of what the operator's registered derivative costs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, options: tuple[int, int, int]) -> Tensor:
        ctx.save_for_backward(x, a, b)
        ctx.options = options
        return _raw_forward(x, a, b, *options)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        # With create_graph, or batched, what has rules.
        if _is_grad_enabled() or type(dy) is not Tensor:
            backward = _ops.backward
        else:
            backward = Backward.apply if _transformed() else _raw_backward
        x, a, b = ctx.saved_tensors
        variant, channel_dim, _ = ctx.options
        needs_x, needs_a, needs_b, _ = ctx.needs_input_grad
        dx, da, db = backward(
            dy,
            x,
            a,
            b,
            variant,
            channel_dim,
            needs_x * DX | needs_a * DA | needs_b * DB,
            determinism_code(),
        )
        return dx if needs_x else None, da if needs_a else None, db if needs_b else None, None


# Function.apply without its frame of Python, which serves setup_context and transforms.
_apply = super(torch.autograd.Function, _GroupRational).apply


def _autocast_type(x: Tensor) -> int:
    """Under autocast float32 comes out as the type that the next linear layer takes."""
    device = x.device.type
    if x.dtype == torch.float32 and torch.is_autocast_enabled(device):
        return TYPES.get(torch.get_autocast_dtype(device), 0)
    return 0


def _must_be_dense(**tensors: Any) -> None:
    """Says what PyTorch's dispatcher, which has no kernel for it, says at length."""
    for name, t in tensors.items():
        if not isinstance(t, Tensor):
            raise TypeError(f"{name} is {type(t).__name__}; a torch.Tensor is needed") from None
        if t.layout != torch.strided or t.is_quantized or t.is_nested:
            kind = "nested" if t.is_nested else "quantized" if t.is_quantized else str(t.layout)
            raise TypeError(f"{name} is {kind}; a dense tensor is needed") from None


def _has_tangents() -> bool:
    """Whether torch.func differentiates in forward mode, at any level."""
    levels = torch._C._functorch.get_interpreter_stack() or ()
    return any(level.key() == torch._C._functorch.TransformType.Jvp for level in levels)


def rational(
    x: Tensor, a: Tensor, b: Tensor, variant: int, channel_dim: int, out_type: int
) -> Tensor:
    """group_rational with names looked up: see _codes."""
    if _is_traced():
        return _ops.forward(x, a, b, variant, channel_dim, out_type or _autocast_type(x))
    if out_type == 0 and _any_autocast():
        out_type = _autocast_type(x)
    if _forward_mode._current_level >= 0 or (_transformed() and _has_tangents()):
        return composite.group_rational(
            x,
            a,
            b,
            variant=VARIANT_NAMES[variant],
            channel_dim=channel_dim,
            out_dtype=DTYPES[out_type] if out_type else None,
        )
    try:
        if _transformed():
            return Forward.apply(x, a, b, variant, channel_dim, out_type)
        if type(x) not in _PLAIN or type(a) not in _PLAIN or type(b) not in _PLAIN:
            return _ops.forward(x, a, b, variant, channel_dim, out_type)
        if _is_grad_enabled() and (x.requires_grad or a.requires_grad or b.requires_grad):
            return _apply(x, a, b, (variant, channel_dim, out_type))
        return _raw_forward(x, a, b, variant, channel_dim, out_type)
    except RuntimeError as error:
        _must_be_dense(x=x, numerator=a, denominator=b)
        raise _ops.error_of(error) from None


def group_rational(
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    out_dtype: torch.dtype | None = None,
    inplace: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """y = P(x) / Q(x), with a P and a Q for each group of channels.

    ::

        P(x) = a0 + a1 x + ... + am x^m
        A: Q = 1 + sum |b_i| |x|^i
        B: Q = 1 + |sum b_i x^i|
        C: Q = 0.1 + |sum b_i x^i|, i >= 0
        N: Q = 1 + sum b_i x^i (has poles)
        S: Q = 1 + (sum b_i x^i)^2 (smooth, without poles)

    A is what every published KAT kernel computes, B the formula of the KAT paper
    (https://arxiv.org/abs/2409.10594). Channels are split into contiguous groups of equal width.

    Args:
        x: any shape, float32, float64, float16 or bfloat16, on a CPU or a CUDA device. Any dense
            memory order is computed as it lies (channels_last too); so are rows with gaps between
            them. Other views are copied once.
        numerator: [groups, m + 1], from a0 up; groups divides the channels, 1 is shared by all.
        denominator: [groups, n], from b1 up; of variant C [groups, n + 1], from b0 up.
            Both float64 with float64 x, else float32, float16 or bfloat16; computed in float32.
        variant: "A", "B", "C", "N" or "S".
        channel_dim: the dimension of x that holds the channels.
        out_dtype: the type of y; None: that of x, but under autocast float32 x gives autocast's
            type. float32 goes with float16 and bfloat16 either way.
        inplace: writes y over x. Without gradients alone.
        out: writes y there; of x's shape. Without gradients alone.

    Returns:
        y, of the shape and memory order of x.

    Raises:
        ValueError: shapes, groups, a variant or devices that don't go together.
        TypeError: types that don't go together.
        RuntimeError: in-place or out with gradients; no kernel; what a driver reports.

    Second derivatives and forward mode are right but slow: they go by plain PyTorch operations.
    """
    code = VARIANTS.get(variant) or variant_code(variant)
    out_type = 0 if out_dtype is None else type_code(out_dtype)
    if channel_dim >= 0:  # counted from the end it stays right under vmap
        channel_dim -= x.dim()
        if channel_dim >= 0:
            raise ValueError(
                f"channel_dim {channel_dim + x.dim()} is none of x, whose shape is {list(x.shape)}"
            )
    if not inplace and out is None:
        return rational(x, numerator, denominator, code, channel_dim, out_type)

    out = x if out is None else out
    if out_type not in (0, TYPES.get(out.dtype)):
        raise TypeError(f"out_dtype is {out_dtype}, but out is {out.dtype}; leave one of them away")
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, numerator, denominator, out)):
        raise RuntimeError(
            "inplace and out have no gradients, but an argument requires one; "
            "call under torch.no_grad(), or without them"
        )
    if inplace and out is not x:
        raise ValueError("inplace writes over x, but out is another tensor; give one of them")
    if torch.compiler.is_compiling():
        if out.shape != x.shape:
            raise ValueError(f"out must have x's shape {list(x.shape)}, not {list(out.shape)}")
        # A graph has no use for overlapping arguments.
        return out.copy_(
            _ops.forward(x, numerator, denominator, code, channel_dim, TYPES[out.dtype])
        )
    try:
        _ops.forward_out(x, numerator, denominator, out, code, channel_dim)
    except RuntimeError as error:
        _must_be_dense(x=x, numerator=numerator, denominator=denominator, out=out)
        raise _ops.error_of(error) from None
    if not out.is_inference():
        torch.autograd.graph.increment_version(out)  # what was saved for a backward pass is gone
    return out
