"""Whole numbers that callers give."""

from __future__ import annotations

import operator
from typing import Any


def whole(name: str, value: Any, least: int = 1) -> int:
    """value as an int. TypeError where it is none (5.0 too), ValueError where it is too small."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be {least} or more, not {number}")
    return number


def degree_pair(name: str, value: Any) -> tuple[int, int]:
    """The degrees of numerator and denominator."""
    try:
        numerator, denominator = value
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be (numerator degree, denominator degree), not {value!r}"
        ) from None
    degrees = whole(name, numerator, 0), whole(name, denominator, 0)
    if max(degrees) > 15:
        raise ValueError(f"{name} must be from 0 to 15, not {degrees}")
    return degrees
