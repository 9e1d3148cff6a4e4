"""Layers without state: a model's own layer keeps its parameters and takes this forward."""

from typing import Optional

import torch
from torch import Tensor, nn

from .rational import group_rational


class GroupRational(nn.Module):
    """For layers with the attributes of grkan.torch.GroupRational."""

    can_torch_compile: bool = True

    numerator: Tensor  # [groups, m + 1]
    denominator: Tensor  # [groups, n]; of variant C [groups, n + 1]
    variant: str
    channel_dim: int
    out_dtype: Optional[torch.dtype]

    def forward(self, x: Tensor) -> Tensor:
        return group_rational(
            x,
            self.numerator,
            self.denominator,
            variant=self.variant,
            channel_dim=self.channel_dim,
            out_dtype=self.out_dtype,
        )
