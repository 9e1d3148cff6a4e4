"""GroupRational, GRKANLayer and replace_activations; and grkan.fit, where they start."""

from __future__ import annotations

import copy
import io
import math
import pickle

import numpy as np
import pytest

import reference
from grkan import fit
from grkan.torch import GRKANLayer, GroupRational, group_rational, replace_activations
from torch_support import assert_close, expected, torch

nn = torch.nn

NAMED = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": nn.functional.leaky_relu,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "swish": nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}

# The largest error on [-3, 3] for degrees (5, 4), any variant.
LARGEST = {
    "identity": 1e-14,
    "relu": 0.02,
    "leaky_relu": 0.02,
    "gelu": 5e-3,
    "silu": 1e-3,
    "swish": 1e-3,
    "tanh": 2e-4,
    "sigmoid": 1e-3,
}


@pytest.mark.parametrize("variant", "ABCNS")
@pytest.mark.parametrize("name", NAMED)
def test_fits(name, variant):
    found = fit.fit(name, (5, 4), variant)
    x = np.linspace(-3, 3, 4001)
    y = reference.rational(
        x[:, None], found.numerator[None], found.denominator[None], variant=variant
    ).y[:, 0]
    error = np.abs(y - NAMED[name](torch.tensor(x)).numpy()).max()
    assert error <= found.largest_error * 1.001 + 1e-14
    assert found.largest_error <= LARGEST[name]
    # Further out it does not run away.
    far = np.linspace(-15, 15, 6001)
    y = fit.evaluate(far, found.numerator, found.denominator, variant)
    assert np.abs(y - NAMED[name](torch.tensor(far)).numpy()).max() < 12


@pytest.mark.parametrize("degrees", [(3, 3), (1, 0), (0, 0), (0, 2), (2, 1), (7, 6)])
@pytest.mark.parametrize("variant", "ABCNS")
def test_fits_of_other_degrees(degrees, variant):
    found = fit.fit(np.sin, degrees, variant)
    assert found.numerator.shape == (degrees[0] + 1,)
    assert found.denominator.shape == (degrees[1] + (variant == "C"),)
    assert found.largest_error <= (1.5 if degrees[0] < 3 else 0.2)


def test_fits_are_the_same_every_time():
    fit._fit_name.cache_clear()
    first = fit.fit("gelu")
    fit._fit_name.cache_clear()
    second = fit.fit("gelu")
    assert first.numerator.tobytes() == second.numerator.tobytes()
    assert first.denominator.tobytes() == second.denominator.tobytes()
    assert fit.fit("gelu") is second


def test_fit_errors():
    with pytest.raises(ValueError, match="no function is named 'mish'; there are identity"):
        fit.fit("mish")
    with pytest.raises(ValueError, match="not 'D'"):
        fit.fit("gelu", (5, 4), "D")
    with pytest.raises(ValueError, match="0 to 15"):
        fit.fit("gelu", (16, 4))


def test_second_moment():
    # E[x^2] of x ~ N(0, 1) is 1, that of 2 + x is 5.
    assert fit.second_moment(np.array([0, 1.0]), np.zeros(2), "A") == pytest.approx(1)
    assert fit.second_moment(np.array([2, 1.0]), np.zeros(2), "A") == pytest.approx(5)


# ---------------------------------------------------------------- GroupRational


def test_parameters_and_output():
    layer = GroupRational(24, 4, numerator_groups=2, degrees=(3, 2), variant="C", init="gelu")
    assert layer.numerator.shape == (2, 4) and layer.denominator.shape == (4, 3)
    x = torch.randn(7, 24)
    a, b = layer.numerator, layer.denominator
    assert torch.equal(layer(x), group_rational(x, a, b, variant="C"))
    values, sizes = expected(x, torch.ones(7, 24), a, b, "C")
    assert_close("y", layer(x), values, sizes)


