"""The ranks of a distributed run agree on the kernels that they run."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.distributed as dist

from grkan import _frameworks, _plan
from grkan._frameworks import CPU, FrameworkPlan, PlanKey
from grkan._library import FORWARD
from grkan.errors import GrkanError, InvalidArgument
from grkan.problem import Problem

from . import _ops

__all__ = ["Synced", "sync_plans"]

# Any problem: what it is asked for is the architecture of a device.
_SMALL = "p0q0-A-c1-g1-f32-last"


class Synced(NamedTuple):
    """``leaders``: the rank of the group whose winners this one runs, by kind of device ("cpu",
    "cuda"). ``plans``: how many plans follow another rank's now."""

    leaders: dict[str, int]
    plans: int


class _Exported(NamedTuple):
    """A plan's winners; problem, kind and determinism say which plans of other ranks are its
    like."""

    problem: str
    kind: str
    determinism: int
    winners: bytes


def sync_plans(process_group: Any = None) -> Synced:
    """Lets all ranks run the kernels that rank 0 would: its winners are sent to the others, which
    choose by them from then on, for every size, whatever their own caches hold.

    ::

        if dist.get_rank() == 0:
            grkan.tune(model, x)
        grkan.sync_plans()

    So replicas that compute the same get the same bits, and the same speed. What is sent are
    the winners of all problems that rank 0 has called or tuned so far; call it again after it has
    tuned more, or met new ones. A rank that tunes afterwards goes its own way in those problems.

    Where ranks have devices of different architectures (an sm_80 and an sm_90), the lowest rank of
    each architecture leads those that are like it, rank 0 warns, and bits differ between the
    architectures.

    Args:
        process_group: of ``torch.distributed``; None: the default one. All of its ranks must call.

    Returns:
        Whom this rank follows: see ``Synced``.

    Raises:
        InvalidArgument: this process is not of the group.
        GrkanError: on all ranks, what failed on one.
        ValueError: torch.distributed is not initialized.
    """
    group = dist.group.WORLD if process_group is None else process_group
    rank = dist.get_rank(group)
    if rank < 0:
        raise InvalidArgument(
            "this process is not of the group; let its ranks alone call sync_plans", "process_group"
        )
    told: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(told, _attempt(_architectures), group=group)
    architectures = _all_of(enumerate(told))
    leaders = {
        kind: next(i for i, of in enumerate(architectures) if of.get(kind) == mine)
        for kind, mine in architectures[rank].items()
    }
    sent: dict[int, Any] = {}
    for leader in _all_leaders(architectures):
        message = [_attempt(_exported) if leader == rank else None]
        dist.broadcast_object_list(message, src=dist.get_global_rank(group, leader), group=group)
        sent[leader] = message[0]
    received: dict[int, list[_Exported]] = dict(zip(sent, _all_of(sent.items()), strict=True))
    if rank == 0:
        _warn_of_others(architectures)
    plans = 0
    for kind, leader in leaders.items():
        if leader != rank:
            found = [exported for exported in received[leader] if exported.kind == kind]
            plans += sum(_import(exported, architectures[rank][kind]) for exported in found)
    return Synced(leaders, plans)


def _attempt(make: Callable[[], Any]) -> tuple[Any, str]:
    """What make gives and "", or nothing and why: the others wait for what is sent, in any case."""
    try:
        return make(), ""
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _all_of(told: Iterable[tuple[int, tuple[Any, str]]]) -> list[Any]:
    """What was told by all ranks of `told`, once all of it has been sent."""
    values = []
    for rank, (value, error) in told:
        if error:
            raise GrkanError(f"sync_plans failed on rank {rank}: {error}")
        values.append(value)
    return values


def _current_device() -> int | None:
    """The CUDA device of a rank that computes on one."""
    return torch.cuda.current_device() if torch.cuda.is_initialized() else None


@functools.cache
def _architecture(device: str) -> str:
    with _plan.fresh(Problem.parse(_SMALL), device) as plan:
        return plan.explain(FORWARD, 1, 1)["target"]


def _architectures() -> dict[str, str]:
    """Of the devices that this rank computes on, by their kind."""
    found = {"cpu": _architecture("cpu")}
    device = _current_device()
    if device is not None:
        found["cuda"] = _architecture(f"cuda:{device}")
    return found


def _all_leaders(architectures: list[dict[str, str]]) -> list[int]:
    first: dict[tuple[str, str], int] = {}
    for rank, of in enumerate(architectures):
        for pair in of.items():
            first.setdefault(pair, rank)
    return sorted(set(first.values()))


def _warn_of_others(architectures: list[dict[str, str]]) -> None:
    for kind, mine in architectures[0].items():
        others = {i: of[kind] for i, of in enumerate(architectures) if of.get(kind, mine) != mine}
        if others:
            listed = ", ".join(f"rank {i} {name}" for i, name in others.items())
            warnings.warn(
                f"the ranks' {kind} devices differ: rank 0 has {mine}, {listed}; each follows the "
                "lowest rank of its kind, and bits differ between them",
                stacklevel=3,
            )


def _kind(key: PlanKey) -> str:
    return "cpu" if key.device == CPU else "cuda"


def _exported() -> list[_Exported]:
    """The winners of all plans of this rank; of a problem's plans on several devices, or for
    several numbers of threads, those of what is current now."""
    current = _current_device()
    threads = torch.get_num_threads()
    pool = _ops.pool()
    found: dict[tuple[str, str, int], _Exported] = {}

    def order(key: PlanKey) -> tuple[Any, ...]:
        return key.device != current, key.device, key.threads != threads, key.pool != pool

    for key in sorted(_frameworks.known_plans(), key=order):
        like = str(_frameworks.problem_of(key)), _kind(key), key.determinism
        if like not in found:
            found[like] = _Exported(*like, FrameworkPlan(key).export())
    return list(found.values())


def _import(exported: _Exported, architecture: str) -> int:
    """Into all plans of the problem, one at least. Returns how many."""
    like = exported[:3]
    keys = [
        key
        for key in _frameworks.known_plans()
        if (str(_frameworks.problem_of(key)), _kind(key), key.determinism) == like
        and _architecture(_frameworks.device_name(key)) == architecture
    ]
    for key in keys or [_new_key(exported)]:
        FrameworkPlan(key).import_(exported.winners)
    return max(1, len(keys))


def _new_key(exported: _Exported) -> PlanKey:
    """Of the plan that this rank's calls will have."""
    on_cpu = exported.kind == "cpu"
    return PlanKey(
        problem=Problem.parse(exported.problem)._c_struct(),
        pool=_ops.pool() if on_cpu else None,
        device=CPU if on_cpu else _current_device(),
        threads=torch.get_num_threads() if on_cpu else 0,
        determinism=exported.determinism,
    )
