"""The value of a checked formula: a walk over its tree, with numpy on flat arrays and awkward's rules of levels.

A value belongs to constituents, to jets or to neither. Where levels meet, a jet's value is repeated for each of its
constituents. Types follow numpy's promotion, as in weaver, except that every column is float32 here.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.features.expressions.functions import CONSTANTS, FUNCTIONS, Kind, full_name
from jetassay.features.expressions.parsing import LARGEST_INTEGER, Expression

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
        ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    }
)  # fmt: skip
_LOGICAL = (ast.BitAnd, ast.BitOr, ast.BitXor)
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
        ast.Eq: operator.eq, ast.NotEq: operator.ne,
    }
)  # fmt: skip
_LARGEST_EXPONENT = 64
_FAILURES = (TypeError, ValueError, ArithmeticError, IndexError)


class Level(IntEnum):
    """What a value belongs to."""

    NUMBER = 0
    JET = 1
    CONSTITUENT = 2


@dataclass(frozen=True, slots=True)
class Operand:
    """A value and its level: a number, an array (J,) or an array (N,)."""

    values: Any
    level: Level


def evaluate(expression: Expression, operands: Mapping[str, Operand], *, offsets: NDArray[np.int64]) -> Operand:
    """The formula's value for jets whose constituents stand at `offsets`, int64 (J + 1,).

    operands: a value for each of `expression.names`
    Raises `ExpressionError` with the place of what cannot be computed.
    """
    with np.errstate(all="ignore"):  # infinities are values; who uses the result says what becomes of them
        return _Walk(expression, operands, offsets).value(expression.tree)


@dataclass(frozen=True, slots=True)
class _Walk:
    expression: Expression
    operands: Mapping[str, Operand]
    offsets: NDArray[np.int64]

    def value(self, node: ast.expr) -> Operand:  # noqa: PLR0911  one for each kind of node
        match node:
            case ast.Constant():
                return Operand(node.value, Level.NUMBER)
            case ast.Name():
                return self.operands[node.id]
            case ast.Attribute():
                return Operand(CONSTANTS[_name(node)], Level.NUMBER)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.Compare():
                parts = [self.value(node.left), self.value(node.comparators[0])]
                return self.apply(node, _COMPARISONS[type(node.ops[0])], parts)
            case ast.Call():
                return self.call(node)
        raise self.expression.error("this has no value", node)

    def unary(self, node: ast.UnaryOp) -> Operand:
        operand = self.value(node.operand)
        if isinstance(node.op, ast.Invert):
            if operand.level is Level.NUMBER:
                raise self.expression.error("`~` of a number makes no sense here", node)
            return self.apply(node, operator.invert, [self.flag(operand, node)])
        return self.apply(node, operator.neg if isinstance(node.op, ast.USub) else operator.pos, [operand])

    def binary(self, node: ast.BinOp) -> Operand:
        """A chain such as a + b + c is walked from its left end, without a step of recursion for each."""
        chain, leftmost = [node], node.left
        while isinstance(leftmost, ast.BinOp):
            chain.append(leftmost)
            leftmost = leftmost.left
        total = self.value(leftmost)
        for each in reversed(chain):
            parts = [total, self.value(each.right)]
            if isinstance(each.op, _LOGICAL):
                parts = [self.flag(part, each) for part in parts]
            if isinstance(each.op, ast.Pow):
                self.check_power(each, *parts)
            total = self.apply(each, _BINARY[type(each.op)], parts)
        return total

    def call(self, node: ast.Call) -> Operand:
        name = _name(node.func)
        function = FUNCTIONS[name]
        if function.kind is Kind.OVER_JET:
            operand = self.value(node.args[0])
            if operand.level is not Level.CONSTITUENT:
                raise self.expression.error(f"{name} needs a column of constituents", node)
            return Operand(self.tried(node, function.call, operand.values, self.offsets), Level.JET)
        parts = [self.value(argument) for argument in node.args]
        named = {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg}
        levels = {part.level for part in (*parts, *named.values())}
        if function.kind is Kind.NUMBER and levels != {Level.NUMBER}:
            raise self.expression.error(f"{name} is for numbers; use the function of np for columns", node)
        if function.kind is Kind.LIKE and levels == {Level.NUMBER}:
            raise self.expression.error(f"{name} needs a column", node)
        return self.apply(node, function.call, parts, named)

    def apply(
        self,
        node: ast.expr,
        function: Callable[..., Any],
        parts: list[Operand],
        named: Mapping[str, Operand] = MappingProxyType({}),
    ) -> Operand:
        """`function` of operands brought to their highest level."""
        level = max(part.level for part in (*parts, *named.values()))
        values = self.tried(
            node,
            function,
            *(self.at(level, part) for part in parts),
            **{name: self.at(level, part) for name, part in named.items()},
        )
        if level is Level.NUMBER:
            values = self.number(values, node)
        return Operand(values, level)

    def at(self, level: Level, operand: Operand) -> Any:
        if level is Level.CONSTITUENT and operand.level is Level.JET:
            return np.repeat(operand.values, np.diff(self.offsets))
        return operand.values

    def tried(self, node: ast.expr, function: Callable[..., Any], *parts: Any, **named: Any) -> Any:
        try:
            return function(*parts, **named)
        except _FAILURES as error:
            raise self.expression.error(f"cannot be computed: {error}", node) from error

    def number(self, value: Any, node: ast.expr) -> Any:
        """A number that stays small: nothing grows from step to step."""
        if isinstance(value, np.ndarray):
            value = value[()]
        if isinstance(value, complex | np.complexfloating):
            raise self.expression.error("is not a real number", node)
        if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
            raise self.expression.error(f"whole numbers end at {LARGEST_INTEGER}", node)
        return value

    def check_power(self, node: ast.BinOp, base: Operand, exponent: Operand) -> None:
        whole = isinstance(base.values, int) and isinstance(exponent.values, int)
        if whole and abs(exponent.values) > _LARGEST_EXPONENT:
            raise self.expression.error(f"an exponent may be {_LARGEST_EXPONENT} at most", node)

    def flag(self, operand: Operand, node: ast.expr) -> Operand:
        """A column that holds 0 and 1, read as float32, as the truth values that it stands for."""
        if operand.level is Level.NUMBER or operand.values.dtype.kind != "f":
            return operand
        if not np.isin(operand.values, (0, 1)).all():
            raise self.expression.error("`&`, `|`, `^` and `~` are for comparisons and for columns of 0 and 1", node)
        return Operand(operand.values != 0, operand.level)


def _name(node: ast.expr) -> str:
    name = full_name(node)
    assert name is not None
    return name
