"""A rank of test_torch_parallel: parallel_ranks.py RANK RENDEZVOUS prints a JSON document."""

from __future__ import annotations

import copy
import json
import sys

import torch
import torch.distributed as dist
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel

from grkan.torch import GroupRational

STEPS = 3


def batches(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(64, 33, 64, generator=generator).to(dtype) for _ in range(STEPS)]


def half(batch: torch.Tensor, rank: int) -> torch.Tensor:
    return batch[32 * rank : 32 * (rank + 1)]


def bits(tensors) -> list:
    return [t.detach().double().tolist() for t in tensors]


def distance(actual, expected) -> float:
    """The largest |actual - expected| of a tensor, as norms, over |expected|."""
    return max(
        ((a.double() - e.double()).norm() / e.double().norm()).item()
        for a, e in zip(actual, expected, strict=True)
    )


def ddp(rank: int) -> dict:
    """Gradients of the coefficients, of half the batch on each rank, and of all in one process."""
    module = GroupRational(64)
    whole = copy.deepcopy(module)
    batch = batches()[0]
    whole(batch).square().mean().backward()
    parallel = DistributedDataParallel(module)
    parallel(half(batch, rank)).square().mean().backward()
    gradients = [p.grad for p in module.parameters()]
    return {
        "gradients": bits(gradients),
        "error": distance(gradients, [p.grad for p in whole.parameters()]),
    }


def model() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 96), GroupRational(96), torch.nn.Linear(96, 64), GroupRational(64)
    )


def train(module: torch.nn.Module, inputs: list[torch.Tensor]) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for x in inputs:
        optimizer.zero_grad()
        module(x).float().square().mean().backward()
        optimizer.step()


def fsdp(rank: int, policy: MixedPrecisionPolicy) -> dict:
    """How some steps of fully_shard change the parameters, beside one process in float32."""
    start = list(model().parameters())
    whole = model()
    train(whole, batches())
    module = model()
    for layer in module:
        fully_shard(layer, mp_policy=policy)
    fully_shard(module, mp_policy=policy)
    train(module, [half(b, rank) for b in batches()])
    changes = [p.full_tensor() - s for p, s in zip(module.parameters(), start, strict=True)]
    expected = [p - s for p, s in zip(whole.parameters(), start, strict=True)]
    return {"changes": bits(changes), "error": distance(changes, expected)}


def main(rank: int, rendezvous: str) -> None:
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    told = {
        "ddp": ddp(rank),
        "fsdp": fsdp(rank, MixedPrecisionPolicy()),
        "fsdp16": fsdp(rank, MixedPrecisionPolicy(param_dtype=torch.bfloat16)),
    }
    dist.destroy_process_group()
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
