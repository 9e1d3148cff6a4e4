"""Times of calls that take turns, so that a busy moment meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

Cases = dict[str, Callable[[], object]]


def in_turn(cases: Cases, rounds: int, calls: int = 1) -> dict[str, tuple[float, float]]:
    """(median, least) seconds a call; each is called once before."""
    for call in cases.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, call in cases.items():
            begin = time.perf_counter_ns()
            for _ in range(calls):
                call()
            times[name].append((time.perf_counter_ns() - begin) / 1e9 / calls)
    return {name: (statistics.median(t), min(t)) for name, t in times.items()}
