"""grkan: the activation of GR-KAN layers (the group-rational function of the Kolmogorov-Arnold
Transformer), forward and backward, by kernels that are generated and tuned for the machine.

    y = P(x) / Q(x)      with a P and a Q for each group of channels

``grkan.torch``, ``grkan.jax`` and ``grkan.numpy`` have it for arrays of each; a submodule is
imported when it is first named. ``grkan.patch(model)`` puts it into a KAT or FlashKAT model,
``grkan.tune`` tunes what a model calls, ``grkan.record`` lists it, ``grkan.explain`` tells which
kernel would run. ``python -m grkan.collect_env`` tells what is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grkan.compat import patch as patch
    from grkan.errors import GrkanError as GrkanError
    from grkan.explaining import explain as explain
    from grkan.problem import Problem as Problem
    from grkan.recording import record as record
    from grkan.torch._sync import sync_plans as sync_plans
    from grkan.tuning import tune as tune

    __version__: str

_SUBMODULES = (
    "collect_env",
    "compat",
    "errors",
    "explaining",
    "fit",
    "jax",
    "numpy",
    "problem",
    "recording",
    "torch",
    "tuning",
)
_NAMES = {
    "GrkanError": "grkan.errors",
    "Problem": "grkan.problem",
    "explain": "grkan.explaining",
    "patch": "grkan.compat",
    "record": "grkan.recording",
    "sync_plans": "grkan.torch._sync",
    "tune": "grkan.tuning",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from grkan._library import library

        value: Any = library().grkan_version().decode()
    elif name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _SUBMODULES:
        return importlib.import_module(f"grkan.{name}")
    else:
        raise AttributeError(f"module 'grkan' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({"__version__", *_NAMES, *_SUBMODULES})
