"""stand_in: code that imports kat_rational or rational_kat gets the drop-ins."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

from . import kat_rational, rational_kat

# The modules that the packages have; each has all names here.
_PACKAGES = {
    "kat_rational": (
        kat_rational,
        (
            "kat_1dgroup",
            "kat_1dgroup_torch",
            "kat_1dgroup_triton",
            "kat_2dgroup_triton",
            "rational_triton",
            "rational_triton2d",
        ),
    ),
    "rational_kat": (
        rational_kat,
        (
            "flash_kat_1dgroup_triton",
            "kat_1dgroup_torch",
            "kat_1dgroup_triton",
            "kernels",
            "kernels.flash_rational_triton",
            "kernels.rational_triton",
        ),
    ),
}


def stand_in() -> None:
    """Makes ``import kat_rational`` and ``import rational_kat`` find the drop-ins in this process.

    For models whose source can't be changed, and where those packages, which need a GPU and Triton,
    are not installed; they are not looked at where they are. Modules of theirs that were imported
    before keep what they have: call this first. A second call does nothing.

    Raises:
        ImportError: one of the packages was imported already.
    """
    for name, (drop_in, _) in _PACKAGES.items():
        there = sys.modules.get(name)
        if there is not None:
            if getattr(there, "__file__", None) == drop_in.__file__:
                continue
            raise ImportError(
                f"{name} was imported already, from {getattr(there, '__file__', None)}; call "
                "grkan.compat.stand_in() before anything imports it, or use grkan.patch(model)"
            )
    for name, (drop_in, parts) in _PACKAGES.items():
        for full in (name, *(f"{name}.{part}" for part in parts)):
            module = ModuleType(full, drop_in.__doc__)
            module.__file__ = drop_in.__file__
            module.__spec__ = ModuleSpec(full, None, is_package=True)
            module.__path__ = []  # type: ignore[attr-defined]
            module.__all__ = drop_in.__all__  # type: ignore[attr-defined]
            for public in drop_in.__all__:
                setattr(module, public, getattr(drop_in, public))
            sys.modules[full] = module
            parent, _, child = full.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, module)
