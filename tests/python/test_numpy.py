"""grkan.numpy against the double reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import reference
from grkan.errors import InvalidArgument
from grkan.numpy import group_rational, group_rational_backward
from reference import assert_close, coefficients, inputs, rational, sizes

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
DEGREES = [(5, 4), (3, 3), (0, 1), (1, 0), (7, 2), (2, 6)]
GROUPS = [(1, 1), (4, 4), (1, 4), (4, 1), (2, 4), (24, 24)]


def compare(x, dy, a, b, variant, kind, channel_dim=-1, y_kind=None):
    """Forward and all gradients of the arrays given, against the reference on what they hold."""
    y_kind = y_kind or kind
    options = {"variant": variant, "channel_dim": channel_dim}
    y = group_rational(x, a, b, **options, out_dtype=DTYPES[y_kind])
    gradients = group_rational_backward(dy, x, a, b, **options)
    assert y.dtype == DTYPES[y_kind]
    assert gradients.dx.dtype == x.dtype.newbyteorder("=")
    held = [np.asarray(array).astype(np.float64) for array in (x, a, b, dy)]
    expected = rational(*held, **options)
    size = sizes(*held, **options)
    assert_close("y", y, expected.y, size.y, y_kind)
    assert_close("dx", gradients.dx, expected.dx, size.dx, kind)
    sums = "f64" if kind == "f64" else "f32"
    assert_close("da", gradients.da, expected.da, size.da, sums)
    assert_close("db", gradients.db, expected.db, size.db, sums)


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_degrees(variant, degrees, kind):
    a, b = coefficients(1, (4, 4), degrees, variant)
    x, dy = inputs(1, (37, 24), zeros=variant != "B")
    compare(*(v.astype(DTYPES[kind]) for v in (x, dy, a, b)), variant, kind)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("shape, channel_dim", [((37, 24), -1), ((3, 24, 5, 7), 1)])
def test_groups(groups, shape, channel_dim):
    a, b = coefficients(2, groups, (5, 4), "A")
    x, dy = inputs(2, shape)
    compare(*(v.astype(np.float32) for v in (x, dy, a, b)), "A", "f32", channel_dim)


@pytest.mark.parametrize("kinds", ["f16", "bf16", "f32:f16", "f32:bf16", "f16:f32", "bf16:f32"])
def test_16_bits(kinds):
    kind, _, y_kind = kinds.partition(":")
    a, b = coefficients(3, (1, 4), (5, 4), "A")
    x, dy = inputs(3, (37, 24))
    y_kind = y_kind or kind
    compare(
        x.astype(DTYPES[kind]),
        dy.astype(DTYPES[y_kind]),
        a.astype("f"),
        b.astype("f"),
        "A",
        kind,
        y_kind=y_kind,
    )


@pytest.mark.parametrize(
    "shape, channel_dim",
    [((24,), 0), ((5, 24), 1), ((2, 3, 24), -1), ((2, 3, 4, 24), 3), ((2, 24, 9), 1),
     ((24, 7), 0), ((2, 3, 24, 5), 2), ((2, 24, 1, 1), 1), ((1, 1, 24), -1), ((2, 24, 3, 3), -3)],
)  # fmt: skip
def test_shapes(shape, channel_dim):
    a, b = coefficients(4, (2, 2), (5, 4), "A")
    x, dy = inputs(4, shape)
    compare(x, dy, a, b, "A", "f64", channel_dim)


def nhwc(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


VIEWS = {
    "rows of a wider array": lambda v: np.concatenate([v, v], -1)[..., : v.shape[-1]],
    "every second row": lambda v: np.repeat(v, 2, axis=0)[::2],
    "transposed": lambda v: np.ascontiguousarray(v.T).T,
    "backwards": lambda v: v[::-1].copy()[::-1],
    "other byte order": lambda v: v.astype(v.dtype.newbyteorder()),
    "not aligned": lambda v: np.frombuffer(b"0" + v.tobytes(), v.dtype, offset=1).reshape(v.shape),
}


@pytest.mark.parametrize("view", VIEWS)
def test_views(view):
    a, b = coefficients(5, (2, 2), (5, 4), "B")
    x, dy = inputs(5, (6, 24))
    compare(VIEWS[view](x), VIEWS[view](dy), a, b, "B", "f64")
    compare(VIEWS[view](x), dy, a, b, "B", "f64")


def test_order_in_memory_is_kept():
    a, b = coefficients(6, (2, 2), (5, 4), "A")
    x, dy = inputs(6, (2, 24, 5, 3))
    compare(nhwc(x), nhwc(dy), a, b, "A", "f64", 1)
    compare(nhwc(x), dy, a, b, "A", "f64", 1)
    y = group_rational(nhwc(x), a, b, channel_dim=1)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert group_rational(x, a, b, channel_dim=1).flags.c_contiguous


def test_broadcast_inputs_are_read_in_place():
    a, b = coefficients(7, (2, 2), (5, 4), "A")
    x, dy = inputs(7, (1, 24))
    compare(np.broadcast_to(x, (9, 24)), np.broadcast_to(dy, (9, 24)), a, b, "A", "f64")
    compare(np.broadcast_to(x, (3, 3, 24)), np.broadcast_to(1.0, (3, 3, 24)), a, b, "A", "f64")


@pytest.mark.parametrize("shape, channel_dim", [((0, 24), -1), ((2, 0, 24), -1), ((0, 24, 3), 1),
                                                ((2, 24, 0), 1)])  # fmt: skip
def test_empty(shape, channel_dim):
    a, b = coefficients(8, (2, 2), (5, 4), "A")
    x = np.empty(shape, np.float32)
    assert group_rational(x, a, b, channel_dim=channel_dim).shape == shape
    gradients = group_rational_backward(x, x, a, b, channel_dim=channel_dim)
    assert gradients.dx.shape == shape
    assert not gradients.da.any() and gradients.da.shape == a.shape
    assert not gradients.db.any() and gradients.db.shape == b.shape


@pytest.mark.parametrize("names", [("dx",), ("da",), ("db",), ("dx", "da"), ("dx", "db"),
                                   ("da", "db"), ()])  # fmt: skip
def test_subsets_of_gradients(names):
    a, b = coefficients(9, (1, 4), (5, 4), "A")
    x, dy = inputs(9, (37, 24))
    expected, size = rational(x, a, b, dy), sizes(x, a, b, dy)
    gradients = group_rational_backward(dy, x, a, b, gradients=names)
    for name in ("dx", "da", "db"):
        actual = getattr(gradients, name)
        assert (actual is not None) == (name in names)
        if actual is not None:
            assert_close(name, actual, getattr(expected, name), getattr(size, name), "f64")


def test_one_group_and_no_denominator():
    a, b = coefficients(10, (1, 1), (5, 4), "A")
    x, dy = inputs(10, (37, 24))
    assert np.array_equal(group_rational(x, a[0], b[0]), group_rational(x, a, b))
    gradients = group_rational_backward(dy, x, a[0], b[0])
    assert gradients.da.shape == (6,) and gradients.db.shape == (4,)
    for none in (None, np.empty((1, 0)), np.empty(0)):
        y = group_rational(x, a, none)
        assert_close("y", y, rational(x, a, b[:, :0]).y, sizes(x, a, b[:, :0]).y, "f64")
        gradients = group_rational_backward(dy, x, a, none)
        assert gradients.db is None if none is None else gradients.db.shape == none.shape
        assert group_rational_backward(dy, x, a, none, gradients=["db"]).dx is None


def test_out():
    a, b = coefficients(11, (2, 2), (5, 4), "A")
    x, _ = inputs(11, (6, 24))
    expected = group_rational(x, a, b)
    out = np.empty_like(x)
    assert group_rational(x, a, b, out=out) is out
    assert np.array_equal(out, expected)
    wide = np.zeros((6, 50))
    assert np.array_equal(group_rational(x, a, b, out=wide[:, 1:25]), expected)
    assert not wide[:, 0].any() and not wide[:, 25:].any()
    turned = np.empty((24, 6)).T
    assert np.array_equal(group_rational(x, a, b, out=turned), expected)
    assert np.array_equal(group_rational(x.copy(), a, b, out=(y := x.copy())), y)
    in_place = x.copy()
    assert group_rational(in_place, a, b, out=in_place) is in_place
    assert np.array_equal(in_place, expected)


def test_special_values_stay_where_they_are():
    a, b = coefficients(12, (2, 2), (5, 4), "A")
    x, _ = inputs(12, (6, 24))
    expected = group_rational(x, a, b)
    x[2, 3] = np.nan
    y = group_rational(x, a, b)
    assert np.isnan(y[2, 3])
    y[2, 3] = expected[2, 3]
    assert np.array_equal(y, expected)


def test_threads_at_once():
    a, b = coefficients(13, (2, 2), (5, 4), "A")
    x, dy = inputs(13, (4096, 24))
    y = group_rational(x, a, b)
    gradients = group_rational_backward(dy, x, a, b)
    same = []

    def work():
        for _ in range(20):
            same.append(np.array_equal(group_rational(x, a, b, threads=1), y))
            again = group_rational_backward(dy, x, a, b)
            same.append(all(np.array_equal(g, h) for g, h in zip(gradients, again)))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(same) and len(same) == 160


def test_forked_child():
    """A child of a process whose other threads are calling computes the same."""
    a, b = coefficients(16, (2, 2), (5, 4), "A")
    x, dy = inputs(16, (4096, 24))
    y = group_rational(x, a, b)
    gradients = group_rational_backward(dy, x, a, b)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            group_rational(x, a, b)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                again = group_rational_backward(dy, x, a, b)
                same = np.array_equal(group_rational(x, a, b), y) and all(
                    np.array_equal(g, h) for g, h in zip(gradients, again)
                )
                os._exit(0 if same else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        worker.join()


X = np.zeros((3, 24), np.float32)
A = np.zeros((2, 6))
B = np.zeros((2, 4))
WRONG = {
    "x is int": (lambda: group_rational(np.zeros((3, 24), int), A, B), TypeError, "int64"),
    "x has no dimension": (lambda: group_rational(1.0, A, B), InvalidArgument, "x has no dim"),
    "groups": (lambda: group_rational(X, np.zeros((5, 6)), B), InvalidArgument, "not a multiple"),
    "degree": (lambda: group_rational(X, np.zeros((2, 17)), B), InvalidArgument, "degree 16"),
    "no numerator": (lambda: group_rational(X, np.zeros((2, 0)), B), InvalidArgument, "numerator"),
    "3-d b": (lambda: group_rational(X, A, np.zeros((1, 2, 4))), InvalidArgument, "denominator"),
    "C without b": (lambda: group_rational(X, A, variant="C"), InvalidArgument, "variant C"),
    "variant": (lambda: group_rational(X, A, B, variant="Z"), InvalidArgument, "'Z'"),
    "channel_dim": (lambda: group_rational(X, A, B, channel_dim=2), InvalidArgument, "channel_dim"),
    "out's shape": (lambda: group_rational(X, A, B, out=X[:2].copy()), InvalidArgument, "out has"),
    "out's type": (lambda: group_rational(X, A, B, out=X.astype(float)), InvalidArgument, "f64"),
    "out and out_dtype": (
        lambda: group_rational(X, A, B, out=X.copy(), out_dtype="f16"), TypeError, "out_dtype"),
    "out read-only": (
        lambda: group_rational(X, A, B, out=np.broadcast_to(X[0], X.shape)), InvalidArgument,
        "written"),
    "threads": (lambda: group_rational(X, A, B, threads=-1), InvalidArgument, "threads"),
    "dy's shape": (lambda: group_rational_backward(X[:2], X, A, B), InvalidArgument, "dy has shap"),
    "gradient": (
        lambda: group_rational_backward(X, X, A, B, gradients=["dy"]), InvalidArgument, "'dy'"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_calls(case):
    call, kind, text = WRONG[case]
    with pytest.raises(kind, match=text):
        call()


def test_overlap_is_refused():
    memory = np.zeros(5 * 24)
    x, out = memory[: 4 * 24].reshape(4, 24), memory[24:].reshape(4, 24)
    with pytest.raises(InvalidArgument, match="overlap"):
        group_rational(x, A, B, out=out)


class Exported:
    """Has DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **arguments):
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack():
    a, b = coefficients(14, (2, 2), (5, 4), "A")
    x, _ = inputs(14, (6, 24))
    assert np.array_equal(group_rational(Exported(x), Exported(a), b), group_rational(x, a, b))


