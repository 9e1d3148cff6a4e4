"""Winners inside the package, in the folder `winners` beside that of its libraries."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grkan import _library
from winners import store

TASK = "forward/p5q4-A-c48-g1x8-f32-last"


@pytest.fixture(scope="module")
def build():
    """The folder of the libraries of this build, and a winner of its command."""
    return _library.folder().resolve()


@pytest.fixture(scope="module")
def winner(build, tmp_path_factory):
    cache = tmp_path_factory.mktemp("made")
    words = [build.parent / "bin" / "grkan", "tune", TASK, "--rows", "500", "--budget", "0.2"]
    subprocess.run([*words, "--cache", cache], check=True, capture_output=True, timeout=300)
    (path,) = cache.glob("winners/*/*/*.json")
    made = json.loads(path.read_bytes())
    time = {"median": 1000.0, "p10": None, "p90": None, "samples": 9}
    made.update(evidence="measured", counts=None, disturbed=False, time_ns=time, binary="")
    return made


def other(winner, slices):
    schedule = re.sub(r"@slice\d+", f"@slice{slices}", winner["schedule"])
    return {**winner, "schedule": schedule, "date": "2026-01-01T00:00:00Z"}


@pytest.fixture
def package(build, tmp_path):
    """A package with libraries of its own; the compiler stays where it is."""
    library = tmp_path / "grkan" / "lib"
    library.mkdir(parents=True)
    for name in ("libgrkan.so.0.1", "libgrkan_frameworks.so"):
        shutil.copy(build / name, library / name)
    return tmp_path / "grkan"


def environment(package, build, cache):
    return {
        **os.environ,
        "GRKAN_LIBRARY_DIR": str(package / "lib"),
        "GRKAN_COMPILER": str(build / "libgrkan_compiler.so"),
        "GRKAN_CACHE_DIR": str(cache),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(words, package, build, cache):
    given = environment(package, build, cache)
    done = subprocess.run(words, env=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done


def explained(package, build, cache):
    """What a call of 500 rows would run, and what was said on standard error."""
    problem = TASK.split("/")[1]
    code = f"import grkan, json; print(json.dumps(grkan.explain({problem!r}, 500)['forward']))"
    done = run([sys.executable, "-c", code], package, build, cache)
    return json.loads(done.stdout), done.stderr


def listing(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_winner_of_the_package_is_used(package, build, winner, tmp_path):
    cache = tmp_path / "cache"
    assert explained(package, build, cache)[0]["evidence"] == "default"
    theirs = other(winner, 64)
    path = store(package, theirs)
    assert path.relative_to(package).parts[0] == "winners"
    document, said = explained(package, build, cache)
    assert (document["evidence"], document["grade"]) == ("measured", "measured")
    assert document["schedule"] == theirs["schedule"] and said == ""
    assert Path(document["cache_entry"]) == path
    # The command of the package sees them too.
    (package / "bin").mkdir()
    command = shutil.copy(build.parent / "bin" / "grkan", package / "bin" / "grkan")
    words = [command, "explain", TASK, "--rows", "500", "--json"]
    done = run(words, package, build, cache)
    assert json.loads(done.stdout)["results"][0]["cache_entry"] == str(path)


def test_the_users_own_go_before(package, build, winner, tmp_path):
    store(package, {**other(winner, 64), "date": "2026-06-01T00:00:00Z"})
    mine = other(winner, 1024)
    path = store(tmp_path / "cache", mine)
    document, _ = explained(package, build, tmp_path / "cache")
    assert document["schedule"] == mine["schedule"] and document["cache_entry"] == str(path)


def test_what_is_broken_there_is_no_error(package, build, winner, tmp_path):
    good = store(package, other(winner, 64))
    broken = good.with_name("0" * 32 + ".json")
    broken.write_bytes(good.read_bytes()[:100])
    document, said = explained(package, build, tmp_path / "cache")
    assert document["cache_entry"] == str(good)
    assert said.count("warn") == 1 and str(broken) in said
    good.unlink()
    document, _ = explained(package, build, tmp_path / "cache")
    assert document["evidence"] == "default"
    shutil.rmtree(package / "winners")
    (package / "winners").write_text("not a folder")
    assert explained(package, build, tmp_path / "cache")[0]["evidence"] == "default"


def test_nothing_is_written_there(package, build, winner, tmp_path):
    store(package, other(winner, 64))
    before = listing(package)
    code = """
import numpy as np
from grkan import _library, _plan
from grkan.numpy import group_rational
group_rational(np.zeros((500, 48), np.float32), np.zeros((1, 6), np.float32),
               np.zeros((8, 4), np.float32))
(plan,) = _plan._plans.values()
plan.tune(rows=500, direction=1, budget_seconds=0.1)
"""
    run([sys.executable, "-c", code], package, build, tmp_path / "cache")
    assert listing(package) == before
    assert list((tmp_path / "cache").glob("winners/*/*/*.json"))
    assert list((tmp_path / "cache").glob("binaries/*/*"))


@pytest.mark.parametrize("mode, used", [(0o775, True), (0o755, False)])
def test_who_may_write_the_libraries_may_write_winners(
    mode, used, package, build, winner, tmp_path
):
    """As where pip ran with umask 002; a folder that more may write than the libraries' is none."""
    store(package, other(winner, 64))
    for path in (package, *package.rglob("*")):
        if path.is_dir():
            path.chmod(0o775)
    (package / "lib").chmod(mode)
    document, said = explained(package, build, tmp_path / "cache")
    assert (document["evidence"] == "measured") == used
    assert ("can be written by others" in said) != used
