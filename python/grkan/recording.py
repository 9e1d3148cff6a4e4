"""Recording: which GR-KAN calls a step makes, as the list that ``grkan tune --problems`` takes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from grkan import _frameworks
from grkan._library import BACKWARD, FORWARD
from grkan._text import range_text, table
from grkan.errors import InvalidArgument
from grkan.problem import Problem

__all__ = ["Call", "Calls", "record"]

_GRADIENTS = ("dx", "da", "db")
_DETERMINISMS = ("run_to_run", "not_guaranteed", "run_to_run", "gpu_to_gpu")  # 0: the default

# A task of more sizes than that is listed as a range of rows.
_MOST_SIZES = 4


@dataclass(frozen=True)
class Call:
    """Calls that are alike.

    ``gradients`` are those that a backward call computed, of "dx", "da", "db". ``rows`` and
    ``inner`` are the size as grkan.h counts it: the dimensions that lie further out than the
    channels in memory, and those further in.
    """

    problem: Problem
    direction: Literal["forward", "backward"]
    gradients: tuple[str, ...]
    device: str  #: "cpu", "cuda:0"
    threads: int  #: of a CPU's calls, for which tuning is; 0 on other devices
    determinism: str  #: "run_to_run", "not_guaranteed", "gpu_to_gpu"
    rows: int
    inner: int
    count: int = 1  #: how often it was called
    _key: bytes = field(default=b"", repr=False)  # of the plan that it ran on

    @property
    def task(self) -> str:
        """The printed form: "forward/p5q4-A-c768-g8-f32-last"."""
        return f"{'.'.join((self.direction, *self.gradients))}/{self.problem}"


@dataclass(frozen=True)
class Listed:
    """Calls of a task as a line of a list: of one size, or of all rows from ``low`` to
    ``call.rows``."""

    call: Call
    low: int

    @property
    def rows(self) -> str:
        return range_text(self.low, self.call.rows)


class Calls(Sequence[Call]):
    """What was called, in the order of the first calls; made by ``grkan.record``.

    As a context manager it records what is called meanwhile, on any thread of the process, in
    addition to what it has. ``print`` shows a table.
    """

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._before: list[dict[bytes, int]] = []

    def __enter__(self) -> Calls:
        _frameworks.set_recording(True)
        self._before.append({_identity(c): c.count for c in _frameworks.recorded()})
        return self

    def __exit__(self, *_: Any) -> None:
        before = self._before.pop()
        try:
            found = _frameworks.recorded()
        finally:
            _frameworks.set_recording(False)
        for call in found:
            count = call.count - before.get(_identity(call), 0)
            if count > 0:
                self._add(_call_of(call, count))

    def _add(self, call: Call) -> None:
        for i, known in enumerate(self._calls):
            if replace(known, count=call.count) == call:
                self._calls[i] = replace(known, count=known.count + call.count)
                return
        self._calls.append(call)

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: Any) -> Any:
        return self._calls[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def __repr__(self) -> str:
        return f"<grkan.recording.Calls of {len(self)} kinds>"

    def __str__(self) -> str:
        if not self:
            return "no GR-KAN call"
        rows = [("task", "device", "rows", "inner", "count")]
        rows += [(c.task, c.device, str(c.rows), str(c.inner), str(c.count)) for c in self]
        return table(rows)

    def listed(self) -> list[Listed]:
        """A line for each task, device, inner and number of rows; where a task has more than four
        numbers of rows, one for all from the least to the most."""
        groups: dict[Call, list[Call]] = {}
        for call in self:
            groups.setdefault(replace(call, rows=0, count=0), []).append(call)
        lines = []
        for calls in groups.values():
            if len(calls) <= _MOST_SIZES:
                lines += [Listed(call, call.rows) for call in calls]
                continue
            most = max(calls, key=lambda call: call.rows)
            count = sum(call.count for call in calls)
            lines.append(Listed(replace(most, count=count), min(call.rows for call in calls)))
        return lines

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the list that ``grkan tune --problems`` takes (docs/tuning.md), a line of JSON for
        each of ``listed()``.

        Raises:
            InvalidArgument: nothing was recorded.
            OSError: the file can't be written.
        """
        if not self:
            raise InvalidArgument(
                "nothing was recorded: no GR-KAN call was made; record a step of a model that "
                "has one (its modules run grkan.torch.group_rational)"
            )
        groups: dict[tuple[str, int, str], list[Listed]] = {}
        for line in self.listed():
            call = line.call
            groups.setdefault((call.device, call.threads, call.determinism), []).append(line)
        text = ""
        for (device, threads, determinism), lines in groups.items():
            options = f"--device {device}"
            if threads > 0:
                options += f" --threads {threads}"
            if determinism != "run_to_run":
                options += f" --determinism {determinism}"
            text += f"# called on {device}: grkan tune {options} --problems ...\n"
            text += "".join(json.dumps(_document(line)) + "\n" for line in lines)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def record(step: Callable[..., Any] | None = None, /, *args: Any, **named: Any) -> Calls:
    """Finds out which GR-KAN calls a step makes, and how often.

    ::

        calls = grkan.record(model, x)          # forward and backward of the model
        with grkan.record() as calls:           # or a step of your own
            train_step(batch)
        print(calls)
        calls.save("model.jsonl")               # grkan tune --problems model.jsonl

    Args:
        step: a ``torch.nn.Module``, which is run on the arguments, forward and, unless gradients
            are off, backward of the sum of its outputs; parameters, gradients, buffers and random
            numbers are left as they were. Or a function, which is called. None: nothing is run,
            and what is returned records what is called in its ``with`` block.
        args, named: the step's arguments.

    The calls are counted where they are made, so compiled models are seen as they run. What a CUDA
    graph replays is not seen, nor what other processes do.

    Raises:
        TypeError: step is no function, or arguments came without one.
        What the step raises.
    """
    calls = Calls()
    if step is None:
        if args or named:
            raise TypeError("record() runs nothing by itself; give a model or a function first")
        return calls
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(step, torch.nn.Module):
        from grkan.torch._step import run_step as run
    elif callable(step):

        def run(step: Callable[..., Any], args: Any, named: Any) -> None:
            step(*args, **named)

    else:
        raise TypeError(
            f"record takes a torch.nn.Module or a function, not {type(step).__name__}; or nothing, "
            "as in `with grkan.record() as calls:`"
        )
    with calls:
        run(step, args, named)
    return calls


