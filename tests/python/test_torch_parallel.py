"""DistributedDataParallel and FSDP2 on gloo: two ranks, each with half of a batch."""

from __future__ import annotations

import pytest

import torch_support  # noqa: F401  skips where there is no PyTorch
from ranks import run_ranks


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    return run_ranks("parallel_ranks.py", tmp_path_factory.mktemp("ranks"))[0]


def test_ddp(ranks):
    first, second = (rank["ddp"] for rank in ranks)
    assert first["gradients"] == second["gradients"]
    # Halves, their mean and the whole are rounded to float32 once each.
    assert first["error"] < 3 * 2**-24


@pytest.mark.parametrize(("policy", "bound"), [("fsdp", 5e-5), ("fsdp16", 2**-6)])
def test_fully_shard(ranks, policy, bound):
    first, second = (rank[policy] for rank in ranks)
    assert first["changes"] == second["changes"]
    assert first["error"] < bound