def test_starts_as_it_says():
    x = torch.linspace(-3, 3, 1600).reshape(100, 16)
    for name, function in NAMED.items():
        layer = GroupRational(16, init=name)
        assert (layer(x) - function(x)).abs().max() <= LARGEST[name] + 1e-5
    layer = GroupRational(16, init=lambda x: np.cos(x))
    assert (layer(x) - torch.cos(x)).abs().max() < 0.02


def test_init_by_coefficients():
    a, b = torch.arange(6.0), torch.ones(8, 4)
    layer = GroupRational(16, numerator_groups=2, init=(a, b))
    assert torch.equal(layer.numerator, a.expand(2, 6)) and torch.equal(layer.denominator, b)
    with torch.no_grad():
        layer.numerator.zero_()
    layer.reset_parameters()
    assert torch.equal(layer.numerator, a.expand(2, 6))
    with pytest.raises(ValueError, match=r"init's denominator has shape \[3\], but \[8, 4\]"):
        GroupRational(16, init=(a, [0.0] * 3))


@pytest.mark.parametrize(
    "arguments, options, text",
    [
        ((255,), {}, "channels 255 is not a multiple of num_groups 8; use 1 groups"),
        ((24, 8), {"numerator_groups": 5}, "numerator_groups 5"),
        ((24, 7), {}, "num_groups 7"),
        ((24,), {"degrees": (16, 4)}, "degrees must be from 0 to 15"),
        ((24,), {"variant": "D"}, "variant must be one of"),
        ((24,), {"init": "mish"}, "no function is named 'mish'"),
    ],
)
def test_module_errors(arguments, options, text):
    with pytest.raises(ValueError, match=text):
        GroupRational(*arguments, **options)


def test_repr():
    assert repr(GroupRational(24)) == (
        "GroupRational(24, num_groups=8, numerator_groups=1, degrees=(5, 4), variant=A, init=swish)"
    )
    text = repr(GroupRational(24, channel_dim=1, out_dtype=torch.bfloat16, init=np.tanh))
    assert text.endswith("init=tanh, channel_dim=1, out_dtype=torch.bfloat16)")


def test_state_dict_round_trip():
    one, other = GRKANLayer(16, 8), GRKANLayer(16, 8, init="gelu")
    assert list(one.state_dict()) == [
        "rational.numerator",
        "rational.denominator",
        "linear.weight",
        "linear.bias",
    ]
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file))
    x = torch.randn(3, 16)
    assert torch.equal(one(x), other(x))


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(way):
    layer = GRKANLayer(16, 8, variant="S")
    twin = way(layer)
    x = torch.randn(3, 16)
    assert torch.equal(twin(x), layer(x))
    with torch.no_grad():
        twin.rational.numerator.add_(1)
    assert not torch.equal(twin(x), layer(x))


def test_types_and_devices():
    x = torch.randn(3, 16)
    layer = GRKANLayer(16, 8)
    half = copy.deepcopy(layer).bfloat16()
    y = half(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x), atol=0.1, rtol=0.1)
    y.sum().backward()
    assert half.rational.denominator.grad.dtype == torch.bfloat16
    assert copy.deepcopy(layer).double()(x.double()).dtype == torch.float64
    with torch.device("meta"):
        empty = GRKANLayer(16, 8)
    assert empty(torch.zeros(2, 16, device="meta")).shape == (2, 8)
    empty.to_empty(device="cpu").reset_parameters()
    assert torch.equal(empty.rational.numerator, layer.rational.numerator)
    assert empty(x).isfinite().all()


def test_parametrized_coefficients():
    class Halved(nn.Module):
        def forward(self, b):
            return b / 2

    layer = GroupRational(16)
    x = torch.randn(3, 16)
    y = group_rational(x, layer.numerator, layer.denominator / 2)
    nn.utils.parametrize.register_parametrization(layer, "denominator", Halved())
    assert torch.equal(layer(x), y)


@pytest.mark.parametrize("init", ["swish", "gelu", "identity", "relu"])
def test_layer_keeps_the_variance(init):
    torch.manual_seed(0)
    layer = GRKANLayer(512, 2048, init=init)
    assert not layer.linear.bias.any()
    with torch.no_grad():
        assert layer(torch.randn(512, 512)).var().item() == pytest.approx(1, rel=0.05)


