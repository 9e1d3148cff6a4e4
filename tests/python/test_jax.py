"""grkan.jax against the double reference: shapes, types, transforms, errors."""

from __future__ import annotations

import functools
import re
import threading

import pytest

from jax_support import KINDS, array, assert_close, case, check_grads, expected, jax, jnp, np

# isort: split
import grkan
import reference
from grkan import fit
from grkan.errors import InvalidArgument
from grkan.jax import composite, group_rational, initial_coefficients

DEGREES = [(5, 4), (3, 3), (0, 1), (1, 0), (7, 2), (2, 6)]
GROUPS = [(1, 1), (4, 4), (1, 4), (4, 1), (2, 4), (24, 24)]


@functools.partial(jax.jit, static_argnums=0)
def derived(options, x, dy, a, b):
    """y, dx, da, db."""
    y, back = jax.vjp(functools.partial(group_rational, **dict(options)), x, a, b)
    return y, *back(dy)


def compare(x, dy, a, b, variant="A", channel_dim=-1):
    """y and all gradients against the reference on what the arrays hold."""
    options = {"variant": variant, "channel_dim": channel_dim, "out_dtype": dy.dtype}
    results = derived(tuple(options.items()), x, dy, a, b)
    values, sizes = expected(x, dy, a, b, variant, channel_dim)
    for name, actual, like in zip(("y", "dx", "da", "db"), results, (dy, x, a, b)):
        assert actual.dtype == like.dtype
        assert_close(name, actual, values, sizes)
    return results


# ---------------------------------------------------------------- problems


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("degrees, kind", [*((d, "f64") for d in DEGREES), ((5, 4), "f32")])
def test_degrees(variant, degrees, kind):
    compare(*case(1, (37, 24), degrees=degrees, variant=variant, kind=kind), variant)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("shape, channel_dim", [((37, 24), -1), ((3, 24, 5, 7), 1)])
def test_groups(groups, shape, channel_dim):
    compare(*case(2, shape, groups=groups), "A", channel_dim)


@pytest.mark.parametrize("kinds", ["f16", "bf16", "f32:f16", "f32:bf16", "f16:f32", "bf16:f32"])
@pytest.mark.parametrize("channel_dim", [-1, 1])
def test_types(kinds, channel_dim):
    kind, _, y_kind = kinds.partition(":")
    compare(*case(3, (5, 24, 24), kind=kind, y_kind=y_kind), "A", channel_dim)


@pytest.mark.parametrize("kinds", ["f16", "bf16", "f32:f16", "f16:f32", "f32"])
@pytest.mark.parametrize("numerator, denominator", [("half", "half"), ("half", "f32")])
def test_coefficients_of_16_bits(kinds, numerator, denominator):
    """In the data's type they are read as they are, beside other types they are converted; their
    gradients have their own type."""
    kind, _, y_kind = kinds.partition(":")
    half = "f16" if "f16" in kinds.split(":") else "bf16"
    x, dy, a, b = case(4, (37, 24), kind=kind, y_kind=y_kind)
    a = a.astype(KINDS[half if numerator == "half" else numerator])
    b = b.astype(KINDS[half if denominator == "half" else denominator])
    compare(x, dy, a, b)
    text = str(jax.make_jaxpr(functools.partial(group_rational, out_dtype=dy.dtype))(x, a, b))
    assert ("convert_element_type" in text) == (kinds == "f32" or denominator == "f32")


@pytest.mark.parametrize(
    "shape, channel_dim",
    [((24,), 0), ((5, 24), 1), ((2, 3, 24), -1), ((2, 3, 4, 24), 3), ((2, 24, 9), 1),
     ((24, 7), 0), ((2, 3, 24, 5), 2), ((2, 24, 1, 1), 1), ((1, 1, 24), -1), ((2, 24, 3, 3), -3)],
)  # fmt: skip
def test_shapes(shape, channel_dim):
    compare(*case(5, shape, kind="f64"), "A", channel_dim)


@pytest.mark.parametrize("shape, channel_dim", [((0, 24), -1), ((2, 0, 24), -1), ((2, 24, 0), 1)])
def test_empty(shape, channel_dim):
    x, dy, a, b = case(6, shape)
    y, dx, da, db = compare(x, dy, a, b, "A", channel_dim)
    assert y.shape == dx.shape == shape
    assert not da.any() and not db.any()


