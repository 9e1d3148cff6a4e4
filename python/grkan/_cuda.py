"""The few calls of the CUDA driver that arrays without a library of their own need."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import Any

from grkan._lock import Lock
from grkan.errors import DeviceError, NoDevice, OutOfMemory

_OUT_OF_MEMORY = 2
_DEVICE_ORDINAL = 9  # CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL

_FUNCTIONS: dict[str, Sequence[Any]] = {
    "cuInit": (c_uint,),
    "cuPointerGetAttribute": (c_void_p, c_int, c_void_p),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuMemAlloc_v2": (POINTER(c_void_p), c_size_t),
    "cuMemFree_v2": (c_void_p,),
    "cuStreamSynchronize": (c_void_p,),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
}

_lock = Lock()
_opened: ctypes.CDLL | None = None
_contexts: dict[int, c_void_p] = {}


def _driver() -> ctypes.CDLL:
    global _opened
    with _lock:
        if _opened is None:
            path = os.environ.get("GRKAN_CUDA_DRIVER") or "libcuda.so.1"
            try:
                lib = ctypes.CDLL(path)
                for name, arguments in _FUNCTIONS.items():
                    getattr(lib, name).argtypes = arguments
            except (OSError, AttributeError) as error:
                raise NoDevice(f"the CUDA driver can't be opened: {error}") from error
            _check(lib, lib.cuInit(0), "cuInit")
            _opened = lib
    return _opened


def _check(lib: ctypes.CDLL, result: int, what: str) -> None:
    if result == 0:
        return
    text = c_char_p()
    lib.cuGetErrorString(result, byref(text))
    kind = OutOfMemory if result == _OUT_OF_MEMORY else DeviceError
    raise kind(f"{what}: {(text.value or b'unknown error').decode()} ({result})")


def device_of(pointer: int) -> int:
    """The ordinal of the device whose memory this is."""
    lib = _driver()
    ordinal = c_int()
    result = lib.cuPointerGetAttribute(byref(ordinal), _DEVICE_ORDINAL, pointer)
    _check(lib, result, f"the device of {pointer:#x}")
    return ordinal.value


@contextmanager
def current(device: int) -> Iterator[None]:
    """The device's primary context is this thread's, as long as it lasts."""
    lib = _driver()
    with _lock:
        primary = _contexts.get(device)
        if primary is None:
            primary = c_void_p()
            result = lib.cuDevicePrimaryCtxRetain(byref(primary), device)
            _check(lib, result, f"the context of cuda:{device}")
            _contexts[device] = primary
    _check(lib, lib.cuCtxPushCurrent_v2(primary), "cuCtxPushCurrent")
    try:
        yield
    finally:
        lib.cuCtxPopCurrent_v2(byref(c_void_p()))


def synchronize(stream: int | None) -> None:
    """Waits for a stream of the current context."""
    lib = _driver()
    _check(lib, lib.cuStreamSynchronize(stream), "cuStreamSynchronize")


class Memory:
    """Bytes of a device, freed with the last reference."""

    def __init__(self, device: int, size: int) -> None:
        self.device = device
        self.size = size
        self.pointer: int | None = None
        if size == 0:
            return
        lib = _driver()
        pointer = c_void_p()
        with current(device):
            _check(lib, lib.cuMemAlloc_v2(byref(pointer), size), f"{size} bytes of cuda:{device}")
        self.pointer = pointer.value

    def __del__(self) -> None:
        if getattr(self, "pointer", None) is not None and _opened is not None:
            with current(self.device):
                _opened.cuMemFree_v2(self.pointer)


class DeviceArray:
    """A result on a CUDA device for callers whose arrays tell nothing but their
    ``__cuda_array_interface__``; it has that interface too, so any library takes it over."""

    def __init__(
        self,
        device: int,
        shape: Sequence[int],
        strides: Sequence[int],
        typestr: str,
        stream: int | None,
    ) -> None:
        item = int(typestr[2:])
        self.memory = Memory(device, math.prod(shape) * item)
        self.__cuda_array_interface__ = {
            "shape": tuple(shape),
            "typestr": typestr,
            "data": (self.memory.pointer or 0, False),
            "strides": tuple(item * stride for stride in strides),
            "stream": stream or 1,
            "version": 3,
        }
