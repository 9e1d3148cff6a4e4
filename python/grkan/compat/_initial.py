"""The coefficients that KAT's modules start from."""

from __future__ import annotations

import functools
import json
import warnings
from importlib import resources

import numpy as np

from .. import fit as fits

# The largest error on [-3, 3] of those that were fitted for another denominator (1 + |B|) than the
# one that is computed, so that they start as something else than their names say.
_OFF = {"gelu": 1.465, "geglu": 0.945, "swishglu": 1.710, "erfc_Softplus_2": 0.085}

_ORDER = (5, 4)


@functools.cache
def _modes() -> dict[str, dict[str, list[float]]]:
    text = resources.files(__package__).joinpath("initial.json").read_text(encoding="utf-8")
    return json.loads(text)["modes"]


@functools.cache
def _warn_once(mode: str) -> None:
    warnings.warn(
        f"KAT's coefficients for {mode!r} are kept as published, but what they give is off by up "
        f"to {_OFF[mode]} on [-3, 3]; grkan.torch.GroupRational(init=...) starts as what is named",
        stacklevel=5,
    )


def initial_coefficients(mode: str, order: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows a0..am and b1..bn. Of order (5, 4) as published; of others by grkan.fit."""
    if order == _ORDER:
        if mode not in _modes():
            raise ValueError(f"mode must be one of {', '.join(_modes())}, not {mode!r}")
        if mode in _OFF:
            _warn_once(mode)
        row = _modes()[mode]
        return np.array(row["numerator"]), np.array(row["denominator"])
    name = {"leaky_relu_0.1": None, "gelu_old": "gelu"}.get(mode, mode)
    if name not in fits.FUNCTIONS:
        raise ValueError(
            f"for order {order} mode must be one of {', '.join(fits.FUNCTIONS)}, not "
            f"{mode!r}; the others are published for {_ORDER} alone"
        )
    found = fits.fit(name, order, "A")
    return found.numerator, found.denominator
