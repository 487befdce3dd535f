"""The sections of a data configuration, one function each, from their trees."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jetassay.features.expressions.parsing import Expression
from jetassay.features.weaver import fields
from jetassay.features.weaver.config import Input, Labels, PadMode, Variable, Weights
from jetassay.features.weaver.yaml_tree import Node

_PARAMETERS = ("length", "pad_mode", "center", "scale", "min", "max", "pad_value")
_DEFAULTS = (1.0, -5.0, 5.0, 0.0)
"""weaver's scale, lowest, highest and padding value where a line gives none."""


class Preprocess:
    """How inputs are standardised.

    automatic: a variable without numbers gets some from the training data, not none
    params:    what weaver found and wrote down, by variable; None where the numbers stand with the inputs
    """

    def __init__(self, node: Node | None) -> None:
        given = fields.section(node, "preprocess", known=("method", "data_fraction", "params")) if node else {}
        method = given.get("method")
        name = fields.text(method, "preprocess.method").lower() if method else "manual"
        if method is not None and name != "manual" and not name.startswith("auto"):
            raise method.error(f"preprocess.method is manual or auto, not '{name}'")
        if "data_fraction" in given:
            fields.number(given["data_fraction"], "preprocess.data_fraction")
        self.automatic = name.startswith("auto")
        params = given.get("params")
        self.params = fields.mapping(params, "preprocess.params") if params else None


@dataclass(frozen=True, slots=True)
class InputEntry:
    """An input, where it stands, and where each of its variables does."""

    given: Input
    node: Node
    lines: tuple[Node, ...]


def inputs(node: Node, preprocess: Preprocess) -> tuple[InputEntry, ...]:
    """Every input. Raises `ConfigError` where one variable is standardised in two ways."""
    found: list[InputEntry] = []
    seen: dict[str, tuple[Variable, int | None, PadMode]] = {}
    for name, entry in fields.mapping(node, "inputs").items():
        what = f"inputs.{name}"
        given = fields.section(entry, what, known=("length", "pad_mode", "vars"), required=("length", "vars"))
        length, pad_mode = _length(given["length"], what), _pad_mode(given.get("pad_mode"), what)
        lines = fields.items(given["vars"], f"{what}.vars")
        if not lines:
            raise entry.error(f"{what}.vars lists nothing")
        if name.endswith("_mask") and pad_mode != "constant":
            raise entry.error(f"{what}: a mask is padded with a constant, not by repetition")
        variables = []
        for line in lines:
            variable = _variable(line, preprocess, length, pad_mode)
            facts = (variable, length, pad_mode)
            if seen.setdefault(variable.name, facts) != facts:
                raise line.error(f"'{variable.name}' is used twice, with other numbers, length or padding")
            variables.append(variable)
        found.append(InputEntry(Input(name, length, pad_mode, tuple(variables)), entry, lines))
    if not found:
        raise node.error("inputs is empty")
    return tuple(found)


def _variable(line: Node, preprocess: Preprocess, length: int | None, pad_mode: PadMode) -> Variable:
    parts = line.value if isinstance(line.value, tuple) else (line,)
    if not 1 <= len(parts) <= 6:
        raise line.error("a variable is a name, or [name, subtract_by, multiply_by, clip_min, clip_max, pad_value]")
    name = fields.text(parts[0], "the name of a variable")
    if preprocess.params is not None:
        return _from_params(line, name, preprocess.params, length, pad_mode)
    numbers = [
        fields.number(parts[place], f"'{name}', entry {place + 1}") if place < len(parts) else default
        for place, default in enumerate(_DEFAULTS, start=2)
    ]
    automatic = preprocess.automatic and not name.endswith("_mask") if len(parts) == 1 else parts[1].value == "auto"
    if automatic:
        raise line.error(
            f"the numbers of '{name}' are to be found from the training data (preprocess.method: auto) and are not in "
            "this file; give the file that weaver wrote beside it (NAME.HASH.auto.yaml, with preprocess.params), or "
            f"write [{name}, subtract_by, multiply_by], or [{name}, null] for none"
        )
    center = None if len(parts) == 1 or parts[1].value is None else fields.number(parts[1], f"'{name}', entry 2")
    return Variable(name, center, *numbers)


def _from_params(line: Node, name: str, params: Mapping[str, Node], length: int | None, pad_mode: PadMode) -> Variable:
    if name not in params:
        raise line.error(f"preprocess.params has no entry for '{name}'")
    node, what = params[name], f"preprocess.params.{name}"
    given = fields.section(node, what, known=_PARAMETERS, required=_PARAMETERS[:-1])
    if (_length(given["length"], what), _pad_mode(given["pad_mode"], what)) != (length, pad_mode):
        raise node.error(f"{what}: length and pad_mode differ from those of the input in line {line.place.line}")
    center = given["center"]
    if center.value == "auto":
        raise center.error(f"{what}.center is still 'auto'; run weaver's standardisation and give the file it writes")
    scale, low, high, pad = (
        fields.number(given[key], f"{what}.{key}") if key in given else default
        for key, default in zip(("scale", "min", "max", "pad_value"), _DEFAULTS, strict=True)
    )
    shift = None if center.value is None else fields.number(center, f"{what}.center")
    return Variable(name, shift, scale, low, high, pad)


def _length(node: Node, what: str) -> int | None:
    if node.value is None:
        return None
    if type(node.value) is not int or node.value < 1:
        raise node.error(f"{what}.length must be a whole number above 0, or null")
    return node.value


