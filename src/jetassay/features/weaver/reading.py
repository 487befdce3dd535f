"""From a weaver data configuration to our own feature set, with everything else that the file says apart from it.

Format: weaver-core 0.5.3, utils/data/config.py. Formulas go through the allow-list of `features.expressions`.
Three things differ from weaver on purpose: columns are float32 throughout; a value that is not finite is an error where
weaver puts 0; sums over the constituents of a jet see those that were kept, at most `max_constituents`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from jetassay.errors import ConfigError
from jetassay.features.expressions.evaluation import Level, Operand
from jetassay.features.expressions.parsing import Expression, called_function
from jetassay.features.quantities import Quantity
from jetassay.features.recipe import RAW_P4, Feature, FeatureSet
from jetassay.features.weaver import fields, sections
from jetassay.features.weaver.config import DropRule, Variable, WeaverConfig
from jetassay.features.weaver.definitions import Definitions, checked_quantity, new_variables
from jetassay.features.weaver.sections import InputEntry
from jetassay.features.weaver.yaml_tree import Node, parse_yaml, read_yaml

_SECTIONS = (
    "treename", "branch_magic", "file_magic", "selection", "test_time_selection", "preprocess", "new_variables",
    "inputs", "labels", "observers", "monitor_variables", "weights", "bucketing",
)  # fmt: skip
_ROLES = ("features", "vectors", "points", "mask")


def read_weaver_config(path: Path) -> WeaverConfig:
    """The configuration in a file.

    Raises `ConfigError` naming file, line and column of what is unknown, wrong or refused; `LeakageError` where an
    input is computed from anything but observed columns.
    """
    return _config(read_yaml(path), path)


def parse_weaver_config(text: str, *, path: Path) -> WeaverConfig:
    """As `read_weaver_config`, from a text; `path` is what messages name."""
    return _config(parse_yaml(text, path=path), path)


def _config(root: Node, path: Path) -> WeaverConfig:
    given = fields.section(root, "the configuration", known=_SECTIONS, required=("inputs", "labels"))
    formulas = sections.formulas(given.get("new_variables"))
    file_variables = sections.file_variables(given.get("file_magic"))
    renames = sections.renames(given.get("branch_magic"))
    definitions = Definitions(new_variables(formulas), renames, frozenset(file_variables))
    found = sections.inputs(given["inputs"], sections.Preprocess(given.get("preprocess")))
    roles = _Roles(found, definitions)
    selection = _rules(given.get("selection"), "selection", definitions)
    test_time = given.get("test_time_selection")
    observers, monitored = (
        fields.texts(given[key], key) if key in given else () for key in ("observers", "monitor_variables")
    )
    if observers and monitored:
        raise given["monitor_variables"].error("observers and monitor_variables exclude each other")
    tree = given.get("treename")
    return WeaverConfig(
        path=path,
        tree=None if tree is None else fields.text(tree, "treename"),
        feature_set=roles.feature_set(path),
        points=roles.points(path),
        inputs=tuple(each.given for each in found),
        selection=selection,
        test_time_selection=_rules(test_time, "test_time_selection", definitions) if test_time else selection,
        variables={name: variable.formula for name, variable in definitions.variables.items()},
        labels=sections.labels(given["labels"]),
        observers=observers,
        monitor_variables=monitored,
        weights=sections.weights(given["weights"]) if "weights" in given else None,
        file_variables=file_variables,
        renamed=renames,
        bucketing=sections.bucketing(given.get("bucketing")),
    )


def _rules(node: Node | None, what: str, definitions: Definitions) -> tuple[DropRule, ...]:
    """One rule for each condition that `&` joins."""
    if node is None:
        return ()
    whole = fields.formula(node, what)
    _, trials = definitions.quantities(whole.names)
    _, trial = checked_quantity(what, whole, trials, node)
    if trial.level is not Level.JET or not whole.names:
        raise node.error(f"{what} must say yes or no to each jet, not to each constituent or to all")
    return tuple(_rule(part, definitions, trials, node) for part in whole.conjuncts())


def _rule(formula: Expression, definitions: Definitions, trials: Mapping[str, Operand], node: Node) -> DropRule:
    name = f"not ({' '.join(formula.text.split())})"
    quantity, _ = checked_quantity(name, formula, trials, node)
    behind, _ = definitions.quantities(formula.names)
    return DropRule(name, (*behind.values(), quantity))


class _Roles:
    """Which input is what: by the end of its name, as in the published files, or by its values belonging to jets."""

    def __init__(self, found: Iterable[InputEntry], definitions: Definitions) -> None:
        self._definitions = definitions
        self._by_role: dict[str, InputEntry] = {}
        for entry in found:
            role = self._role(entry)
            if role in self._by_role:
                raise entry.node.error(
                    f"'{entry.given.name}' and '{self._by_role[role].given.name}' are both {role}; a jet has one list "
                    "of constituents here, and one of jet features"
                )
            self._by_role[role] = entry
        self._check_lengths()

    def _role(self, entry: InputEntry) -> str:
        given, node = entry.given, entry.node
        for variable, line in zip(given.variables, entry.lines, strict=True):
            self._definitions.require_observed(variable.name, line.place)
        _, trials = self._definitions.quantities(variable.name for variable in given.variables)
        levels = {trials[variable.name].level for variable in given.variables}
        if levels == {Level.JET} and given.length in (None, 1):
            return "jet features"
        role = given.name.rsplit("_", 1)[-1]
        if given.length is None or levels != {Level.CONSTITUENT}:
            raise node.error(
                f"'{given.name}' must hold columns of constituents with a length, or columns of jets with length null"
            )
        if role not in _ROLES:
            raise node.error(
                f"no telling what '{given.name}' is: the names of inputs end in _{', _'.join(_ROLES)}, and those of "
                "jets have length null"
            )
        if role == "mask":
            self._check_mask(entry)
        return role

    def _check_mask(self, entry: InputEntry) -> None:
        """Every constituent counts here, so a mask can only be 1 for each of them."""
        variables = entry.given.variables
        new = self._definitions.variables.get(variables[0].name)
        function = called_function(new.formula) if new else None
        ones = function in {"ak.ones_like", "np.ones_like"}
        if len(variables) != 1 or variables[0].center is not None or not ones:
            raise entry.node.error(
                f"'{entry.given.name}' must be one variable made by ak.ones_like, untouched: constituents cannot be "
                "hidden here; leave them out of the files instead"
            )

    def _check_lengths(self) -> None:
        lengths = {role: entry.given.length for role, entry in self._by_role.items() if role != "jet features"}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{role} {length}" for role, length in lengths.items())
            last = [entry for role, entry in self._by_role.items() if role in lengths][-1]
            raise last.node.error(f"the inputs of constituents have several lengths: {told}")

    def feature_set(self, path: Path) -> FeatureSet:
        names = [
            variable.name
            for role in ("features", "vectors", "jet features")
            if role in self._by_role
            for variable in self._by_role[role].given.variables
        ]
        table, _ = self._definitions.quantities(names)
        p4, own = self._p4(path)
        return FeatureSet(
            name=re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "weaver",
            title=f"As in {path.name}",
            features=self._features("features", path),
            p4=p4,
            jet_features=self._features("jet features", path),
            definitions=(*table.values(), *own),
        )

    def points(self, path: Path) -> tuple[Feature, ...]:
        return self._features("points", path)

    def _features(self, role: str, path: Path) -> tuple[Feature, ...]:
        entry = self._by_role.get(role)
        if entry is None:
            return ()
        lines = zip(entry.given.variables, entry.lines, strict=True)
        return tuple(_feature(variable, path, line) for variable, line in lines)

    def _p4(self, path: Path) -> tuple[tuple[str, str, str, str], tuple[Quantity, ...]]:
        """Four-vectors, and where they are shifted, scaled or cut, the quantities that say so."""
        entry = self._by_role.get("vectors")
        if entry is None:
            return RAW_P4, ()
        names, own = [], []
        for variable, line in zip(entry.given.variables, entry.lines, strict=True):
            names.append(variable.name)
            if variable.center is not None:
                feature = replace(_feature(variable, path, line), source="")
                names[-1] = f"{entry.given.name}: {variable.name}"
                own.append(Quantity(names[-1], (variable.name,), feature.apply, version=repr(feature)))
        if len(names) != 4:
            raise entry.node.error(f"'{entry.given.name}' must be px, py, pz and energy, not {len(names)} variables")
        px, py, pz, energy = names
        return (px, py, pz, energy), tuple(own)


def _feature(variable: Variable, path: Path, node: Node) -> Feature:
    if variable.center is None:
        return Feature(variable.name, source=path.name)
    try:
        clip = (variable.low, variable.high)
        return Feature(variable.name, shift=variable.center, scale=variable.scale, clip=clip, source=path.name)
    except ConfigError as error:
        raise node.error(str(error)) from error
