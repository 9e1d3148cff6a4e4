"""Tuning from Python: the fastest right schedules for the calls that a model makes."""

from __future__ import annotations

import math
import signal
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import Any

from grkan import _frameworks
from grkan._library import PROGRESS
from grkan._text import range_text, table, time_text
from grkan.errors import GrkanError, InvalidArgument
from grkan.recording import (
    Call,
    Calls,
    Listed,
    direction_code,
    gradient_bits,
    plan_of,
    record,
)

__all__ = ["Tuning", "Tunings", "tune"]

_EFFORTS = {"quick": 3, "thorough": 4, "exhaustive": 5}


@dataclass(frozen=True)
class Tuning:
    """What became of a task at a number of rows. Times are medians in nanoseconds."""

    task: str  #: "forward/p5q4-A-c768-g8-f32-last"
    device: str
    rows: str  #: that it holds for here: "25216", or "1..4096" of a model whose batches vary
    inner: int
    count: int  #: how often it was called in what was recorded
    before: str  #: the schedule that calls of this size ran before
    after: str  #: the one that they run now
    before_ns: float | None = None  #: None: not timed beside the new one
    after_ns: float | None = None
    default: str | None = None  #: what an untuned machine runs
    default_ns: float | None = None
    bound_ns: float | None = None  #: a plain loop that moves the same bytes
    disturbed: bool = False  #: the machine was busy
    kept: bool = False  #: it was tuned before, and not again
    error: str | None = None  #: why it could not be tuned


class Tunings(list[Tuning]):
    """The result of ``grkan.tune``; ``print`` shows a table."""

    def __str__(self) -> str:
        if not self:
            return "nothing was tuned"
        rows = [("task", "device", "rows", "before", "after", "schedule")]
        for t in self:
            after = time_text(t.after_ns) + (" kept" if t.kept else "")
            before = time_text(t.before_ns)
            if t.disturbed:
                after += " disturbed"
            if t.error is not None:
                rows.append((t.task, t.device, t.rows, before, "failed", t.error))
            else:
                same = "as before" if t.after == t.before else t.after
                rows.append((t.task, t.device, t.rows, before, after, same))
        return table(rows)


def tune(
    what: Any,
    /,
    *sample: Any,
    effort: str = "quick",
    budget: float | None = None,
    again: bool = False,
    progress: bool = True,
    **named: Any,
) -> Tunings:
    """Tunes what a model calls, for this machine, and uses it from the next call on.

    ::

        grkan.tune(model, x)                                # quick: some 10 s a task
        grkan.tune(calls, effort="thorough", budget=120)    # of grkan.record

    Candidates are checked against a reference in double before they are timed, on memory of their
    own: the model's data is not touched. Winners are stored in the cache (docs/cache.md), where
    later processes find them; what was measured on this device before is kept at effort "quick", so
    a script may begin with this call.

    Args:
        what: a model or a function, which is recorded as ``grkan.record`` does; or the ``Calls`` of
            a recording.
        sample, named: the arguments of what.
        effort: "quick", "thorough" or "exhaustive" (docs/tuning.md); the last two always search.
        budget: most seconds for each task and size; None: what the effort takes.
        again: whether effort "quick" times again what was measured before.
        progress: whether to show a bar (where tqdm is installed) or lines on standard error.

    Returns:
        A ``Tuning`` for each task, device and size: the schedules before and after, and their
        times. Ctrl-C ends it with KeyboardInterrupt; what was found until then is stored.

    Raises:
        InvalidArgument: an unknown effort, a budget of 0 or less, or no GR-KAN call to tune.
        GrkanError: nothing could be tuned: the first task's reason. Where others could, there is a
            warning, and ``Tuning.error`` has the reason.
        What the model raises.
    """
    if effort not in _EFFORTS:
        raise InvalidArgument(f"effort {effort!r} is unknown; use {', '.join(_EFFORTS)}", "effort")
    if budget is not None and not (budget > 0 and math.isfinite(budget)):
        raise InvalidArgument(
            f"budget {budget} is no time; give seconds, more than 0", "budget_seconds"
        )
    if isinstance(what, Calls):
        if sample or named:
            raise TypeError("calls that were recorded take no sample; give a model with it")
        calls = what
    else:
        calls = record(what, *sample, **named)
    lines = calls.listed()
    if not lines:
        raise InvalidArgument(
            "there is nothing to tune: no GR-KAN call was made; give a model that has one, and a "
            "sample that reaches it"
        )
    quick = effort == "quick" and not again
    options = {"effort": _EFFORTS[effort], "budget_seconds": budget or 0.0}
    tunings = Tunings()
    errors: list[GrkanError] = []
    with _Progress(len(lines), progress) as shown:
        for line in lines:
            shown.next(f"{line.call.task}, {line.rows} rows, {line.call.device}")
            try:
                tunings += _tune(line, options, quick, shown)
            except GrkanError as error:
                errors.append(error)
                tunings.append(_untuned(line, error=str(error)))
    if len(errors) == len(lines):
        raise errors[0]
    for t in tunings:
        if t.error is not None:
            warnings.warn(f"{t.task}, {t.rows} rows, is not tuned: {t.error}", stacklevel=2)
    return tunings


