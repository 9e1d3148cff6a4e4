"""Swaps the modules of kat_rational and rational_kat in a model for ours."""

from __future__ import annotations

from torch import nn

from . import kat_rational, rational_kat
from ._modules import Group

_NAMES = ("KAT_Group", "KAT_Group2D", "KAT_Group_Torch", "FlashKAT_Group")
_OURS = (Group, rational_kat.FlashKAT_Group)


def _like(module: nn.Module) -> nn.Module:
    """Ours, with the very parameters of theirs."""
    name = type(module).__name__
    kind = getattr(rational_kat if name == "FlashKAT_Group" else kat_rational, name)
    new = kind.__new__(kind)
    nn.Module.__init__(new)
    names = (
        ("numerator_v", "denominator_v")
        if name == "FlashKAT_Group"
        else ("weight_numerator", "weight_denominator")
    )
    numerator, denominator = (getattr(module, n) for n in names)
    for parameter_name, parameter in zip(names, (numerator, denominator), strict=True):
        new.register_parameter(parameter_name, parameter)
    new.half_output = False
    new.training = module.training
    if name == "FlashKAT_Group":
        new.in_features = module.in_features
        new.num_groups, new.den_groups = numerator.shape[0], denominator.shape[0]
        new.m, new.n = numerator.shape[1], denominator.shape[1]
    else:
        new.num_groups = denominator.shape[0]
        new.order = (numerator.shape[1] - 1, denominator.shape[1])
    return new


def patch(model: nn.Module) -> list[str]:
    """Swaps every KAT_Group, KAT_Group2D, KAT_Group_Torch and FlashKAT_Group of a model, from
    kat_rational, rational_kat or a fork of them, for the drop-in of that name, in place.

    Parameters stay the same objects, so optimizers and state_dicts go on; hooks of the old modules
    are not taken along.

    Returns:
        The names of what was swapped, in the order of ``model.named_modules()``.

    Raises:
        ValueError: the model itself is such a module: it can't be swapped in place; or one lacks
            what the package's has (pruned ones, for example). Nothing is swapped then.
    """
    found = {
        name: module
        for name, module in model.named_modules(remove_duplicate=False)
        if type(module).__name__ in _NAMES and not isinstance(module, _OURS)
    }
    if "" in found:
        kind = type(model).__name__
        raise ValueError(
            f"the model is a {kind} itself, which can't be swapped in place; make a "
            f"grkan.compat module and load its state_dict"
        )
    made: dict[nn.Module, nn.Module] = {}
    for name, module in found.items():
        try:
            made[module] = made.get(module) or _like(module)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{name} is a {type(module).__name__} that is not as the package's ({error}); "
                "nothing was swapped"
            ) from error
    for name, module in found.items():
        parent, _, key = name.rpartition(".")
        setattr(model.get_submodule(parent), key, made[module])
    return list(found)
