"""Plans of the process's own context, one for each problem and device, kept until it ends."""

from __future__ import annotations

import os
import threading
from ctypes import byref, c_size_t, c_void_p

from grkan import _library
from grkan.problem import Problem

_lock = threading.Lock()
_context: c_void_p | None = None
_plans: dict[tuple[Problem, str], Plan] = {}


def _after_fork() -> None:
    """Another thread may have held it, which is not in the child."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class Plan:
    """A problem on a device, forward and backward. Any thread may call it."""

    def __init__(self, problem: Problem, device: str) -> None:
        self.problem = problem
        self.device = device
        self._plan = c_void_p()
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


def context() -> c_void_p:
    """The process's context, as the environment says (docs/python.md lists the variables)."""
    global _context
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
