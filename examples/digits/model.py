"""A small vision transformer for 8 x 8 images, with GELU or with GR-KAN in its MLPs.

The GR-KAN blocks are those of the Kolmogorov-Arnold Transformer (https://arxiv.org/abs/2409.10594):
a group-rational activation before each of the two linear layers, the first starting as the
identity, the second as swish. Both MLPs have the same linear layers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from grkan.torch import GroupRational, composite

ACTIVATIONS = ("gelu", "grkan", "plain")


class PlainRational(GroupRational):
    """GroupRational's function by PyTorch operations, one after another."""

    def forward(self, x: Tensor) -> Tensor:
        return composite.group_rational(x, self.numerator, self.denominator, variant=self.variant)


def mlp(dim: int, hidden: int, activation: str) -> nn.Sequential:
    """activation: one of ACTIVATIONS."""
    first, second = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
    if activation == "gelu":
        return nn.Sequential(first, nn.GELU(), second)
    kind: Callable[..., nn.Module] = {"grkan": GroupRational, "plain": PlainRational}[activation]
    return nn.Sequential(kind(dim, init="identity"), first, kind(hidden, init="swish"), second)


class Block(nn.Module):
    """[batch, tokens, dim] to the same shape."""

    def __init__(self, dim: int, heads: int, activation: str) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = mlp(dim, 4 * dim, activation)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        q, k, v = (
            self.qkv(self.norm1(x))
            .view(batch, tokens, 3, self.heads, dim // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        seen = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, tokens, dim))
        return x + self.mlp(self.norm2(x))


class DigitTransformer(nn.Module):
    """[batch, 8, 8] to [batch, 10] logits; patches of 2 x 2, so 16 tokens."""

    def __init__(self, activation: str, dim: int = 64, depth: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, dim))
        self.blocks = nn.Sequential(*(Block(dim, heads, activation) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, images: Tensor) -> Tensor:
        patches = images.view(-1, 4, 2, 4, 2).transpose(2, 3).reshape(-1, 16, 4)
        x = self.blocks(self.embed(patches) + self.position)
        return self.head(self.norm(x).mean(dim=1))
