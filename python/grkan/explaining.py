"""Which kernel a call would run, from which evidence."""

from __future__ import annotations

import operator
import sys
from typing import Any

from grkan import _plan
from grkan._library import BACKWARD, FORWARD
from grkan._text import time_text
from grkan.errors import InvalidArgument
from grkan.problem import Problem
from grkan.recording import Call, direction_code, gradient_bits, plan_of

__all__ = ["Explanation", "explain"]


class Explanation(dict[str, Any]):
    """What ``grkan.explain`` tells: the fields of ``grkan explain --json`` (docs/json.md) under
    "forward" and "backward". ``print`` shows it for people."""

    def __str__(self) -> str:
        return "\n".join(_text(document) for document in self.values())


def explain(
    what: Any,
    rows: int | None = None,
    inner: int | None = None,
    *,
    channels: int | None = None,
    dtype: Any = None,
    device: Any = None,
) -> Explanation:
    """Tells which kernel a call would run, from which evidence (measured, predicted, default), when
    it was tuned and how far from this size.

    ::

        print(grkan.explain(model.blocks[0].mlp.act, rows=25216))
        grkan.explain("p5q4-A-c768-g1x8-bf16-last", 25216, device="cuda:0")["backward"]["schedule"]
        for call in grkan.record(model, x):
            print(grkan.explain(call))

    Args:
        what: a GR-KAN module (GroupRational, GRKANLayer, those of grkan.compat); a ``Problem`` or
            its printed form; or a ``Call`` of a recording, which has the size.
        rows: the size of a call as grkan.h counts it: of channels-last data all elements over the
            channels, of channels-first data the batch.
        inner: of channels-first data, the elements of a channel: height times width; None: 1.
        channels: of the input of a KAT_Group, which does not know them.
        dtype: of a module's input; None: of its parameters. Autocast counts as in a call.
        device: for a problem: "cpu" (the default), "cuda:0", "virtual:h200". A module is where its
            parameters are.

    A module or a call is asked about in this process, with what was tuned and imported in it; a
    problem as a process would see it that begins now. Of a module a call of one row is made, on
    zeros.

    Raises:
        InvalidArgument: rows or inner below 1, a problem that is none.
        TypeError: what is none of these.
        NoDevice: there is no such device.
    """
    if isinstance(what, Call):
        rows = what.rows if rows is None else rows
        inner = what.inner if inner is None else inner
    elif rows is None:
        raise TypeError("explain needs rows, how many a call has; a recorded Call has them itself")
    inner = 1 if inner is None else inner
    for name, size in (("rows", rows), ("inner", inner)):
        if not 1 <= operator.index(size) < 1 << 63:
            raise InvalidArgument(f"{name} {size} is the size of no call; use 1 or more", name)
    if device is not None and not isinstance(what, (str, Problem)):
        raise InvalidArgument(
            "device is for a problem; a module is where its parameters are, a call where it was "
            "made: leave it away",
            "device",
        )
    if isinstance(what, Call):
        return _of_calls([what], rows, inner)
    if isinstance(what, str):
        what = Problem.parse(what)
    if isinstance(what, Problem):
        return _of_problem(what, rows, inner, str(device or "cpu"))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(what, torch.nn.Module):
        from grkan.torch._module_calls import calls_of_module

        return _of_calls(calls_of_module(what, channels, inner, dtype), rows, inner)
    raise TypeError(
        "explain takes a GR-KAN module, a grkan.Problem or its printed form, or a recorded Call, "
        f"not {type(what).__name__}"
    )


def _of_calls(calls: Any, rows: int, inner: int) -> Explanation:
    found = Explanation()
    for call in calls:
        bits = gradient_bits(call.gradients)
        found[call.direction] = plan_of(call).explain(direction_code(call), rows, inner, bits)
    return found


def _of_problem(problem: Problem, rows: int, inner: int, device: str) -> Explanation:
    with _plan.fresh(problem, device) as plan:
        return Explanation(
            forward=plan.explain(FORWARD, rows, inner), backward=plan.explain(BACKWARD, rows, inner)
        )


def _text(document: dict[str, Any]) -> str:
    size = f"{document['rows']} rows"
    if document["inner"] != 1:
        size += f", {document['inner']} inner"
    lines = [f"{document['task']}, {size}, {document['device']} ({document['target']})"]
    lines.append(f"  schedule  {document['schedule']}")
    evidence = document["evidence"]
    tuned = document["tuned"]
    if tuned is not None:
        evidence += f" {tuned['date'][:10]} at {tuned['rows']} rows"
        if tuned["task"] != document["task"]:
            evidence += f" of {tuned['task']}"
        if document["grade"] != "measured":
            evidence += f" ({document['grade']})"
    lines.append(f"  evidence  {evidence}")
    if document["time_ns"] is not None:
        lines.append(f"  time      {time_text(document['time_ns']['median'])} there")
    low, high = document["holds"]["rows"]
    lines.append(f"  the same  from {low} to {high} rows")
    return "\n".join(lines)
