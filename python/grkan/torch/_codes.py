"""Names in Python and their numbers in grkan.h."""

from __future__ import annotations

import torch

VARIANTS = {"A": 1, "B": 2, "C": 3, "N": 4, "S": 5}
VARIANT_NAMES = {code: name for name, code in VARIANTS.items()}

# 0 stands for the type of x.
TYPES = {None: 0, torch.float32: 1, torch.float64: 2, torch.float16: 3, torch.bfloat16: 4}
DTYPES = {code: dtype for dtype, code in TYPES.items()}

DETERMINISMS = {"not_guaranteed": 1, "run_to_run": 2, "gpu_to_gpu": 3}

DX, DA, DB = 1, 2, 4


def variant_code(variant: str) -> int:
    try:
        return VARIANTS[variant]
    except (KeyError, TypeError):
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}") from None


def type_code(dtype: torch.dtype | None) -> int:
    try:
        return TYPES[dtype]
    except (KeyError, TypeError):
        raise TypeError(
            f"out_dtype must be float32, float64, float16, bfloat16 or None, not {dtype!r}"
        ) from None
