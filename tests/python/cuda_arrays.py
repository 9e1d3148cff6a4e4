"""grkan.numpy on cuda:0 and cuda:1, which are virtual GPUs here; run by test_numpy.py in a process
of its own. Prints what the virtual GPU tells, as JSON."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import types

import numpy as np

from grkan import _cuda
from grkan.errors import InvalidArgument, NoCompiler
from grkan.numpy import group_rational, group_rational_backward
from reference import assert_close, coefficients, inputs, rational, sizes

driver = ctypes.CDLL(os.environ["GRKAN_CUDA_DRIVER"])
driver.cuMemcpyHtoD_v2.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
driver.cuMemcpyDtoH_v2.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
driver.cuStreamCreate.argtypes = (ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint)
driver.grkan_virtual_report.restype = ctypes.c_char_p


class Array:
    """The least that an array on a device is."""

    def __init__(self, array: np.ndarray, device: int = 0, stream: int | None = None) -> None:
        strides = tuple(step // array.itemsize for step in array.strides)
        base = np.ascontiguousarray(array.transpose(np.argsort(array.strides)[::-1]))
        self.inside = _cuda.DeviceArray(device, array.shape, strides, array.dtype.str, stream)
        self.__cuda_array_interface__ = self.inside.__cuda_array_interface__
        if array.size == 0:
            return
        with _cuda.current(device):
            assert driver.cuMemcpyHtoD_v2(self.pointer, base.ctypes.data, base.nbytes) == 0

    @property
    def pointer(self) -> int:
        return self.__cuda_array_interface__["data"][0]


def host(array, device: int = 0) -> np.ndarray:
    """A copy of a result in host memory."""
    interface = array.__cuda_array_interface__
    flat = np.empty(int(np.prod(interface["shape"])), interface["typestr"])
    if flat.size:
        with _cuda.current(device):
            _cuda.synchronize(None)
            if interface["stream"] != 1:
                _cuda.synchronize(interface["stream"])
            result = driver.cuMemcpyDtoH_v2(flat.ctypes.data, interface["data"][0], flat.nbytes)
            assert result == 0
    return np.lib.stride_tricks.as_strided(flat, interface["shape"], interface["strides"])


def compare(x, dy, a, b, channel_dim=-1, device=0, stream=None, variant="A"):
    x, dy, a, b = (v.astype(np.float32) for v in (x, dy, a, b))
    there = [Array(v, device, stream) for v in (x, dy, a, b)]
    options = {"channel_dim": channel_dim, "variant": variant}
    y = group_rational(there[0], *there[2:], **options)
    gradients = group_rational_backward(there[1], there[0], *there[2:], **options)
    expected, size = (f(x, a, b, dy, **options) for f in (rational, sizes))
    assert_close("y", host(y, device), expected.y, size.y, "f32")
    for name in ("dx", "da", "db"):
        actual = host(getattr(gradients, name), device)
        assert_close(name, actual, getattr(expected, name), getattr(size, name), "f32")
    return y


def refused(kind, text, call):
    try:
        call()
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"not refused: {text}")


def main() -> None:
    a, b = coefficients(1, (1, 4), (5, 4), "A")
    x, dy = inputs(1, (37, 24))
    try:
        compare(x, dy, a, b)
    except NoCompiler as error:
        print(f"no NVRTC: {error}", file=sys.stderr)
        sys.exit(77)
    compare(x, dy, a, b, device=1)

    # Views: channels first, and that shape in the other order of memory.
    x, dy = inputs(2, (2, 24, 5))
    compare(x, dy, a, b, 1)
    turned = [np.ascontiguousarray(v.transpose(0, 2, 1)).transpose(0, 2, 1) for v in (x, dy)]
    y = compare(*turned, a, b, 1)
    assert y.__cuda_array_interface__["strides"] == (480, 4, 96)

    # No rows.
    empty = Array(np.empty((0, 24), np.float32))
    there = [Array(v.astype(np.float32)) for v in (a, b)]
    assert host(group_rational(empty, *there)).shape == (0, 24)
    assert not host(group_rational_backward(empty, empty, *there).da).any()

    # x's own stream; then that of a library that is loaded as cupy.
    stream = ctypes.c_void_p()
    with _cuda.current(0):
        assert driver.cuStreamCreate(ctypes.byref(stream), 1) == 0
    x, dy = inputs(3, (5, 24))
    y = compare(x, dy, a, b, stream=stream.value)
    assert y.__cuda_array_interface__["stream"] == stream.value
    cupy = types.ModuleType("cupy")
    cupy.cuda = types.SimpleNamespace(
        get_current_stream=lambda: types.SimpleNamespace(ptr=stream.value)
    )
    sys.modules["cupy"] = cupy
    y = compare(x, dy, a, b)
    assert y.__cuda_array_interface__["stream"] == stream.value
    del sys.modules["cupy"]

    # out, in place too.
    x32 = x.astype(np.float32)
    ours = Array(x32)
    assert group_rational(ours, *there, out=ours) is ours
    assert_close("out", host(ours), rational(x32, *(host(v) for v in there)).y,
                 sizes(x32, a, b).y, "f32")  # fmt: skip

    ours = Array(x32)
    refused(InvalidArgument, "cuda:1", lambda: group_rational(ours, Array(a, 1), there[1]))
    refused(TypeError, "f64", lambda: group_rational(ours, Array(a), there[1]))
    refused(TypeError, "ndarray", lambda: group_rational(ours, a, there[1]))
    refused(InvalidArgument, "host", lambda: group_rational_backward(x32, ours, *there))
    refused(InvalidArgument, "strides", lambda: group_rational(Array(x32.T.copy().T), *there))

    report = json.loads(driver.grkan_virtual_report())
    print(json.dumps({"launches": len(report["launches"]), "findings": report.get("findings", [])}))


main()
