"""What each term of the GPUs' cost model brings, beside an H200's times.

    python bench/lab/learn/terms.py [--tables build/bench/lab/tables] [--counts from_code]

The model of cuda/cost_model.cpp once more, in NumPy, with its terms and constants open. Each line
takes a term away, or adds it to the model of before; the two constants that are fitted (the
latency of memory and what a kernel takes to start and end) are fitted anew to all tables but one,
and the one left out is predicted. So nothing is judged by tables that it was fitted to.

    sd      standard deviation of log(time / prediction) within a table, mean of the tables
    all     the same over all tables
    rank    Spearman's correlation of predicted and measured times, median of the tables, and least
    first   the predicted best behind the best: median, 9 of 10, worst
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import spearmanr
from tables import Facts, read_facts, read_measured

Array = NDArray[np.float64]

# What core/gpu_models.cpp says of an H200.
MULTIPROCESSORS = 132
CLOCK = 1980.0  # a microsecond
BANDWIDTH = 4800e3 * 0.856  # bytes a microsecond
L2_BANDWIDTH = 8850e3
LAUNCH = 2.4  # microseconds

# The model of now.
NOW = {
    "latency": 0.416,  # microseconds
    "start": 0.9,
    "interval": 2.0,  # clocks from one instruction of a warp to the next
    "chain": 4.0,  # and of a chain
    "serial": 1.0,  # power by which waiting and computing of a thread add up
    "sectors": 1.0,  # of a sector's 32 bytes, those that DRAM moves
    "throughput": 4.0,  # power of the parts of the whole GPU
    "wait": 2.0,  # power of these and of what threads wait for
    "early": 1.6,  # of a second pass that is launched early
}
# The one of before.
BEFORE = {
    "latency": 0.271,
    "start": 0.0,
    "interval": 0.0,
    "chain": 4.0,
    "serial": 9.0,
    "sectors": 0.0,
    "throughput": 9.0,
    "wait": 2.0,
    "early": 0.0,
}
FITTED = ("latency", "start")


def norm(parts: list[Array], power: float) -> Array:
    stacked = np.array(parts)
    largest = np.maximum(stacked.max(axis=0), 1e-12)
    return largest * ((stacked / largest) ** power).sum(axis=0) ** (1 / power)


def launch_time(f: Facts, c: dict[str, float]) -> Array:
    """Microseconds of one launch of each candidate, without what launching takes."""
    issued = f["fp32"] + 2 * f["packed"] + f["fp64"] + f["special"]
    issued = issued + f["convert"] + f["integer"] + f["memory"] + f["other"]
    blocks = np.maximum(f["blocks"], 1)
    warps = blocks * np.ceil(f["threads"] / 32)
    requested = blocks * f["threads"] * f["bytes_ahead"]
    steps = np.divide(
        f["streamed_bytes"], requested, where=requested > 0, out=np.zeros_like(blocks)
    )
    moved = np.maximum(f["dram_bytes"], c["sectors"] * f["sectors"] * 32) * (f["dram_bytes"] > 0)
    line_passes = f["atomic_passes"] * 32 * CLOCK / L2_BANDWIDTH
    atomics = np.maximum(f["most_line_passes"], line_passes) * 3.48 / CLOCK

    def phase(some: Array, busiest: Array, rounds: Array) -> Array:
        share = some / blocks
        clocks = busiest / blocks / CLOCK

        def lanes(instructions: Array, rate: float) -> Array:
            return instructions * 32 / rate * clocks

        lines = np.maximum(f["requests"], f["sectors"] / 4)
        throughput = [
            share * moved / BANDWIDTH,
            share * f["sectors"] * 32 / L2_BANDWIDTH,
            issued / 4 * clocks,
            lanes(f["fp32"] + 2 * f["packed"], 128),
            lanes(f["fp64"], 64),
            lanes(f["special"], 16),
            lanes(f["convert"], 16),
            lanes(f["integer"], 64),
            (f["shared_passes"] + lines) * clocks,
            share * atomics,
        ]
        interval = c["interval"] + (c["chain"] - c["interval"]) / f["independent"]
        waits = rounds * (steps + f["round_trips"] / 2) * c["latency"]
        computes = rounds * issued / warps * interval / CLOCK
        thread = norm([waits, computes], c["serial"])
        return norm([norm(throughput, c["throughput"]), thread], c["wait"])

    places = MULTIPROCESSORS * f["resident_blocks"]
    waves = np.floor(blocks / places)
    left = blocks - waves * places
    whole = phase(waves * places, waves * f["resident_blocks"], waves)
    rest = phase(left, np.ceil(left / MULTIPROCESSORS), (left > 0).astype(float))
    return (whole + rest + f["last_round_trips"] * c["latency"] / 2) * (f["blocks"] > 0)


def predict(launches: list[Facts], c: dict[str, float]) -> Array:
    """Microseconds of each candidate's call: its launches one after another."""
    total = np.zeros(len(launches[0]["blocks"]))
    for f in launches:
        cost = np.where(f["blocks"] > 0, LAUNCH + c["start"], LAUNCH)
        cost = np.where(f["programmatic"] > 0, c["early"], cost)
        total += np.where(f["there"] > 0, cost + launch_time(f, c), 0)
    return total