def direction_code(call: Call) -> int:
    return BACKWARD if call.direction == "backward" else FORWARD


def plan_of(call: Call) -> _frameworks.FrameworkPlan:
    """The plan of this process that such calls run on."""
    return _frameworks.FrameworkPlan(_frameworks.PlanKey.from_buffer_copy(call._key))


def gradient_bits(gradients: Sequence[str]) -> int:
    """As GRKAN_DX, GRKAN_DA and GRKAN_DB are or-ed."""
    return sum(1 << _GRADIENTS.index(name) for name in gradients)


def _identity(call: _frameworks.RecordedCall) -> bytes:
    size = type(call).count.offset
    return bytes(call)[:size]


def _call_of(call: _frameworks.RecordedCall, count: int) -> Call:
    key = call.key
    backward = call.direction == BACKWARD
    return Call(
        problem=_frameworks.problem_of(key),
        direction="backward" if backward else "forward",
        gradients=tuple(n for i, n in enumerate(_GRADIENTS) if call.gradients >> i & 1),
        device=_frameworks.device_name(key),
        threads=key.threads,
        determinism=_DETERMINISMS[key.determinism],
        rows=call.rows,
        inner=call.inner,
        count=count,
        _key=bytes(key),
    )


def _document(line: Listed) -> dict[str, Any]:
    call = line.call
    document: dict[str, Any] = {"task": call.task}
    document["rows"] = call.rows if line.low == call.rows else line.rows
    if call.problem.layout == "first":
        document["inner"] = call.inner
    return {**document, "count": call.count}
