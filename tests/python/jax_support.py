"""What the tests of grkan.jax share: two CPU devices, arrays of a case, and the double reference on
what they hold."""

from __future__ import annotations

import os

import pytest

# Read when JAX makes its first array.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
jax = pytest.importorskip("jax", minversion="0.6.2", reason="no JAX from 0.6.2 on")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import reference  # noqa: E402
from grkan.problem import DTYPES  # noqa: E402

KINDS = {kind: jnp.dtype(name) for name, kind in DTYPES.items()}


__all__ = ["KINDS", "array", "assert_close", "case", "check_grads", "expected", "jax", "jnp", "np"]


def array(t) -> np.ndarray:
    return np.asarray(t).astype(np.float64)


def case(seed, shape, *, groups=(1, 4), degrees=(5, 4), variant="A", kind="f32", y_kind=None):
    """x, dy, numerator, denominator; coefficients float64 with float64, else float32."""
    a, b = reference.coefficients(seed, groups, degrees, variant)
    x, dy = reference.inputs(seed, shape, zeros=variant not in "BC" and np.prod(shape) > 1)
    c = KINDS["f64" if kind == "f64" else "f32"]
    kinds = KINDS[kind], KINDS[y_kind or kind], c, c
    return tuple(jnp.asarray(v).astype(k) for v, k in zip((x, dy, a, b), kinds))


def expected(x, dy, a, b, variant="A", channel_dim=-1):
    """Results in float64, and the sizes that rounding is relative to."""
    held = [array(t) for t in (x, a, b, dy)]
    options = {"variant": variant, "channel_dim": channel_dim}
    return reference.rational(*held, **options), reference.sizes(*held, **options)


def assert_close(name, actual, values, sizes):
    """`name` is a field of reference.Values; the bound follows from the type of `actual`."""
    kind = DTYPES[actual.dtype.name]
    reference.assert_close(name, array(actual), getattr(values, name), getattr(sizes, name), kind)
