"""What scripts/wheel made, named by GRKAN_WHEEL: it is whole, exports no foreign name and needs
nothing but the C library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = os.environ.get("GRKAN_WHEEL")
pytestmark = pytest.mark.skipif(not WHEEL, reason="GRKAN_WHEEL names no wheel (scripts/wheel)")

# Every x86-64 or AArch64 system has these; libgcc_s carries exceptions across libraries.
SYSTEM = {
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
BINARIES = ["bin/grkan", "lib/libgrkan.so.0.1", "lib/libgrkan_compiler.so",
            "lib/libgrkan_frameworks.so", "lib/libgrkan_virtual_cuda.so"]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(str(WHEEL)) as wheel:
        wheel.extractall(folder)
    return folder / "grkan"


def told(*command) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def names_of(tree) -> list[str]:
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*.so*"))


def test_name():
    name = Path(str(WHEEL)).name
    assert re.fullmatch(r"grkan-\d+\.\d+\.\d+-py3-none-manylinux_2_\d+_(x86_64|aarch64)\.whl", name)


def test_size():
    assert os.path.getsize(str(WHEEL)) < 25e6


def test_whole(tree):
    for name in (*BINARIES, "py.typed", "numpy.py", "include/grkan.h", "licenses/LLVM.txt"):
        assert (tree / name).is_file(), name
    assert list(tree.glob("winners/*/sm_90/*.json"))
    assert set(names_of(tree)) == {name for name in BINARIES if name.startswith("lib/")}
    licences = {path.stem for path in (tree / "licenses").iterdir()}
    inside = {
        "LLVM",
        "MLIR",
        "fmt",
        "nlohmann-json",
        "xxHash",
        "CLI11",
        "zstd",
        "zlib",
        "libstdc++",
        "rational_kat",
    }
    assert licences == inside


def test_needs_the_c_library_alone(tree):
    for name in (*names_of(tree), "bin/grkan"):
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", told("readelf", "-d", tree / name)))
        ours = {"libgrkan.so.0.1"} if "frameworks" in name else set()
        assert needed <= SYSTEM | ours, name


def test_exports_its_own_names_alone(tree):
    for name in names_of(tree):
        lines = told("nm", "-D", "--defined-only", tree / name).splitlines()
        exported = {line.split()[-1].split("@")[0] for line in lines}
        prefixes = ("grkan_", "cu") if "virtual" in name else ("grkan_",)
        assert exported and all(each.startswith(prefixes) for each in exported), name


def test_knows_no_path_of_its_build(tree):
    root = str(Path(__file__).parents[2]).encode()
    for path in tree.rglob("*"):
        assert path.is_dir() or root not in path.read_bytes(), path


CALLS = """
import numpy as np
import grkan
from grkan.numpy import group_rational

assert grkan.__file__.startswith(TREE), grkan.__file__
x = np.ones((4, 64), np.float32)
a, b = np.array([[1, 2, 0, 0, 0, 0]], np.float32), np.ones((8, 4), np.float32)
assert np.allclose(group_rational(x, a, b), 3 / 5)
try:
    import torch
except ImportError:
    raise SystemExit
from grkan.torch import group_rational

y = group_rational(torch.tensor(x), torch.tensor(a), torch.tensor(b))
assert torch.allclose(y, torch.tensor(3 / 5))
"""


def test_computes_apart_from_the_tree(tree, tmp_path):
    pytest.importorskip("numpy", reason="no NumPy")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRKAN_")}
    environment |= {"PYTHONPATH": str(tree.parent), "GRKAN_CACHE_DIR": str(tmp_path)}
    code = CALLS.replace("TREE", repr(str(tree)))
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr


NVRTC = """
int nvrtcVersion(int* major, int* minor) { *major = 13; *minor = 99; return 0; }
int nvrtcGetNumSupportedArchs(int* count) { *count = 1; return 0; }
int nvrtcGetSupportedArchs(int* archs) { *archs = 90; return 0; }
""" + "".join(
    f"int nvrtc{name}(void) {{ return 1; }}\n"
    for name in ("CreateProgram", "DestroyProgram", "CompileProgram", "GetProgramLogSize",
                 "GetProgramLog", "GetCUBINSize", "GetCUBIN", "GetPTXSize", "GetPTX",
                 "GetErrorString")
)  # fmt: skip


def test_finds_nvrtc_among_the_packages_beside_it(tree):
    """Where pip puts NVRTC's wheels: nvidia/cu13/lib, in older ones nvidia/cuda_nvrtc/lib."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler on this machine")
    place = tree.parent / "nvidia" / "cu13" / "lib"
    place.mkdir(parents=True)
    source = place / "nvrtc.c"
    source.write_text(NVRTC)
    library = place / "libnvrtc.so.13"
    told("cc", "-shared", "-fPIC", source, "-o", library)
    command = tree / "bin" / "grkan"
    command.chmod(0o755)  # zipfile leaves it out
    environment = {k: v for k, v in os.environ.items() if k != "GRKAN_NVRTC"}
    ran = subprocess.run([command, "devices"], env=environment, capture_output=True, text=True)
    assert "nvrtc 13.99" in ran.stdout, ran.stdout + ran.stderr
