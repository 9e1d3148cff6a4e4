"""Winners put into a cache folder by hand, as grkan's cache keeps them (docs/cache.md)."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path

import pytest


class _Hash(ctypes.Structure):
    _fields_ = (("low", ctypes.c_uint64), ("high", ctypes.c_uint64))


def content_hash(data: bytes) -> str:
    """XXH3-128, as xxhsum prints it."""
    try:
        function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    except OSError:
        pytest.skip("no libxxhash.so.0 on this machine")
    function.restype = _Hash
    function.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    found = function(data, len(data))
    return f"{found.high:016x}{found.low:016x}"


def store(folder: Path, winner: dict) -> Path:
    """The file of a winner in a cache folder."""
    task = winner["task"].replace("/", "_").replace(":", "+")
    data = json.dumps(winner).encode()
    path = folder / "winners" / task / winner["device"]["architecture"]
    old = os.umask(0o077)
    try:
        path.mkdir(parents=True, exist_ok=True)
        file = path / f"{content_hash(data)}.json"
        file.write_bytes(data)
    finally:
        os.umask(old)
    return file


def stored(folder: Path) -> list[dict]:
    """All winners of a cache folder."""
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("winners/*/*/*.json"))]