def test_layer_of_groups_that_differ():
    a = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    layer = GroupRational(16, 2, numerator_groups=2, degrees=(1, 1), init=(a, torch.zeros(2, 1)))
    assert layer.second_moment() == pytest.approx(5)  # the mean of 1 and 9


def test_layer_under_autocast():
    layer = GRKANLayer(16, 8, bias=False)
    assert layer.linear.bias is None
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.randn(3, 16))
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert layer.rational.numerator.grad.dtype == torch.float32


def test_it_learns():
    torch.manual_seed(1)
    layer = GroupRational(8, 2, init="identity")
    x = torch.randn(256, 8)
    target = torch.sin(2 * x)
    optimizer = torch.optim.Adam(layer.parameters(), 0.02)
    losses = []
    for _ in range(200):
        loss = (layer(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


# ---------------------------------------------------------------- replace_activations


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 16)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(16, 8)

    def forward(self, x, scale=1.0):
        return self.fc2(self.act(self.fc1(x))) * scale


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.SiLU())
        self.mlp = Mlp()
        self.narrow = nn.Linear(16, 8)

    def forward(self, image):
        return self.mlp(self.narrow(self.conv(image).flatten(2).transpose(1, 2)))


def test_replace_by_a_sample():
    net = Net().train()
    image = torch.randn(2, 3, 6, 6)
    state = copy.deepcopy(net.state_dict())
    before = net.eval()(image)
    net.train()
    replaced = replace_activations(net, sample=image)
    assert [name for name, _ in replaced] == ["conv.2", "mlp.act"]
    assert net.conv[2] is replaced[0][1] and net.mlp.act is replaced[1][1]
    assert (net.conv[2].channels, net.conv[2].channel_dim, net.conv[2].init) == (16, 1, "silu")
    assert (net.mlp.act.channels, net.mlp.act.channel_dim, net.mlp.act.init) == (16, -1, "gelu")
    assert all(module.training for module in net.modules())
    for name, value in state.items():  # the sample left no trace
        assert torch.equal(net.state_dict()[name], value)
    torch.testing.assert_close(net.eval()(image), before, atol=0.02, rtol=0.02)


def test_replace_in_a_sequential():
    net = nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Dropout(), nn.Conv1d(4, 8, 1), nn.GELU(), nn.Tanh()
    ).double()
    replaced = replace_activations(net, num_groups=4, degrees=(3, 2), variant="B")
    assert [(name, m.channels, m.channel_dim) for name, m in replaced] == [
        ("1", 16, -1),
        ("4", 8, 1),
    ]
    assert replaced[0][1].numerator.dtype == torch.float64
    assert replaced[0][1].degrees == (3, 2) and type(net[5]) is nn.Tanh