def test_one_row_of_coefficients():
    x, dy, a, b = case(7, (5, 24), groups=(1, 1))
    for one, two in zip(compare(x, dy, a, b), derived((), x, dy, a[0], b[0])):
        assert np.array_equal(one.reshape(-1), two.reshape(-1))


def test_no_denominator():
    x, dy, a, _ = case(8, (5, 24), groups=(4, 4))
    compare(x, dy, a, jnp.zeros((1, 0), x.dtype))


def test_large_outputs():
    compare(*case(9, (700, 768), kind="f64"))


def test_what_is_an_array():
    x, _, a, b = (np.asarray(t) for t in case(10, (5, 4), groups=(1, 1)))
    y = group_rational(x, a, b)
    assert isinstance(y, jax.Array) and y.dtype == np.float32
    with jax.enable_x64(False) if hasattr(jax, "enable_x64") else jax.experimental.disable_x64():
        assert np.array_equal(group_rational(x.tolist(), a.tolist(), b.tolist()), y)


# ---------------------------------------------------------------- derivatives


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("where", [lambda f: f, jax.jit])
def test_subsets_of_gradients(wanted, where):
    """Only what is asked for is computed; `loss` is one object, which JAX remembers."""
    x, dy, a, b = case(11, (37, 24))
    gradients = jax.grad(where(loss), wanted)
    text = str(jax.make_jaxpr(gradients)(x, a, b, dy))
    flags = re.findall(r"'gradients', (\d+)|gradients=(\d+)", text)
    assert {int(one or other) for one, other in flags} == {sum(1 << i for i in wanted)}
    values, sizes = expected(x, dy, a, b)
    for i, actual in zip(wanted, gradients(x, a, b, dy)):
        assert_close(("dx", "da", "db")[i], actual, values, sizes)


def test_calls_are_recorded():
    x, dy, a, b = case(9, (3, 5, 16))
    with grkan.record() as calls:
        jax.block_until_ready(jax.jit(jax.grad(loss, argnums=(0, 2)))(x, a, b, dy))
        jax.block_until_ready(jax.vmap(group_rational, (0, None, None))(x, a, b))
    problem = "p5q4-A-c16-g1x4-f32-last"
    found = {call.task: (call.device, call.rows, call.inner, call.count) for call in calls}
    # The loss itself is not asked for, and not computed: the forward call is vmap's.
    assert found == {
        f"forward/{problem}": ("cpu", 15, 1, 1),
        f"backward.dx.db/{problem}": ("cpu", 15, 1, 1),
    }


def test_what_is_called_can_be_tuned():
    """On threads of its own: XLA's are its calls'."""
    x, dy, a, b = case(10, (700, 48))
    step = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    with grkan.record() as calls:
        jax.block_until_ready(step(x, a, b, dy))
    tunings = grkan.tune(calls, budget=0.15, progress=False)
    assert {t.task.split("/")[0] for t in tunings} >= {"backward.dx.da.db"}
    for call in calls:
        document = grkan.explain(call)[call.direction]
        chosen = next(t for t in tunings if t.task == call.task)
        assert document["schedule"] == chosen.after
    values, sizes = expected(x, dy, a, b)
    for name, actual in zip(("dx", "da", "db"), step(x, a, b, dy)):
        assert_close(name, actual, values, sizes)


def loss(x, a, b, dy):
    return (group_rational(x, a, b) * dy).sum()


def test_value_and_grad_of_a_layer():
    x, dy, a, b = case(12, (37, 24))
    w = jnp.asarray(np.random.default_rng(12).normal(size=(24, 24)), x.dtype)

    def layer(function, parameters):
        h = function(x @ w, parameters["a"], parameters["b"])
        return (h * dy).mean()

    values = [
        jax.jit(jax.value_and_grad(functools.partial(layer, f)))({"a": a, "b": b})
        for f in (group_rational, composite.group_rational)
    ]
    for one, other in zip(*map(jax.tree.leaves, values)):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("variant, channel_dim", [*((v, -1) for v in "ABCNS"), ("A", 1)])
