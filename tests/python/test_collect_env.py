"""python -m grkan.collect_env, on whole and on broken installations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grkan import _library, collect_env


def run(*arguments, **environment):
    command = [sys.executable, *arguments]
    ran = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_whole():
    told = json.loads(run("-m", "grkan.collect_env", "--json"))
    assert told["grkan"]["version"] == _library.library().grkan_version().decode()
    assert told["libraries"]
    assert all(text.startswith("opens") for text in told["libraries"].values()), told["libraries"]
    assert told["processor"]["count"] >= 1
    assert "numpy" in told["packages"]
    text = run("-m", "grkan.collect_env")
    assert "libgrkan_compiler.so: opens" in text and "numpy: " in text


def test_nothing_is_imported():
    script = "import sys; import grkan.collect_env; print(*sys.modules)"
    loaded = run("-c", script).split()
    assert not {"numpy", "torch", "jax", "cupy"} & set(loaded)


def test_without_libraries(tmp_path):
    told = json.loads(run("-m", "grkan.collect_env", "--json", GRKAN_LIBRARY_DIR=str(tmp_path)))
    assert str(tmp_path) in told["libraries"]["none"]
    assert "version" not in told["grkan"]
    assert "can't be run" in told["command"]
    assert told["environment"]["GRKAN_LIBRARY_DIR"] == str(tmp_path)


def test_damaged_library(tmp_path):
    (tmp_path / "libgrkan.so.0.1").write_bytes(b"not a library")
    told = json.loads(run("-m", "grkan.collect_env", "--json", GRKAN_LIBRARY_DIR=str(tmp_path)))
    assert told["libraries"]["libgrkan.so.0.1"].startswith("does not open")
    assert told["grkan"].startswith("unknown: OSError")


def test_as_a_file():
    assert "libraries:" in run(collect_env.__file__)


@pytest.mark.parametrize(
    "environment, text",
    [({"GRKAN_CACHE_DIR": "/proc/grkan"}, "/proc/grkan: can't be written"),
     ({"GRKAN_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": ""}, "none: GRKAN_CACHE_DIR")],
)  # fmt: skip
def test_cache(environment, text):
    assert json.loads(run("-m", "grkan.collect_env", "--json", **environment))["cache"].startswith(
        text
    )


def test_cache_is_that_of_the_library(tmp_path):
    """The folder told is the one that a call fills."""
    call = "import numpy as n, grkan.numpy as g; g.group_rational(n.zeros((1, 4)), n.ones((1, 2)))"
    for name, folder in (("GRKAN_CACHE_DIR", "a"), ("XDG_CACHE_HOME", "b"), ("HOME", "c")):
        environment = {"GRKAN_CACHE_DIR": "", "XDG_CACHE_HOME": "", name: str(tmp_path / folder)}
        run("-c", call, **environment)
        cache = json.loads(run("-m", "grkan.collect_env", "--json", **environment))["cache"]
        place, _, state = cache.rpartition(": ")
        assert state == "writable" and any(Path(place).iterdir()), cache


def test_wrong_option(capsys):
    assert collect_env.main(["--yaml"]) == 2
    assert "usage" in capsys.readouterr().err
