"""grkan.torch under PyTorch's transforms: numerical derivatives, opcheck, compile, export,
torch.func, checkpointing."""

from __future__ import annotations

import pytest

from grkan.torch import GRKANLayer, GroupRational, _ops, composite, group_rational
from grkan.torch._codes import TYPES as TYPES_OF
from grkan.torch._codes import VARIANTS
from torch_support import KINDS, assert_close, case, expected, torch

DEGREES = [(5, 4), (3, 3), (0, 1), (1, 0), (7, 2), (2, 6), (0, 0), (9, 8)]
GROUPS = [(1, 1), (4, 4), (1, 4), (4, 1), (2, 4), (8, 8)]


def smooth_case(seed, shape, groups, degrees, variant):
    """Doubles that keep away from kinks: |x| > 0.2, and for B and C positive x and b."""
    x, _, a, b = case(seed, shape, groups=groups, degrees=degrees, variant=variant, kind="f64")
    x = torch.where(x < 0, x - 0.2, x + 0.2) / 1.2
    b = torch.where(b < 0, b - 0.1, b + 0.1) * (0.8 if variant == "N" else 1)
    if variant in "BC":
        x, b = x.abs(), b.abs()
    return [t.requires_grad_() for t in (x, a, b)]


def call(variant, channel_dim=-1):
    return lambda x, a, b: group_rational(x, a, b, variant=variant, channel_dim=channel_dim)


def plain(variant="A", channel_dim=-1):
    return lambda x, a, b: composite.group_rational(
        x, a, b, variant=variant, channel_dim=channel_dim, out_dtype=x.dtype
    )


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("degrees", DEGREES)
def test_gradcheck_degrees(variant, degrees):
    torch.autograd.gradcheck(call(variant), smooth_case(1, (3, 8), (1, 4), degrees, variant))


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("groups", GROUPS)
def test_gradcheck_groups(variant, groups):
    inputs = smooth_case(2, (2, 8, 3), groups, (5, 4), variant)
    torch.autograd.gradcheck(call(variant, 1), inputs)


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("degrees", [(3, 2), (1, 0), (2, 3)])
def test_gradgradcheck(variant, degrees):
    torch.autograd.gradgradcheck(call(variant), smooth_case(3, (2, 4), (1, 2), degrees, variant))


def test_gradient_penalty():
    x, _, a, b = case(4, (11, 24))
    results = []
    for f in (call("A"), plain()):
        leaves = [t.detach().requires_grad_() for t in (x, a, b)]
        (dx,) = torch.autograd.grad(f(*leaves).sum(), leaves[0], create_graph=True)
        (dx.square().sum() + f(*leaves).sum()).backward()
        results.append([t.grad for t in leaves])
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-4)


# ---------------------------------------------------------------- opcheck

TYPES = [("f32", "f32"), ("f64", "f64"), ("bf16", "bf16"), ("f32", "bf16"), ("f16", "f32")]
opcheck = torch.library.opcheck


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("layout", ["rows", "gaps", "channels_first", "channels_last"])
def test_opcheck_forward(types, layout):
    for rows, needs in ((0, (1, 1, 1)), (1, (0, 0, 0)), (1, (0, 1, 1)), (3, (1, 0, 0))):
        x, channel_dim, a, b = laid_out(types, layout, rows)
        leaves = [t.detach().requires_grad_(bool(need)) for t, need in zip((x, a, b), needs)]
        opcheck(_ops.forward, (*leaves, VARIANTS["A"], channel_dim, TYPES_OF[KINDS[types[1]]]))


def laid_out(types, layout, rows):
    shape = (rows, 2, 2, 8) if layout in ("rows", "gaps") else (rows, 8, 2, 2)
    x, _, a, b = case(5, shape, kind=types[0])
    if layout == "gaps":
        x = torch.cat([x, x], 3)[..., :8]
    elif layout == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
    return x, (-1 if shape[3] == 8 else 1), a, b


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("layout", ["rows", "channels_last"])
def test_opcheck_backward(types, layout):
    for rows, gradients in ((0, 7), (1, 1), (3, 6)):
        x, channel_dim, a, b = laid_out(types, layout, rows)
        dy = torch.ones_like(x, dtype=KINDS[types[1]])
        opcheck(_ops.backward, (dy, x, a, b, VARIANTS["A"], channel_dim, gradients, 2))