def test_second_derivatives(variant, channel_dim):
    x, _, a, b = case(13, (3, 4, 4), groups=(1, 2), degrees=(3, 2), variant=variant, kind="f64")
    x = jnp.where(jnp.abs(x) < 0.1, 0.5, x)  # no kink within a step

    f = jax.jit(functools.partial(group_rational, variant=variant, channel_dim=channel_dim))
    check_grads(f, (x, a, b), order=2, modes=["rev"], eps=1e-6, atol=1e-5, rtol=1e-5)
    gradient = jax.jit(jax.grad(lambda a: (f(x, a, b) ** 2).sum()))
    hessian = jax.jit(jax.hessian(lambda a: (f(x, a, b) ** 2).sum()))(a)
    step = 1e-6
    for i in range(a.shape[1]):
        moved = [gradient(a.at[0, i].add(s)) for s in (step, -step)]
        np.testing.assert_allclose(
            hessian[..., 0, i], (moved[0] - moved[1]) / (2 * step), rtol=1e-6, atol=1e-6
        )


def test_gradient_penalty():
    """A loss of a gradient, and its gradient by the coefficients, in jit."""
    x, _, a, b = case(14, (7, 24), kind="f64")

    def penalty(function, a, b):
        return (jax.grad(lambda x: function(x, a, b).sum())(x) ** 2).sum()

    ours, plain = (
        jax.jit(jax.grad(functools.partial(penalty, f), (0, 1)))(a, b)
        for f in (group_rational, composite.group_rational)
    )
    for one, other in zip(ours, plain):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("variant", "ABCNS")
def test_composite(variant):
    """The composite against the reference, its forward mode against its reverse mode."""
    x, dy, a, b = case(15, (5, 24, 3), variant=variant, kind="f64")
    f = jax.jit(functools.partial(composite.group_rational, variant=variant, channel_dim=1))
    y, back = jax.vjp(f, x, a, b)
    values, sizes = expected(x, dy, a, b, variant, 1)
    for name, actual in zip(("y", "dx", "da", "db"), (y, *back(dy))):
        assert_close(name, actual, values, sizes)
    tangent = jax.jvp(f, (x, a, b), (dy, a, b))[1]
    inner = (back(y)[0] * dy).sum() + (back(y)[1] * a).sum() + (back(y)[2] * b).sum()
    np.testing.assert_allclose((tangent * y).sum(), inner, rtol=1e-10)


def test_forward_mode_is_refused():
    x, dy, a, b = case(16, (5, 24))
    with pytest.raises(TypeError, match="jvp"):
        jax.jvp(lambda x: group_rational(x, a, b), (x,), (dy,))


@pytest.mark.parametrize(
    "wrap",
    [jax.checkpoint, lambda f: lambda x: jax.lax.scan(lambda h, _: (f(h), None), x, length=1)[0]],
)
def test_within(wrap):
    x, dy, a, b = case(17, (5, 24))
    y, back = jax.vjp(lambda x: wrap(lambda x: group_rational(x, a, b))(x), x)
    values, sizes = expected(x, dy, a, b)
    assert_close("y", y, values, sizes)
    assert_close("dx", back(dy)[0], values, sizes)


# ---------------------------------------------------------------- vmap


@pytest.mark.parametrize(
    "axes",
    [
        (0, 0, None, None),
        (0, None, None, None),
        (None, None, 0, None),
        (None, None, None, 1),
        (0, None, 1, 0),
        (2, 1, None, 0),
        (1, 0, 0, 2),
        (None, 0, None, None),
    ],
)
@pytest.mark.parametrize("channel_dim", [-1, 1])
def test_vmap(axes, channel_dim):
    """Of the forward and the gradients, by x, dy, numerator and denominator, against the reference
    entry by entry."""
    arguments = case(18, (4, 8, 8), groups=(2, 4), degrees=(3, 2))
    size = 3
    scales = 1 + 0.25 * jnp.arange(size, dtype=jnp.float32)
    stacks = [
        t if axis is None else jnp.moveaxis(t[..., None] * scales, -1, axis)
        for t, axis in zip(arguments, axes)
    ]

    def f(x, dy, a, b):
        y, back = jax.vjp(functools.partial(group_rational, channel_dim=channel_dim), x, a, b)
        return y, *back(dy)

    results = jax.jit(jax.vmap(f, axes))(*stacks)
    for i in range(size):
        entry = [t if axis is None else jnp.take(t, i, axis) for t, axis in zip(stacks, axes)]
        values, sizes = expected(*entry, channel_dim=channel_dim)
        for name, actual in zip(("y", "dx", "da", "db"), results):
            assert_close(name, actual[i], values, sizes)


