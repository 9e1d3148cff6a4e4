"""grkan for JAX: the group-rational activation as a function of arrays.

It works under jit, grad, vmap, shard_map and jax.checkpoint; docs/jax.md tells more.
"""

from . import composite
from .functional import group_rational, initial_coefficients

__all__ = ["composite", "group_rational", "initial_coefficients"]
