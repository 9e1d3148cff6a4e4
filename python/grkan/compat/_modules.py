"""What KAT's and FlashKAT's modules share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._numbers import degree_pair, whole
from ..torch import _ops
from ..torch._codes import DA, DB, DX, TYPES, VARIANTS
from ..torch._determinism import determinism_code
from ..torch.functional import rational
from ._initial import initial_coefficients

_A = VARIANTS["A"]


def apply_rational(
    x: Tensor,
    numerator: Tensor,
    denominator: Tensor,
    channel_dim: int = -1,
    half_output: bool = False,
) -> Tensor:
    """As KAT's kernels: the type of x; under autocast float32, unless half_output asks for
    autocast's type."""
    out_type = TYPES[x.dtype]
    device = x.device.type
    if torch.is_autocast_enabled(device) and x.dtype != torch.float64:
        out_type = TYPES[torch.get_autocast_dtype(device) if half_output else torch.float32]
        if x.dtype in (torch.float16, torch.bfloat16) and half_output:
            out_type = TYPES[x.dtype]
    return rational(x, numerator, denominator, _A, channel_dim, out_type)


def rational_backward(
    dy: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, channel_dim: int = -1
) -> tuple[Tensor, Tensor, Tensor]:
    """(dx, da, db), the coefficients' in float32, as KAT's kernels give them."""
    if x.dtype != torch.float64:
        numerator, denominator = numerator.float(), denominator.float()
    return _ops.backward(
        dy, x, numerator, denominator, _A, channel_dim, DX | DA | DB, determinism_code()
    )


def options_of(args: tuple[Any, ...], named: dict[str, Any]) -> tuple[str, tuple[int, int]]:
    """(mode, order) of what follows num_groups: mode, device, or as in forks an order before
    them."""
    names = ["mode", "device"]
    if args and not isinstance(args[0], str):
        names.insert(0, "order")
    if len(args) > len(names):
        raise TypeError(
            f"at most {len(names)} arguments may follow num_groups ({', '.join(names)}), "
            f"but {len(args)} came"
        )
    given = dict(zip(names, args, strict=False))
    for name, value in named.items():
        name = "order" if name == "poly_order" else name
        if name not in ("mode", "device", "order"):
            raise TypeError(f"unknown argument {name!r}; use mode, device, order or poly_order")
        if name in given:
            raise TypeError(f"{name} came twice")
        given[name] = value
    return given.get("mode", "gelu"), degree_pair("order", given.get("order", (5, 4)))


class Group(nn.Module):
    """The base of KAT's modules: weight_numerator [1, m + 1], shared by all groups, and
    weight_denominator [num_groups, n]."""

    channel_dim = -1

    def __init__(
        self, num_groups: int = 8, *args: Any, half_output: bool = False, **named: Any
    ) -> None:
        super().__init__()
        mode, self.order = options_of(args, named)
        self.num_groups = whole("num_groups", num_groups)
        self.half_output = half_output
        self.initialize(mode)

    def initialize(self, mode: str = "gelu") -> None:
        """Sets the coefficients to those published for a mode."""
        numerator, denominator = initial_coefficients(mode, self.order)
        self.weight_numerator = nn.Parameter(
            torch.tensor(numerator, dtype=torch.float32).view(1, -1)
        )
        self.weight_denominator = nn.Parameter(
            torch.tensor(denominator, dtype=torch.float32).repeat(self.num_groups, 1)
        )

    def forward(self, input: Tensor) -> Tensor:
        return apply_rational(
            input,
            self.weight_numerator,
            self.weight_denominator,
            self.channel_dim,
            self.half_output,
        )

    def extra_repr(self) -> str:
        return f"num_groups={self.num_groups}, order={self.order}"


class Apply:
    """A function in the shape of an autograd.Function, which is what its callers know."""

    @staticmethod
    def apply(
        input: Tensor,
        weight_numerator: Tensor,
        weight_denominator: Tensor,
        group: int | None = None,
    ) -> Tensor:
        """input [..., channels], weight_numerator [groups, m + 1], weight_denominator [groups, n];
        group, where it is given, is the number of groups."""
        check_groups(weight_denominator, group)
        return apply_rational(input, weight_numerator, weight_denominator)


def check_groups(weight_denominator: Tensor, group: int | None) -> None:
    if group is not None and weight_denominator.shape[0] != group:
        raise ValueError(
            f"group is {group}, but weight_denominator has "
            f"{weight_denominator.shape[0]} rows; give a row for each group"
        )
