"""group_rational: the activation as a function of JAX arrays."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from grkan import fit as fits
from grkan._layout import channel_axis
from grkan._numbers import whole
from grkan.errors import InvalidArgument
from grkan.problem import DTYPES, problem_of

from . import _ops, composite
from ._ops import DA, DB, DX, Options

__all__ = ["group_rational", "initial_coefficients"]


def group_rational(
    x: Any,
    numerator: Any,
    denominator: Any,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    out_dtype: Any = None,
) -> jax.Array:
    """y = P(x) / Q(x), with a P and a Q for each group of channels.

    ::

        P(x) = a0 + a1 x + ... + am x^m
        A: Q = 1 + sum |b_i| |x|^i
        B: Q = 1 + |sum b_i x^i|
        C: Q = 0.1 + |sum b_i x^i|, i >= 0
        N: Q = 1 + sum b_i x^i (has poles)
        S: Q = 1 + (sum b_i x^i)^2 (smooth, without poles)

    A is what every published KAT kernel computes, B the formula of the KAT paper
    (https://arxiv.org/abs/2409.10594). Channels are split into contiguous groups of equal width.

    Args:
        x: any shape, float32, float64, float16 or bfloat16, on a CPU or a CUDA device.
        numerator: [groups, m + 1], from a0 up; groups divides the channels, 1 is shared by all.
            One row, [m + 1], is one group.
        denominator: [groups, n], from b1 up; of variant C [groups, n + 1], from b0 up; or one row.
            Both float64 with float64 x, else float32, float16 or bfloat16; computed in float32.
        variant: "A", "B", "C", "N" or "S".
        channel_dim: the dimension of x that holds the channels.
        out_dtype: the type of y; None: that of x. float32 goes with float16 and bfloat16 either
            way.

    Returns:
        y, of the shape of x.

    Raises:
        ValueError: shapes, groups or a variant that don't go together (grkan.errors.InvalidArgument
            tells the field).
        TypeError: types that don't go together.

    Gradients of any subset of x, numerator and denominator are computed by one kernel, and only
    those that are asked for. Second derivatives, forward over reverse (jax.hessian) too, go by
    plain JAX operations: right, but slow. jax.jvp and jax.jacfwd of it are not to be had: take
    grkan.jax.composite.group_rational there.
    """
    out = None if out_dtype is None else jnp.dtype(out_dtype)
    arrays = x, numerator, denominator
    arrays = (t if isinstance(t, jax.Array) else jnp.asarray(t) for t in arrays)
    return _call(*arrays, variant, channel_dim, out)


# Called outside of a jit it is one itself; inside it leaves no trace.
@functools.partial(jax.jit, static_argnums=(3, 4, 5), inline=True)
def _call(
    x: jax.Array,
    a: jax.Array,
    b: jax.Array,
    variant: str,
    channel_dim: int,
    out_dtype: jnp.dtype | None,
) -> jax.Array:
    axis = channel_axis(x.ndim, channel_dim)
    options = Options(variant, axis - x.ndim, out_dtype or x.dtype)
    types = {"x": x.dtype, "numerator": a.dtype, "denominator": b.dtype}
    _check_types({**types, "out_dtype": options.out_dtype})
    of_data = a.dtype == b.dtype and a.dtype in (x.dtype, options.out_dtype)
    if not of_data and x.dtype != jnp.float64:
        a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    try:
        problem_of(
            a.shape,
            b.shape,
            variant,
            x.shape[axis],
            DTYPES[x.dtype.name],
            DTYPES[options.out_dtype.name],
            "last" if axis == x.ndim - 1 else "first",
            DTYPES[a.dtype.name],
        )
    except InvalidArgument as error:
        if error.field.endswith("_type"):
            raise TypeError(str(error)) from None
        raise
    return _rational(*_ops.alike(x, jnp.atleast_2d(a), jnp.atleast_2d(b)), options)


def _check_types(types: dict[str, jnp.dtype]) -> None:
    for name, dtype in types.items():
        if dtype.name not in DTYPES:
            raise TypeError(f"{name} must be {', '.join(DTYPES)}, not {dtype.name}")
        if (dtype == jnp.float64) != (types["x"] == jnp.float64):
            raise TypeError(
                f"{name} is {dtype.name} and x {types['x'].name}; float64 goes with float64 alone: "
                "convert one of them"
            )


# ---------------------------------------------------------------- derivatives

# The kernels have a backward: _rational has a rule for reverse mode. What that rule computes with
# has rules for forward mode, which JAX transposes where it needs to: one each gives second
# derivatives in either mode. There all is computed by the composite, values too.


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _forward(x: jax.Array, a: jax.Array, b: jax.Array, options: Options) -> jax.Array:
    return _ops.forward(x, a, b, options)


@_forward.defjvp
def _forward_jvp(options: Options, primals: Any, tangents: Any) -> Any:
    plain = functools.partial(composite.group_rational, **options._asdict())
    return jax.jvp(plain, primals, tangents)


@functools.partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def _backward(
    dy: jax.Array, x: jax.Array, a: jax.Array, b: jax.Array, options: Options, gradients: int
) -> tuple[jax.Array, ...]:
    return _ops.backward(dy, x, a, b, options, gradients)


@_backward.defjvp
def _backward_jvp(options: Options, gradients: int, primals: Any, tangents: Any) -> Any:
    def plain(dy: jax.Array, *arguments: jax.Array) -> tuple[jax.Array, ...]:
        forward = functools.partial(composite.group_rational, **options._asdict())
        results = jax.vjp(forward, *arguments)[1](dy)
        return tuple(g for g, flag in zip(results, (DX, DA, DB)) if gradients & flag)

    return jax.jvp(plain, primals, tangents)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _rational(x: jax.Array, a: jax.Array, b: jax.Array, options: Options) -> jax.Array:
    return _forward(x, a, b, options)


def _rational_fwd(x: Any, a: Any, b: Any, options: Options) -> Any:
    wanted = x.perturbed * DX | a.perturbed * DA | b.perturbed * DB
    arrays = x.value, a.value, b.value
    # As a shape, which is known when traced; what is no array JAX takes for the same in all calls.
    return _forward(*arrays, options), (arrays, jnp.empty((wanted, 0)))


def _rational_bwd(options: Options, kept: Any, dy: Any) -> tuple[jax.Array, ...]:
    arrays, as_shape = kept
    wanted = as_shape.shape[0]
    if isinstance(dy, jax.custom_derivatives.SymbolicZero):
        wanted = 0
    results = iter(_backward(dy, *arrays, options, wanted) if wanted else ())
    # Zeros that nobody reads, where JAX would take None: older versions want the same each time.
    return tuple(
        next(results) if wanted & flag else _ops.zeros_like(t)
        for t, flag in zip(arrays, (DX, DA, DB))
    )


_rational.defvjp(_rational_fwd, _rational_bwd, symbolic_zeros=True)

# ---------------------------------------------------------------- coefficients


def initial_coefficients(
    num_groups: int = 8,
    *,
    numerator_groups: int = 1,
    degrees: tuple[int, int] = (5, 4),
    variant: str = "A",
    init: Any = "swish",
    dtype: Any = None,
) -> tuple[jax.Array, jax.Array]:
    """Coefficients to start from: all groups as one function.

    Args:
        num_groups: groups of the denominator.
        numerator_groups: groups of the numerator; 1, as in the Kolmogorov-Arnold Transformer,
            shares it.
        degrees: (m, n) of numerator and denominator, each 0 to 15.
        variant: "A", "B", "C", "N" or "S".
        init: "identity", "relu", "leaky_relu", "gelu", "silu" ("swish"), "tanh", "sigmoid", or a
            function of a float64 NumPy array; fitted on [-3, 3] (grkan.fit).
        dtype: of the arrays; None: JAX's default.

    Returns:
        numerator [numerator_groups, m + 1], denominator [num_groups, n] (variant C: n + 1).

    Raises:
        ValueError: an unknown variant or init, degrees out of range.
    """
    fit = fits.fit(init, degrees, variant)
    rows = (
        (whole("numerator_groups", numerator_groups), fit.numerator),
        (whole("num_groups", num_groups), fit.denominator),
    )
    return tuple(
        jnp.broadcast_to(jnp.asarray(row, dtype or float), (groups, row.size))
        for groups, row in rows
    )
