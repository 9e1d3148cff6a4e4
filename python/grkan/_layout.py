"""How an array of any shape is seen as the rows that grkan.h takes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from grkan.errors import InvalidArgument

Layout = Literal["last", "first"]


class Rows(NamedTuple):
    """[rows, channels, inner] with a stride in elements from a row to the next (inner 1 where the
    layout is "last": then channels are innermost)."""

    layout: Layout
    rows: int
    channels: int
    inner: int
    stride: int


def channel_axis(dimensions: int, channel_dim: int) -> int:
    """channel_dim counted from the front."""
    if not -dimensions <= channel_dim < dimensions:
        raise InvalidArgument(
            f"channel_dim {channel_dim} is out of range for {dimensions} dimensions", "channel_dim"
        )
    return channel_dim % dimensions


def layouts(shape: Sequence[int], axis: int) -> tuple[Layout, ...]:
    """The layouts in which an array may be seen, the one of its own order first."""
    if axis == len(shape) - 1:
        return ("last",)
    return ("last", "first") if math.prod(shape[axis + 1 :]) == 1 else ("first", "last")


@functools.lru_cache(maxsize=4096)
def see(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    axis: int,
    layout: Layout,
    repeated: bool = False,
) -> Rows | None:
    """The array in this layout, or None where its strides (in elements) don't fit.

    ``repeated``: all rows may be one and the same (stride 0), as in a broadcast input.
    """
    channels = shape[axis]
    if layout == "last":
        row = (axis,)
        outer = [i for i in range(len(shape)) if i != axis]
        inner = 1
    else:
        row = tuple(range(axis, len(shape)))
        outer = list(range(axis))
        inner = math.prod(shape[axis + 1 :])
    rows = math.prod(shape[i] for i in outer)
    dense = Rows(layout, rows, channels, inner, channels * inner)
    if rows == 0 or channels * inner == 0:
        return dense
    step = 1
    for i in reversed(row):
        if shape[i] != 1 and strides[i] != step:
            return None
        step *= shape[i]
    if rows == 1:
        return dense
    stride = None
    count = 1
    for i in reversed(outer):
        if shape[i] == 1:
            continue
        if stride is None:
            stride = strides[i]
        elif strides[i] != stride * count:
            return None
        count *= shape[i]
    assert stride is not None
    if stride < channels * inner and not (repeated and stride == 0):
        return None
    return dense._replace(stride=stride)
