"""What is promised of the bits of the coefficients' gradients."""

from __future__ import annotations

import torch

from ._codes import DETERMINISMS

_determinism = DETERMINISMS["run_to_run"]


def set_determinism(determinism: str) -> None:
    """Sets what is promised of the bits of the coefficients' gradients, in the whole process.

    Args:
        determinism: "not_guaranteed", "run_to_run" (the default: the same machine, the same tuning
            and the same number of threads give the same bits; where nothing is tuned, any number
            of threads) or "gpu_to_gpu" (the same bits on all devices of a kind, whatever was
            tuned).

    With ``torch.use_deterministic_algorithms(True)`` at least "run_to_run" holds. y and dx never
    depend on it. Set it before compiling: a compiled graph keeps what held then.

    Raises:
        ValueError: another name.
    """
    global _determinism
    if determinism not in DETERMINISMS:
        raise ValueError(
            f"determinism must be one of {', '.join(DETERMINISMS)}, not {determinism!r}"
        )
    _determinism = DETERMINISMS[determinism]


def determinism_code() -> int:
    if _determinism == 1 and torch.are_deterministic_algorithms_enabled():
        return DETERMINISMS["run_to_run"]
    return _determinism
