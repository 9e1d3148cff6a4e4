"""libgrkan, found and opened, with the C ABI of grkan.h declared for ctypes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_void_p,
)
from pathlib import Path
from typing import Any

from grkan._lock import Lock
from grkan.errors import BY_STATUS, InternalError, LibraryMissing

SONAME = "libgrkan.so.0.1"


def folder() -> Path:
    """Where the package's libraries lie: ``GRKAN_LIBRARY_DIR``, else ``lib`` beside this file."""
    return Path(os.environ.get("GRKAN_LIBRARY_DIR") or Path(__file__).parent / "lib")


class _Sized(Structure):
    """A struct of grkan.h that begins with its size."""

    @classmethod
    def sized(cls, **fields: Any) -> Any:
        return cls(size=ctypes.sizeof(cls), **fields)


class Text(Structure):
    _fields_ = [("data", c_void_p), ("size", c_size_t)]


class Problem(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("numerator_degree", c_int32),
        ("denominator_degree", c_int32),
        ("variant", c_int32),
        ("layout", c_int32),
        ("x_type", c_int32),
        ("y_type", c_int32),
        ("channels", c_int64),
        ("numerator_groups", c_int64),
        ("denominator_groups", c_int64),
        ("coefficient_type", c_int32),
        ("reserved", c_int32),
    ]


PARALLEL_BODY = CFUNCTYPE(None, c_void_p, c_int64)
PARALLEL_FOR = CFUNCTYPE(None, c_void_p, c_int64, PARALLEL_BODY, c_void_p)
ALLOC = CFUNCTYPE(c_void_p, c_void_p, c_char_p, c_size_t)
FREE = CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)
LOG = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
PROGRESS = CFUNCTYPE(c_int32, c_void_p, c_int64, c_int64, c_double)


class ContextOptions(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("cache_dir", c_char_p),
        ("effort", c_int32),
        ("determinism", c_int32),
        ("threads", c_int32),
        ("log_level", c_int32),
        ("tune_memory", c_size_t),
        ("parallel_for", PARALLEL_FOR),
        ("parallel_for_user", c_void_p),
        ("alloc", ALLOC),
        ("free", FREE),
        ("alloc_user", c_void_p),
        ("log", LOG),
        ("log_user", c_void_p),
    ]


class ForwardArgs(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("rows", c_int64),
        ("inner", c_int64),
        ("x", c_void_p),
        ("x_stride", c_int64),
        ("y", c_void_p),
        ("y_stride", c_int64),
        ("a", c_void_p),
        ("b", c_void_p),
        ("workspace", c_void_p),
        ("workspace_size", c_size_t),
        ("stream", c_void_p),
        ("threads", c_int32),
        ("reserved", c_int32),
    ]


class BackwardArgs(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("rows", c_int64),
        ("inner", c_int64),
        ("x", c_void_p),
        ("x_stride", c_int64),
        ("dy", c_void_p),
        ("dy_stride", c_int64),
        ("dx", c_void_p),
        ("dx_stride", c_int64),
        ("a", c_void_p),
        ("b", c_void_p),
        ("da", c_void_p),
        ("db", c_void_p),
        ("accumulate", c_int32),
        ("threads", c_int32),
        ("workspace", c_void_p),
        ("workspace_size", c_size_t),
        ("stream", c_void_p),
    ]


class TuneOptions(_Sized):
    _fields_ = [
        ("size", c_size_t),
        ("rows", c_int64),
        ("inner", c_int64),
        ("direction", c_int32),
        ("effort", c_int32),
        ("budget_seconds", c_double),
        ("strict", c_int32),
        ("gradients", c_int32),
        ("rows_hi", c_int64),
        ("progress", PROGRESS),
        ("progress_user", c_void_p),
    ]


DX, DA, DB = 1, 2, 4
FORWARD, BACKWARD = 1, 2

_context = c_void_p
_plan = c_void_p

# Every function of grkan.h: what it returns, what it takes.
FUNCTIONS: dict[str, tuple[Any, Sequence[Any]]] = {
    "grkan_version": (c_char_p, ()),
    "grkan_status_name": (c_char_p, (c_int32,)),
    "grkan_last_error": (c_char_p, ()),
    "grkan_last_error_field": (c_char_p, ()),
    "grkan_text_free": (None, (POINTER(Text),)),
    "grkan_problem_validate": (c_int32, (POINTER(Problem),)),
    "grkan_problem_parse": (c_int32, (c_char_p, POINTER(Problem))),
    "grkan_problem_print": (c_int32, (POINTER(Problem), POINTER(Text))),
    "grkan_context_create": (c_int32, (POINTER(ContextOptions), POINTER(_context))),
    "grkan_context_destroy": (c_int32, (_context,)),
    "grkan_plan_create": (
        c_int32,
        (_context, POINTER(Problem), c_char_p, c_int32, POINTER(_plan)),
    ),
    "grkan_plan_destroy": (c_int32, (_plan,)),
    "grkan_plan_prepare": (c_int32, (_plan, c_int64, c_int64, c_int64, c_int64)),
    "grkan_plan_is_prepared": (c_int32, (_plan, c_int32, c_int64, c_int64, POINTER(c_int32))),
    "grkan_plan_workspace_size": (c_int32, (_plan, c_int32, c_int64, POINTER(c_size_t))),
    "grkan_plan_workspace_for_rows": (
        c_int32,
        (_plan, c_int32, c_int64, c_int64, POINTER(c_size_t)),
    ),
    "grkan_forward": (c_int32, (_plan, POINTER(ForwardArgs))),
    "grkan_backward": (c_int32, (_plan, POINTER(BackwardArgs))),
    "grkan_plan_explain": (c_int32, (_plan, c_int32, c_int64, c_int64, POINTER(Text))),
    "grkan_plan_explain_gradients": (c_int32, (_plan, c_int32, c_int64, c_int64, POINTER(Text))),
    "grkan_plan_tune": (c_int32, (_plan, POINTER(TuneOptions), POINTER(Text))),
    "grkan_plan_export": (c_int32, (_plan, POINTER(Text))),
    "grkan_plan_import": (c_int32, (_plan, c_void_p, c_size_t)),
}

_opened: ctypes.CDLL | None = None
_lock = Lock()


def library() -> ctypes.CDLL:
    """libgrkan with its functions declared; opened by the first call."""
    global _opened
    if _opened is None:
        with _lock:
            if _opened is None:
                _opened = load(SONAME, FUNCTIONS)
    return _opened


def load(name: str, functions: Mapping[str, tuple[Any, Sequence[Any]]]) -> ctypes.CDLL:
    """The library of this name, opened out of the package's folder, its functions declared."""
    path = folder() / name
    try:
        opened = ctypes.CDLL(str(path))
        for function_name, (result, arguments) in functions.items():
            function = getattr(opened, function_name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as error:
        raise LibraryMissing(
            f"{path} can't be opened: {error}; install the package again, or set "
            "GRKAN_LIBRARY_DIR to the folder that holds it (python -m grkan.collect_env tells more)"
        ) from error
    return opened


def check(status: int) -> None:
    """Raises the exception of a status that is not GRKAN_OK, with this thread's last message."""
    if status == 0:
        return
    lib = library()
    kind = BY_STATUS.get(status, InternalError)
    raise kind(lib.grkan_last_error().decode(), lib.grkan_last_error_field().decode())


def take(text: Text) -> bytes:
    """The bytes of a filled text, which is freed."""
    data = ctypes.string_at(text.data, text.size) if text.data else b""
    library().grkan_text_free(ctypes.byref(text))
    return data
