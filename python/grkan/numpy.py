"""The group-rational function for NumPy arrays, and for arrays on a CUDA device.

    y = P(x) / Q(x),   P(x) = a0 + a1 x + ... + am x^m

with a P and a Q for each group of channels (a: numerator, b: denominator):

    variant A: Q = 1 + sum |b_i| |x|^i        (every published KAT kernel)
    variant B: Q = 1 + |sum b_i x^i|, i >= 1  (the KAT paper's formula)
    variant C: Q = 0.1 + |sum b_i x^i|, i >= 0
    variant N: Q = 1 + sum b_i x^i            (has poles)
    variant S: Q = 1 + (sum b_i x^i)^2        (smooth, without poles)

What is an array: a NumPy array or what becomes one (``bfloat16`` is that of ``ml_dtypes``), an
object with DLPack, or one with ``__cuda_array_interface__`` (CuPy, Numba, PyTorch). The last are
computed on their device, queued on CuPy's current stream where CuPy is loaded, else on the stream
that x names; then numerator, denominator and all results are there too, as CuPy arrays where x is
one, else as objects with ``__cuda_array_interface__``.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from grkan import _cuda
from grkan._layout import Layout, Rows, channel_axis, layouts, see
from grkan._library import BACKWARD, FORWARD, BackwardArgs, ForwardArgs
from grkan._plan import Plan, plan_for
from grkan.errors import InvalidArgument
from grkan.problem import DTYPES, TYPES, problem_of

__all__ = ["Gradients", "group_rational", "group_rational_backward"]

_TYPESTR = {"f32": "<f4", "f64": "<f8", "f16": "<f2", "bf16": "<V2"}


class Gradients(NamedTuple):
    """Gradients of the loss; None where one was not asked for."""

    dx: Any
    da: Any
    db: Any


def group_rational(
    x: Any,
    numerator: Any,
    denominator: Any = None,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    out: Any = None,
    out_dtype: Any = None,
    threads: int = 0,
) -> Any:
    """y = P(x) / Q(x), of x's shape.

    x: any shape, f32, f64, f16 or bf16; ``channel_dim`` is the dimension of its channels. Views are
    taken without a copy where the channels, or the channels and all that follows them, are dense
    and the dimensions before have one stride; else a dense copy is made (on a device: refused).
    numerator: [groups, degree + 1] or [degree + 1] for one group shared by all channels; groups
    divide the channels. denominator: [groups, degree], for variant C [groups, degree + 1], or one
    dimension less; None: Q without coefficients. Both become f64 with f64 data, else f32.
    out: an array of x's shape for the result; it may be x. out_dtype: of the result where it is not
    x's; f32 goes with f16 and bf16 either way. threads: the most to use on the CPU, 0 for all.

    Raises ``InvalidArgument`` (a ``ValueError``) for shapes and values, ``TypeError`` for types.
    """
    memory, (x_view,) = _arrays({"x": x})
    if out is not None:
        out_type = memory.view("out", out).type
        if out_dtype is not None and _type_of(out_dtype) != out_type:
            raise TypeError(f"out is {out_type}, but out_dtype is {out_dtype}")
    else:
        out_type = x_view.type if out_dtype is None else _type_of(out_dtype)
    axis = channel_axis(len(x_view.shape), channel_dim)
    x_view, rows = memory.fit("x", x_view, axis)
    a = memory.coefficients("numerator", numerator, x_view.type)
    b = memory.coefficients("denominator", denominator, x_view.type)
    plan = _plan(a, b, variant, rows, x_view.type, out_type, memory.device)
    result = memory.result("out", out, x_view.shape, out_type, axis, rows.layout)
    with memory.call([x_view, result.view, a, b]) as stream:
        plan.forward(
            ForwardArgs.sized(
                rows=rows.rows,
                inner=rows.inner,
                x=x_view.pointer,
                x_stride=rows.stride,
                y=result.view.pointer,
                y_stride=result.rows.stride,
                a=a.pointer,
                b=b.pointer,
                stream=stream,
                threads=threads,
                **memory.workspace(plan, FORWARD, rows, stream),
            )
        )
    return result.finish()


def group_rational_backward(
    dy: Any,
    x: Any,
    numerator: Any,
    denominator: Any = None,
    *,
    variant: str = "A",
    channel_dim: int = -1,
    gradients: Sequence[str] = ("dx", "da", "db"),
    threads: int = 0,
) -> Gradients:
    """Gradients of a loss whose gradient by y = group_rational(x, ...) is dy.

    With w = dy / Q, v = -w y:

        dx = w P'(x) + v Q'(x)    da_i = sum w x^i    db_i = sum v dQ/db_i

    the sums over all elements of a group. dy: of x's shape and y's type. ``gradients`` names those
    that are wanted; others are None and cost nothing. dx has x's shape and type, da and db the
    shape of numerator and denominator and the type they are computed in (f64 with f64 data, else
    f32). At x = 0 the sign is that of its sign bit; that of b = 0 in variant A is +1. Other
    arguments and errors are those of group_rational.
    """
    for name in gradients:
        if name not in Gradients._fields:
            raise InvalidArgument(f"gradient {name!r} is unknown; use dx, da, db", "gradients")
    memory, (dy_view, x_view) = _arrays({"dy": dy, "x": x})
    if dy_view.shape != x_view.shape:
        raise InvalidArgument(f"dy has shape {dy_view.shape}; expected x's {x_view.shape}", "dy")
    axis = channel_axis(len(x_view.shape), channel_dim)
    x_view, rows = memory.fit("x", x_view, axis)
    dy_view, dy_rows = memory.fit("dy", dy_view, axis, rows.layout)
    a = memory.coefficients("numerator", numerator, x_view.type)
    b = memory.coefficients("denominator", denominator, x_view.type)
    plan = _plan(a, b, variant, rows, x_view.type, dy_view.type, memory.device)

    dx = da = db = None
    if "dx" in gradients:
        dx = memory.result("dx", None, x_view.shape, x_view.type, axis, rows.layout)
    if "da" in gradients:
        da = memory.empty(a.shape, a.type)
    if "db" in gradients and denominator is not None:
        db = memory.empty(b.shape, b.type)
    outputs = [o for o in (dx and dx.view, da, db) if o is not None and 0 not in o.shape]
    if outputs or (dx is not None and da is None and db is None):
        with memory.call([x_view, dy_view, a, b, *outputs]) as stream:
            plan.backward(
                BackwardArgs.sized(
                    rows=rows.rows,
                    inner=rows.inner,
                    x=x_view.pointer,
                    x_stride=rows.stride,
                    dy=dy_view.pointer,
                    dy_stride=dy_rows.stride,
                    dx=dx and dx.view.pointer,
                    dx_stride=dx.rows.stride if dx else 0,
                    a=a.pointer,
                    b=b.pointer,
                    da=da and da.pointer,
                    db=db and db.pointer,
                    stream=stream,
                    threads=threads,
                    **memory.workspace(plan, BACKWARD, rows, stream),
                )
            )
    return Gradients(dx and dx.finish(), da and da.owner, db and db.owner)


# ---------------------------------------------------------------- types


@functools.lru_cache(maxsize=64)
def _type_of(dtype: Any) -> str:
    """f32, f64, f16 or bf16 of anything that names a dtype."""
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    found = DTYPES.get(name, name)
    if found not in TYPES:
        raise TypeError(f"dtype {name} is not supported; use float32, float64, float16 or bfloat16")
    return found


@functools.lru_cache(maxsize=4)
def _dtype(kind: str) -> np.dtype:
    if kind == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(next(name for name, found in DTYPES.items() if found == kind))


@functools.lru_cache(maxsize=1024)
def _make_plan(device: str, *problem: Any) -> Plan:
    return plan_for(problem_of(*problem), device)


def _plan(
    a: _View, b: _View, variant: str, rows: Rows, x_type: str, y_type: str, device: str
) -> Plan:
    return _make_plan(device, a.shape, b.shape, variant, rows.channels, x_type, y_type, rows.layout)


# ---------------------------------------------------------------- arrays


class _View(NamedTuple):
    """Where an array lies and what it is; strides in elements."""

    owner: Any
    pointer: int | None
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    type: str
    stream: int | None = None


class _Result(NamedTuple):
    """An output that the library fills, and the array it is to be copied to, if any."""

    view: _View
    rows: Rows
    target: Any = None

    def finish(self) -> Any:
        if self.target is None:
            return self.view.owner
        np.copyto(self.target, self.view.owner)
        return self.target


@functools.lru_cache(maxsize=1024)
def _dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


@functools.lru_cache(maxsize=1024)
def _rows_order(shape: tuple[int, ...], axis: int, layout: Layout) -> tuple[int, ...]:
    """Strides of a dense array of this shape whose memory is in the layout's order."""
    if layout == "first":
        return _dense_strides(shape)
    moved = shape[:axis] + shape[axis + 1 :] + (shape[axis],)
    strides = _dense_strides(moved)
    return (*strides[:axis], 1, *strides[axis:-1])


