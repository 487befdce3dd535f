"""What a formula may call and name: the allow-list. Whatever is not in these tables does not exist in a formula.

Modules go by the names that weaver data configurations use: np or numpy, ak or awkward, math.
"""

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODULES = MappingProxyType({"np": "np", "numpy": "np", "ak": "ak", "awkward": "ak", "math": "math"})


class Kind(Enum):
    """What a function does with the levels of its arguments."""

    ELEMENTWISE = "value by value; a jet's value counts for each of its constituents"
    OVER_JET = "one value for each jet from those of its constituents"
    LIKE = "an array like its argument"
    NUMBER = "numbers only"


@dataclass(frozen=True, slots=True)
class Function:
    """arguments: fewest and most by position; keywords: further ones by name, `axis` of `OVER_JET` apart."""

    call: Callable[..., Any]
    kind: Kind
    arguments: tuple[int, int]
    keywords: tuple[str, ...] = ()


def _ragged(values: NDArray[Any], offsets: NDArray[np.int64]) -> Any:
    import awkward as ak

    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(values)))


def _reducer(name: str) -> Callable[..., Any]:
    """Awkward's own reduction, so that sums have its order and its type of accumulator."""

    def reduce(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
        import awkward as ak

        reduced: NDArray[Any] = ak.to_numpy(getattr(ak, name)(_ragged(values, offsets), axis=1), allow_missing=False)
        return reduced

    return reduce


def _count(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[np.int64]:  # noqa: ARG001  any list counts
    return np.diff(offsets)


def _first(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    return values[offsets[:-1]]


_ONE = (
    "log log10 log2 log1p exp exp2 expm1 sqrt cbrt square abs absolute fabs sign negative reciprocal floor ceil trunc "
    "rint sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh deg2rad rad2deg degrees radians "
    "isnan isinf isfinite logical_not"
)
_TWO = (
    "hypot arctan2 maximum minimum fmax fmin power add subtract multiply divide true_divide floor_divide mod fmod "
    "remainder copysign heaviside logical_and logical_or logical_xor equal not_equal greater greater_equal less "
    "less_equal"
)
_OVER_JET = "sum prod max min mean any all std var"
_OF_NUMBERS = (
    "log log10 log2 log1p exp expm1 sqrt fabs floor ceil trunc sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh degrees radians isnan isinf isfinite"
)


def _table() -> dict[str, Function]:
    table = {f"np.{name}": Function(getattr(np, name), Kind.ELEMENTWISE, (1, 1)) for name in _ONE.split()}
    table |= {f"np.{name}": Function(getattr(np, name), Kind.ELEMENTWISE, (2, 2)) for name in _TWO.split()}
    table |= {f"math.{name}": Function(getattr(math, name), Kind.NUMBER, (1, 1)) for name in _OF_NUMBERS.split()}
    table |= {f"math.{name}": Function(getattr(math, name), Kind.NUMBER, (2, 2)) for name in ("hypot", "atan2", "pow")}
    table["np.clip"] = Function(np.clip, Kind.ELEMENTWISE, (1, 3), ("a_min", "a_max"))
    table["_clip"] = Function(np.clip, Kind.ELEMENTWISE, (3, 3))
    for module in ("np", "ak"):
        table[f"{module}.where"] = Function(np.where, Kind.ELEMENTWISE, (3, 3))
        table[f"{module}.nan_to_num"] = Function(np.nan_to_num, Kind.ELEMENTWISE, (1, 1), ("nan", "posinf", "neginf"))
        table[f"{module}.ones_like"] = Function(np.ones_like, Kind.LIKE, (1, 1))
        table[f"{module}.zeros_like"] = Function(np.zeros_like, Kind.LIKE, (1, 1))
        table |= {f"{module}.{name}": Function(_reducer(name), Kind.OVER_JET, (1, 2)) for name in _OVER_JET.split()}
    table["ak.num"] = table["ak.count"] = Function(_count, Kind.OVER_JET, (1, 2))
    table["ak.firsts"] = Function(_first, Kind.OVER_JET, (1, 2))
    return table


FUNCTIONS = MappingProxyType(_table())
"""By full name, modules by their short names; `_clip` is weaver's own, for lists, which np.clip cannot cut there."""

AXIS_MAY_BE_LEFT_OUT = frozenset({"ak.num", "ak.firsts"})
"""Reductions over constituents whose axis is 1 where none is given; the others would add up all jets of a batch."""

MAY_BE_NONE = frozenset({"np.clip"})
"""Functions that take None for 'no limit'; elsewhere None is no number."""

CONSTANTS = MappingProxyType(
    {
        "np.pi": math.pi, "np.e": math.e, "np.inf": math.inf, "np.nan": math.nan,
        "math.pi": math.pi, "math.tau": math.tau, "math.e": math.e, "math.inf": math.inf, "math.nan": math.nan,
    }
)  # fmt: skip


def full_name(node: ast.expr) -> str | None:
    """`np.log` for np.log and numpy.log; None for anything but a module and a name behind it, or a helper by name."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in MODULES:
        return f"{MODULES[node.value.id]}.{node.attr}"
    return node.id if isinstance(node, ast.Name) and node.id in FUNCTIONS else None
