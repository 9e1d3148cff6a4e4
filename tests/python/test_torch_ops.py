"""grkan.torch.group_rational against the double reference: values, gradients, layouts, types."""

from __future__ import annotations

import itertools
import threading

import pytest

import grkan.torch
from grkan.errors import InvalidArgument
from grkan.torch import _ops, composite, group_rational
from torch_support import KINDS, assert_close, case, expected, torch

DEGREES = [(5, 4), (3, 3), (0, 1), (1, 0), (7, 2), (2, 6), (0, 0), (15, 15)]
GROUPS = [(1, 1), (4, 4), (1, 4), (4, 1), (2, 4), (24, 24)]


def check(x, dy, a, b, *, variant="A", channel_dim=-1, out_dtype=None):
    """Forward without gradients, forward with, and backward."""
    options = {"variant": variant, "channel_dim": channel_dim, "out_dtype": out_dtype}
    values, sizes = expected(x, dy, a, b, variant, channel_dim)
    y = group_rational(x, a, b, **options)
    assert y.dtype == (out_dtype or x.dtype)
    assert y.stride() == torch.empty_like(x).stride()
    assert_close("y", y, values, sizes)

    leaves = [t.detach().requires_grad_() for t in (x, a, b)]
    with_grad = group_rational(*leaves, **options)
    assert torch.equal(with_grad, y)
    gradients = torch.autograd.grad(with_grad, leaves, dy)
    for name, leaf, gradient in zip(("dx", "da", "db"), leaves, gradients):
        assert gradient.dtype == leaf.dtype and gradient.shape == leaf.shape
        assert_close(name, gradient, values, sizes)
    assert gradients[0].stride() == torch.empty_like(x).stride()


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("kind", ["f32", "f64"])
def test_degrees(variant, degrees, kind):
    check(
        *case(1, (37, 24), groups=(4, 4), degrees=degrees, variant=variant, kind=kind),
        variant=variant,
    )


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("shape, channel_dim", [((37, 24), -1), ((3, 24, 5, 7), 1)])
def test_groups(groups, shape, channel_dim):
    check(*case(2, shape, groups=groups), channel_dim=channel_dim)


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize(
    "kind, y_kind",
    [
        ("f16", "f16"),
        ("bf16", "bf16"),
        ("f32", "bf16"),
        ("f32", "f16"),
        ("bf16", "f32"),
        ("f16", "f32"),
    ],
)
@pytest.mark.parametrize("channel_dim", [-1, 1])
def test_types(variant, kind, y_kind, channel_dim):
    check(
        *case(3, (5, 24, 24), variant=variant, kind=kind, y_kind=y_kind),
        variant=variant,
        channel_dim=channel_dim,
        out_dtype=KINDS[y_kind],
    )


@pytest.mark.parametrize(
    "x_kind, y_kind, a_kind, b_kind",
    [
        ("bf16", "bf16", "bf16", "bf16"),  # as they are, where a type of the data is theirs
        ("f16", "f16", "f16", "f16"),
        ("f32", "bf16", "bf16", "bf16"),
        ("f16", "f32", "f16", "f16"),
        ("f32", "f32", "bf16", "bf16"),  # else through f32
        ("bf16", "bf16", "f16", "f16"),
        ("bf16", "bf16", "bf16", "f32"),
        ("f16", "f16", "f32", "f16"),
    ],
)
def test_coefficients_of_16_bits(x_kind, y_kind, a_kind, b_kind):
    x, dy, a, b = case(4, (19, 24), kind=x_kind, y_kind=y_kind)
    a, b = a.to(KINDS[a_kind]), b.to(KINDS[b_kind])
    check(x, dy, a, b, out_dtype=KINDS[y_kind])
    _, da, db = _ops.backward(dy, x, a, b, 1, -1, 7, 2)
    assert (da.dtype, db.dtype) == (a.dtype, b.dtype)


@pytest.mark.parametrize(
    "shape, channel_dim",
    [
        ((24,), 0),
        ((24,), -1),
        ((1, 24), -1),
        ((2, 3, 4, 24), 3),
        ((24, 5), 0),
        ((24, 1), 0),
        ((2, 24, 3), 1),
        ((2, 3, 24, 5), -2),
        ((2, 1, 3, 1, 24), -1),
        ((1, 24, 1, 1), 1),
        ((2, 24, 1, 1), 1),
    ],
)
def test_shapes(shape, channel_dim):
    check(*case(5, shape), channel_dim=channel_dim)


