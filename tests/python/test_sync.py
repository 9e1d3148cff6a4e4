"""grkan.sync_plans: two ranks on gloo, of which the second has other winners in another cache."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

import grkan
from grkan import _frameworks, _library
from grkan.torch import GroupRational
from grkan.torch import _sync as sync
from ranks import run_ranks
from torch_support import torch
from winners import content_hash


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    content_hash(b"")  # skips where winners can't be made
    folder = tmp_path_factory.mktemp("ranks")
    described = json.dumps(device(folder))
    return run_ranks(
        "sync_ranks.py",
        folder,
        lambda rank: {"GRKAN_CACHE_DIR": str(folder / f"cache{rank}"), "DEVICE": described},
    )


def device(folder):
    """This machine as the cache describes it: from a winner that the command stored."""
    found = list(folder.glob("device/winners/*/*/*.json"))
    if not found:
        grkan_command = _library.folder().parent / "bin" / "grkan"
        words = [grkan_command, "tune", "forward/p0q0-A-c8-g1-f32-last", "--rows", "8"]
        words += ["--effort", "instant", "--cache", folder / "device"]
        one = {**os.environ, "GRKAN_THREADS": "1"}  # as the ranks have
        subprocess.run(words, check=True, capture_output=True, timeout=300, env=one)
        found = list(folder.glob("device/winners/*/*/*.json"))
    return json.loads(found[0].read_bytes())["device"]


def test_both_run_the_kernels_of_rank_0(ranks):
    (first, second), _ = ranks
    for i, what in enumerate(("gradients", "schedules")):
        assert first["own"][i] != second["own"][i], f"the ranks have the same {what} by themselves"
        assert first["same"][i] == first["own"][i] == second["same"][i], what
    assert (first["evidence"], second["evidence"]) == ("measured", "imported")


def test_who_follows_whom_is_told(ranks):
    (first, second), _ = ranks
    assert first["synced"] == [{"cpu": 0}, 0]
    assert second["synced"][0] == {"cpu": 0} and second["synced"][1] >= 2


def test_another_architecture_leads_itself(ranks):
    (first, second), errors = ranks
    assert first["apart"] == [{"cpu": 0}, 0] and second["apart"] == [{"cpu": 1}, 0]
    assert "the ranks' cpu devices differ: rank 0 has x86-64" in errors[0]
    assert "rank 1 other" in errors[0] and "devices differ" not in errors[1]


def test_groups(ranks):
    (first, second), _ = ranks
    assert first["alone"] == [{"cpu": 0}, 0] and second["alone"] == [{"cpu": 0}, 0]
    for rank in (first, second):
        assert rank["outside"].startswith("this process is not of the group")


def test_a_model_in_ddp_is_recorded(ranks):
    (first, second), _ = ranks
    assert first["ddp"] == second["ddp"] == 2


def test_without_torch_distributed():
    with pytest.raises(ValueError, match="not been initialized"):
        grkan.sync_plans()
    assert not torch.distributed.is_initialized()


def test_what_is_sent_is_of_the_current_number_of_threads():
    number = torch.get_num_threads()
    module, x = GroupRational(104), torch.zeros(4, 104)
    problem = "p5q4-A-c104-g1x8-f32-last"
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            module(x)
        keys = {
            key.threads: key
            for key in _frameworks.known_plans()
            if str(_frameworks.problem_of(key)) == problem
        }
        assert {1, 3} <= set(keys)
        for threads in (3, 1):
            torch.set_num_threads(threads)
            sent = next(e for e in sync._exported() if e.problem == problem)
            assert sent.winners == _frameworks.FrameworkPlan(keys[threads]).export()
            other = _frameworks.FrameworkPlan(keys[4 - threads]).export()
            assert sent.winners != other
    finally:
        torch.set_num_threads(number)


def test_what_fails_on_a_rank_is_told_to_all():
    def fails():
        raise grkan.GrkanError("no space")

    told = [sync._attempt(lambda: 1), sync._attempt(fails)]
    with pytest.raises(grkan.GrkanError, match="failed on rank 1: GrkanError: no space"):
        sync._all_of(enumerate(told))
    assert sync._all_of([(0, told[0])]) == [1]