def _tune(line: Listed, options: dict[str, Any], quick: bool, shown: _Progress) -> list[Tuning]:
    call = line.call
    called = plan_of(call)
    plan = _plan_to_tune(call) or called
    before = _explained(line, called)
    known = before if plan is called else _explained(line, plan)
    if quick and all(_is_measured_here(now, call.task) for now in known):
        if plan is not called:
            called.import_(plan.export())
            before = _explained(line, called)
        last = before[-1]
        return [_untuned(line, last["schedule"], _median(last["time_ns"]), kept=True)]
    torch = sys.modules.get("torch")
    if torch is not None and call.device != "cpu":
        torch.cuda.synchronize(call.device)  # what is queued would be timed too
    with shown.callback() as callback:
        winners = plan.tune(
            rows=line.low,
            rows_hi=call.rows if line.low < call.rows else 0,
            inner=call.inner,
            direction=direction_code(call),
            gradients=gradient_bits(call.gradients),
            progress=callback,
            **options,
        )
    if plan is not called:
        called.import_(plan.export())
    after = _explained(line, called)
    return [_tuning(line, before, after, winner) for winner in winners]


def _plan_to_tune(call: Call) -> _frameworks.FrameworkPlan | None:
    """Another plan than what is called, on as many of grkan's own threads: XLA's work within its
    calls alone. None: the called one."""
    key = _frameworks.PlanKey.from_buffer_copy(call._key)
    if key.pool != _frameworks.library().grkan_jax_pool():
        return None
    key.pool = None
    return _frameworks.FrameworkPlan(key)


def _explained(line: Listed, plan: _frameworks.FrameworkPlan) -> list[dict[str, Any]]:
    """The documents of explain for all sizes of a line, one for each stretch with one answer."""
    call = line.call
    bits = gradient_bits(call.gradients)
    found = []
    rows = line.low
    while rows <= call.rows:
        found.append(plan.explain(direction_code(call), rows, call.inner, bits))
        rows = found[-1]["holds"]["rows"][1] + 1
    return found


def _is_measured_here(now: dict[str, Any], task: str) -> bool:
    """Whether a choice was measured on this device, undisturbed, with what is here today."""
    tuned = now["tuned"]
    return (
        now["evidence"] == "measured"
        and now["grade"] == "measured"
        and tuned["current"]
        and tuned["task"] == task
    )


def _untuned(line: Listed, schedule: str = "", ns: float | None = None, **more: Any) -> Tuning:
    call = line.call
    return Tuning(
        task=call.task,
        device=call.device,
        rows=line.rows,
        inner=call.inner,
        count=call.count,
        before=schedule,
        after=schedule,
        before_ns=ns,
        after_ns=ns,
        **more,
    )


def _tuning(
    line: Listed,
    explained: list[dict[str, Any]],
    explained_now: list[dict[str, Any]],
    winner: dict[str, Any],
) -> Tuning:
    before, after = (_schedule_at(winner["rows"]["tuned"], e) for e in (explained, explained_now))
    times = {c["schedule"]: _median(c["time_ns"]) for c in winner["candidates"]}
    default = winner["default"]["schedule"]
    times[default] = _median(winner["default"]["time_ns"])
    times[winner["schedule"]] = _median(winner["time_ns"])
    call = line.call
    rows = line.rows
    if line.low < call.rows:
        rows = range_text(winner["rows"]["low"], winner["rows"]["high"])
    return Tuning(
        task=call.task,
        device=call.device,
        rows=rows,
        inner=call.inner,
        count=call.count,
        before=before,
        after=after,
        before_ns=times.get(before),
        after_ns=times.get(after),
        default=default,
        default_ns=times[default],
        bound_ns=winner["bound_ns"],
        disturbed=winner["disturbed"],
    )


def _schedule_at(rows: int, explained: list[dict[str, Any]]) -> str:
    there = (e["schedule"] for e in explained if rows <= e["holds"]["rows"][1])
    return next(there, explained[-1]["schedule"])


def _median(time: dict[str, Any] | None) -> float | None:
    return None if time is None else time["median"]


class _Progress:
    """A bar over tasks, or a line for each; nothing where it is not wanted."""

    def __init__(self, total: int, wanted: bool) -> None:
        self._total = total
        self._at = 0
        self._bar: Any = None
        self._lines = wanted
        if not wanted:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._lines = False
        form = "{desc}{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        self._bar = tqdm(total=total, desc="grkan", bar_format=form)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            if self._at == self._total:
                self._bar.update(self._total - self._bar.n)
            self._bar.close()

    def next(self, text: str) -> None:
        self._at += 1
        if self._bar is not None:
            self._bar.set_description(f"grkan {self._at}/{self._total} {text}")
            self._move(self._at - 1)
        elif self._lines:
            print(f"grkan: tuning {self._at} of {self._total}: {text}", file=sys.stderr, flush=True)

    def _move(self, to: float) -> None:
        self._bar.update(max(0.0, to - self._bar.n))

    def callback(self) -> _Callback:
        return _Callback(self)

    def within(self, part: float) -> None:
        """So much of the task at hand is done."""
        if self._bar is not None:
            self._move(self._at - 1 + min(1.0, part))


class _Callback:
    """What grkan_plan_tune calls: moves the bar, and carries what is raised there past the C
    functions in between.

    Ctrl-C waits until then too: Python would raise it as soon as the callback begins, where ctypes
    drops it.
    """

    def __init__(self, shown: _Progress) -> None:
        self._shown = shown
        self._raised: BaseException | None = None
        self._interrupt: tuple[Any, Any] | None = None
        self._handler: Any = None
        self._function = PROGRESS(self._call)

    def __enter__(self) -> Any:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._handler = handler
            signal.signal(signal.SIGINT, self._remember)
        return self._function

    def __exit__(self, *_: Any) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            if self._interrupt is not None:
                self._handler(*self._interrupt)
        if self._raised is not None:
            raise self._raised

    def _remember(self, number: int, frame: Any) -> None:
        self._interrupt = number, frame

    def _call(self, _: Any, done: int, total: int, seconds_left: float) -> int:
        try:
            self._shown.within(done / max(1, total))
        except BaseException as error:
            self._raised = error
        return 0 if self._raised is None and self._interrupt is None else 1
