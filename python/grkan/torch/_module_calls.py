"""What a GR-KAN module calls, without a model around it."""

from __future__ import annotations

import torch
from torch import nn

from grkan.compat._modules import Group
from grkan.compat.rational_kat import FlashKAT_Group
from grkan.errors import InvalidArgument
from grkan.recording import Call, record

from .modules import GRKANLayer, GroupRational


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
