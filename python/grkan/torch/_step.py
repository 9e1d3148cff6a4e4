"""A model's step, run to see what it calls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves


def run_step(model: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Forward, and backward of the sum of all outputs that require gradients.

    Parameters, gradients, buffers and random numbers are left as they were. Of a
    DistributedDataParallel the module inside is run, without communication.
    """
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not is_lazy(buffer)
    ]
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
                for module, name, buffer, kept in buffers:
                    module._buffers[name] = buffer  # the step may have put another there
                    buffer.copy_(kept)


def _tensors(tree: Any) -> list[Tensor]:
    """Those in a tree that require gradients."""
    return [t for t in tree_leaves(tree) if isinstance(t, Tensor) and t.requires_grad]