def test_cuda_arrays():
    """cuda:0 by the virtual GPU's driver, which the environment names when a process starts."""
    driver = Path(os.environ.get("GRKAN_LIBRARY_DIR", "")) / "libgrkan_virtual_cuda.so"
    if not os.environ.get("GRKAN_LIBRARY_DIR"):
        import grkan._library

        driver = grkan._library.folder() / driver.name
    environment = dict(os.environ, GRKAN_CUDA_DRIVER=str(driver.resolve()),
                       GRKAN_VIRTUAL="model=h200+t4")  # fmt: skip
    script = Path(__file__).parent / "cuda_arrays.py"
    ran = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    if ran.returncode == 77:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = json.loads(ran.stdout)
    assert report["launches"] > 0 and report["findings"] == []


def test_reference_by_differences():
    """The reference itself: its gradients against central differences of its own y."""
    for variant in "ABCNS":
        a, b = coefficients(15, (1, 2), (4, 3), variant)
        x, dy = inputs(15, (3, 4))
        x += 0.01
        values = rational(x, a, b, dy, variant=variant)

        def loss(x=x, a=a, b=b, variant=variant, dy=dy):
            return (rational(x, a, b, variant=variant).y * dy).sum()

        for name, array in (("x", x), ("a", a), ("b", b)):
            gradient = getattr(values, "d" + name)
            for i in np.ndindex(*array.shape):
                step = np.zeros_like(array)
                step[i] = 1e-6
                slope = (loss(**{name: array + step}) - loss(**{name: array - step})) / 2e-6
                assert abs(slope - gradient[i]) < 1e-6 * (1 + abs(slope)), (variant, name, i)
    assert reference.sign(np.array([-0.0]))[0] == -1