def test_opcheck_backward_that_is_differentiated():
    dy, x = (torch.randn(3, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    _, _, a, b = case(6, (3, 8), kind="f64")
    opcheck(_ops.backward, (dy, x, a.requires_grad_(), b.requires_grad_(), 1, -1, 7, 2))


def test_opcheck_out():
    x, _, a, b = case(7, (3, 8))
    opcheck(_ops.forward_out, (x, a, b, torch.empty(3, 8), 1, -1))


# ---------------------------------------------------------------- torch.compile and export


class Counter:
    """A backend that counts the graphs it gets."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, inputs):
        from torch._dynamo.backends.debugging import aot_eager

        self.graphs += 1
        return aot_eager(graph, inputs)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("channel_dim", [-1, 1])
def test_compile(channel_dim):
    layer = GroupRational(24, 4, channel_dim=channel_dim)
    backend = Counter()
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=backend)
    for rows in (5, 9, 17):
        shape = (rows, 24) if channel_dim == -1 else (rows, 24, 3, 2)
        x = torch.randn(shape, requires_grad=True)
        y = compiled(x)
        gradients = torch.autograd.grad(y.sum(), (x, *layer.parameters()))
        z = layer(x)
        assert torch.equal(y, z)
        assert all(
            map(torch.equal, gradients, torch.autograd.grad(z.sum(), (x, *layer.parameters())))
        )
    assert backend.graphs == 1


def test_compile_under_autocast_and_no_grad():
    layer = GroupRational(24, 4)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(5, 24)
    with torch.autocast("cpu", torch.bfloat16):
        assert compiled(x).dtype == torch.bfloat16
        assert torch.equal(compiled(x), layer(x))
    with torch.no_grad():
        assert torch.equal(compiled(x), layer(x))


def test_compile_of_function_in_place():
    x, _, a, b = case(8, (5, 24))

    @torch.compile(fullgraph=True, backend="aot_eager")
    def f(x):
        return group_rational(x, a, b, inplace=True) + 1

    y = group_rational(x, a, b)
    z = x.clone()
    assert torch.equal(f(z), y + 1) and torch.equal(z, y)


def test_inductor():
    layer = GRKANLayer(24, 16, 4)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True)
    with torch.no_grad():
        for rows in (6, 7):
            x = torch.randn(rows, 24)
            torch.testing.assert_close(compiled(x), layer(x))


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict):
    layer = GRKANLayer(24, 16, 4)
    exported = torch.export.export(
        layer, (torch.randn(4, 24),), strict=strict, dynamic_shapes=({0: torch.export.Dim.AUTO},)
    )
    assert "grkan.forward" in str(exported.graph)
    for rows in (2, 11):
        x = torch.randn(rows, 24)
        torch.testing.assert_close(exported.module()(x), layer(x))


def test_aot_inductor(tmp_path):
    """Compiled ahead of time into a library, which calls the operators."""
    layer = GRKANLayer(24, 16, 4)
    with torch.no_grad():
        exported = torch.export.export(
            layer, (torch.randn(4, 24),), dynamic_shapes=({0: torch.export.Dim.AUTO},)
        )
        file = str(tmp_path / "layer.pt2")
        packed = torch._inductor.aoti_compile_and_package(exported, package_path=file)
        loaded = torch._inductor.aoti_load_package(packed)
        for rows in (2, 11):
            x = torch.randn(rows, 24)
            torch.testing.assert_close(loaded(x), layer(x))


# ---------------------------------------------------------------- forward mode


def test_forward_mode():
    """Against finite differences, and dual numbers against torch.func."""
    x, _, a, b = tensors()
    x = torch.where(x == 0, 0.5, x)  # where |x| has a corner
    tangents = [torch.randn_like(t) for t in (x, a, b)]
    _, slope = torch.func.jvp(group_rational, (x, a, b), tuple(tangents))
    step = 1e-6
    plus, minus = (
        group_rational(*(t + s * d for t, d in zip((x, a, b), tangents, strict=True)))
        for s in (step, -step)
    )
    torch.testing.assert_close(slope, (plus - minus) / (2 * step), rtol=1e-6, atol=1e-6)
    forward_mode = torch.autograd.forward_ad
    for grads in (False, True):
        with forward_mode.dual_level():
            duals = [
                forward_mode.make_dual(t.clone().requires_grad_(grads), d)
                for t, d in zip((x, a, b), tangents, strict=True)
            ]
            tangent = forward_mode.unpack_dual(group_rational(*duals)).tangent
            torch.testing.assert_close(tangent, slope)
    module = GroupRational(16, 4).double()
    v = x[0, :2]

    def f(x):
        return module(x).square().sum()

    whole = torch.func.hessian(f)(v)
    torch.testing.assert_close(whole, torch.func.jacrev(torch.func.jacrev(f))(v))
    torch.testing.assert_close(torch.func.jacfwd(f)(v), torch.func.grad(f)(v))


# ---------------------------------------------------------------- torch.func and vmap


def tensors():
    return [t.double() for t in case(9, (5, 3, 16), groups=(2, 4), kind="f64")]


func = torch.func
ONE = torch.tensor(1.0, dtype=torch.float64)

TRANSFORMS = {
    "grad": lambda f, x, a, b: func.grad(lambda x: f(x, a, b).square().sum())(x),
    "grad of all": lambda f, x, a, b: func.grad(lambda t: f(*t).square().sum())((x, a, b))[2],
    "grad of grad": lambda f, x, a, b: func.grad(func.grad(lambda s: f(s * x, a, b).sum()))(ONE),
    "third": lambda f, x, a, b: func.grad(func.grad(func.grad(lambda s: f(s * x, a, b).sum())))(
        ONE
    ),
    "per-sample": lambda f, x, a, b: func.vmap(
        func.grad(lambda b, x: f(x, a, b).square().sum()), in_dims=(None, 0)
    )(b, x),
    "jacrev": lambda f, x, a, b: func.jacrev(lambda a: f(x, a, b).sum(0))(a),
    "jacrev of jacrev": lambda f, x, a, b: func.jacrev(
        func.jacrev(lambda a: f(x, a, b).square().sum())
    )(a),
    "vmap x": lambda f, x, a, b: func.vmap(lambda x: f(x, a, b), in_dims=1)(x),
    "vmap a": lambda f, x, a, b: func.vmap(lambda a: f(x, a, b))(torch.stack([a, a + 1])),
    "vmap b, last": lambda f, x, a, b: func.vmap(lambda b: f(x, a, b), in_dims=-1)(
        torch.stack([b, b / 2, b / 3], -1)
    ),
    "vmap all": lambda f, x, a, b: func.vmap(f, in_dims=(0, 1, 0), out_dims=1)(
        x[:2], torch.stack([a, -a], 1), torch.stack([b, b / 2])
    ),
    "vmap of vmap": lambda f, x, a, b: func.vmap(func.vmap(lambda x: f(x, a, b)))(x),
    "grad through vmap": lambda f, x, a, b: func.grad(
        lambda a: func.vmap(lambda x: f(x, a, b))(x).square().sum()
    )(a),
    "vmap of grad of x": lambda f, x, a, b: func.vmap(
        func.grad(lambda x: f(x, a, b).square().sum())
    )(x),
    "batched gradients": lambda f, x, a, b: torch.autograd.grad(
        f(x, a.requires_grad_(), b), a, torch.stack([torch.ones_like(x), x]), is_grads_batched=True
    )[0],
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("variant", "AC")
def test_transforms(name, variant):
    x, _, a, b = case(9, (5, 3, 16), groups=(2, 4), variant=variant, kind="f64")
    ours = TRANSFORMS[name](call(variant), x, a, b)
    theirs = TRANSFORMS[name](plain(variant), x, a.detach(), b)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_vmap_with_channels_first():
    x, _, a, b = case(10, (4, 16, 3), groups=(2, 4), kind="f64")
    bs = torch.stack([b, b / 2, b / 3, b / 4])
    for dim in (0, -2):  # of [16, 3], the batch taken away
        ours = func.vmap(lambda x, b, dim=dim: call("A", dim)(x, a, b))(x, bs)
        theirs = torch.stack([plain("A", 0)(x[i], a, bs[i]) for i in range(4)])
        torch.testing.assert_close(ours, theirs)


def test_vmap_of_the_operator_with_channels_from_the_front():
    x, _, a, b = case(14, (4, 16, 3), groups=(2, 4))
    ours = func.vmap(lambda x: _ops.forward(x, a, b, 1, 0, 0))(x)
    torch.testing.assert_close(ours, group_rational(x, a, b, channel_dim=1))
    ours = func.vmap(lambda b: _ops.forward(x, a, b, 1, 1, 0))(torch.stack([b, b]))
    torch.testing.assert_close(ours[1], group_rational(x, a, b, channel_dim=1))


def test_functional_call_of_a_module():
    layer = GRKANLayer(16, 8, 4)
    x = torch.randn(3, 16)
    parameters = dict(layer.named_parameters())

    def loss(parameters):
        return func.functional_call(layer, parameters, x).square().sum()

    gradients = func.grad(loss)(parameters)
    layer(x).square().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)


# ---------------------------------------------------------------- training's ways


def test_checkpoint():
    from torch.utils.checkpoint import checkpoint

    x, dy, a, b = case(11, (13, 24))
    leaves = [t.requires_grad_() for t in (x, a, b)]
    checkpoint(call("A"), *leaves, use_reentrant=False).backward(dy)
    values, sizes = expected(x, dy, a, b)
    for name, leaf in zip(("dx", "da", "db"), leaves):
        assert_close(name, leaf.grad, values, sizes)


def test_saved_tensors_are_guarded():
    x, _, a, b = case(12, (3, 24))
    x = x.requires_grad_() * 1
    y = group_rational(x, a, b)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_hooks_and_retain_graph():
    x, dy, a, b = case(13, (3, 24))
    a.requires_grad_()
    y = group_rational(x, a, b)
    y.register_hook(lambda g: 2 * g)
    y.backward(dy, retain_graph=True)
    once = a.grad.clone()
    y.backward(dy)
    assert torch.equal(a.grad, 2 * once)
    values, sizes = expected(x, 2 * dy, a, b)
    assert_close("da", once, values, sizes)
