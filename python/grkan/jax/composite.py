"""The same function in plain jax.numpy: slow, and differentiable in any mode, as often as one
likes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["group_rational"]


def _absolute(x: jax.Array) -> jax.Array:
    # The derivative is the sign bit's, as the kernels have it: that of jnp.abs is 0 at 0.
    return jnp.where(jnp.signbit(x), -x, x)


def _polynomial(x: jax.Array, terms: jax.Array) -> jax.Array:
    """sum_i terms[..., i] x^i, by Horner; terms is [channels, n], x [..., channels]."""
    count = terms.shape[-1]
    if count == 0:
        return jnp.zeros_like(x)
    result = jnp.broadcast_to(terms[:, count - 1], x.shape)
    for i in range(count - 2, -1, -1):
        result = result * x + terms[:, i]
    return result


def group_rational(
    x: jax.Array,
    numerator: jax.Array,
    denominator: jax.Array,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    out_dtype: Any = None,
) -> jax.Array:
    """As grkan.jax.group_rational, by JAX's own operations: for forward mode (jax.jvp, jax.jacfwd),
    and where no kernel is wanted. 16-bit data is computed in float32, as the kernels do.
    """
    math = jnp.float64 if x.dtype == jnp.float64 else jnp.float32
    v = jnp.moveaxis(x, channel_dim, -1).astype(math)
    a, b = (
        jnp.repeat(
            jnp.atleast_2d(c).astype(math), v.shape[-1] // jnp.atleast_2d(c).shape[0], axis=0
        )
        for c in (numerator, denominator)
    )
    p = _polynomial(v, a)
    if variant == "A":
        v = _absolute(v)
        # sign(0) is +1 for b, so that a zero can learn.
        q = 1 + v * _polynomial(v, jnp.where(b < 0, -b, b))
    elif variant == "B":
        q = 1 + _absolute(v * _polynomial(v, b))
    elif variant == "C":
        q = 0.1 + _absolute(_polynomial(v, b))
    elif variant == "N":
        q = 1 + v * _polynomial(v, b)
    else:
        q = 1 + jnp.square(v * _polynomial(v, b))
    return jnp.moveaxis((p / q).astype(out_dtype or x.dtype), -1, channel_dim)
