"""grkan.compat: the drop-ins give what KAT's and FlashKAT's GPU kernels give."""

from __future__ import annotations

import copy
import json
import types
import warnings
from importlib import resources

import numpy as np
import pytest

import reference
from alone import run_alone

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import grkan.compat as compat  # noqa: E402
from grkan.compat import _initial, kat_rational, rational_kat  # noqa: E402

MODES = json.loads(resources.files("grkan.compat").joinpath("initial.json").read_text())["modes"]

TARGETS = {
    "identity": lambda x: x,
    "gelu": lambda x: torch.nn.functional.gelu(torch.tensor(x)).numpy(),
    "gelu_old": lambda x: torch.nn.functional.gelu(torch.tensor(x)).numpy(),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def randomized(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Coefficients of both signs, as after training."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def quiet(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


@pytest.mark.parametrize("shape", [(4, 64), (2, 7, 64), (2, 3, 5, 64), (0, 64)])
@pytest.mark.parametrize("kind", ["KAT_Group", "KAT_Group_Torch"])
def test_kat_group_is_variant_a(kind, shape):
    module = randomized(getattr(kat_rational, kind)(8, "swish"), 1)
    assert module.weight_numerator.shape == (1, 6)
    assert module.weight_denominator.shape == (8, 4)
    x = torch.randn(shape, requires_grad=True)
    y = module(x)
    dy = torch.randn(shape)
    y.backward(dy)
    a, b = numbers(module.weight_numerator), numbers(module.weight_denominator)
    want = reference.rational(numbers(x), a, b, numbers(dy))
    size = reference.sizes(numbers(x), a, b, numbers(dy))
    got = (y.detach(), x.grad, module.weight_numerator.grad, module.weight_denominator.grad)
    for name, actual, expected, bound in zip(("y", "dx", "da", "db"), got, want, size):
        reference.assert_close(name, actual, expected, bound, "f32")


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_kat_group_2d_has_its_channels_second(memory_format):
    module = randomized(kat_rational.KAT_Group2D(4, "tanh"), 2)
    x = torch.randn(2, 16, 5, 3).to(memory_format=memory_format)
    y = module(x)
    assert y.is_contiguous(memory_format=memory_format)
    a, b = numbers(module.weight_numerator), numbers(module.weight_denominator)
    want = reference.rational(numbers(x), a, b, channel_dim=1).y
    size = reference.sizes(numbers(x), a, b, channel_dim=1).y
    reference.assert_close("y", y.detach(), want, size, "f32")


@pytest.mark.parametrize(
    ("groups", "shapes"),
    [((1, 8), ((1, 6), (8, 4))), ((8, 1), ((8, 6), (1, 4))), ((0, -1), ((64, 6), (64, 4)))],
)
def test_flashkat_group(groups, shapes):
    module = randomized(rational_kat.FlashKAT_Group(64, *groups, 6, 4, "swish"), 3)
    assert (module.numerator_v.shape, module.denominator_v.shape) == shapes
    x = torch.randn(3, 5, 64)
    a, b = numbers(module.numerator_v), numbers(module.denominator_v)
    reference.assert_close(
        "y",
        module(x).detach(),
        reference.rational(numbers(x), a, b).y,
        reference.sizes(numbers(x), a, b).y,
        "f32",
    )


def test_checkpoints_load_under_their_keys():
    class Mlp(torch.nn.Module):
        def __init__(self, act):
            super().__init__()
            self.act1, self.act2 = act(), act()

    kat = Mlp(lambda: kat_rational.KAT_Group(mode="swish"))
    assert list(kat.state_dict()) == [
        "act1.weight_numerator",
        "act1.weight_denominator",
        "act2.weight_numerator",
        "act2.weight_denominator",
    ]
    flash = Mlp(lambda: rational_kat.FlashKAT_Group(64, 1, 8, 6, 4, "swish"))
    assert list(flash.state_dict()) == [
        "act1.numerator_v",
        "act1.denominator_v",
        "act2.numerator_v",
        "act2.denominator_v",
    ]
    other = Mlp(lambda: kat_rational.KAT_Group(mode="identity"))
    other.load_state_dict(randomized(kat, 4).state_dict(), strict=True)
    x = torch.randn(2, 64)
    assert torch.equal(other.act2(x), kat.act2(x))


@pytest.mark.parametrize("mode", MODES)
def test_modes_start_as_published(mode):
    module = quiet(lambda: kat_rational.KAT_Group(2, mode))
    assert numbers(module.weight_numerator)[0] == pytest.approx(MODES[mode]["numerator"], rel=1e-7)
    for row in numbers(module.weight_denominator):
        assert row == pytest.approx(MODES[mode]["denominator"], rel=1e-7)


def test_a_mode_that_is_not_its_name_warns_once_and_others_do_not():
    _initial._warn_once.cache_clear()
    with pytest.warns(UserWarning, match=r"'gelu'.*off by up to 1.465"):
        kat_rational.KAT_Group(8, "gelu")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kat_rational.KAT_Group(8, "gelu")
        kat_rational.KAT_Group(8, "swish")


@pytest.mark.parametrize("mode", TARGETS)
def test_what_the_warning_says_is_so(mode):
    x = np.linspace(-3, 3, 6001)
    row = MODES[mode]
    y = reference.rational(x[:, None], [row["numerator"]], [row["denominator"]]).y[:, 0]
    error = np.abs(y - TARGETS[mode](x)).max()
    if mode in _initial._OFF:
        assert error == pytest.approx(_initial._OFF[mode], abs=2e-3)
    else:
        assert error < 0.005


@pytest.mark.parametrize(
    "arguments",
    [
        ((8, "swish", "cuda"), {}),
        ((8, (3, 2), "swish"), {}),
        ((8, (3, 2), "swish", "cpu"), {}),
        ((8,), {"mode": "swish", "order": (3, 2)}),
        ((8,), {"mode": "swish", "poly_order": [3, 2]}),
        ((8, "swish"), {"device": "cpu"}),
    ],
)
def test_constructors_of_the_package_and_its_forks(arguments):
    args, named = arguments
    module = kat_rational.KAT_Group(*args, **named)
    m, n = module.order
    assert module.weight_numerator.shape == (1, m + 1)
    assert module.weight_denominator.shape == (8, n)
    x = torch.linspace(-2, 2, 64)
    assert torch.allclose(module(x), torch.nn.functional.silu(x), atol=0.05)


@pytest.mark.parametrize(
    ("args", "named", "error", "match"),
    [
        ((8, "nonsense"), {}, ValueError, "mode must be one of identity"),
        ((8, "geglu"), {"order": (3, 3)}, ValueError, "published for"),
        ((8, "swish", "cuda", 1), {}, TypeError, "at most 2"),
        ((8, "swish"), {"mode": "gelu"}, TypeError, "came twice"),
        ((8,), {"groups": 3}, TypeError, "unknown argument 'groups'"),
        ((8,), {"order": (5, 4, 3)}, ValueError, "order must be"),
    ],
)
def test_wrong_arguments(args, named, error, match):
    with pytest.raises(error, match=match):
        kat_rational.KAT_Group(*args, **named)


def test_functions_of_both_packages():
    a, b = (
        torch.tensor(c, dtype=torch.float32) for c in reference.coefficients(5, (4, 4), (5, 4), "A")
    )
    x = torch.randn(2, 3, 16)
    want = reference.rational(numbers(x), numbers(a), numbers(b)).y
    size = reference.sizes(numbers(x), numbers(a), numbers(b)).y
    for y in (
        kat_rational.RationalTriton1DGroup.apply(x, a, b, 4),
        kat_rational.Rational_CUDA_A_1DGroup(x, a, b, 4),
        rational_kat.FlashRationalTriton1DGroup.apply(x, a, b),
    ):
        reference.assert_close("y", y, want, size, "f32")
    with pytest.raises(ValueError, match="group is 8"):
        kat_rational.RationalTriton1DGroup.apply(x, a, b, 8)


def test_autocast_returns_float32_unless_half_output():
    x = torch.randn(2, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert kat_rational.KAT_Group(8, "swish")(x.bfloat16()).dtype == torch.float32
        assert kat_rational.KAT_Group(8, "swish")(x).dtype == torch.float32
        assert kat_rational.KAT_Group(8, "swish", half_output=True)(x).dtype == torch.bfloat16
    assert kat_rational.KAT_Group(8, "swish").bfloat16()(x.bfloat16()).dtype == torch.bfloat16


def theirs(name: str, **attributes) -> torch.nn.Module:
    """A module as the packages', which computes something else."""

    def forward(self, x):
        raise AssertionError("their module was called")

    kind = types.new_class(
        name,
        (torch.nn.Module,),
        {},
        lambda ns: ns.update(forward=forward, __module__="somewhere.rational_kat"),
    )
    module = kind()
    for key, value in attributes.items():
        setattr(module, key, value)
    return module


def parameter(*shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.randn(shape))


def test_patch_swaps_modules_and_keeps_parameters():
    shared = theirs(
        "KAT_Group",
        weight_numerator=parameter(1, 6),
        weight_denominator=parameter(8, 4),
        num_groups=8,
    )
    flash = theirs(
        "FlashKAT_Group", numerator_v=parameter(1, 6), denominator_v=parameter(8, 4), in_features=64
    )
    images = theirs(
        "KAT_Group2D", weight_numerator=parameter(1, 6), weight_denominator=parameter(4, 4)
    )
    model = torch.nn.ModuleDict(
        {"a": torch.nn.Sequential(shared, torch.nn.Linear(64, 64), shared), "b": flash, "c": images}
    )
    before = {name: p for name, p in model.named_parameters()}
    state = copy.deepcopy(model.state_dict())
    model.eval()
    assert compat.patch(model) == ["a.0", "a.2", "b", "c"]
    assert compat.patch(model) == []
    assert model["a"][0] is model["a"][2]
    assert not model["b"].training
    after = dict(model.named_parameters())
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in after)
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    x = torch.randn(2, 64)
    for module, input, dim in (
        (model["a"][0], x, -1),
        (model["b"], x, -1),
        (model["c"], torch.randn(2, 8, 3, 3), 1),
    ):
        a, b = (numbers(p) for p in module.parameters())
        reference.assert_close(
            "y",
            module(input).detach(),
            reference.rational(numbers(input), a, b, channel_dim=dim).y,
            reference.sizes(numbers(input), a, b, channel_dim=dim).y,
            "f32",
        )


def test_patch_swaps_all_or_nothing():
    model = torch.nn.Sequential(
        theirs("KAT_Group", weight_numerator=parameter(1, 6), weight_denominator=parameter(8, 4)),
        theirs("KAT_Group", weight_numerator=parameter(1, 6)),
    )
    before = list(model)
    with pytest.raises(ValueError, match="1 is a KAT_Group that is not as the package's"):
        compat.patch(model)
    assert list(model) == before


def test_patch_can_not_swap_the_model_itself():
    module = theirs(
        "KAT_Group", weight_numerator=parameter(1, 6), weight_denominator=parameter(8, 4)
    )
    with pytest.raises(ValueError, match="in place"):
        compat.patch(module)


def test_stand_in_serves_code_that_imports_the_packages():
    run_alone(
        """
import grkan.compat
grkan.compat.stand_in()
grkan.compat.stand_in()

import kat_rational, torch
import rational_kat.kernels.flash_rational_triton as flash
from kat_rational import KAT_Group, rational_triton2d
from kat_rational.rational_triton import RationalTriton1DGroup, rational_fwd_triton
from rational_kat import FlashKAT_Group

import importlib.util
assert importlib.util.find_spec("kat_rational") and importlib.util.find_spec("rational_kat.kernels")
assert KAT_Group is grkan.compat.kat_rational.KAT_Group
x = torch.randn(2, 3, 16)
module = kat_rational.KAT_Group(8, "swish")
a, b = module.weight_numerator, module.weight_denominator
assert torch.equal(rational_fwd_triton(x, a, b, 8), module(x))
assert torch.equal(flash.rational_fwd_triton(x, a, b), module(x))
image = torch.randn(2, 16, 4, 5)
y = rational_triton2d.rational_fwd_triton_2d(image, a, b, 8)
assert torch.equal(y, kat_rational.KAT_Group2D(8, "swish")(image))
assert FlashKAT_Group(16, 1, 8, 6, 4)(x).shape == x.shape
"""
    )


def test_stand_in_comes_too_late_for_what_is_imported():
    run_alone(
        """
import sys, types
sys.modules["rational_kat"] = types.ModuleType("rational_kat")
import grkan.compat
try:
    grkan.compat.stand_in()
except ImportError as error:
    assert "rational_kat was imported already" in str(error)
else:
    raise AssertionError("not told")
assert "kat_rational" not in sys.modules
"""
    )


@pytest.mark.parametrize("kind", ["1d", "2d"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_backward_functions(kind, dtype):
    a, b = (torch.tensor(c).to(dtype) for c in reference.coefficients(5, (4, 4), (5, 4), "A"))
    shape, channel_dim = ((2, 16, 3, 5), 1) if kind == "2d" else ((2, 3, 16), -1)
    x, dy = (torch.randn(shape).to(dtype) for _ in range(2))
    arguments = [numbers(t) for t in (x, a, b, dy)]
    want = reference.rational(*arguments, channel_dim=channel_dim)
    size = reference.sizes(*arguments, channel_dim=channel_dim)
    backward = (
        kat_rational.rational_bwd_triton_2d if kind == "2d" else kat_rational.rational_bwd_triton
    )
    dx, da, db = backward(dy, x, a, b, 4)
    assert (dx.dtype, da.dtype, db.dtype) == (dtype, torch.float32, torch.float32)
    reference.assert_close("dx", dx, want.dx, size.dx, "f32" if dtype == torch.float32 else "f16")
    reference.assert_close("da", da, want.da, size.da, "f32")
    reference.assert_close("db", db, want.db, size.db, "f32")
    with pytest.raises(ValueError, match="group is 8"):
        backward(dy, x, a, b, 8)
