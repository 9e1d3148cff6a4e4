"""grkan for PyTorch: the group-rational activation as a function and as modules."""

from . import composite
from ._determinism import set_determinism
from .functional import group_rational, set_thread_pool
from .modules import GRKANLayer, GroupRational, replace_activations

__all__ = [
    "GRKANLayer",
    "GroupRational",
    "composite",
    "group_rational",
    "replace_activations",
    "set_determinism",
    "set_thread_pool",
]
