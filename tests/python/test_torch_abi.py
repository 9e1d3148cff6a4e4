"""Our declarations of PyTorch's C ABI, held against the headers of the PyTorch installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from torch_support import torch

ROOT = Path(__file__).resolve().parents[2]


def test_declarations():
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    headers = Path(torch.__file__).parent / "include"
    if not (headers / "torch/csrc/stable/c/shim.h").exists():
        pytest.skip(f"no headers of PyTorch in {headers}")
    result = subprocess.run(
        [
            compiler,
            "-std=c++20",
            "-fsyntax-only",
            "-DUSE_CUDA",
            f"-I{ROOT}",
            f"-isystem{headers}",
            str(ROOT / "tests/python/torch_abi_test.cpp"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
