"""Drop-in for the package rational_kat of FlashKAT (https://github.com/OSU-STARLAB/FlashKAT).

FlashKAT_Group keeps its constructor, parameters and state_dict: ``numerator_v`` [num_groups, m] and
``denominator_v`` [den_groups, n], where m and n count coefficients (6 and 4 are degrees 5 and 4).
KAT_Group and KAT_Group_Torch are those of grkan.compat.kat_rational. What is computed is what the
package's GPU kernels compute, on every device; m and n may differ from 6 and 4 here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._initial import initial_coefficients
from ._modules import Apply, apply_rational
from .kat_rational import (
    KAT_Group,
    KAT_Group_Torch,
    Rational_CUDA_A_1DGroup,
    RationalTriton1DGroup,
    rational_bwd_triton,
    rational_fwd_triton,
)

__all__ = [
    "FlashKAT_Group",
    "FlashRationalTriton1DGroup",
    "KAT_Group",
    "KAT_Group_Torch",
    "RationalTriton1DGroup",
    "Rational_CUDA_A_1DGroup",
    "rational_bwd_triton",
    "rational_fwd_triton",
]


class FlashKAT_Group(nn.Module):
    """``FlashKAT_Group(in_features, num_groups, den_groups, m, n, mode, device="cuda")``.

    The input is [..., in_features].
    num_groups (of the numerator) and den_groups of 0 or less mean one a channel. device is taken
    and ignored. half_output: under autocast, 16 bits rather than float32.
    """

    def __init__(
        self,
        in_features: int,
        num_groups: int,
        den_groups: int,
        m: int,
        n: int,
        mode: str = "gelu",
        device: str = "cuda",
        *,
        half_output: bool = False,
    ) -> None:
        super().__init__()
        self.m = m
        self.n = n
        self.in_features = in_features
        self.num_groups = num_groups if num_groups > 0 else in_features
        self.den_groups = den_groups if den_groups > 0 else in_features
        self.half_output = half_output
        self.initialize(mode)

    def initialize(self, mode: str = "gelu") -> None:
        """Sets the coefficients to those published for a mode."""
        numerator, denominator = initial_coefficients(mode, (self.m - 1, self.n))
        self.numerator_v = nn.Parameter(
            torch.tensor(numerator, dtype=torch.float32).repeat(self.num_groups, 1)
        )
        self.denominator_v = nn.Parameter(
            torch.tensor(denominator, dtype=torch.float32).repeat(self.den_groups, 1)
        )

    def forward(self, input: Tensor) -> Tensor:
        return apply_rational(input, self.numerator_v, self.denominator_v, -1, self.half_output)

    def extra_repr(self) -> str:
        return (
            f"num_groups_num={self.num_groups}, num_groups_den={self.den_groups}, "
            f"order={self.m}, {self.n}"
        )


FlashRationalTriton1DGroup = Apply
