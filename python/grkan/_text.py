"""Texts for people."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first row being their heads."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(widths[i]) for i, text in enumerate(row)).rstrip() for row in rows
    )


def range_text(low: int, high: int) -> str:
    """1..4096, or 4096 where both ends are one."""
    return str(high) if low == high else f"{low}..{high}"


def time_text(ns: float | None) -> str:
    if ns is None:
        return "-"
    return f"{ns / 1e6:.3f} ms" if ns >= 1e6 else f"{ns / 1e3:.2f} us"
