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


def _polynomial(x: jax.Array, terms: list[jax.Array]) -> jax.Array:
    """sum_i terms[i] x^i, by Horner."""
    if not terms:
        return jnp.zeros_like(x)
    result = jnp.broadcast_to(terms[-1], x.shape)
    for term in terms[-2::-1]:
        result = result * x + term
    return result


def _terms(c: jax.Array, x: jax.Array, channel_dim: int) -> list[jax.Array]:
    """The columns of coefficients [groups, n], each spread over x's channels where those are.

    x itself stays as it lies: where it is a constant, XLA for CPUs (jaxlib 0.6 to 0.10) has folded
    what follows a transpose into wrong values.
    """
    c = jnp.atleast_2d(c).astype(x.dtype)
    c = jnp.repeat(c, x.shape[channel_dim] // c.shape[0], axis=0)
    others = [d for d in range(x.ndim) if d != channel_dim % x.ndim]
    return [jnp.expand_dims(c[:, i], others) for i in range(c.shape[1])]


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
    v = x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
    a, b = (_terms(c, v, channel_dim) for c in (numerator, denominator))
    p = _polynomial(v, a)
    if variant == "A":
        v = _absolute(v)
        # sign(0) is +1 for b, so that a zero can learn.
        q = 1 + v * _polynomial(v, [jnp.where(c < 0, -c, c) for c in b])
    elif variant == "B":
        q = 1 + _absolute(v * _polynomial(v, b))
    elif variant == "C":
        q = 0.1 + _absolute(_polynomial(v, b))
    elif variant == "N":
        q = 1 + v * _polynomial(v, b)
    else:
        q = 1 + jnp.square(v * _polynomial(v, b))
    return (p / q).astype(out_dtype or x.dtype)
