"""Initial coefficients: rational functions close to common activations, by least squares.

    >>> fit = grkan.fit.fit("gelu", degrees=(5, 4), variant="A")
    >>> fit.numerator, fit.denominator, fit.largest_error

NumPy alone, without chance: the same arguments give the same coefficients.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grkan._numbers import degree_pair

__all__ = ["FUNCTIONS", "Fit", "evaluate", "fit", "second_moment"]

Array = NDArray[np.float64]

INTERVAL = (-3.0, 3.0)
_POINTS = 257
_TAIL = np.concatenate([-np.linspace(15, 3.5, 24), np.linspace(3.5, 15, 24)])
_TAIL_WEIGHT = 0.1


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x < 0, 0.01 * x, x),
    "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
}


@dataclass(frozen=True)
class Fit:
    """numerator [m + 1] and denominator [n] (variant C: [n + 1]), as group_rational takes a row of
    them, and the largest error on [-3, 3]."""

    numerator: Array
    denominator: Array
    largest_error: float


def _powers(x: Array, first: int, count: int) -> Array:
    return x[:, None] ** np.arange(first, first + count)


def evaluate(x: Array, numerator: Array, denominator: Array, variant: str) -> Array:
    """P(x) / Q(x) in float64, with the formulas of grkan.torch.group_rational."""
    p = _powers(x, 0, len(numerator)) @ numerator
    return p / _denominator(x, denominator, variant)[0]


def _denominator(x: Array, b: Array, variant: str) -> tuple[Array, Array]:
    """Q, and its derivatives by each b_i."""
    if variant == "A":
        powers = _powers(np.abs(x), 1, len(b))
        return 1 + powers @ np.abs(b), powers * np.where(b < 0, -1.0, 1.0)
    powers = _powers(x, 0 if variant == "C" else 1, len(b))
    s = powers @ b
    if variant == "N":
        return 1 + s, powers
    if variant == "S":
        return 1 + s * s, 2 * s[:, None] * powers
    sign = np.where(s < 0, -1.0, 1.0)
    return (0.1 if variant == "C" else 1) + np.abs(s), powers * sign[:, None]


def _without_poles(free: Array, degree: int) -> tuple[Array, Array]:
    """b of variant N from free numbers c and d, with the derivatives.

    Q = 1 + (sum c_i x^i)^2 + sum (d_i x^i)^2, i up to half the degree, is never below 1.
    """
    half = degree // 2
    c, d = np.concatenate([[0.0], free[:half]]), free[half:]
    b = np.convolve(c, c)[1:]
    derivative = np.zeros((2 * half, 2 * half))
    for i in range(half):
        unit = np.zeros(half + 1)
        unit[i + 1] = 2
        derivative[:, i] = np.convolve(c, unit)[1:]
        b[2 * i + 1] += d[i] ** 2
        derivative[2 * i + 1, half + i] = 2 * d[i]
    pad = degree - 2 * half
    return np.pad(b, (0, pad)), np.pad(derivative, ((0, pad), (0, 0)))


class _Problem:
    """Residuals and their derivatives by a and by the free numbers behind b.

    Behind the points come those of the tails, where an error counts from the line on that rises by
    half of the function's scale for each 3 of x: no fit runs away where inputs still reach.
    """

    def __init__(
        self, function: Callable[[Array], Array], x: Array, degrees: tuple[int, int], variant: str
    ) -> None:
        self.points, self.variant = len(x), variant
        with np.errstate(all="ignore"):
            self.x = np.concatenate([x, _TAIL])
            self.target = np.asarray(function(self.x), dtype=np.float64)
        known = np.isfinite(self.target)
        known[: len(x)] = True  # an error there shall be seen
        self.x, self.target = self.x[known], self.target[known]
        scale = np.max(np.abs(self.target[: len(x)]), initial=1e-3)
        self.allowed = np.where(
            np.arange(len(self.x)) < len(x), 0.0, (np.abs(self.x) - INTERVAL[1]) * scale / 6
        )
        self.even = np.where(np.arange(len(self.x)) < len(x), 1.0, _TAIL_WEIGHT)
        self.terms, self.degree = degrees[0] + 1, degrees[1]
        self.powers = _powers(self.x, 0, self.terms)
        self.free = self.degree + (variant == "C")
        if variant == "N":
            self.free = self.degree // 2 * 2

    def coefficients(self, p: Array) -> tuple[Array, Array, Array]:
        """a, b, and the derivative of b by its free numbers."""
        a, free = p[: self.terms], p[self.terms :]
        if self.variant == "A":  # never negative
            return a, np.abs(free), np.diag(np.where(free < 0, -1.0, 1.0))
        if self.variant == "N":
            return a, *_without_poles(free, self.degree)
        return a, free, np.eye(len(free))

    def residuals(self, p: Array) -> tuple[Array, Array]:
        a, b, derivative = self.coefficients(p)
        q, by_b = _denominator(self.x, b, self.variant)
        y = self.powers @ a / q
        by_free = -(y / q)[:, None] * by_b @ derivative
        error = y - self.target
        over = np.maximum(np.abs(error) - self.allowed, 0)
        slope = np.hstack([self.powers / q[:, None], by_free])
        return np.copysign(over, error), slope * (over > 0)[:, None]

    def largest(self, p: Array) -> float:
        """The largest error, those of the tails as they are weighted."""
        return float(np.max(np.abs(self.residuals(p)[0]) * self.even))

    def best_numerator(self, free: Array) -> Array:
        """The start: a by linear least squares on the points, where b is given."""
        _, b, _ = self.coefficients(np.concatenate([np.zeros(self.terms), free]))
        q = _denominator(self.x, b, self.variant)[0][: self.points]
        a = np.linalg.lstsq(
            self.powers[: self.points] / q[:, None], self.target[: self.points], rcond=None
        )[0]
        return np.concatenate([a, free])

    def descend(self, p: Array, weight: Array, steps: int) -> Array:
        """Levenberg and Marquardt's steps from p."""
        damping = 1e-3
        r, slope = self.residuals(p)
        cost = np.sum((weight * r) ** 2)
        for _ in range(steps):
            j = slope * weight[:, None]
            normal, gradient = j.T @ j, j.T @ (weight * r)
            step = np.linalg.lstsq(
                normal + damping * np.diag(np.diag(normal) + 1e-12), -gradient, rcond=None
            )[0]
            moved, moved_slope = self.residuals(p + step)
            moved_cost = np.sum((weight * moved) ** 2)
            if moved_cost < cost:
                small = moved_cost > cost * (1 - 1e-9)
                p, r, slope, cost = p + step, moved, moved_slope, moved_cost
                damping = max(damping / 4, 1e-12)
                if small:
                    break
            else:
                damping *= 6
                if damping > 1e9:
                    break
        return p


