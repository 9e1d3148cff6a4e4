"""What is computed, without its size."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref
from dataclasses import dataclass
from typing import Literal

from grkan import _library

VARIANTS = ("A", "B", "C", "N", "S")
TYPES = ("f32", "f64", "f16", "bf16")
LAYOUTS = ("last", "first")
#: TYPES by the names that NumPy gives them.
DTYPES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}


def _index(words: tuple[str, ...], word: str, field: str) -> int:
    try:
        return words.index(word) + 1  # grkan.h counts from 1
    except ValueError:
        from grkan.errors import InvalidArgument

        message = f"{field} {word!r} is unknown; use one of {', '.join(words)}"
        raise InvalidArgument(message, field) from None


@dataclass(frozen=True)
class Problem:
    """A problem as grkan.h describes it, valid once it is made.

    Its printed form, ``str(problem)``, is e.g. ``p5q4-A-c768-g1x8-f32:bf16-last``: degrees,
    variant, channels, groups of numerator and denominator, types of x and y (and of coefficients
    in 16 bits), place of the channels. ``Problem.parse`` reads it.

    Raises ``InvalidArgument`` (a ``ValueError``) that names the field, both values and what to do.
    """

    numerator_degree: int
    denominator_degree: int
    variant: Literal["A", "B", "C", "N", "S"]
    channels: int
    numerator_groups: int
    denominator_groups: int
    x_type: Literal["f32", "f64", "f16", "bf16"] = "f32"
    y_type: Literal["f32", "f64", "f16", "bf16"] = "f32"
    layout: Literal["last", "first"] = "last"
    #: of a, b and their gradients; None: f64 with f64 data, else f32
    coefficient_type: Literal["f32", "f64", "f16", "bf16"] | None = None

    def __post_init__(self) -> None:
        lib = _library.library()
        _library.check(lib.grkan_problem_validate(byref(self._c_struct())))

    @classmethod
    def parse(cls, text: str) -> Problem:
        """The problem of a printed form."""
        lib = _library.library()
        c = _library.Problem.sized()
        _library.check(lib.grkan_problem_parse(text.encode(), byref(c)))
        return cls._of_c_struct(c)

    @classmethod
    def _of_c_struct(cls, c: _library.Problem) -> Problem:
        return cls(
            c.numerator_degree,
            c.denominator_degree,
            VARIANTS[c.variant - 1],  # type: ignore[arg-type]
            c.channels,
            c.numerator_groups,
            c.denominator_groups,
            TYPES[c.x_type - 1],  # type: ignore[arg-type]
            TYPES[(c.y_type or c.x_type) - 1],  # type: ignore[arg-type]
            LAYOUTS[c.layout - 1],  # type: ignore[arg-type]
            TYPES[c.coefficient_type - 1] if c.coefficient_type else None,  # type: ignore[arg-type]
        )

    def __str__(self) -> str:
        lib = _library.library()
        text = _library.Text()
        _library.check(lib.grkan_problem_print(byref(self._c_struct()), byref(text)))
        return _library.take(text).decode()

    @property
    def denominator_coefficients(self) -> int:
        """Coefficients of a group's denominator: variant C has a constant too."""
        return self.denominator_degree + (self.variant == "C")

    def _c_struct(self) -> _library.Problem:
        return _library.Problem.sized(
            numerator_degree=self.numerator_degree,
            denominator_degree=self.denominator_degree,
            variant=_index(VARIANTS, self.variant, "variant"),
            layout=_index(LAYOUTS, self.layout, "layout"),
            x_type=_index(TYPES, self.x_type, "x_type"),
            y_type=_index(TYPES, self.y_type, "y_type"),
            channels=self.channels,
            numerator_groups=self.numerator_groups,
            denominator_groups=self.denominator_groups,
            coefficient_type=(
                _index(TYPES, self.coefficient_type, "coefficient_type")
                if self.coefficient_type
                else 0
            ),
        )


def problem_of(
    numerator: Sequence[int],
    denominator: Sequence[int],
    variant: str,
    channels: int,
    x_type: str,
    y_type: str,
    layout: str,
    coefficient_type: str | None = None,
) -> Problem:
    """The problem of coefficients of these shapes, [groups, coefficients] or [coefficients]."""
    from grkan.errors import InvalidArgument

    for name, shape in (("numerator", numerator), ("denominator", denominator)):
        if len(shape) not in (1, 2):
            raise InvalidArgument(
                f"{name} has shape {tuple(shape)}; expected [groups, coefficients] or "
                "[coefficients]",
                name,
            )
    if numerator[-1] < 1:
        raise InvalidArgument("numerator has no coefficient; it needs degree + 1", "numerator")
    degree = denominator[-1] - (variant == "C")
    if degree < 0:
        raise InvalidArgument(
            "denominator has no coefficient; variant C needs degree + 1 of them", "denominator"
        )
    groups = [shape[0] if len(shape) == 2 else 1 for shape in (numerator, denominator)]
    return Problem(
        numerator[-1] - 1,
        degree,
        variant,  # type: ignore[arg-type]
        channels,
        *groups,
        x_type,  # type: ignore[arg-type]
        y_type,  # type: ignore[arg-type]
        layout,  # type: ignore[arg-type]
        coefficient_type,  # type: ignore[arg-type]
    )
