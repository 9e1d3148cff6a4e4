"""Recorded tables (bench/lab/replay/table.h, facts.h) as arrays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# A value for each candidate, by name.
Facts = dict[str, NDArray[np.float64]]

NUMBERS = {
    "threads": 1.0,
    "resident_blocks": 1.0,
    "blocks": 0.0,
    "independent": 1.0,
    "programmatic": 0.0,
} | dict.fromkeys(
    (
        "dram_bytes streamed_bytes bytes_ahead sectors requests round_trips last_round_trips "
        "shared_passes atomic_passes most_line_passes "
        "fp32 packed fp64 special convert integer memory other"
    ).split(),
    0.0,
)


def lines_of(path: Path) -> tuple[dict, list[dict]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return lines[0], lines[1:]


def read_measured(folder: str) -> dict[str, dict[str, float]]:
    """Median microseconds of each candidate that was timed, by the table's name and schedule."""
    tables = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        _, candidates = lines_of(path)
        tables[path.name] = {
            c["schedule"]: float(np.median(c["us"])) for c in candidates if "us" in c
        }
    return tables


def read_facts(
    folder: str, measured: dict[str, dict[str, float]], counts: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[Facts]]:
    """Of all candidates that were timed, counted and not pruned: the table of each, its
    microseconds, and the facts of its first, second and third launch ("there": 1)."""
    table: list[int] = []
    us: list[float] = []
    most = 3
    columns: list[dict[str, list[float]]] = [
        {name: [] for name in (*NUMBERS, "there")} for _ in range(most)
    ]
    for number, path in enumerate(sorted(Path(folder).glob("*.jsonl"))):
        _, candidates = lines_of(path)
        for c in candidates:
            if c["schedule"] not in measured[path.name] or counts not in c or "status" in c:
                continue
            table.append(number)
            us.append(measured[path.name][c["schedule"]])
            for place, column in enumerate(columns):
                launch = c[counts][place] if place < len(c[counts]) else None
                column["there"].append(float(launch is not None))
                for name, absent in NUMBERS.items():
                    column[name].append(float((launch or {}).get(name, absent)))
    launches = [{name: np.array(v) for name, v in column.items()} for column in columns]
    return np.array(table), np.array(us), launches
