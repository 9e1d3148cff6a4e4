"""Our declarations of XLA's FFI, held against the headers of the jaxlib installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from jax_support import jax

ROOT = Path(__file__).resolve().parents[2]


def test_declarations():
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    headers = Path(jax.ffi.include_dir())
    assert (headers / "xla/ffi/api/c_api.h").exists()
    result = subprocess.run(
        [
            compiler,
            "-std=c++20",
            "-fsyntax-only",
            f"-I{ROOT}",
            f"-isystem{headers}",
            str(ROOT / "tests/python/xla_ffi_test.cpp"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
