"""New variables of a configuration as quantities, those first that others are made of."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from numpy.typing import NDArray

from jetassay.errors import LeakageError
from jetassay.features.expressions.evaluation import Level, Operand
from jetassay.features.expressions.parsing import Expression, ExpressionError
from jetassay.features.expressions.quantity import formula_quantity, trial_column
from jetassay.features.quantities import Quantity
from jetassay.features.recipe import known_schemas, require_observed
from jetassay.features.weaver.config import renamed
from jetassay.features.weaver.yaml_tree import Node, Place

LONGEST_CHAIN = 50
"""How many new variables may be made of each other in a row; the published configurations have at most three."""


@dataclass(frozen=True, slots=True)
class NewVariable:
    """A formula and where it stands in the file."""

    formula: Expression
    node: Node


@dataclass(frozen=True, slots=True)
class Definitions:
    """The new variables of a configuration, and what its names mean in files.

    renames:     see `WeaverConfig.renamed`
    file_driven: names that weaver sets by the name of a file, which therefore are no observation
    """

    variables: Mapping[str, NewVariable]
    renames: Mapping[str, str]
    file_driven: frozenset[str]
    _constituents: frozenset[str] = field(
        default_factory=lambda: frozenset(name for schema in known_schemas() for name in schema.constituents)
    )

    def quantities(self, names: Iterable[str]) -> tuple[dict[str, Quantity], dict[str, Operand]]:
        """The quantities behind `names` and their trials, in the order of computation.

        Raises `ConfigError` with the place of a circle, of a chain that is too long, of types that do not go together.
        """
        table: dict[str, Quantity] = {}
        trials: dict[str, Operand] = {}
        depth: dict[str, int] = {}
        for name in self._in_order(names):
            variable = self.variables.get(name)
            if variable is None:
                column = renamed(name, self.renames)
                trials[name] = trial_column(Level.CONSTITUENT if column in self._constituents else Level.JET)
                if column != name:
                    table[name] = Quantity(name, (column,), _unchanged)
                continue
            depth[name] = 1 + max((depth.get(part, 0) for part in variable.formula.names), default=0)
            if depth[name] > LONGEST_CHAIN:
                raise variable.node.error(f"'{name}' is made of more than {LONGEST_CHAIN} new variables in a row")
            table[name], trials[name] = checked_quantity(name, variable.formula, trials, variable.node)
        return table, trials

    def require_observed(self, name: str, place: Place) -> None:
        """Raises `LeakageError` where the input `name` reaches anything but observed columns."""
        owner = f"{place}: input '{name}'"
        for column in self._in_order([name]):
            if column in self.variables:
                continue
            if column in self.file_driven:
                raise LeakageError(f"{owner}: '{column}' is set by the names of files (file_magic) and can be no input")
            require_observed([renamed(column, self.renames)], owner=owner, known=self.variables)

    def _in_order(self, names: Iterable[str]) -> Iterator[str]:
        graph: dict[str, tuple[str, ...]] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in graph:
                graph[name] = self.variables[name].formula.names if name in self.variables else ()
                waiting.extend(graph[name])
        try:
            return iter(tuple(TopologicalSorter(graph).static_order()))
        except CycleError as error:
            circle = error.args[1]
            raise self.variables[circle[0]].node.error(f"a circle of new variables: {' -> '.join(circle)}") from error


def checked_quantity(
    name: str, formula: Expression, trials: Mapping[str, Operand], node: Node
) -> tuple[Quantity, Operand]:
    """As `formula_quantity`; errors name the place in the file."""
    try:
        return formula_quantity(name, formula, trials)
    except ExpressionError as error:
        raise node.place_in_text(error.column).error(f"{name}: {error.reason}") from error


def new_variables(formulas: Mapping[str, tuple[Expression, Node]]) -> dict[str, NewVariable]:
    """All but those that are only their own name, which weaver ignores as well."""
    return {
        name: NewVariable(formula, node) for name, (formula, node) in formulas.items() if formula.text.strip() != name
    }


def _unchanged(values: NDArray[Any]) -> NDArray[Any]:
    return values
