"""Microseconds of a call at 1 x 768 float32, where the kernel takes a fifth of one: the least of
100 rounds of 50 calls, all in turn.

    python bench/torch/overhead.py [THREADS]
"""

from __future__ import annotations

import sys

import torch
from timing import Cases, in_turn
from torch.nn import functional

from grkan.torch import GroupRational, _ops, composite, group_rational
from grkan.torch import functional as rational


def cases() -> Cases:
    x, a, b = torch.randn(1, 768), torch.randn(1, 6), torch.randn(8, 4)
    xg, ag, bg = (t.clone().requires_grad_() for t in (x, a, b))
    dy = torch.ones(1, 768)
    layer = GroupRational(768)
    frozen = GroupRational(768).requires_grad_(False)
    return {
        "torch.relu": lambda: torch.relu(x),
        "gelu": lambda: functional.gelu(x),
        "silu": lambda: functional.silu(x),
        "operator, bare": lambda: rational._raw_forward(x, a, b, 1, -1, 0),
        "operator with a registered derivative": lambda: _ops.forward(x, a, b, 1, -1, 0),
        "group_rational": lambda: group_rational(x, a, b),
        "GroupRational, frozen": lambda: frozen(x),
        "with grad: torch.relu": lambda: torch.relu(xg),
        "with grad: gelu": lambda: functional.gelu(xg),
        "with grad: group_rational": lambda: group_rational(xg, ag, bg),
        "with grad: GroupRational": lambda: layer(x),
        "with grad: operator with a registered derivative": lambda: _ops.forward(
            xg, ag, bg, 1, -1, 0
        ),
        "forward + backward: torch.relu": lambda: torch.relu(xg).backward(dy),
        "forward + backward: silu": lambda: functional.silu(xg).backward(dy),
        "forward + backward: gelu": lambda: functional.gelu(xg).backward(dy),
        "forward + backward: group_rational, x alone": lambda: group_rational(xg, a, b).backward(
            dy
        ),
        "forward + backward: group_rational": lambda: group_rational(xg, ag, bg).backward(dy),
        "forward + backward: plain PyTorch": lambda: composite.group_rational(xg, ag, bg).backward(
            dy
        ),
    }


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    for name, (_, least) in in_turn(cases(), rounds=100, calls=50).items():
        print(f"{name:50}{1e6 * least:8.2f}")


if __name__ == "__main__":
    main()
