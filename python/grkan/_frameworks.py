"""libgrkan_frameworks: the plans that PyTorch's calls run on, and the record of those calls."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_int16, c_int32, c_int64, c_size_t, c_void_p
from typing import Any

from grkan import _library
from grkan._lock import Lock
from grkan._plan import Tunable
from grkan.problem import Problem

CPU = -1


class PlanKey(ctypes.Structure):
    """A plan of this process, as python/src/plans.h has it."""

    _fields_ = (
        ("problem", _library.Problem),
        ("pool", c_void_p),
        ("device", c_int32),
        ("threads", c_int16),
        ("determinism", c_int16),
    )


class RecordedCall(ctypes.Structure):
    """Calls that are alike, as python/src/recording.h has them."""

    _fields_ = (
        ("key", PlanKey),
        ("direction", c_int32),
        ("gradients", c_int32),
        ("rows", c_int64),
        ("inner", c_int64),
        ("count", c_int64),
    )


_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "grkan_frameworks_plan": (c_int32, (POINTER(PlanKey), POINTER(c_void_p))),
    "grkan_frameworks_plans": (c_size_t, (POINTER(PlanKey), c_size_t)),
    "grkan_frameworks_record": (None, (c_int32,)),
    "grkan_frameworks_recorded": (c_size_t, (POINTER(RecordedCall), c_size_t)),
    "grkan_jax_pool": (c_void_p, ()),
}

_opened: ctypes.CDLL | None = None
_lock = Lock()


def library() -> ctypes.CDLL:
    """The library, opened by the first call."""
    global _opened
    if _opened is None:
        with _lock:
            if _opened is None:
                _opened = _library.load("libgrkan_frameworks.so", _FUNCTIONS)
    return _opened


class FrameworkPlan(Tunable):
    """A plan of this process; made where there is none yet."""

    def __init__(self, key: PlanKey) -> None:
        pointer = c_void_p()
        _library.check(library().grkan_frameworks_plan(byref(key), byref(pointer)))
        super().__init__(pointer)


def device_name(key: PlanKey) -> str:
    return "cpu" if key.device == CPU else f"cuda:{key.device}"


def problem_of(key: PlanKey) -> Problem:
    return Problem._of_c_struct(key.problem)


def known_plans() -> list[PlanKey]:
    """The keys of all plans that calls of this process made so far."""
    return _filled(library().grkan_frameworks_plans, PlanKey)


def set_recording(on: bool) -> None:
    """Begins a recording or ends one; several may be under way."""
    library().grkan_frameworks_record(int(on))


def recorded() -> list[RecordedCall]:
    """The calls of this process, counted while recordings are under way."""
    return _filled(library().grkan_frameworks_recorded, RecordedCall)


def _filled(function: Any, kind: Any) -> list[Any]:
    """All that a function tells, which fills an array and returns how many there are."""
    count = function(None, 0)
    while True:
        values = (kind * count)()
        found = function(values, count)
        if found <= count:
            return list(values[:found])
        count = found