def test_one_channel():
    check(*case(6, (7, 1), groups=(1, 1)))
    check(*case(6, (3, 1, 5, 2), groups=(1, 1)), channel_dim=1)


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "batch inside": lambda x: x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "gaps between rows": lambda x: torch.cat([x, x], 0)[::2].copy_(x),
    "gaps between channels": lambda x: torch.cat([x, x], 3)[..., ::2].copy_(x),
    "offset": lambda x: torch.cat([x, x], 0)[x.shape[0] :],
}


@pytest.mark.parametrize("x_layout, dy_layout", list(itertools.product(LAYOUTS, LAYOUTS)))
@pytest.mark.parametrize("channel_dim", [1, 3])
def test_layouts(x_layout, dy_layout, channel_dim):
    shape = (3, 8, 5, 4) if channel_dim == 1 else (3, 5, 4, 8)
    x, dy, a, b = case(7, shape)
    before = x.clone()
    check(LAYOUTS[x_layout](x), LAYOUTS[dy_layout](dy), a, b, channel_dim=channel_dim)
    assert torch.equal(x, before)


EXPANDED = {
    "rows": lambda x: x[:1].expand(6, 5, 8),
    "inner rows": lambda x: x[:, :1].expand(6, 5, 8),
    "channels": lambda x: x[..., :1].expand(6, 5, 8),
    "all": lambda x: x[:1, :1, :1].expand(6, 5, 8),
    "all but channels": lambda x: x[:1, :1].expand(6, 5, 8),
}


@pytest.mark.parametrize("channel_dim", [0, 1, 2])
@pytest.mark.parametrize("which", EXPANDED)
def test_expanded(which, channel_dim):
    x, dy, a, b = case(8, (6, 5, 8), groups=(1, 1))
    check(EXPANDED[which](x), dy, a, b, channel_dim=channel_dim)
    check(x, EXPANDED[which](dy), a, b, channel_dim=channel_dim)


def test_rows_that_overlap():
    x, dy, a, b = case(22, (100,), groups=(1, 4))
    check(x.unfold(0, 8, 3), dy.unfold(0, 8, 3), a, b)
    check(x.unfold(0, 8, 3), dy.unfold(0, 8, 3).clone(), a, b)


def test_gradient_of_a_sum():
    x, _, a, b = case(9, (6, 4, 8))
    for channel_dim in (-1, 1):
        leaves = [t.detach().requires_grad_() for t in (x, a, b)]
        group_rational(*leaves, channel_dim=channel_dim).sum().backward()
        values, sizes = expected(x, torch.ones_like(x), a, b, channel_dim=channel_dim)
        for name, leaf in zip(("dx", "da", "db"), leaves):
            assert_close(name, leaf.grad, values, sizes)


@pytest.mark.parametrize("shape", [(0, 24), (0,), (3, 0, 24), (0, 24, 5), (2, 24, 0), (3, 0)])
def test_empty(shape):
    channel_dim = shape.index(24) if 24 in shape else -1
    x = torch.empty(shape, requires_grad=True)
    _, _, a, b = case(10, (1, 24))
    a.requires_grad_()
    b.requires_grad_()
    y = group_rational(x, a, b, channel_dim=channel_dim)
    assert y.shape == shape
    y.sum().backward()
    assert x.grad.shape == shape
    assert torch.equal(a.grad, torch.zeros_like(a)) and torch.equal(b.grad, torch.zeros_like(b))
    with torch.no_grad():
        assert group_rational(x, a, b, channel_dim=channel_dim).shape == shape


@pytest.mark.parametrize("needs", list(itertools.product([False, True], repeat=3))[1:])
@pytest.mark.parametrize("variant", "AC")
def test_subsets_of_gradients(needs, variant):
    x, dy, a, b = case(11, (29, 24), variant=variant)
    values, sizes = expected(x, dy, a, b, variant)
    leaves = [t.requires_grad_(need) for t, need in zip((x, a, b), needs)]
    group_rational(*leaves, variant=variant).backward(dy)
    for name, leaf, need in zip(("dx", "da", "db"), leaves, needs):
        assert (leaf.grad is not None) == need
        if need:
            assert_close(name, leaf.grad, values, sizes)


def test_gradients_accumulate():
    x, dy, a, b = case(12, (29, 24))
    b.requires_grad_()
    for _ in range(2):
        group_rational(x, a, b).backward(dy)
    twice = b.grad
    b.grad = None
    group_rational(x, a, b).backward(dy)
    assert torch.equal(twice, 2 * b.grad)


