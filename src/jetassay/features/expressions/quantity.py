"""Formulas as quantities of a feature set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.features.expressions.evaluation import Level, Operand, evaluate
from jetassay.features.expressions.parsing import Expression
from jetassay.features.quantities import Quantity

_VERSION = 1
"""Raised whenever the evaluation of formulas changes a value."""

_TRIAL_OFFSETS = np.array([0, 2, 3], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Formula:
    """The function of a quantity that is a formula: takes the values of `expression.names`, each at its level."""

    expression: Expression
    levels: tuple[Level, ...]

    def __call__(self, *parts: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
        """The values, (N,) or (J,). Raises `DataError` where a part has another level than the formula was made for."""
        operands = {}
        for name, level, values in zip(self.expression.names, self.levels, parts, strict=True):
            expected = int(offsets[-1]) if level is Level.CONSTITUENT else len(offsets) - 1
            if values.shape != (expected,):
                owner = "constituents" if level is Level.CONSTITUENT else "jets"
                raise DataError(f"'{self.expression.text}': {name} must be a column of {owner}")
            operands[name] = Operand(values, level)
        result = evaluate(self.expression, operands, offsets=offsets)
        computed: NDArray[Any] = _full(result, offsets).values
        return computed


def formula_quantity(name: str, expression: Expression, known: Mapping[str, Operand]) -> tuple[Quantity, Operand]:
    """The quantity `name`, and what it gives in a trial: its level, and its type in one jet of two and one of one.

    known: trials of `expression.names`: of columns by `trial_column`, of other formulas by this function
    Raises `ExpressionError` with the place of what numpy would refuse for any values: types that do not go together, a
    sum over constituents of a jet's column, a logical operation of numbers.
    """
    result = _full(evaluate(expression, known, offsets=_TRIAL_OFFSETS), _TRIAL_OFFSETS)
    quantity = Quantity(
        name,
        expression.names,
        Formula(expression, tuple(known[part].level for part in expression.names)),
        version=f"formula {_VERSION}: {' '.join(expression.text.split())}",
        ragged=True,
        per_jet=result.level is Level.JET,
    )
    return quantity, result


def trial_column(level: Level) -> Operand:
    """What stands for a column of that level in a trial."""
    rows = int(_TRIAL_OFFSETS[-1]) if level is Level.CONSTITUENT else len(_TRIAL_OFFSETS) - 1
    return Operand(np.ones(rows, dtype=np.float32), level)


def _full(result: Operand, offsets: NDArray[np.int64]) -> Operand:
    """A formula that is a mere number has that value for each jet."""
    if result.level is Level.NUMBER:
        return Operand(np.full(len(offsets) - 1, result.values), Level.JET)
    return result
