"""One rank of test_sync: `python sync_ranks.py RANK RENDEZVOUS`, with a cache of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import torch
import torch.distributed as dist

import grkan
from grkan.torch import GroupRational
from grkan.torch import _sync as sync
from winners import store

ROWS = 3000


def layer():
    torch.manual_seed(3)
    module = GroupRational(64, init="gelu")
    x = torch.randn(ROWS, 64, requires_grad=True)
    return module, x, torch.randn(ROWS, 64)


def gradients_of(module, x, dy):
    wanted = (x, *(p for p in module.parameters() if p.requires_grad))
    return [g.numpy().tobytes().hex() for g in torch.autograd.grad(module(x), wanted, dy)]


def schedules(module, x):
    """Of every size, and of a subset of the gradients."""
    found = []
    for rows in (1, ROWS, 100_000):
        found += [d["schedule"] for d in grkan.explain(module, rows).values()]
    module.numerator.requires_grad_(False)
    found.append(grkan.explain(module, ROWS)["backward"]["schedule"])
    module.numerator.requires_grad_(True)
    return found


def same(schedule):
    return schedule


def other_rows(schedule):
    """With sums in another order."""
    return re.sub(r"_r\d+", "_r2" if "_r1_" in schedule else "_r1", schedule)


def other_slices(schedule):
    return re.sub(r"@slice\d+", "@slice256" if "@slice64" in schedule else "@slice64", schedule)


def put_winner(task, standard, change):
    """A winner of this rank's own, for all sizes."""
    store(
        Path(os.environ["GRKAN_CACHE_DIR"]),
        {
            "schema": 1,
            "task": task,
            "device": json.loads(os.environ["DEVICE"]),
            "determinism": "run_to_run",
            "rows": {"low": 1, "high": 1 << 40, "tuned": ROWS},
            "inner": {"low": 1, "high": 1, "tuned": 1},
            "schedule": change(standard),
            "evidence": "measured",
            "counts": None,
            "disturbed": False,
            "time_ns": {"median": 1000.0, "p10": None, "p90": None, "samples": 9},
            "default": {"schedule": standard, "time_ns": None},
            "bound_kind": "",
            "bound_ns": None,
            "error": {"scaled": None},
            "binary": "",
            "date": "2026-01-01T00:00:00Z",
            "versions": {"grkan": "0.1.0", "compiler": "", "driver": ""},
            "candidates": [],
        },
    )


def main(rank: int, rendezvous: str) -> None:
    problem = "p5q4-A-c64-g1x8-f32-last"
    standard = grkan.explain(problem, ROWS)
    told = {}
    for document in standard.values():
        put_winner(document["task"], document["schedule"], other_rows if rank == 1 else same)
    if rank == 1:
        put_winner(f"backward.dx.db/{problem}", standard["backward"]["schedule"], other_slices)

    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    module, x, dy = layer()
    told["own"] = gradients_of(module, x, dy), schedules(module, x)
    # A rank that has not called yet what rank 0 has.
    if rank == 0:
        GroupRational(32)(torch.zeros(4, 32))
    told["synced"] = grkan.sync_plans()
    told["same"] = gradients_of(module, x, dy), schedules(module, x)
    told["evidence"] = grkan.explain(module, 77)["backward"]["evidence"]

    # As if the second rank's processor were another: it leads itself.
    if rank == 1:
        sync._architecture = lambda device: "other"
    told["apart"] = grkan.sync_plans(dist.new_group([0, 1]))
    alone = [dist.new_group([0]), dist.new_group([1])]
    try:
        grkan.sync_plans(alone[1 - rank])
    except grkan.GrkanError as error:
        told["outside"] = str(error)
    told["alone"] = grkan.sync_plans(alone[rank])
    told["ddp"] = len(grkan.record(torch.nn.parallel.DistributedDataParallel(module), x))
    dist.destroy_process_group()
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
