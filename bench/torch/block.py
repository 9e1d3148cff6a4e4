"""A block of a vision transformer, forward and backward, on the CPU: its MLP with GELU, and KAT's,
with a group-rational activation before each linear layer, by grkan, by plain PyTorch and by
torch.compile of that. Batch 32, 197 tokens; medians over GELU's, and the least over its least.

    python bench/torch/block.py [--threads 1] [--rounds 7] [--no-compile]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from timing import Cases, in_turn
from torch import nn

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples" / "digits"))
from model import Block, PlainRational


def cases(dim: int, half: bool, compiled: bool) -> Cases:
    x = torch.randn(32, 197, dim, requires_grad=True)
    dy = torch.randn(32, 197, dim)
    torch.manual_seed(0)
    blocks: dict[str, nn.Module] = {
        "GELU": Block(dim, dim // 64, "gelu"),
        "grkan": Block(dim, dim // 64, "grkan"),
        "plain": Block(dim, dim // 64, "plain"),
    }
    if compiled:  # the activations alone, as one would with a module of its own
        blocks["compiled"] = Block(dim, dim // 64, "plain")
        for module in blocks["compiled"].modules():
            if isinstance(module, PlainRational):
                module.compile()

    def step(block: nn.Module):
        def call() -> None:
            x.grad = None
            block.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                y = block(x)
            y.float().backward(dy)

        return call

    return {name: step(block) for name, block in blocks.items()}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--no-compile", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    for dim in (192, 384):
        for half in (False, True):
            torch.compiler.reset()
            times = in_turn(cases(dim, half, not chosen.no_compile), chosen.rounds)
            median, least = times["GELU"]
            kind = "bf16 autocast" if half else "f32"
            print(f"dim {dim}, {kind}, {chosen.threads} threads: GELU {1e3 * median:.0f} ms")
            for name, (middle, best) in times.items():
                print(f"  {name:10}{middle / median:8.3f} ({best / least:.3f})", flush=True)


if __name__ == "__main__":
    main()
