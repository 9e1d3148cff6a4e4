#!/usr/bin/env python3
"""A layer of 768 channels in JAX: grkan.jax beside the same function in jax.numpy (Horner, what a
model writes without kernels), GELU and SiLU. Median microseconds a call, all in turn in one run.

    GRKAN_LIBRARY_DIR=build/lib PYTHONPATH=python bench/jax_layer.py [ROWS ...]
"""

from __future__ import annotations

import functools
import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from grkan.jax import composite, group_rational, initial_coefficients

CHANNELS = 768
FUNCTIONS = {
    "grkan": group_rational,
    "Horner": composite.group_rational,
    "GELU": lambda x, *_: jax.nn.gelu(x, approximate=False),
    "GELU tanh": lambda x, *_: jax.nn.gelu(x),
    "SiLU": lambda x, *_: jax.nn.silu(x),
}


def forward_backward(function, x, a, b, dy):
    """y and the gradients of all arguments; those of a and b are zeros where they are not used."""
    y, back = jax.vjp(function, x, a, b)
    return y, *back(dy)


def medians(calls: dict, seconds: float = 3.0) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(3):
            jax.block_until_ready(call())
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds * len(calls) or len(times["grkan"]) < 9:
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) * 1e6 for name, t in times.items()}


def show(title: str, calls: dict) -> None:
    print(f"{title:32}" + "".join(f"{t:12.0f}" for t in medians(calls).values()), flush=True)


def main() -> None:
    rows = [int(word) for word in sys.argv[1:]] or [1, 1568, 25216]
    rng = np.random.default_rng(1)
    a, b = initial_coefficients(8, dtype="float32")
    print(f"jax {jax.__version__}, {jax.devices()[0]}")
    print(" " * 32 + "".join(f"{n:>12}" for n in FUNCTIONS))
    for count in rows:
        for dtype in ("float32", "bfloat16"):
            x, dy = (jnp.asarray(rng.normal(size=(count, CHANNELS)), dtype) for _ in range(2))
            name = f"{count} x {CHANNELS} {dtype}"
            jitted = {n: jax.jit(f) for n, f in FUNCTIONS.items()}
            show(f"{name}, F", {n: functools.partial(f, x, a, b) for n, f in jitted.items()})
            both = {
                n: jax.jit(functools.partial(forward_backward, f)) for n, f in FUNCTIONS.items()
            }
            show(f"{name}, F+B", {n: functools.partial(f, x, a, b, dy) for n, f in both.items()})
            if count == 1:
                eager = {n: functools.partial(f, x, a, b) for n, f in FUNCTIONS.items()}
                show(f"{name}, F without jit", eager)


main()