def test_vmap_within_vmap():
    x, _, a, b = case(19, (2, 3, 5, 24), groups=(2, 2))
    stack = jnp.stack([a, a * 0.5, a * 0.25])
    inner = jax.vmap(group_rational, (0, 0, None))
    y = jax.vmap(inner, (0, None, None))(x, stack, b)
    for i in range(2):
        for j in range(3):
            values, sizes = expected(x[i, j], x[i, j], stack[j], b)
            assert_close("y", y[i, j], values, sizes)


def test_vmap_of_data_is_one_call_without_copies():
    x, dy, a, b = case(20, (4, 5, 24))
    f = jax.vmap(lambda x, dy: jax.vjp(lambda x: group_rational(x, a, b), x)[1](dy))
    text = str(jax.make_jaxpr(f)(x, dy))
    assert text.count("grkan_backward") == 1
    assert not re.search(r"scan|while|transpose|concatenate", text)
    values, sizes = expected(x, dy, a, b)
    assert_close("dx", f(x, dy)[0], values, sizes)


def test_jacobian():
    """jax.jacrev maps over dy alone."""
    x, _, a, b = case(21, (2, 4), groups=(1, 2), degrees=(3, 2), kind="f64")
    jacobian = jax.jacrev(group_rational)(x, a, b)
    values, _ = expected(x, np.ones_like(x), a, b)
    diagonal = np.zeros((2, 4, 2, 4))
    for i in np.ndindex(2, 4):
        diagonal[i + i] = values.dx[i]
    np.testing.assert_allclose(jacobian, diagonal, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- devices


def mesh():
    assert len(jax.devices()) == 2
    return jax.sharding.Mesh(np.array(jax.devices()), ("batch",))


SPLIT, SAME = jax.sharding.PartitionSpec("batch"), jax.sharding.PartitionSpec()


@pytest.mark.parametrize("check", [True, False])
def test_shard_map(check):
    """Gradients from outside: those of the coefficients are summed over the shards."""
    x, dy, a, b = case(22, (36, 24))
    f = jax.shard_map(
        group_rational, mesh=mesh(), in_specs=(SPLIT, SAME, SAME), out_specs=SPLIT, check_vma=check
    )
    y, back = jax.vjp(jax.jit(f), x, a, b)
    values, sizes = expected(x, dy, a, b)
    for name, actual in zip(("y", "dx", "da", "db"), (y, *back(dy))):
        assert_close(name, actual, values, sizes)
    for i, name in enumerate(("dx", "da", "db")):  # alone
        gradient = jax.jit(jax.grad(lambda *args: (f(*args) * dy).sum(), i))(x, a, b)
        assert_close(name, gradient, values, sizes)


@pytest.mark.parametrize("check", [True, False])
def test_gradients_within_shard_map(check):
    """Where JAX keeps track of what is the same on all devices, it sums; else the user does."""
    x, dy, a, b = case(23, (36, 24))

    def step(x, a, b, dy):
        gradients = jax.grad(lambda *c: (group_rational(x, *c) * dy).sum(), (0, 1))(a, b)
        return gradients if check else jax.lax.psum(gradients, "batch")

    specs = SPLIT, SAME, SAME, SPLIT
    f = jax.shard_map(step, mesh=mesh(), in_specs=specs, out_specs=SAME, check_vma=check)
    values, sizes = expected(x, dy, a, b)
    for name, actual in zip(("da", "db"), jax.jit(f)(x, a, b, dy)):
        assert_close(name, actual, values, sizes)


def test_second_derivatives_within_shard_map():
    x, _, a, b = case(24, (6, 24), kind="f64")

    def penalty(function, x, a, b):
        return jax.grad(lambda x: (function(x, a, b) ** 2).sum())(x)

    specs = {"mesh": mesh(), "in_specs": (SPLIT, SAME, SAME), "out_specs": SPLIT}
    ours, plain = (
        jax.jit(jax.grad(lambda a, f=f: (f(x, a, b) ** 2).sum()))(a)
        for f in (
            jax.shard_map(functools.partial(penalty, group_rational), **specs),
            functools.partial(penalty, composite.group_rational),
        )
    )
    np.testing.assert_allclose(ours, plain, rtol=1e-10, atol=1e-10)


def test_jit_of_sharded_arrays():
    x, dy, a, b = case(25, (36, 24))
    there = jax.sharding.NamedSharding(mesh(), SPLIT)
    compare(jax.device_put(x, there), jax.device_put(dy, there), a, b)


def test_other_device():
    compare(*(jax.device_put(t, jax.devices()[1]) for t in case(26, (5, 24))))


def test_bits_do_not_change():
    x, dy, a, b = case(27, (3000, 96))
    first = derived((), x, dy, a, b)
    for _ in range(5):
        for one, other in zip(derived((), x, dy, a, b), first):
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_threads_that_call_at_once():
    arguments = case(28, (1000, 96))
    first = derived((), *arguments)
    failed = []

    def work():
        for _ in range(20):
            for one, other in zip(derived((), *arguments), first):
                if not np.array_equal(one, other):
                    failed.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_export():
    import jax.export  # older versions don't by themselves

    x, dy, a, b = case(29, (5, 24))
    checks = [jax.export.DisabledSafetyCheck.custom_call("grkan_forward")]
    exported = jax.export.export(jax.jit(group_rational), disabled_checks=checks)(x, a, b)
    assert_close("y", exported.call(x, a, b), *expected(x, dy, a, b))


# ---------------------------------------------------------------- coefficients, errors


@pytest.mark.parametrize("init", ["gelu", "tanh", np.cos])
def test_initial_coefficients(init):
    a, b = initial_coefficients(4, numerator_groups=2, init=init, degrees=(4, 4), dtype="float32")
    assert a.shape == (2, 5) and b.shape == (4, 4) and a.dtype == b.dtype == np.float32
    x = jnp.linspace(-3, 3, 240, dtype="float32").reshape(10, 24)
    function = fit.FUNCTIONS.get(init, init) if isinstance(init, str) else init
    error = np.abs(array(group_rational(x, a, b)) - function(array(x))).max()
    assert error < fit.fit(init, (4, 4), "A").largest_error + 1e-5


def arrays(x=(4, 24), a=(1, 6), b=(4, 4), kinds="f32 f32 f32"):
    return [jnp.ones(s, KINDS.get(k, k)) for s, k in zip((x, a, b), kinds.split())]


@pytest.mark.parametrize(
    "arguments, options, error, text",
    [
        (arrays(a=(5, 6)), {}, InvalidArgument, "24 is not a multiple of numerator groups 5"),
        (arrays(b=(7, 4)), {}, InvalidArgument, "multiple of denominator groups 7"),
        (arrays(a=(1, 17)), {}, InvalidArgument, "numerator degree"),
        (arrays(a=(1, 0)), {}, InvalidArgument, "numerator has no coefficient"),
        (arrays(b=(1, 0)), {"variant": "C"}, InvalidArgument, "variant C needs degree"),
        (arrays(a=(1, 1, 6)), {}, InvalidArgument, r"numerator has shape \(1, 1, 6\)"),
        (arrays(x=()), {}, InvalidArgument, "channel_dim -1 is out of range for 0 dimensions"),
        (arrays(x=(4, 0)), {}, InvalidArgument, "channels"),
        (arrays(), {"channel_dim": 2}, InvalidArgument, "channel_dim 2 is out of range"),
        (arrays(), {"variant": "D"}, InvalidArgument, "variant 'D' is unknown; use one of A, B"),
        (arrays(kinds="int32 f32 f32"), {}, TypeError, "x must be float32, .*, not int32"),
        (arrays(kinds="f32 int8 f32"), {}, TypeError, "numerator must be .*, not int8"),
        (arrays(kinds="f32 f32 f64"), {}, TypeError, "denominator is float64 and x float32"),
        (arrays(kinds="f64 f32 f64"), {}, TypeError, "numerator is float32 and x float64"),
        (arrays(), {"out_dtype": "float64"}, TypeError, "out_dtype is float64 and x"),
        (arrays(), {"out_dtype": "int32"}, TypeError, "out_dtype must be .*, not int32"),
        (arrays(), {"out_dtype": "nonsense"}, TypeError, "nonsense"),
        (arrays(kinds="f16 f32 f32"), {"out_dtype": "bfloat16"}, TypeError, "f16"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("traced", [False, True])
def test_errors(arguments, options, error, text, traced):
    f = functools.partial(group_rational, **options)
    with pytest.raises(error, match=text):
        (jax.jit(f) if traced else f)(*arguments)


def test_reference_of_this_file():
    """assert_close can fail."""
    x, dy, a, b = case(30, (5, 24))
    values, sizes = expected(x, dy, a, b)
    with pytest.raises(AssertionError, match="times the bound"):
        assert_close("y", group_rational(x, a, b) + 1e-3, values, sizes)
    assert reference.UNIT["f32"] == 2.0**-24
