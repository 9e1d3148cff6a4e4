"""The group-rational function and its gradients in NumPy, float64, straight from the formulas of
grkan.h; and how far a kernel may be from them.

Channels are in the last dimension here; ``channel_dim`` moves them. a: [groups, m + 1], b:
[groups, n], for variant C [groups, n + 1].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

UNIT = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
CONSTANT = {"A": 1.0, "B": 1.0, "C": 0.1, "N": 1.0, "S": 1.0}


class Values(NamedTuple):
    """Results, or the sizes of what they are summed from."""

    y: np.ndarray
    dx: np.ndarray
    da: np.ndarray
    db: np.ndarray


def sign(x: np.ndarray) -> np.ndarray:
    """The sign bit's: -1 at -0."""
    return np.copysign(1.0, x)


def _spread(coefficients: np.ndarray, channels: int) -> np.ndarray:
    """[groups, k] to [channels, k]."""
    return np.repeat(coefficients, channels // coefficients.shape[0], axis=0)


def _sum_of_groups(terms: np.ndarray, groups: int) -> np.ndarray:
    """[rows, channels, k] to [groups, k]."""
    rows, channels, k = terms.shape
    return terms.reshape(rows, groups, channels // groups, k).sum(axis=(0, 2))


def _powers(x: np.ndarray, count: int) -> np.ndarray:
    """x^0 ... x^(count - 1), in a new last dimension."""
    return x[..., None] ** np.arange(count)


def _slopes(x: np.ndarray, count: int) -> np.ndarray:
    """Derivatives of the powers."""
    i = np.arange(count)
    return i * x[..., None] ** np.maximum(i - 1, 0)


def _denominator(x: np.ndarray, b: np.ndarray, variant: str):
    """Q, Q' and dQ/db (in a new last dimension) of x [rows, channels] and b [channels, k]."""
    first = 0 if variant == "C" else 1
    count = b.shape[1] + first
    if variant == "A":
        size = np.abs(x)
        powers, slopes = _powers(size, count)[..., first:], _slopes(size, count)[..., first:]
        q = 1 + (np.abs(b) * powers).sum(-1)
        dq = sign(x) * (np.abs(b) * slopes).sum(-1)
        return q, dq, np.where(b >= 0, 1.0, -1.0) * powers
    powers, slopes = _powers(x, count)[..., first:], _slopes(x, count)[..., first:]
    inside = (b * powers).sum(-1)
    slope = (b * slopes).sum(-1)
    if variant in "BC":
        s = sign(inside)
        return CONSTANT[variant] + np.abs(inside), s * slope, s[..., None] * powers
    if variant == "S":
        return 1 + inside**2, 2 * inside * slope, 2 * inside[..., None] * powers
    return 1 + inside, slope, powers


def _flat(x: np.ndarray, channel_dim: int) -> np.ndarray:
    moved = np.moveaxis(np.asarray(x, np.float64), channel_dim, -1)
    return moved.reshape(-1, moved.shape[-1])


def _unflat(flat: np.ndarray, shape: tuple[int, ...], channel_dim: int) -> np.ndarray:
    moved = list(shape)
    channels = moved.pop(channel_dim)
    return np.moveaxis(flat.reshape(*moved, channels), -1, channel_dim)


def rational(x, a, b, dy=None, *, variant="A", channel_dim=-1) -> Values:
    """y, dx, da, db; the gradients are those of a loss whose gradient by y is dy (None: ones)."""
    shape = np.shape(x)
    dy = np.ones(shape) if dy is None else dy
    x, dy = _flat(x, channel_dim), _flat(dy, channel_dim)
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    ca, cb = _spread(a, x.shape[1]), _spread(b, x.shape[1])
    powers = _powers(x, a.shape[1])
    p = (ca * powers).sum(-1)
    dp = (ca * _slopes(x, a.shape[1])).sum(-1)
    q, dq, dq_db = _denominator(x, cb, variant)
    y = p / q
    w = dy / q
    v = -w * y
    return Values(
        _unflat(y, shape, channel_dim),
        _unflat(w * dp + v * dq, shape, channel_dim),
        _sum_of_groups(w[..., None] * powers, a.shape[0]),
        _sum_of_groups(v[..., None] * dq_db, b.shape[0]),
    )


def sizes(x, a, b, dy=None, *, variant="A", channel_dim=-1) -> Values:
    """What rounding errors are relative to: each result's terms, all taken positive."""
    shape = np.shape(x)
    dy = np.ones(shape) if dy is None else dy
    signed = _flat(x, channel_dim)
    x, dy = np.abs(signed), np.abs(_flat(dy, channel_dim))
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    ca, cb = _spread(np.abs(a), x.shape[1]), _spread(np.abs(b), x.shape[1])
    powers = _powers(x, a.shape[1])
    p = (ca * powers).sum(-1)
    dp = (ca * _slopes(x, a.shape[1])).sum(-1)
    q, _, _ = _denominator(signed, _spread(b, x.shape[1]), variant)
    all_q, all_dq, all_dq_db = _denominator(x, cb, "B" if variant == "N" else variant)
    lost = all_q / np.abs(q)  # by cancellation in Q
    y = p / np.abs(q) * lost
    w = dy / np.abs(q) * lost
    return Values(
        _unflat(y, shape, channel_dim),
        _unflat(w * dp + w * y * all_dq, shape, channel_dim),
        _sum_of_groups(w[..., None] * powers, a.shape[0]),
        _sum_of_groups((w * y)[..., None] * np.abs(all_dq_db), b.shape[0]),
    )


def coefficients(seed: int, groups: tuple[int, int], degrees: tuple[int, int], variant: str):
    """Random numerators and denominators; those of variant N keep Q above 1/4 for |x| <= 2."""
    rng = np.random.default_rng(seed)
    m, n = degrees
    a = rng.normal(size=(groups[0], m + 1))
    b = rng.normal(size=(groups[1], n + (variant == "C")))
    if variant == "N" and n > 0:
        reach = (np.abs(b) * 2.0 ** np.arange(1, n + 1)).sum(1, keepdims=True)
        b *= 0.75 / np.maximum(reach, 0.75)
    return a, b


def inputs(seed: int, shape: tuple[int, ...], *, zeros: bool = False):
    """x in [-2, 2] and dy. ``zeros``: both are among the x; not for variant B, where B is 0
    there and either sign of it is right."""
    rng = np.random.default_rng(seed + 1000)
    x = rng.uniform(-2, 2, size=shape)
    if zeros:
        x.reshape(-1)[:2] = [0.0, -0.0]
    return x, rng.normal(size=shape)


def assert_close(name: str, actual, expected, size, kind: str, *, factor: float = 64) -> None:
    """|actual - expected| <= factor x unit of the type x size, element by element."""
    actual = np.asarray(actual).astype(np.float64)
    assert actual.shape == expected.shape, f"{name}: {actual.shape}, expected {expected.shape}"
    bound = factor * UNIT[kind] * size + np.finfo(np.float64).tiny
    error = np.abs(actual - expected)
    worst = np.max(error / bound, initial=0.0)
    assert worst <= 1 and np.isfinite(actual).all(), f"{name}: {worst:.3g} times the bound"