def _exact_identity(degrees: tuple[int, int], variant: str) -> tuple[Array, Array]:
    a, b = np.zeros(degrees[0] + 1), np.zeros(degrees[1] + (variant == "C"))
    a[1] = 1
    if variant == "C":
        b[0] = 0.9
    elif variant == "S" and degrees[0] >= 3 and degrees[1] >= 1:
        # At b = 0 the denominator of S has no gradient and would stay.
        b[0], a[3] = 0.25, 0.0625
    return a, b


def fit(
    function: str | Callable[[Array], Array], degrees: tuple[int, int] = (5, 4), variant: str = "A"
) -> Fit:
    """The rational function of these degrees that is closest to `function` on [-3, 3].

    Args:
        function: a name of FUNCTIONS, or a function of a float64 array to one of its shape.
        degrees: (m, n) of numerator and denominator.
        variant: "A", "B", "C", "N" or "S". N gets no poles anywhere; A no negative b.

    Outside of [-3, 3] no more is promised than that it does not run away before 15. Names are
    fitted once in a process.

    Raises:
        ValueError: an unknown name or variant; degrees out of 0 to 15; a function that is not
            finite there.
        TypeError: what is no function; degrees that are no whole numbers.
    """
    if variant not in ("A", "B", "C", "N", "S"):
        raise ValueError(f"variant must be one of A, B, C, N, S, not {variant!r}")
    m, n = degree_pair("degrees", degrees)
    if isinstance(function, str):
        if function not in FUNCTIONS:
            raise ValueError(
                f"no function is named {function!r}; there are "
                f"{', '.join(FUNCTIONS)}; or give a function, or coefficients"
            )
        return _fit_name(function, (m, n), variant)
    if not callable(function):
        raise TypeError(
            f"a function's name, or a function of an array, is needed, not {function!r}"
        )
    return _fit(function, (m, n), variant)


@functools.cache
def _fit_name(name: str, degrees: tuple[int, int], variant: str) -> Fit:
    if name == "identity" and degrees[0] >= 1:
        return Fit(*_exact_identity(degrees, variant), 0.0)
    return _fit(FUNCTIONS[name], degrees, variant)


def _fit(function: Callable[[Array], Array], degrees: tuple[int, int], variant: str) -> Fit:
    low, high = INTERVAL
    # Closer together at the ends, where polynomials go astray.
    x = 0.5 * (low + high) - 0.5 * (high - low) * np.cos(np.linspace(0, math.pi, _POINTS))
    if not np.isfinite(function(x)).all():
        raise ValueError(f"the function to fit is not finite on [{low}, {high}]")
    problem = _Problem(function, x, degrees, variant)

    rng = np.random.default_rng(1)
    starts = [
        scale * rng.uniform(-1, 1, problem.free) * 0.7 ** np.arange(problem.free)
        for scale in (0.5, 0.5, 1, 1, 0.2)
    ]
    # Many activations are a line and an even or odd part: powers that begin at 0 stay there.
    alternating = np.arange(problem.free) % 2 * 0.3
    starts += [np.full(problem.free, 0.3), alternating, 0.3 - alternating]
    if variant == "N":
        starts.append(np.arange(problem.free) // max(1, problem.free // 2) * 0.3)
    if variant == "C":
        for free in starts:
            free[0] = 0.9
    found = [problem.descend(problem.best_numerator(free), problem.even, 60) for free in starts]
    found = sorted(found, key=problem.largest)[:3]
    found = sorted((problem.descend(p, problem.even, 150) for p in found), key=problem.largest)
    best = found[0]
    # Lawson's weights: more where the error is large, so that the largest shrinks.
    inside = slice(0, problem.points)
    for p in found[:2]:
        weight = problem.even.copy()
        for _ in range(30):
            error = np.abs(problem.residuals(p)[0])[inside]
            if error.max() < 1e-13:
                break
            weight[inside] *= np.sqrt(0.1 + error / error.max())
            weight[inside] /= np.sqrt(np.mean(weight[inside] ** 2))
            p = problem.descend(p, weight, 6)
            if problem.largest(p) < problem.largest(best):
                best = p
    a, b, _ = problem.coefficients(best)
    dense = np.linspace(low, high, 6001)
    error = np.abs(evaluate(dense, a, b, variant) - function(dense))
    return Fit(a, b, float(error.max()))


def second_moment(numerator: Array, denominator: Array, variant: str) -> float:
    """E[F(x)^2] of x ~ N(0, 1): by how much F scales the variance of what follows it."""
    x = np.linspace(-8, 8, 8001)
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    y = evaluate(x, np.asarray(numerator, np.float64), np.asarray(denominator, np.float64), variant)
    return float(np.sum(y * y * density) * (x[1] - x[0]))
