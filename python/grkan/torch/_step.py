"""A model's step, run to see what it calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from grkan.compat._modules import Group
from grkan.compat.rational_kat import FlashKAT_Group
from grkan.errors import InvalidArgument
from grkan.recording import Call, record

from .modules import GRKANLayer, GroupRational


def run_step(model: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Forward, and backward of the sum of all outputs that require gradients.

    Parameters, gradients, buffers and random numbers are left as they were. Of a
    DistributedDataParallel the module inside is run, without communication.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    buffers = [(b, b.detach().clone()) for b in model.buffers() if not is_lazy(b)]
    used = {p.device for p in model.parameters()}
    devices = sorted(d.index for d in used if d.type == "cuda")
    with torch.random.fork_rng(devices=devices):
        try:
            outputs = _tensors(model(*args, **named))
            inputs = [*model.parameters(), *_tensors((args, named))]
            if outputs and torch.is_grad_enabled():
                torch.autograd.grad(
                    outputs,
                    [t for t in inputs if t.requires_grad],
                    [torch.ones_like(t) for t in outputs],
                    allow_unused=True,
                )
        finally:
            with torch.no_grad():
                for buffer, kept in buffers:
                    buffer.copy_(kept)


def calls_of_module(
    module: nn.Module, channels: int | None, inner: int, dtype: torch.dtype | None
) -> list[Call]:
    """What a call of a GR-KAN module calls, forward and backward, seen with one row of zeros."""
    if isinstance(module, GRKANLayer):
        module = module.rational
    if not isinstance(module, (GroupRational, Group, FlashKAT_Group)):
        raise TypeError(
            "explain takes a GR-KAN module (GroupRational, GRKANLayer, those of grkan.compat), not "
            f"{type(module).__name__}; grkan.record(model, ...) finds the calls of a whole model"
        )
    if channels is None:
        channels = getattr(module, "channels", getattr(module, "in_features", None))
    if channels is None:
        raise InvalidArgument(
            f"{type(module).__name__} does not know its channels; give channels=", "channels"
        )
    dim = getattr(module, "channel_dim", -1)
    if dim == -1 and inner != 1:
        raise InvalidArgument(
            f"inner is {inner}, but the module's channels are its input's last dimension; use 1",
            "inner",
        )
    shape = [1] * (dim + 2 if dim >= 0 else max(2, -dim))
    shape[dim] = channels
    if inner != 1:
        shape[dim + 1] = inner
    like = next(module.parameters())
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.zeros(shape, dtype=dtype or like.dtype, device=like.device, requires_grad=True)
        return list(record(module, x))


def _tensors(tree: Any) -> list[Tensor]:
    """Those in a tree that require gradients."""
    return [t for t in tree_leaves(tree) if isinstance(t, Tensor) and t.requires_grad]