def _pad_mode(node: Node | None, what: str) -> PadMode:
    name = fields.text(node, f"{what}.pad_mode").lower() if node else "constant"
    if name == "wrap":
        return "wrap"
    if node is not None and name != "constant":
        raise node.error(f"{what}.pad_mode is constant or wrap, not '{name}'")
    return "constant"


def labels(node: Node) -> Labels:
    """The label definition."""
    given = fields.section(node, "labels", known=("type", "value"), required=("type", "value"))
    kind = fields.text(given["type"], "labels.type")
    value = given["value"]
    if kind == "simple":
        names = fields.texts(value, "labels.value")
        formulas = {
            name: fields.formula(item, "labels.value")
            for name, item in zip(names, fields.items(value, "labels.value"), strict=True)
        }
    elif kind == "custom":
        formulas = {
            name: fields.formula(item, f"labels.value.{name}")
            for name, item in fields.mapping(value, "labels.value").items()
        }
    else:
        raise given["type"].error(f"labels.type is simple or custom, not '{kind}'")
    if not formulas:
        raise node.error("labels.value lists no label")
    return Labels("simple" if kind == "simple" else "custom", formulas)


_WEIGHTS = (
    "use_precomputed_weights", "weight_branches", "reweight_method", "reweight_basewgt", "reweight_vars",
    "reweight_classes", "class_weights", "reweight_threshold", "reweight_discard_under_overflow", "reweight_hists",
)  # fmt: skip


def weights(node: Node) -> Weights:
    """How training jets are weighted."""
    kind = "use_precomputed_weights"
    given = fields.section(node, "weights", known=_WEIGHTS, required=(kind,))
    if fields.flag(given[kind], f"weights.{kind}"):
        given = fields.section(node, "weights", known=_WEIGHTS, required=("weight_branches",))
        return Weights(branches=fields.texts(given["weight_branches"], "weights.weight_branches"), bins={})
    needed = ("reweight_method", "reweight_vars", "reweight_classes")
    given = fields.section(node, "weights", known=_WEIGHTS, required=needed)
    bins = {
        name: fields.rising(edges, f"weights.reweight_vars.{name}")
        for name, edges in fields.mapping(given["reweight_vars"], "weights.reweight_vars").items()
    }
    if len(bins) != 2:
        raise given["reweight_vars"].error(f"weights.reweight_vars must name two variables, not {len(bins)}")
    classes = fields.texts(given["reweight_classes"], "weights.reweight_classes")
    class_weights = (
        fields.numbers(given["class_weights"], "weights.class_weights")
        if "class_weights" in given
        else (1.0,) * len(classes)
    )
    if len(class_weights) != len(classes):
        raise node.error(f"{len(class_weights)} class_weights for {len(classes)} reweight_classes")
    base = given.get("reweight_basewgt")
    threshold = given.get("reweight_threshold")
    discard = given.get("reweight_discard_under_overflow")
    histograms = given.get("reweight_hists")
    return Weights(
        method=_method(given["reweight_method"]),
        bins=bins,
        classes=classes,
        class_weights=class_weights,
        base=None if base is None else fields.formula(base, "weights.reweight_basewgt"),
        threshold=10 if threshold is None else fields.number(threshold, "weights.reweight_threshold"),
        discard_outside=True if discard is None else fields.flag(discard, "weights.reweight_discard_under_overflow"),
        histograms=None if histograms is None else _histograms(histograms, classes),
    )


def _method(node: Node) -> Literal["flat", "ref"]:
    method = fields.text(node, "weights.reweight_method")
    if method == "flat":
        return "flat"
    if method == "ref":
        return "ref"
    raise node.error(f"weights.reweight_method is flat or ref, not '{method}'")


def _histograms(node: Node, classes: tuple[str, ...]) -> dict[str, tuple[tuple[float, ...], ...]]:
    entries = fields.section(node, "weights.reweight_hists", known=classes, required=classes)
    return {
        name: tuple(fields.numbers(row, f"a row of {name}") for row in fields.items(rows, f"reweight_hists.{name}"))
        for name, rows in entries.items()
    }


def bucketing(node: Node | None) -> tuple[str, tuple[float, ...] | int] | None:
    """The variable and the edges or the number of its bins."""
    if node is None:
        return None
    given = fields.section(node, "bucketing", known=("var", "bins"), required=("var", "bins"))
    variable = fields.text(given["var"], "bucketing.var")
    bins = given["bins"]
    if type(bins.value) is int and bins.value > 0:
        return variable, bins.value
    return variable, fields.rising(bins, "bucketing.bins")


def file_variables(node: Node | None) -> dict[str, dict[str, float]]:
    """`file_magic`: variables that weaver sets by patterns of file names."""
    return {
        name: {pattern: fields.number(value, f"file_magic.{name}") for pattern, value in patterns.items()}
        for name, patterns in (
            (name, fields.mapping(entry, f"file_magic.{name}"))
            for name, entry in (fields.mapping(node, "file_magic") if node else {}).items()
        )
    }


def renames(node: Node | None) -> dict[str, str]:
    """`branch_magic`: parts of names, and what stands for them in files."""
    entries = fields.mapping(node, "branch_magic") if node else {}
    return {part: fields.text(entry, f"branch_magic.{part}") for part, entry in entries.items()}


def formulas(node: Node | None) -> dict[str, tuple[Expression, Node]]:
    """`new_variables`, each with its place."""
    entries = fields.mapping(node, "new_variables") if node else {}
    return {name: (fields.formula(entry, name), entry) for name, entry in entries.items()}
