"""Milliseconds of an activation on the CPU: grkan, plain PyTorch, torch.compile of that, GELU and
SiLU (which have no coefficients to learn), in turn, the slow ones after the others; medians, and
the least in brackets.

    python bench/torch/speed.py [--threads 1] [--rounds 9] [--no-compile]

"given": forward into an output that is there. "new": forward as a model calls it, the output
allocated. "step": forward and backward, allocated.
"""

from __future__ import annotations

import argparse

import torch
from timing import Cases, in_turn
from torch import Tensor
from torch.nn import functional

from grkan.torch import GroupRational, composite, group_rational

SHAPES = (
    ((25216, 768), torch.float32),
    ((25216, 768), torch.bfloat16),
    ((25216, 192), torch.float32),
    ((25216, 192), torch.bfloat16),
    ((1568, 768), torch.float32),
    ((1568, 768), torch.bfloat16),
)


def cases(shape: tuple[int, int], kind: torch.dtype, compiled: bool) -> Cases:
    x = torch.randn(shape).to(kind)
    leaf = x.clone().requires_grad_()
    dy = torch.randn(shape).to(kind)
    given = torch.empty_like(x)
    a, b = GroupRational(shape[1]).parameters()
    frozen = a.detach(), b.detach()

    def plain(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return composite.group_rational(x, a, b)

    functions = {
        "grkan": lambda x, a, b: group_rational(x, a, b),
        "plain": plain,
        "GELU": lambda x, a, b: functional.gelu(x),
        "SiLU": lambda x, a, b: functional.silu(x),
    }
    if compiled:
        functions["compiled"] = torch.compile(plain)

    def step(function):
        def call() -> None:
            for t in (leaf, a, b):
                t.grad = None
            function(leaf, a, b).backward(dy)

        return call

    made: Cases = {
        "given: grkan": lambda: group_rational(x, *frozen, out=given),
        "given: GELU": lambda: torch._C._nn.gelu(x, out=given),
        "given: SiLU": lambda: torch._C._nn.silu(x, out=given),
        "given: copy": lambda: given.copy_(x),
    }
    for name, function in functions.items():
        made[f"new: {name}"] = lambda function=function: function(x, *frozen)
    for name, function in functions.items():
        made[f"step: {name}"] = step(function)
    return made


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--no-compile", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    for shape, kind in SHAPES:
        torch.compiler.reset()
        made = cases(shape, kind, not chosen.no_compile)
        # Apart: in rounds of seconds, as the slow ones make them, a virtual machine's host takes
        # back the memory that a call has freed, and the next call waits for it.
        slow = {name: made.pop(name) for name in list(made) if name.endswith(("plain", "compiled"))}
        times = in_turn(made, chosen.rounds) | in_turn(slow, 3)
        print(f"{shape[0]} x {shape[1]} {str(kind)[6:]}, {chosen.threads} threads")
        for name, (median, least) in times.items():
            print(f"  {name:20}{1e3 * median:10.2f} ({1e3 * least:.2f})", flush=True)


if __name__ == "__main__":
    main()
