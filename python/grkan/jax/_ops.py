"""The kernels of libgrkan_frameworks.so as JAX operations, without derivatives.

The library's handlers take what jax.vmap puts in front (python/src/jax_ops.cpp), so batching costs
no copies.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from grkan import _frameworks
from grkan.problem import VARIANTS

__all__ = ["DA", "DB", "DX", "Options", "alike", "backward", "forward", "zeros_like"]

DX, DA, DB = 1, 2, 4


class Options(NamedTuple):
    """What is known when a call is traced."""

    variant: str
    channel_dim: int  # from the end, so that it stays right under vmap
    out_dtype: jnp.dtype

    def attributes(self) -> dict[str, int]:
        return {"variant": VARIANTS.index(self.variant) + 1, "channel_dim": self.channel_dim}


def _register() -> None:
    library = _frameworks.library()
    for platform, suffix in (("cpu", "cpu"), ("CUDA", "cuda")):
        for name in ("forward", "backward"):
            handler = jax.ffi.pycapsule(getattr(library, f"grkan_jax_{name}_{suffix}"))
            jax.ffi.register_ffi_target(f"grkan_{name}", handler, platform=platform)


_register()


def _axes(x: jax.Array) -> frozenset:
    """The mesh axes of a shard_map along which x differs."""
    kind = jax.typeof(x)
    if hasattr(kind, "vma"):  # before jax 0.10
        return kind.vma
    return kind.manual_axis_type.varying


def alike(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The arrays as values that differ along the same axes of a shard_map, as an operation's must.

    What was the same on all devices, coefficients beside sharded data, gets a gradient that is
    summed over them: that is what this step's transpose does.
    """
    axes = frozenset().union(*map(_axes, arrays))
    return tuple(_spread(x, tuple(sorted(axes - _axes(x)))) for x in arrays)


def _spread(x: jax.Array, axes: tuple) -> jax.Array:
    if not axes:
        return x
    if hasattr(jax.lax, "pcast"):
        return jax.lax.pcast(x, axes, to="varying")
    return jax.lax.pvary(x, axes)


def zeros_like(x: jax.Array) -> jax.Array:
    return alike(x, jnp.zeros_like(x))[1]


def forward(x: jax.Array, a: jax.Array, b: jax.Array, options: Options) -> jax.Array:
    """y."""
    result = jax.typeof(x).update(dtype=options.out_dtype, weak_type=False)
    call = jax.ffi.ffi_call("grkan_forward", result, vmap_method="expand_dims")
    return call(x, a, b, **options.attributes())


def backward(
    dy: jax.Array, x: jax.Array, a: jax.Array, b: jax.Array, options: Options, gradients: int
) -> tuple[jax.Array, ...]:
    """Those of dx, da and db that ``gradients`` has the flags of."""
    results = [
        jax.typeof(t).update(weak_type=False)
        for t, flag in ((x, DX), (a, DA), (b, DB))
        if gradients & flag
    ]
    call = jax.ffi.ffi_call("grkan_backward", results, vmap_method="expand_dims")
    return tuple(call(dy, x, a, b, gradients=gradients, **options.attributes()))