def test_coefficients_that_are_views():
    x, dy, a, b = case(13, (29, 24), groups=(4, 4))
    check(x, dy, a.t().contiguous().t(), torch.cat([b, b], 1)[:, :4])
    check(x, dy, a[:1].expand(4, 6), b)


def test_in_place_and_out():
    x, _, a, b = case(14, (29, 24))
    y = group_rational(x, a, b)
    z = x.clone()
    assert group_rational(z, a, b, inplace=True) is z
    assert torch.equal(z, y)
    out = torch.empty(29, 24)
    assert group_rational(x, a, b, out=out) is out
    assert torch.equal(out, y)
    half = torch.empty(29, 24, dtype=torch.bfloat16)
    assert torch.equal(
        group_rational(x, a, b, out=half), group_rational(x, a, b, out_dtype=torch.bfloat16)
    )
    columns = torch.zeros(24, 29).t()  # another order than x: by way of a copy
    assert torch.equal(group_rational(x, a, b, out=columns), y)
    wide = torch.zeros(29, 30)
    group_rational(x, a, b, out=wide[:, :24])
    assert torch.equal(wide[:, :24], y) and not wide[:, 24:].any()
    spread = x.repeat_interleave(2, 1)[:, ::2]
    group_rational(spread, a, b, inplace=True)
    assert torch.equal(spread, y)


def test_what_is_on_the_meta_device_is_not_mixed_with_what_is_not():
    x, dy, a, b = case(3, (5, 24))
    for arguments in ((x, a.to("meta"), b), (x, a, b.to("meta")), (x.to("meta"), a, b)):
        with pytest.raises(ValueError, match=r"is on .*, but x on .*; move one of them"):
            group_rational(*arguments)
    with pytest.raises(ValueError, match="move one of them"):
        group_rational(x, a, b, out=x.to("meta"))
    with pytest.raises(ValueError, match="move one of them"):
        torch.ops.grkan.backward(dy.to("meta"), x, a, b, 1, -1, 7, 2)
    meta = [t.to("meta") for t in (x, a, b)]
    assert group_rational(*meta).shape == x.shape and group_rational(*meta).is_meta


def test_what_a_graph_is_not_made_of():
    x, _, a, b = (t.to("meta") for t in case(3, (5, 24)))
    with pytest.raises(ValueError, match="channels 24 is not a multiple of the 7 groups"):
        group_rational(x, a, torch.empty(7, 4, device="meta"))
    with pytest.raises(ValueError, match=r"must be \[groups, coefficients\]"):
        group_rational(x, a[0], b)
    with pytest.raises(TypeError, match="must be float32"):
        group_rational(x.int(), a, b)
    with pytest.raises(TypeError, match="don't go together"):
        group_rational(x, a.double(), b)
    compiled = torch.compile(group_rational, backend="eager", fullgraph=True)
    _, _, a, b = case(3, (5, 24))
    with pytest.raises(Exception, match="channels 23 is not a multiple of the 4 groups"):
        compiled(torch.randn(3, 23), a, b)


def test_what_is_no_dense_tensor():
    x, _, a, b = case(3, (5, 24))
    for wrong, kind in (
        (None, "NoneType"),
        (x.numpy(), "ndarray"),
        ([1.0], "list"),
        (x.to_sparse(), "torch.sparse_coo"),
    ):
        with pytest.raises(TypeError, match=rf"x is {kind}; a .* is needed"):
            group_rational(wrong, a, b)
    with pytest.raises(TypeError, match=r"numerator is NoneType; a torch\.Tensor is needed"):
        group_rational(x, None, b)


@pytest.mark.parametrize("out", [False, True])
def test_in_place_is_noticed_by_what_was_saved(out):
    x, _, a, b = case(14, (29, 24))
    w = torch.ones(24, requires_grad=True)
    y = (x * w).sum()
    with torch.no_grad():
        group_rational(torch.ones(29, 24), a, b, out=x) if out else group_rational(
            x, a, b, inplace=True
        )
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    with torch.inference_mode():
        z = torch.ones(29, 24)
        assert group_rational(z, a, b, inplace=True) is z