def fit(launches: list[Facts], log_us: Array, rows: NDArray[np.bool_], c: dict) -> dict:
    some = [{name: values[rows] for name, values in f.items()} for f in launches]

    def errors(x: Array) -> Array:
        return log_us[rows] - np.log(predict(some, c | dict(zip(FITTED, np.exp(x), strict=True))))

    start = np.log([max(c[name], 0.05) for name in FITTED])
    found = least_squares(errors, start, loss="soft_l1", f_scale=0.1, max_nfev=40)
    return c | dict(zip(FITTED, np.exp(found.x), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", default="build/bench/lab/tables")
    parser.add_argument("--counts", choices=("from_code", "executed"), default="from_code")
    options = parser.parse_args()
    measured = read_measured(f"{options.tables}/measured/h200")
    table, us, launches = read_facts(f"{options.tables}/facts/h200", measured, options.counts)
    log_us = np.log(us)
    tables = np.unique(table)

    def line(what: str, c: dict[str, float], fitted: bool = True) -> None:
        predicted = np.zeros(len(us))
        for left_out in tables:
            rows = table == left_out
            used = fit(launches, log_us, ~rows, c) if fitted else c
            predicted[rows] = predict(launches, used)[rows]
        error = log_us - np.log(predicted)

        def each(of: Callable[[NDArray[np.bool_]], float]) -> Array:
            return np.array([of(table == t) for t in tables])

        rank = each(lambda i: spearmanr(predicted[i], us[i])[0])
        first = each(lambda i: us[i][np.argmin(predicted[i])] / us[i].min() - 1) * 100
        spread = each(lambda i: float(np.std(error[i]))).mean()
        columns = [
            f"{spread:7.3f} {np.std(error):7.3f}",
            f"{np.median(rank):7.2f} {rank.min():7.2f}",
            f"{np.median(first):7.1f} {np.quantile(first, 0.9):7.1f} {first.max():7.1f}",
        ]
        print(f"{what:56}", *columns, flush=True)

    print(f"{len(us)} candidates of {len(tables)} tables, counts {options.counts}")
    heading = "sd all rank least first 9/10 worst".split()
    print(f"{'':56}", *(f"{word:>7}" for word in heading))
    line("the model of before, nothing fitted", BEFORE, fitted=False)
    line("the model of before", BEFORE)
    line("the model of now", NOW)
    for what, names in (
        ("a thread waits, then computes", ("serial",)),
        ("a warp's interval between instructions", ("interval",)),
        ("whole sectors from DRAM", ("sectors",)),
        ("the parts of the whole GPU overlap less", ("throughput",)),
        ("start and end of kernels", ("early",)),
    ):
        line(f"  without: {what}", NOW | {name: BEFORE[name] for name in names})
        line(f"  before, with: {what}", BEFORE | {name: NOW[name] for name in names})
    everything = fit(launches, log_us, np.ones(len(us), bool), NOW)
    print("fitted to all tables:", {name: round(float(everything[name]), 3) for name in FITTED})


if __name__ == "__main__":
    main()
