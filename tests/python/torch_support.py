"""What the tests of grkan.torch share: tensors of a case, and the double reference on what they
hold."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", minversion="2.10", reason="no PyTorch from 2.10 on")

import numpy as np  # noqa: E402

import reference  # noqa: E402

KINDS = {
    "f32": torch.float32,
    "f64": torch.float64,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
}
NAMES = {dtype: kind for kind, dtype in KINDS.items()}


def array(t: torch.Tensor) -> np.ndarray:
    return t.detach().double().numpy()


def case(seed, shape, *, groups=(1, 4), degrees=(5, 4), variant="A", kind="f32", y_kind=None):
    """x, dy, numerator, denominator; coefficients float64 with float64, else float32."""
    a, b = reference.coefficients(seed, groups, degrees, variant)
    x, dy = reference.inputs(seed, shape, zeros=variant not in "BC" and np.prod(shape) > 1)
    c = torch.float64 if kind == "f64" else torch.float32
    return (
        torch.tensor(x).to(KINDS[kind]),
        torch.tensor(dy).to(KINDS[y_kind or kind]),
        torch.tensor(a).to(c),
        torch.tensor(b).to(c),
    )


def expected(x, dy, a, b, variant="A", channel_dim=-1):
    """Results in float64, and the sizes that rounding is relative to."""
    held = [array(t) for t in (x, a, b, dy)]
    options = {"variant": variant, "channel_dim": channel_dim}
    return reference.rational(*held, **options), reference.sizes(*held, **options)


def assert_close(name, actual, values, sizes):
    """`name` is a field of reference.Values; the bound follows from the type of `actual`."""
    reference.assert_close(
        name, array(actual), getattr(values, name), getattr(sizes, name), NAMES[actual.dtype]
    )
