"""Plans of the process's own context, one for each problem and device, kept until it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_size_t, c_void_p
from typing import Any

from grkan import _library
from grkan._lock import Lock
from grkan.problem import Problem

_lock = Lock()
_context: c_void_p | None = None
_plans: dict[tuple[Problem, str], Plan] = {}


class Tunable:
    """A plan of grkan.h, to be asked and tuned. Any thread may."""

    def __init__(self, pointer: c_void_p) -> None:
        self._plan = pointer

    def explain(self, direction: int, rows: int, inner: int, gradients: int = 0) -> dict[str, Any]:
        """The document of grkan_plan_explain; of a backward call with fewer gradients than the
        plan's where they are named."""
        lib = _library.library()
        text = _library.Text()
        if gradients:
            function, what = lib.grkan_plan_explain_gradients, gradients
        else:
            function, what = lib.grkan_plan_explain, direction
        _library.check(function(self._plan, what, rows, inner, byref(text)))
        return json.loads(_library.take(text))

    def tune(self, **options: Any) -> list[dict[str, Any]]:
        """The winners of grkan_plan_tune, whose options have their names there."""
        lib = _library.library()
        text = _library.Text()
        given = _library.TuneOptions.sized(**options)
        _library.check(lib.grkan_plan_tune(self._plan, byref(given), byref(text)))
        return json.loads(_library.take(text))

    def export(self) -> bytes:
        """What it chooses from, for import_ of another process."""
        lib = _library.library()
        text = _library.Text()
        _library.check(lib.grkan_plan_export(self._plan, byref(text)))
        return _library.take(text)

    def import_(self, exported: bytes) -> None:
        lib = _library.library()
        _library.check(lib.grkan_plan_import(self._plan, exported, len(exported)))


class Plan(Tunable):
    """A problem on a device, forward and backward. Any thread may call it."""

    def __init__(self, problem: Problem, device: str) -> None:
        super().__init__(c_void_p())
        self.problem = problem
        self.device = device
        self._workspace: dict[tuple[int, int, int], int] = {}
        lib = _library.library()
        gradients = _library.DX | _library.DA | _library.DB
        status = lib.grkan_plan_create(
            context(), byref(problem._c_struct()), device.encode(), gradients, byref(self._plan)
        )
        _library.check(status)

    def workspace_bytes(self, direction: int, rows: int, inner: int) -> int:
        """Bytes that a call of up to so many rows must bring."""
        key = (direction, rows, inner)
        known = self._workspace.get(key)
        if known is not None:
            return known
        size = c_size_t()
        lib = _library.library()
        _library.check(
            lib.grkan_plan_workspace_for_rows(self._plan, direction, rows, inner, byref(size))
        )
        if len(self._workspace) < 1024:
            self._workspace[key] = size.value
        return size.value

    def forward(self, arguments: _library.ForwardArgs) -> None:
        _library.check(_library.library().grkan_forward(self._plan, byref(arguments)))

    def backward(self, arguments: _library.BackwardArgs) -> None:
        _library.check(_library.library().grkan_backward(self._plan, byref(arguments)))


@contextmanager
def fresh(problem: Problem, device: str) -> Iterator[Plan]:
    """A plan that knows what the cache holds now; destroyed at the end."""
    plan = Plan(problem, device)
    try:
        yield plan
    finally:
        _library.check(_library.library().grkan_plan_destroy(plan._plan))


def context() -> c_void_p:
    """The process's context, as the environment says (docs/python.md lists the variables)."""
    global _context
    if _context is None:
        with _lock:
            if _context is None:
                made = c_void_p()
                _library.check(_library.library().grkan_context_create(None, byref(made)))
                _context = made
    return _context


def plan_for(problem: Problem, device: str) -> Plan:
    key = (problem, device)
    plan = _plans.get(key)
    if plan is None:
        with _lock:
            plan = _plans.get(key)
            if plan is None:
                plan = _plans[key] = Plan(problem, device)
    return plan
