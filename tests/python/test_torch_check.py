"""What bench/gpu/torch_check.py can check without a GPU: it shall run on the day there is one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from torch_support import torch

SCRIPT = Path(__file__).resolve().parents[2] / "bench/gpu/torch_check.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("torch_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_checks_pass(script):
    for check in (script.check_types, script.check_shapes):
        check(torch.device("cpu"))


def test_checks_can_fail(script):
    case = script.Case(torch.device("cpu"), (64, 24), groups=(1, 4))
    found, exact = case.ours(), case.exact()
    for value in found:
        wrong = [t.clone() for t in found]
        next(w for w, t in zip(wrong, found) if t is value).mul_(1.001)
        with pytest.raises(AssertionError, match="off by"):
            script.must_agree(wrong, exact)