def test_memory_order_is_that_of_empty_like():
    """Whatever the strides, 0 and equal ones among them: it is what a compiled graph counts on."""
    _, _, a, b = case(1, (4, 4), groups=(1, 1))
    for seed in range(2000):
        generator = torch.Generator().manual_seed(seed)
        dims = int(torch.randint(1, 5, (), generator=generator))
        shape = torch.randint(1, 5, (dims,), generator=generator).tolist()
        strides = [
            [0, 1, 2, 4, 5, 8, 20, 24, 40][i]
            for i in torch.randint(0, 9, (dims,), generator=generator).tolist()
        ]
        x = torch.ones(1000).as_strided(shape, strides)
        y = group_rational(x, a, b)
        assert y.stride() == torch.empty_like(x).stride(), f"seed {seed}: {shape}, {strides}"


def test_large_outputs():
    x, dy, a, b = case(15, (3000, 768), groups=(1, 8))  # 9 MB, several slices
    check(x, dy, a, b)


@pytest.mark.parametrize("variant", "ABCNS")
def test_composite_is_the_same_function(variant):
    x, dy, a, b = case(16, (3, 24, 5), variant=variant, kind="f64")
    leaves = [t.requires_grad_() for t in (x, a, b)]
    values, sizes = expected(x, dy, a, b, variant, 1)
    y = composite.group_rational(*leaves, variant=variant, channel_dim=1, out_dtype=torch.float64)
    assert_close("y", y, values, sizes)
    for name, gradient in zip(("dx", "da", "db"), torch.autograd.grad(y, leaves, dy)):
        assert_close(name, gradient, values, sizes)


