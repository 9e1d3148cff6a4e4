"""python -m grkan.collect_env [--json]: what a report of a problem needs to say.

Standard library alone, and each line by itself: it works where the package's own import fails, and
when it is run as a file.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
_FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_bf16 avx512_fp16 amx_bf16 "
    "asimd asimdhp sve sve2 bf16"
).split()
_PACKAGES = (
    "grkan numpy torch jax jaxlib ml_dtypes triton cupy-cuda12x cupy-cuda13x cupy "
    "nvidia-cuda-nvrtc nvidia-cuda-nvrtc-cu12 kat_rational rational_kat_cu timm"
).split()


def collect() -> dict[str, Any]:
    """Everything, as plain values. What can't be told is a text that begins with "unknown:"."""
    return {
        "grkan": _try(_versions),
        "python": f"{platform.python_version()} ({platform.python_implementation()}, "
        f"{sys.executable})",
        "platform": platform.platform(),
        "libc": " ".join(platform.libc_ver()),
        "processor": _try(_processor),
        "libraries": _try(_libraries),
        "command": _try(_command),
        "cache": _try(_cache),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith("GRKAN_")},
        "packages": _try(_packages),
        "cuda_driver": _try(_cuda_driver),
        "nvrtc": _try(_nvrtc),
        "gpus": _try(_gpus),
    }


def _try(tell: Callable[[], Any]) -> Any:
    try:
        return tell()
    except Exception as error:
        return f"unknown: {type(error).__name__}: {error}"


def _folder() -> Path:
    return Path(os.environ.get("GRKAN_LIBRARY_DIR") or _PACKAGE / "lib")


def _versions() -> dict[str, str]:
    answer = {"folder": str(_PACKAGE), "libraries": str(_folder())}
    for path in sorted(_folder().glob("libgrkan.so.*.*")):
        library = ctypes.CDLL(str(path))
        library.grkan_version.restype = ctypes.c_char_p
        answer["version"] = library.grkan_version().decode()
    return answer


def _libraries() -> dict[str, str]:
    """Each library of the package: that it opens, or why not."""
    found = {}
    for path in sorted(_folder().glob("libgrkan*.so*")):
        if path.is_symlink() and path.resolve().parent == path.parent.resolve():
            continue
        try:
            ctypes.CDLL(str(path))
            found[path.name] = f"opens ({path.stat().st_size / 1e6:.1f} MB)"
        except OSError as error:
            found[path.name] = f"does not open: {error}"
    return found or {"none": f"no libgrkan*.so in {_folder()}"}


def _command() -> str:
    given = os.environ.get("GRKAN_LIBRARY_DIR")
    path = (Path(given).parent if given else _PACKAGE) / "bin" / "grkan"
    return f"{path}: {_run([str(path), '--version'])}"


def _processor() -> dict[str, Any]:
    answer: dict[str, Any] = {"machine": platform.machine(), "count": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        answer["usable"] = len(os.sched_getaffinity(0))
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            answer.setdefault("model", value.strip())
        if key.strip() in ("flags", "Features"):
            flags = set(value.split())
            answer["flags"] = " ".join(flag for flag in _FLAGS if flag in flags)
            break
    return answer


def _cache() -> str:
    """The folder that libgrkan would choose (grkan.h has the rule), and whether it can be used."""
    given = os.environ.get("GRKAN_CACHE_DIR")
    base = os.environ.get("XDG_CACHE_HOME")
    home = os.environ.get("HOME")
    if given:
        folder = Path(given)
    elif base:
        folder = Path(base) / "grkan"
    elif home:
        folder = Path(home) / ".cache" / "grkan"
    else:
        return "none: GRKAN_CACHE_DIR, XDG_CACHE_HOME and HOME are not set"
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return f"{folder}: can't be written ({error.strerror}): nothing is kept between runs"
    return f"{folder}: {'writable' if there == folder else 'will be made'}"


def _packages() -> dict[str, str]:
    """Versions from the metadata: nothing is imported."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def _cuda_driver() -> str:
    name = os.environ.get("GRKAN_CUDA_DRIVER") or "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError as error:
        return f"none: {error}"
    version = ctypes.c_int()
    result = driver.cuDriverGetVersion(ctypes.byref(version))
    if result != 0:
        return f"{name}: cuDriverGetVersion gives {result}"
    return f"{name}: for CUDA {version.value // 1000}.{version.value % 1000 // 10}"


def _nvrtc() -> list[str]:
    """NVRTCs where the compiler library looks for them."""
    given = os.environ.get("GRKAN_NVRTC")
    if given:
        return [f"{given} (GRKAN_NVRTC): {_opens(given)}"]
    places = [Path(os.environ["CUDA_HOME"])] if os.environ.get("CUDA_HOME") else []
    places += sorted(Path("/usr/local").glob("cuda*"))
    files = [f for place in places for f in sorted((place / "lib64").glob("libnvrtc.so.1[23]"))]
    files += sorted(_PACKAGE.parent.glob("nvidia/*/lib/libnvrtc.so.1[23]"))
    names = [*dict.fromkeys(map(str, files)), "libnvrtc.so.13", "libnvrtc.so.12"]
    found = [f"{name}: opens" for name in names if _opens(name) == "opens"]
    return found or ["none: install grkan[cuda13] or grkan[cuda12], or set GRKAN_NVRTC"]


def _opens(name: str) -> str:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return f"does not open: {error}"
    return "opens"


def _gpus() -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ["unknown: no nvidia-smi"]
    query = "--query-gpu=name,compute_cap,memory.total,driver_version"
    return _run([tool, query, "--format=csv,noheader"]).splitlines()


def _run(command: list[str]) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"can't be run: {error}"
    return (ran.stdout if ran.returncode == 0 else ran.stderr).strip()


def _print(value: Any, indent: int = 0) -> None:
    space = " " * indent
    for key, inner in value.items():
        if isinstance(inner, dict):
            print(f"{space}{key}:{'' if inner else ' none'}")
            _print(inner, indent + 2)
        elif isinstance(inner, list):
            print(f"{space}{key}:")
            for line in inner:
                print(f"{space}  {line}")
        else:
            print(f"{space}{key}: {inner}")


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments not in ([], ["--json"]):
        print("usage: python -m grkan.collect_env [--json]", file=sys.stderr)
        return 2
    collected = collect()
    if arguments:
        print(json.dumps(collected, indent=2))
    else:
        _print(collected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