def _pointer(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _arrays(arrays: dict[str, Any]) -> tuple[_Host | _Device, list[_View]]:
    """The memory that all of these arrays lie in, and their views."""
    taken = {name: _import(name, array) for name, array in arrays.items()}
    on_device = {name: hasattr(a, "__cuda_array_interface__") for name, a in taken.items()}
    memory: _Host | _Device
    if not any(on_device.values()):
        memory = _Host()
        return memory, [memory.view(name, array) for name, array in taken.items()]
    for name, yes in on_device.items():
        if not yes:
            other = next(n for n, there in on_device.items() if there)
            raise InvalidArgument(
                f"{name} is in host memory and {other} on a device; put both on one", name
            )
    interface = taken["x"].__cuda_array_interface__
    pointer = interface["data"][0]
    memory = _Device(_cuda.device_of(pointer) if pointer else 0, taken["x"])
    return memory, [memory.view(name, array) for name, array in taken.items()]


def _import(name: str, array: Any) -> Any:
    """A NumPy array, or an object with __cuda_array_interface__."""
    if isinstance(array, np.ndarray) or hasattr(array, "__cuda_array_interface__"):
        return array
    if not hasattr(array, "__dlpack_device__"):
        return np.asarray(array)
    kind, _ = array.__dlpack_device__()
    if kind == 2:  # kDLCUDA
        cupy = sys.modules.get("cupy")
        if cupy is None:
            raise TypeError(
                f"{name} is on a CUDA device and has DLPack alone; import cupy, which takes it over"
            )
        return cupy.from_dlpack(array)
    try:
        return np.from_dlpack(array)
    except (BufferError, RuntimeError):
        return np.asarray(array)  # a type that DLPack or NumPy does not know, bfloat16 say


class _Host:
    """NumPy arrays."""

    device = "cpu"
    _local = threading.local()
    _KEPT_BYTES = 64 << 20

    def view(self, name: str, array: Any) -> _View:
        try:
            kind = _type_of(array.dtype)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        if array.ndim == 0 and name in ("x", "dy"):
            raise InvalidArgument(f"{name} has no dimension; it needs one of channels", name)
        if not (array.flags.aligned and array.dtype.isnative):
            array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        item = array.dtype.itemsize
        if any(stride % item for stride in array.strides):
            array = np.ascontiguousarray(array)
        strides = tuple(stride // item for stride in array.strides)
        return _View(array, _pointer(array), array.shape, strides, kind)

    def fit(
        self, name: str, view: _View, axis: int, layout: Layout | None = None
    ) -> tuple[_View, Rows]:
        """The view as rows, in this layout or the one that needs no copy; else a dense copy."""
        tried = (layout,) if layout else layouts(view.shape, axis)
        for each in tried:
            rows = see(view.shape, view.strides, axis, each, repeated=True)
            if rows is not None:
                return view, rows
        copy = self.empty(view.shape, view.type, _rows_order(view.shape, axis, tried[0]))
        np.copyto(copy.owner, view.owner)
        rows = see(copy.shape, copy.strides, axis, tried[0])
        assert rows is not None
        return copy, rows

    def empty(
        self, shape: tuple[int, ...], kind: str, strides: tuple[int, ...] | None = None
    ) -> _View:
        dense = _dense_strides(shape)
        strides = strides or dense
        if strides == dense:
            array = np.empty(shape, _dtype(kind))
        else:
            order = sorted(range(len(shape)), key=lambda i: -strides[i])
            array = np.empty([shape[i] for i in order], _dtype(kind)).transpose(np.argsort(order))
        return _View(array, _pointer(array), shape, strides, kind)

    def result(
        self, name: str, out: Any, shape: tuple[int, ...], kind: str, axis: int, layout: Layout
    ) -> _Result:
        target = None
        if out is not None:
            if not isinstance(out, np.ndarray):
                raise TypeError(f"{name} is {type(out).__name__}; expected a NumPy array like x")
            if out.shape != shape:
                raise InvalidArgument(f"{name} has shape {out.shape}; expected x's {shape}", name)
            if not out.flags.writeable:
                raise InvalidArgument(f"{name} can't be written", name)
            view = self.view(name, out)
            rows = see(shape, view.strides, axis, layout)
            if view.owner is out and rows is not None:
                return _Result(view, rows)
            target = out
        view = self.empty(shape, kind, _rows_order(shape, axis, layout))
        rows = see(shape, view.strides, axis, layout)
        assert rows is not None
        return _Result(view, rows, target)

    def coefficients(self, name: str, array: Any, x_type: str) -> _View:
        kind = "f64" if x_type == "f64" else "f32"
        if array is None:
            return _View(None, None, (1, 0), (0, 1), kind)
        dense = np.ascontiguousarray(_import(name, array), dtype=_dtype(kind))
        pointer = _pointer(dense) if dense.size else None
        return _View(dense, pointer, dense.shape, _dense_strides(dense.shape), kind)

    def workspace(
        self, plan: Plan, direction: int, rows: Rows, stream: int | None
    ) -> dict[str, Any]:
        size = plan.workspace_bytes(direction, rows.rows, rows.inner)
        kept = getattr(self._local, "workspace", None)
        if kept is None or kept.nbytes < size + 64:
            kept = np.empty(size + 64, np.uint8)
            if size <= self._KEPT_BYTES:
                self._local.workspace = kept
        self._used = kept  # as long as the call
        return {"workspace": -(-_pointer(kept) // 64) * 64, "workspace_size": size}

    def call(self, views: list[_View]) -> _Host:
        return self

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        pass


class _Device:
    """Arrays of one CUDA device."""

    _local = threading.local()

    def __init__(self, ordinal: int, like: Any) -> None:
        self.ordinal = ordinal
        self.device = f"cuda:{ordinal}"
        self._cupy = sys.modules.get("cupy")
        self._like_cupy = type(like).__module__.split(".")[0] == "cupy"
        self._stream = _stream_of(like, self._cupy)

    def view(self, name: str, array: Any) -> _View:
        interface = getattr(array, "__cuda_array_interface__", None)
        if interface is None:
            raise TypeError(
                f"{name} is {type(array).__name__}; expected an array on {self.device} like x, "
                "with __cuda_array_interface__"
            )
        shape = tuple(interface["shape"])
        pointer = interface["data"][0] or None
        if pointer is not None and (there := _cuda.device_of(pointer)) != self.ordinal:
            raise InvalidArgument(f"{name} is on cuda:{there} and x on {self.device}", name)
        kind = self._type(name, array, interface["typestr"])
        item = int(interface["typestr"][2:])
        strides = interface.get("strides")
        strides = (
            _dense_strides(shape) if strides is None else tuple(step // item for step in strides)
        )
        return _View(array, pointer, shape, strides, kind, interface.get("stream"))

    @staticmethod
    def _type(name: str, array: Any, typestr: str) -> str:
        dtype = getattr(array, "dtype", None)
        if getattr(dtype, "name", None) in DTYPES:
            return DTYPES[dtype.name]
        for kind, text in _TYPESTR.items():
            if typestr == text:
                return kind
        raise TypeError(f"{name}: type {typestr} is not supported; use f32, f64, f16 or bf16")

    def fit(
        self, name: str, view: _View, axis: int, layout: Layout | None = None
    ) -> tuple[_View, Rows]:
        if not view.shape:
            raise InvalidArgument(f"{name} has no dimension; it needs one of channels", name)
        for each in (layout,) if layout else layouts(view.shape, axis):
            rows = see(view.shape, view.strides, axis, each, repeated=True)
            if rows is not None:
                return view, rows
        raise InvalidArgument(
            f"{name} of shape {view.shape} has strides {view.strides} (in elements); expected "
            "dense channels and one stride for the dimensions before them: make a dense copy",
            name,
        )

    def empty(
        self, shape: tuple[int, ...], kind: str, strides: tuple[int, ...] | None = None
    ) -> _View:
        strides = strides or _dense_strides(shape)
        if self._like_cupy:
            order = sorted(range(len(shape)), key=lambda i: -strides[i])
            with _cuda.current(self.ordinal):
                dense = self._cupy.empty([shape[i] for i in order], _dtype(kind))
            return self.view("out", dense.transpose([order.index(i) for i in range(len(shape))]))
        array = _cuda.DeviceArray(self.ordinal, shape, strides, _TYPESTR[kind], self._stream)
        return _View(array, array.memory.pointer, shape, strides, kind, self._stream)

    def result(
        self, name: str, out: Any, shape: tuple[int, ...], kind: str, axis: int, layout: Layout
    ) -> _Result:
        if out is None:
            view = self.empty(shape, kind, _rows_order(shape, axis, layout))
        else:
            view = self.view(name, out)
            if view.shape != shape:
                raise InvalidArgument(f"{name} has shape {view.shape}; expected x's {shape}", name)
            if out.__cuda_array_interface__["data"][1]:
                raise InvalidArgument(f"{name} can't be written", name)
        rows = see(shape, view.strides, axis, layout)
        if rows is None:
            raise InvalidArgument(
                f"{name} of shape {shape} has strides {view.strides} (in elements), which don't go "
                "with x's order of dimensions; use a contiguous one",
                name,
            )
        return _Result(view, rows)

    def coefficients(self, name: str, array: Any, x_type: str) -> _View:
        kind = "f64" if x_type == "f64" else "f32"
        if array is None:
            return _View(None, None, (1, 0), (0, 1), kind)
        view = self.view(name, _import(name, array))
        if view.type != kind:
            raise TypeError(f"{name} is {view.type}; expected {kind} with x of {x_type}")
        if view.strides != _dense_strides(view.shape) and 0 not in view.shape:
            raise InvalidArgument(f"{name} is not contiguous", name)
        return view

    def workspace(
        self, plan: Plan, direction: int, rows: Rows, stream: int | None
    ) -> dict[str, Any]:
        """One for each stream, where calls run one after another, of each thread: threads may call
        at the same time. Freeing one waits for what uses it."""
        size = plan.workspace_bytes(direction, rows.rows, rows.inner)
        workspaces = self._local.__dict__
        key = f"{self.ordinal} {stream}"
        kept = workspaces.get(key)
        if kept is None or kept.size < size:
            kept = workspaces[key] = _cuda.Memory(self.ordinal, size)
        return {"workspace": kept.pointer, "workspace_size": size}

    def call(self, views: list[_View]) -> _DeviceCall:
        return _DeviceCall(self.ordinal, self._stream, {view.stream for view in views})


class _DeviceCall:
    """The device's context is current, and what other streams write is there."""

    def __init__(self, ordinal: int, stream: int | None, others: set[int | None]) -> None:
        self._current = _cuda.current(ordinal)
        self._stream = stream
        self._others = {_handle(other) for other in others if other is not None} - {stream}

    def __enter__(self) -> int | None:
        self._current.__enter__()
        for other in self._others:
            _cuda.synchronize(other)
        return self._stream

    def __exit__(self, *error: Any) -> None:
        self._current.__exit__(*error)


def _handle(stream: int | None) -> int | None:
    """The CUstream of __cuda_array_interface__'s number: 1 is the legacy default stream."""
    return None if stream in (None, 0, 1) else stream


def _stream_of(array: Any, cupy: Any) -> int | None:
    if cupy is not None:
        return _handle(cupy.cuda.get_current_stream().ptr)
    return _handle(array.__cuda_array_interface__.get("stream"))