def test_replace_of_shared_modules():
    class Shared(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.act = nn.ReLU()
            self.one, self.two = nn.Linear(8, 8), nn.Linear(8, width)
            self.again = self.act

        def forward(self, x):
            return self.again(self.two(self.act(self.one(x))))

    net = Shared(8)
    replaced = replace_activations(net, sample=torch.randn(2, 8))
    assert [name for name, _ in replaced] == ["act", "again"] and net.act is net.again
    with pytest.raises(ValueError, match="give each place a module of its own"):
        replace_activations(Shared(16), sample=torch.randn(2, 8))


def test_replace_with_arguments_of_a_sample():
    for sample in ((torch.randn(2, 8), 2.0), {"x": torch.randn(2, 8), "scale": 2.0}):
        assert len(replace_activations(Mlp(), sample=sample)) == 1


def test_replace_errors_change_nothing():
    net = Mlp()
    with pytest.raises(ValueError, match=r"channels of act are unknown.*give an input as sample="):
        replace_activations(net)
    with pytest.raises(ValueError, match="act: channels 16 is not a multiple of num_groups 5"):
        replace_activations(net, num_groups=5, sample=torch.randn(2, 8))
    with pytest.raises(ValueError, match="no init is named for"):
        replace_activations(nn.Sequential(nn.Linear(8, 8), nn.Mish()), types=[nn.Mish])
    assert type(net.act) is nn.GELU
    net.unused = nn.ReLU()
    with pytest.raises(ValueError, match="unused are unknown: they are not reached"):
        replace_activations(net, sample=torch.randn(2, 8))
    assert type(net.act) is nn.GELU


def test_gain_of_the_paper():
    # 1 / alpha as Table 3 of the KAT paper's appendix and KAT's own code have it.
    for name, gain in (("gelu", 2.3568), ("swish", 2.8178)):
        found = fit.fit(name)
        moment = fit.second_moment(found.numerator, found.denominator, "A")
        assert 1 / moment == pytest.approx(gain, rel=0.02)
        assert math.isfinite(moment)


def test_channels_of_another_number_are_refused():
    module = GroupRational(16, 4)
    with pytest.raises(ValueError, match="x has 32 channels in dimension -1, but the module 16"):
        module(torch.randn(2, 32))
    with pytest.raises(ValueError, match="x has 8 channels in dimension 1, but the module 16"):
        GroupRational(16, 4, channel_dim=1)(torch.randn(2, 8, 5))


def test_options_can_be_changed_later():
    module = GroupRational(16, 4)
    x = torch.randn(3, 16)
    module.out_dtype = torch.bfloat16
    assert module(x).dtype == torch.bfloat16 == module.out_dtype
    module.out_dtype = None
    module.variant = "B"
    with torch.no_grad():
        module.denominator.copy_(torch.randn(4, 4))
    want = group_rational(x, module.numerator, module.denominator, variant="B")
    assert torch.equal(module(x), want) and module.variant == "B"
    with pytest.raises(ValueError, match="variant must be"):
        module.variant = "Z"


def test_replace_activations_does_not_guess_past_what_it_does_not_know():
    nested = torch.nn.Sequential(
        torch.nn.Linear(8, 32), torch.nn.Sequential(torch.nn.Linear(32, 24)), torch.nn.ReLU()
    )
    with pytest.raises(ValueError, match="the channels of 2 are unknown"):
        replace_activations(nested)
    kept = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.MaxPool2d(2), torch.nn.ReLU())
    ((_, module),) = replace_activations(kept)
    assert (module.channels, module.channel_dim) == (16, 1)


def test_replace_activations_where_they_are_called_by_keyword():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.act = torch.nn.ReLU()

        def forward(self, x):
            return self.act(input=x)

    ((_, module),) = replace_activations(Model(), sample=torch.randn(2, 24))
    assert module.channels == 24


@pytest.mark.parametrize(
    ("arguments", "named", "error", "match"),
    [
        ((0,), {}, ValueError, "channels must be 1 or more, not 0"),
        ((64.0,), {}, TypeError, "channels must be a whole number, not 64.0"),
        (("64",), {}, TypeError, "channels must be a whole number"),
        ((64, 0), {}, ValueError, "num_groups must be 1 or more"),
        ((64,), {"numerator_groups": -1}, ValueError, "numerator_groups must be 1 or more"),
        ((64,), {"degrees": 5}, ValueError, "degrees must be"),
        ((64,), {"degrees": (5, 4, 3)}, ValueError, "degrees must be"),
        ((64,), {"degrees": (5.5, 4)}, TypeError, "degrees must be a whole number, not 5.5"),
        ((64,), {"degrees": (16, 4)}, ValueError, "degrees must be from 0 to 15"),
        ((64,), {"init": None}, TypeError, "a function's name, or a function"),
        ((64,), {"init": lambda x: x * float("nan")}, ValueError, "not finite"),
    ],
)
def test_arguments_that_are_none(arguments, named, error, match):
    with pytest.raises(error, match=match):
        GroupRational(*arguments, **named)


def test_channel_dim_that_is_none_of_x():
    with pytest.raises(ValueError, match="channel_dim 5 is none of x, whose shape is"):
        GroupRational(16, 4, channel_dim=5)(torch.randn(2, 16))
