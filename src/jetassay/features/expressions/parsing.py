"""From the text of a formula to a checked syntax tree: what the allow-list does not name is refused with its place.

The text is never compiled and never run. `ast` reads it, every node is looked at, and `evaluation` walks the tree.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial

from jetassay.errors import ConfigError
from jetassay.features.expressions.functions import (
    AXIS_MAY_BE_LEFT_OUT,
    CONSTANTS,
    FUNCTIONS,
    MAY_BE_NONE,
    MODULES,
    Kind,
    full_name,
)

LONGEST = 10_000
"""Characters; the longest published formula has some 250, and a label made of 188 terms some 5000."""

DEEPEST = 50
"""Levels of brackets, calls and signs; a chain of operators of one kind is one level, however long."""

LARGEST_INTEGER = 2**63 - 1

_ALLOWED = re.compile(r"[A-Za-z0-9_ +\-*/%(),.&|^~<>=!]*")
_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor)
_UNARY = (ast.UAdd, ast.USub, ast.Invert)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_HINTS = {
    ast.BoolOp: "`and` and `or` do not work value by value; use `&` and `|` with brackets around each side",
    ast.Not: "`not` does not work value by value; use `~` with brackets",
    ast.IfExp: "`if` does not work value by value; use np.where(condition, yes, no)",
    ast.Tuple: "a list of values is no formula",
    ast.Attribute: "only np, ak and math have names behind a dot",
}


class ExpressionError(ConfigError):
    """A formula that is refused. `reason` says why, `column` where: the first character is 1."""

    def __init__(self, reason: str, *, text: str, column: int) -> None:
        self.reason, self.text, self.column = reason, text, column
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        super().__init__(f"line 1, column {column} of '{shown}': {reason}")

    def __reduce__(self) -> tuple[Callable[[], "ExpressionError"], tuple[()]]:
        return partial(ExpressionError, self.reason, text=self.text, column=self.column), ()


@dataclass(frozen=True, slots=True)
class Expression:
    """A formula that passed the allow-list.

    text:  as it was written, line breaks and tabs as spaces
    names: columns and other quantities that it is made of, each once, in order
    """

    text: str
    names: tuple[str, ...]
    tree: ast.expr = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[Callable[[str], "Expression"], tuple[str]]:
        return parse_expression, (self.text,)  # what comes back from a pickle is checked again

    def error(self, reason: str, node: ast.AST) -> ExpressionError:
        """What to raise where `node` cannot be evaluated."""
        return ExpressionError(reason, text=self.text, column=_column(self.text, node))

    def conjuncts(self) -> tuple["Expression", ...]:
        """The formulas that `&` joins at the outermost level, in order; the formula itself where there is one."""
        terms, node = [], self.tree
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
            terms.append(node.right)
            node = node.left
        stripped = self.text.strip()
        segments = [ast.get_source_segment(stripped, each) for each in reversed([*terms, node])]
        return tuple(parse_expression(segment) for segment in segments if segment is not None)


def parse_expression(text: str) -> Expression:
    """The formula in `text`. Raises `ExpressionError`, a `ConfigError`, with line and column of what is refused."""
    if len(text) > LONGEST:
        raise ExpressionError(f"{len(text)} characters; at most {LONGEST} are read", text=text, column=LONGEST + 1)
    text = re.sub(r"[\t\r\n]", " ", text)
    allowed = _ALLOWED.match(text)
    end = allowed.end() if allowed else 0
    if end < len(text):
        raise ExpressionError(f"the character {text[end]!r} has no place in a formula", text=text, column=end + 1)
    tree = _syntax(text)
    names: dict[str, None] = {}
    for node in _checked(text, tree):
        names[node.id] = None
    return Expression(text, tuple(names), tree)


def called_function(expression: Expression) -> str | None:
    """`ak.ones_like` for a formula that is a call of that function and nothing else; None for any other."""
    tree = expression.tree
    return full_name(tree.func) if isinstance(tree, ast.Call) else None


def _syntax(text: str) -> ast.expr:
    if not text.strip():
        raise ExpressionError("there is no formula", text=text, column=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's advice on how to write numbers; what is wrong is refused below
        try:
            return ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            column = _lead(text) + max(error.offset or 1, 1)
            raise ExpressionError(f"not a formula: {error.msg}", text=text, column=column) from error
        except (ValueError, RecursionError, MemoryError) as error:
            reason = "numbers or brackets beyond what can be read"
            raise ExpressionError(reason, text=text, column=_lead(text) + 1) from error


def _checked(text: str, tree: ast.expr) -> Iterator[ast.Name]:
    """Names of columns in order; raises at the first node that is not allowed."""
    waiting: list[tuple[ast.expr, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise _refused(text, node, f"nested more than {DEEPEST} levels deep; split it into several new variables")
        if isinstance(node, ast.Name):
            if node.id in MODULES or node.id.startswith("_"):
                raise _refused(text, node, f"'{node.id}' is no column")
            yield node
        for part in reversed(_parts(text, node)):
            chained = isinstance(node, ast.BinOp) and isinstance(part, ast.BinOp) and part is node.left
            waiting.append((part, depth if chained else depth + 1))


def _parts(text: str, node: ast.expr) -> list[ast.expr]:  # noqa: PLR0911  one for each kind of node
    """The formulas inside of a node; raises where the node itself is not allowed."""
    match node:
        case ast.Name():
            return []
        case ast.Constant():
            return _constant(text, node)
        case ast.Attribute() if full_name(node) in CONSTANTS:
            return []
        case ast.Attribute():
            raise _refused(text, node, _unknown(node, "constant"))
        case ast.BinOp() if isinstance(node.op, _BINARY):
            return [node.left, node.right]
        case ast.UnaryOp() if isinstance(node.op, _UNARY):
            return [node.operand]
        case ast.Compare():
            return _comparison(text, node)
        case ast.Call():
            return _call(text, node)
    raise _refused(text, node, _why_not(node))


def _constant(text: str, node: ast.Constant) -> list[ast.expr]:
    if not isinstance(node.value, bool | int | float):
        raise _refused(text, node, f"{node.value!r} is no real number")
    if isinstance(node.value, int) and node.value > LARGEST_INTEGER:
        raise _refused(text, node, f"whole numbers end at {LARGEST_INTEGER}")
    return []


def _comparison(text: str, node: ast.Compare) -> list[ast.expr]:
    if len(node.ops) > 1:
        raise _refused(text, node, "a chain of comparisons does not work value by value; write (a < b) & (b < c)")
    if not isinstance(node.ops[0], _COMPARISONS):
        raise _refused(text, node, "only < <= > >= == != compare")
    return [node.left, node.comparators[0]]


def _call(text: str, node: ast.Call) -> list[ast.expr]:
    """The arguments that are formulas themselves."""
    name = full_name(node.func)
    if name is None or name not in FUNCTIONS:
        raise _refused(text, node, _unknown(node.func, "function"))
    function = FUNCTIONS[name]
    least, most = function.arguments
    if not least <= len(node.args) <= most:
        raise _refused(text, node, f"{name} takes {least if least == most else f'{least} to {most}'} arguments")
    if function.kind is Kind.OVER_JET:
        _check_axis(text, node, name)
        return node.args[:1]
    wrong = [keyword.arg for keyword in node.keywords if keyword.arg not in function.keywords]
    if wrong:
        known = ", ".join(function.keywords) or "none"
        raise _refused(text, node, f"{name} has no keyword '{wrong[0]}' here; allowed: {known}")
    parts = [*node.args, *(keyword.value for keyword in node.keywords)]
    return [part for part in parts if not (name in MAY_BE_NONE and is_none(part))]


def _check_axis(text: str, node: ast.Call, name: str) -> None:
    axes = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
    if [keyword.arg for keyword in node.keywords] not in ([], ["axis"]) or len(axes) > 1:
        raise _refused(text, node, f"{name} takes a column and `axis=1`, nothing else")
    if axes and _is_one(axes[0]):
        return
    if axes or name not in AXIS_MAY_BE_LEFT_OUT:
        raise _refused(
            text, node, f"{name} needs `axis=1`: over the constituents of each jet; what a jet's inputs are may not "
            "depend on the other jets"
        )  # fmt: skip


def _is_one(node: ast.expr) -> bool:
    """1, or -1, which is the same for lists of numbers."""
    number = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(number, ast.Constant) and type(number.value) is int and number.value == 1


def is_none(node: ast.expr) -> bool:
    """The constant None."""
    return isinstance(node, ast.Constant) and node.value is None


def _unknown(node: ast.expr, what: str) -> str:
    name = full_name(node)
    if name is None:
        return f"not a {what} of np, ak or math; only those can be named, as in np.log(part_pt)"
    near = get_close_matches(name, [*FUNCTIONS, *CONSTANTS], n=1)
    return f"{name} is not on the list of allowed names" + (f"; did you mean {near[0]}?" if near else "")


def _why_not(node: ast.expr) -> str:
    kind = type(node.op) if isinstance(node, ast.UnaryOp) else type(node)
    operator = f" ({type(node.op).__name__})" if isinstance(node, ast.BinOp) else ""
    return _HINTS.get(kind, f"{kind.__name__}{operator} has no place in a formula")


def _refused(text: str, node: ast.AST, reason: str) -> ExpressionError:
    return ExpressionError(reason, text=text, column=_column(text, node))


def _column(text: str, node: ast.AST) -> int:
    return _lead(text) + int(getattr(node, "col_offset", 0)) + 1


def _lead(text: str) -> int:
    return len(text) - len(text.lstrip())