def test_bits_do_not_depend_on_threads():
    x, dy, a, b = case(17, (3000, 192), groups=(1, 8))
    leaves = [t.requires_grad_() for t in (x, a, b)]
    before = torch.get_num_threads()
    results = []
    try:
        for threads, pool in ((1, "torch"), (2, "torch"), (2, "own"), (5, "torch")):
            torch.set_num_threads(threads)
            grkan.torch.set_thread_pool(pool)
            y = group_rational(*leaves)
            results.append((y.detach(), *torch.autograd.grad(y, leaves, dy)))
    finally:
        torch.set_num_threads(before)
        grkan.torch.set_thread_pool("torch")
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_threads_that_call_at_once():
    cases = [case(seed, (200 + seed, 48), groups=(1, 8)) for seed in range(8)]
    answers = [group_rational(x, a, b) for x, _, a, b in cases]
    wrong = []

    def work(seed):
        x, _, a, b = cases[seed]
        for _ in range(30):
            if not torch.equal(group_rational(x, a, b), answers[seed]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_determinism_settings():
    x, dy, a, b = case(18, (500, 48), groups=(1, 8))
    a.requires_grad_()
    values, sizes = expected(x, dy, a, b)
    try:
        for determinism in ("not_guaranteed", "gpu_to_gpu", "run_to_run"):
            grkan.torch.set_determinism(determinism)
            (da,) = torch.autograd.grad(group_rational(x, a, b), a, dy)
            assert_close("da", da, values, sizes)
        with pytest.raises(ValueError, match="gpu_to_gpu, not 'never'"):
            grkan.torch.set_determinism("never")
    finally:
        grkan.torch.set_determinism("run_to_run")


def test_deterministic_algorithms_ask_for_run_to_run():
    from grkan.torch._determinism import determinism_code

    try:
        grkan.torch.set_determinism("not_guaranteed")
        assert determinism_code() == 1
        torch.use_deterministic_algorithms(True)
        assert determinism_code() == 2
        grkan.torch.set_determinism("gpu_to_gpu")
        assert determinism_code() == 3
    finally:
        torch.use_deterministic_algorithms(False)
        grkan.torch.set_determinism("run_to_run")


def test_inference_mode():
    x, _, a, b = case(19, (7, 24))
    y = group_rational(x, a, b)
    with torch.inference_mode():
        assert torch.equal(group_rational(x, a, b), y)
        assert torch.equal(group_rational(x, a.requires_grad_(), b), y)


@pytest.mark.parametrize("kind", ["bf16", "f16"])
def test_autocast(kind):
    x, dy, a, b = case(20, (13, 24))
    with torch.autocast("cpu", KINDS[kind]):
        leaves = [t.requires_grad_() for t in (x, a, b)]
        y = group_rational(*leaves)
        assert y.dtype == KINDS[kind]
        assert group_rational(x, a, b, out_dtype=torch.float32).dtype == torch.float32
        assert group_rational(x.half(), a, b).dtype == torch.float16
        doubles = (x.double(), a.double(), b.double())
        assert group_rational(*doubles).dtype == torch.float64
    dy = dy.to(KINDS[kind])
    values, sizes = expected(x, dy, a, b)
    assert_close("y", y, values, sizes)
    y.backward(dy)
    for name, leaf in zip(("dx", "da", "db"), leaves):
        assert leaf.grad.dtype == torch.float32
        assert_close(name, leaf.grad, values, sizes)


def test_subclasses_of_tensors():
    class Marked(torch.Tensor):
        pass

    x, _, a, b = case(21, (7, 24))
    y = group_rational(x.as_subclass(Marked), a, b)
    assert type(y) is Marked
    assert torch.equal(y.as_subclass(torch.Tensor), group_rational(x, a, b))


X = torch.zeros(4, 24)
A = torch.zeros(1, 6)
B = torch.zeros(8, 4)


@pytest.mark.parametrize(
    "arguments, options, error, text",
    [
        ((torch.zeros(4, 10), A, B), {}, ValueError, "channels 10 is not a multiple"),
        ((X, A[0], B), {}, ValueError, r"numerator must be .*, but its shape is \[6\]"),
        ((X, A, B), {"variant": "Z"}, ValueError, "variant must be one of A, B, C, N, S, not 'Z'"),
        ((X, A, B), {"channel_dim": 2}, ValueError, r"is none of x, whose shape is \[4, 24\]"),
        ((X, A, B), {"channel_dim": -3}, ValueError, "channel_dim -3 is none of x"),
        ((torch.tensor(1.0), A, B), {}, ValueError, "x has no dimensions"),
        ((X, torch.zeros(1, 17), B), {}, ValueError, "numerator degree 16 is out of range"),
        ((X, torch.zeros(1, 0), B), {}, ValueError, "numerator degree -1 is out of range"),
        ((X.int(), A, B), {}, TypeError, "x must be float32, float64, float16 or bfloat16"),
        ((X.double(), A, B), {}, TypeError, "numerator is float32 and x float64"),
        ((X, A, B.double()), {}, TypeError, "denominator is float64 and x float32"),
        ((X, A, B), {"out_dtype": torch.float64}, TypeError, "f32:f64"),
        ((X, A, B), {"out_dtype": torch.int32}, TypeError, "out_dtype must be"),
        ((X, A, B), {"out": torch.zeros(4, 25)}, ValueError, r"out must have x's shape \[4, 24\]"),
        ((X, A, B), {"out": torch.zeros(4, 24), "inplace": True}, ValueError, "give one of them"),
        (
            (X, A, B),
            {"out": torch.zeros(4, 24), "out_dtype": torch.float16},
            TypeError,
            "leave one",
        ),
        ((X, A.clone().requires_grad_(), B), {"inplace": True}, RuntimeError, "have no gradients"),
        ((torch.zeros([1] * 65), A, B), {}, ValueError, "65 dimensions; at most 64"),
    ],
)
def test_errors(arguments, options, error, text):
    with pytest.raises(error, match=text):
        group_rational(*arguments, **options)
    if not {"out", "inplace"} & set(options):
        leaves = [t.detach().requires_grad_(t.is_floating_point()) for t in arguments]
        with pytest.raises(error, match=text):
            group_rational(*leaves, **options)


def test_errors_are_those_of_grkan_errors():
    with pytest.raises(InvalidArgument) as caught:
        group_rational(torch.zeros(4, 10), A, B)
    assert caught.value.field == "denominator_groups"


def test_out_that_overlaps_x():
    x = torch.zeros(5, 24)
    with pytest.raises(ValueError, match="overlaps"):
        group_rational(x[:4], A, B, out=x[1:])


def test_random_layouts():
    """Strides, sizes and types at random, against the reference; the seed is in a failure."""
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)

        def draw(low, high, generator=generator):
            return int(torch.randint(low, high, (), generator=generator))

        dims = draw(1, 5)
        shape = [draw(1, 6) for _ in range(dims)]
        channel_dim = draw(0, dims)
        shape[channel_dim] = 4 * draw(1, 4)
        x, dy, a, b = case(seed, shape, groups=(draw(1, 3), 4), kind=("f32", "bf16")[draw(0, 2)])

        def shuffled(t, dims=dims, draw=draw, generator=generator):
            order = torch.randperm(dims, generator=generator).tolist()
            back = [order.index(d) for d in range(dims)]
            t = t.permute(order).contiguous().permute(back)
            if draw(0, 2):
                d = draw(0, dims)
                t = t.repeat_interleave(2, d)[(slice(None),) * d + (slice(None, None, 2),)]
            return t

        try:
            check(shuffled(x), shuffled(dy), a, b, channel_dim=channel_dim - dims * draw(0, 2))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, shape {shape}: {error}") from error
