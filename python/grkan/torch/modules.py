"""GR-KAN layers as modules, and activations of a model swapped for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Union

import numpy as np
import torch
from torch import Tensor, nn

from .. import fit as fits
from .._numbers import degree_pair, whole
from ._codes import DTYPES, VARIANT_NAMES, type_code, variant_code
from .functional import rational

__all__ = ["GRKANLayer", "GroupRational", "replace_activations"]

Init = Union[str, Callable[[Any], Any], tuple[Any, Any]]


class GroupRational(nn.Module):
    """The group-rational activation, with a numerator and a denominator for each group of channels.

    ::

        y = P(x) / Q(x)      (grkan.torch.group_rational has the formulas)

    Args:
        channels: of the input; a multiple of both numbers of groups.
        num_groups: groups of the denominator.
        numerator_groups: groups of the numerator; 1, as in the Kolmogorov-Arnold Transformer,
            shares it.
        degrees: (m, n) of numerator and denominator, each 0 to 15.
        variant: "A", "B", "C", "N" or "S".
        init: what it starts as: "identity", "relu", "leaky_relu", "gelu", "silu" ("swish"), "tanh",
            "sigmoid", fitted on [-3, 3] (grkan.fit); a function of a float64 NumPy array, fitted
            likewise; or (numerator, denominator), each a row of coefficients or one for each group.
        channel_dim: the dimension of the input that holds the channels: 1 for NCHW.
        out_dtype: type of the output; None: as the input, under autocast autocast's.
        device, dtype: of the parameters. float32 parameters go with 16-bit inputs too.

    Parameters: ``numerator`` [numerator_groups, m + 1] and ``denominator`` [num_groups, n]
    (variant C: [num_groups, n + 1]).

    Shape: any, with `channels` at channel_dim; the output's is the same.

    Raises:
        ValueError: groups that don't divide the channels, degrees out of range, an unknown
            variant or init.
    """

    def __init__(
        self,
        channels: int,
        num_groups: int = 8,
        *,
        numerator_groups: int = 1,
        degrees: tuple[int, int] = (5, 4),
        variant: str = "A",
        init: Init = "swish",
        channel_dim: int = -1,
        out_dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.channels = whole("channels", channels)
        self.num_groups = whole("num_groups", num_groups)
        self.numerator_groups = whole("numerator_groups", numerator_groups)
        for name in ("num_groups", "numerator_groups"):
            groups = getattr(self, name)
            if channels % groups != 0:
                raise ValueError(
                    f"channels {channels} is not a multiple of {name} {groups}; use "
                    f"{math.gcd(channels, groups)} groups or other channels"
                )
        self.degrees = degree_pair("degrees", degrees)
        self.variant = variant
        self.init = init
        self.channel_dim = channel_dim
        self.out_dtype = out_dtype
        terms = self.degrees[1] + (variant == "C")
        self.numerator = nn.Parameter(
            torch.empty(numerator_groups, self.degrees[0] + 1, device=device, dtype=dtype)
        )
        self.denominator = nn.Parameter(torch.empty(num_groups, terms, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the coefficients to those of `init`."""
        if isinstance(self.init, (tuple, list)):
            values = self.init
        else:
            fit = fits.fit(self.init, self.degrees, self.variant)
            values = fit.numerator, fit.denominator
        with torch.no_grad():
            for name, value in zip(("numerator", "denominator"), values, strict=True):
                parameter = getattr(self, name)
                given = torch.as_tensor(value).to(parameter)
                try:
                    parameter.copy_(given.expand_as(parameter))
                except RuntimeError:
                    raise ValueError(
                        f"init's {name} has shape {list(given.shape)}, but "
                        f"{list(parameter.shape)} or one row of it is needed"
                    ) from None

    @property
    def variant(self) -> str:
        return VARIANT_NAMES[self._variant_code]

    @variant.setter
    def variant(self, variant: str) -> None:
        self._variant_code = variant_code(variant)

    @property
    def out_dtype(self) -> torch.dtype | None:
        return DTYPES[self._out_code]

    @out_dtype.setter
    def out_dtype(self, dtype: torch.dtype | None) -> None:
        self._out_code = type_code(dtype)

    def forward(self, x: Tensor) -> Tensor:
        # As attributes the parameters would cost a microsecond; where they are no parameters
        # (parametrized, pruned, sharded) they are attributes alone.
        own = self._parameters
        a = own.get("numerator")
        b = own.get("denominator")
        if a is None or b is None:
            a, b = self.numerator, self.denominator
        dim = self.channel_dim
        if dim >= 0:
            dim -= x.dim()
        try:
            channels = x.size(dim)
        except IndexError:
            raise ValueError(
                f"channel_dim {self.channel_dim} is none of x, whose shape is {list(x.shape)}"
            ) from None
        if channels != self.channels:
            raise ValueError(
                f"x has {channels} channels in dimension {self.channel_dim}, but the module "
                f"{self.channels}; x's shape is {list(x.shape)}"
            )
        return rational(x, a, b, self._variant_code, dim, self._out_code)

    def second_moment(self) -> float:
        """E[F(x)^2] of x ~ N(0, 1), the mean over the groups."""
        a, b = (p.detach().double().cpu().numpy() for p in (self.numerator, self.denominator))
        count = math.lcm(len(a), len(b))
        pairs = {(i * len(a) // count, i * len(b) // count) for i in range(count)}
        rows = {(a[i].tobytes(), b[j].tobytes()): (a[i], b[j]) for i, j in pairs}
        if len(rows) == 1:
            return fits.second_moment(*next(iter(rows.values())), self.variant)
        return float(np.mean([fits.second_moment(a[i], b[j], self.variant) for i, j in pairs]))

    def extra_repr(self) -> str:
        init = (
            self.init
            if isinstance(self.init, str)
            else (
                "(numerator, denominator)"
                if isinstance(self.init, (tuple, list))
                else getattr(self.init, "__name__", "function")
            )
        )
        text = (
            f"{self.channels}, num_groups={self.num_groups}, "
            f"numerator_groups={self.numerator_groups}, degrees={self.degrees}, "
            f"variant={self.variant}, init={init}"
        )
        if self.channel_dim != -1:
            text += f", channel_dim={self.channel_dim}"
        if self.out_dtype is not None:
            text += f", out_dtype={self.out_dtype}"
        return text


class GRKANLayer(nn.Module):
    """A GR-KAN layer: the group-rational activation, then a linear map.

    ::

        y = W F(x) + b

    The weights start at random from N(0, 1 / (alpha in_features)), alpha = E[F(x)^2] of
    x ~ N(0, 1), so that the output keeps the input's variance (section 4.3 of
    https://arxiv.org/abs/2409.10594); the bias at 0.

    Args:
        in_features, out_features: of the linear map.
        num_groups: groups of the denominator; divides in_features.
        bias: whether there is b.
        rational: further arguments of GroupRational (numerator_groups, degrees, variant, init,
            out_dtype).
        device, dtype: of the parameters.

    Shape: [..., in_features] to [..., out_features].
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        num_groups: int = 8,
        *,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **rational: Any,
    ) -> None:
        super().__init__()
        self.rational = GroupRational(
            in_features, num_groups, device=device, dtype=dtype, **rational
        )
        self.linear = nn.Linear(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self._reset_linear()

    def reset_parameters(self) -> None:
        self.rational.reset_parameters()
        self._reset_linear()

    def _reset_linear(self) -> None:
        if self.linear.weight.is_meta:
            return
        alpha = self.rational.second_moment()
        gain = 1 / alpha if alpha > 0 else 1.0  # F = 0 has no variance to keep
        nn.init.normal_(self.linear.weight, std=math.sqrt(gain / self.linear.in_features))
        if self.linear.bias is not None:
            nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.rational(x))


# ---------------------------------------------------------------- in a model

_INITS: dict[type[nn.Module], str] = {
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.Identity: "identity",
}

# Layers that tell where the channels of what they give are.
_LAST = (nn.Linear, nn.LayerNorm, nn.RMSNorm, nn.Embedding)
_FIRST = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)


# What keeps the channels of what it is given, and their place; activations do too.
_KEEP = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.Upsample,
    *_INITS,
)


def _seen(
    model: nn.Module, targets: dict[str, nn.Module], sample: Any, channel_dim: int | None
) -> dict[str, tuple[int, int]]:
    """Runs the model once: (channels, channel_dim) of each activation."""
    found: dict[str, tuple[int, int]] = {}
    names: dict[nn.Module, list[str]] = {}
    for name, module in targets.items():
        names.setdefault(module, []).append(name)
    last_layer: list[nn.Module] = []
    handles = []

    def remember(module: nn.Module, inputs: Any, output: Any) -> None:
        last_layer[:] = [module]

    def record(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        x = next(t for t in (*inputs, *named.values()) if isinstance(t, Tensor))
        dim = channel_dim
        if dim is None:
            first = bool(last_layer) and isinstance(last_layer[0], _FIRST) and x.dim() > 2
            dim = 1 if first else -1
        for name in names[module]:
            new = (x.shape[dim], dim)
            if found.setdefault(name, new) != new:
                raise ValueError(
                    f"{name} is called with {found[name][0]} channels in dimension "
                    f"{found[name][1]} and with {new[0]} in {new[1]}; give each place a module of "
                    "its own"
                )

    training = {module: module.training for module in model.modules()}
    try:
        for module in model.modules():
            if module in names:
                handles.append(module.register_forward_pre_hook(record, with_kwargs=True))
            elif isinstance(module, _LAST + _FIRST):
                handles.append(module.register_forward_hook(remember))
        model.eval()
        with torch.no_grad():
            if isinstance(sample, Mapping):
                model(**sample)
            elif isinstance(sample, tuple):
                model(*sample)
            else:
                model(sample)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return found


def _guessed(
    model: nn.Module, targets: dict[str, nn.Module], channel_dim: int | None
) -> dict[str, tuple[int, int]]:
    """What stands before an activation in the same nn.Sequential."""
    found: dict[str, tuple[int, int]] = {}
    for path, parent in model.named_modules():
        if not isinstance(parent, nn.Sequential):
            continue
        before: tuple[int, int] | None = None
        for key, child in parent.named_children():
            name = f"{path}.{key}" if path else key
            if name in targets and before is not None:
                found[name] = before if channel_dim is None else (before[0], channel_dim)
            if name not in targets and not isinstance(child, _KEEP):
                before = _channels_after(child)
    return found


def _channels_after(layer: nn.Module) -> tuple[int, int] | None:
    """(channels, channel_dim) of what a layer gives; None where it doesn't tell."""
    if isinstance(layer, _LAST + _FIRST):
        for attribute in (
            "out_features",
            "out_channels",
            "num_features",
            "num_channels",
            "embedding_dim",
        ):
            if hasattr(layer, attribute):
                return getattr(layer, attribute), 1 if isinstance(layer, _FIRST) else -1
        shape = getattr(layer, "normalized_shape", None)
        if shape:
            return shape[-1], -1
    return None


def replace_activations(
    model: nn.Module,
    types: Iterable[type[nn.Module]] = (nn.GELU, nn.SiLU, nn.ReLU),
    num_groups: int = 8,
    *,
    sample: Any = None,
    channel_dim: int | None = None,
    init: Init | None = None,
    **rational: Any,
) -> list[tuple[str, GroupRational]]:
    """Swaps a model's activations for GroupRational, in place.

    Args:
        model: changed in place.
        types: the modules to swap; a subclass counts as another type.
        num_groups: groups of each denominator.
        sample: an input of the model (a tuple: its arguments; a mapping: its keyword arguments).
            The model is run on it once, in eval mode and without gradients, to see the channels of
            every activation. Without it they are taken from the layers before it in the same
            nn.Sequential.
        channel_dim: where the channels are in every activation's input; None: dimension 1 after a
            convolution or the norms that go with it, else the last.
        init: what each starts as; None: as the activation it replaces.
        rational: further arguments of GroupRational.

    Returns:
        (name, new module) for each place, in the order of ``model.named_modules()``. Parameters
        are on the device and of the type of the model's first.

    Raises:
        ValueError: an activation whose channels can't be found (give sample) or are no multiple
            of num_groups; nothing is swapped then.
    """
    chosen = tuple(types)
    targets = {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if name and type(module) in chosen
    }
    if sample is not None:
        found = _seen(model, targets, sample, channel_dim)
    else:
        found = _guessed(model, targets, channel_dim)
    missing = [name for name in targets if name not in found]
    if missing:
        why = (
            "are not reached by the sample"
            if sample is not None
            else "do not stand behind a layer in an nn.Sequential: give an input as sample="
        )
        raise ValueError(f"the channels of {', '.join(missing)} are unknown: they {why}")

    like = next((p for p in model.parameters() if p.is_floating_point()), None)
    place = {} if like is None else {"device": like.device, "dtype": like.dtype}
    made: dict[nn.Module, GroupRational] = {}
    for name, module in targets.items():
        channels, dim = found[name]
        start = init if init is not None else _INITS.get(type(module))
        if start is None:
            raise ValueError(
                f"{name} is a {type(module).__name__}, which no init is named for; give init="
            )
        if module not in made:
            try:
                made[module] = GroupRational(
                    channels, num_groups, init=start, channel_dim=dim, **{**place, **rational}
                )
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    replaced = []
    for name, module in targets.items():
        parent, _, key = name.rpartition(".")
        setattr(model.get_submodule(parent), key, made[module])
        replaced.append((name, made[module]))
    return replaced
