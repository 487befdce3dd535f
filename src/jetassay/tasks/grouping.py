"""Which outputs of a classifier stand for which class of a dataset: maps by label name, kept as data."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from jetassay.errors import ConfigError
from jetassay.jets.labels import LABEL_LISTS
from jetassay.records import Record, parse_record, read_toml

FOLDER = Path(__file__).parent / "groupings"
"""Groupings that ship, one TOML file each."""


class Grouping(Record):
    """A map from the classes of a dataset to sets of a classifier's outputs, all by name.

    outputs, classes: labels of the classifier and of the dataset: the name of a shipped list, or the names themselves
    choice:           what was decided, to be shown beside every score; empty where there was nothing to decide
    groups:           class -> its outputs; a name may hold `*` for any characters. Groups may share outputs
    undefined:        class -> why no output stands for it; every class is in one of the two tables
    """

    outputs: str | tuple[str, ...]
    classes: str | tuple[str, ...]
    choice: str = ""
    groups: dict[str, tuple[str, ...]] = Field(min_length=1)
    undefined: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _lists_are_known(self) -> Self:
        for given in (self.outputs, self.classes):
            if isinstance(given, str) and given not in LABEL_LISTS:
                raise ValueError(
                    f"there is no label list '{given}'; known: {', '.join(LABEL_LISTS)}; or give the names"
                )
        return self

    @model_validator(mode="after")
    def _every_class_once(self) -> Self:
        named = [*self.groups, *self.undefined]
        unknown = sorted(set(named) - set(self.class_names))
        missing = [name for name in self.class_names if name not in named]
        both = sorted(set(self.groups) & set(self.undefined))
        if unknown:
            raise ValueError(f"no such class: {', '.join(unknown)}; known: {', '.join(self.class_names)}")
        if missing:
            raise ValueError(f"no group for {', '.join(missing)}; give one, or say why not in `undefined`")
        if both:
            raise ValueError(f"in `groups` and in `undefined`: {', '.join(both)}")
        return self

    @model_validator(mode="after")
    def _names_are_known_and_not_doubled(self) -> Self:
        for name, patterns in self.groups.items():
            if not patterns:
                raise ValueError(f"the group of {name} is empty; say why in `undefined` instead")
            unknown = [each for each in patterns if not self._matching(each)]
            if unknown:
                raise ValueError(f"group of {name}: no such output: {', '.join(unknown)}")
            found = [label for each in patterns for label in self._matching(each)]
            doubles = sorted({label for label in found if found.count(label) > 1})
            if doubles:
                raise ValueError(f"group of {name}: twice in it: {', '.join(doubles)}")
        return self

    @property
    def output_names(self) -> tuple[str, ...]:
        """The classifier's labels, in its order."""
        return LABEL_LISTS[self.outputs] if isinstance(self.outputs, str) else self.outputs

    @property
    def class_names(self) -> tuple[str, ...]:
        """The dataset's classes."""
        return LABEL_LISTS[self.classes] if isinstance(self.classes, str) else self.classes

    def group(self, name: str) -> tuple[str, ...]:
        """The outputs that stand for class `name`. Raises `ConfigError` where none is defined."""
        if name not in self.groups:
            reason = self.undefined.get(name, f"known: {', '.join(self.groups)}")
            raise ConfigError(f"there is no group for the class {name}: {reason}")
        return tuple(label for each in self.groups[name] for label in self._matching(each))

    def shared(self, one: str, other: str) -> list[str]:
        """The outputs that stand for both classes; none where a class has no group."""
        if one not in self.groups or other not in self.groups:
            return []
        return sorted(set(self.group(one)) & set(self.group(other)))

    def sides(self, signal: str, background: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The outputs of both sides. Raises `ConfigError` where one is on both, or a side has none."""
        shared = self.shared(signal, background)
        if shared:
            raise ConfigError(f"on both sides of {signal} against {background}: {', '.join(shared)}")
        return self.group(signal), self.group(background)

    def _matching(self, pattern: str) -> list[str]:
        return [label for label in self.output_names if fnmatchcase(label, pattern)]


def read_grouping(path: Path) -> Grouping:
    """The grouping in `path`. Raises `ConfigError` naming the file and everything that is wrong."""
    return parse_record(read_toml(path), Grouping, path=path)


@cache
def shipped_groupings() -> tuple[Grouping, ...]:
    """Those in `groupings/`, beside this module."""
    return tuple(read_grouping(path) for path in sorted(FOLDER.glob("*.toml")))


def find_grouping(
    outputs: Sequence[str], classes: Sequence[str], *, declared: Iterable[Grouping] = ()
) -> Grouping | None:
    """How `outputs` stand for `classes`: as declared; else each class by the output of its name; else as shipped.

    None where there is no such map.
    """
    for each in chain(declared, _by_name(outputs, classes), shipped_groupings()):
        if (each.output_names, each.class_names) == (tuple(outputs), tuple(classes)):
            return each
    return None


def _by_name(outputs: Sequence[str], classes: Sequence[str]) -> list[Grouping]:
    if not set(classes) <= set(outputs):
        return []
    return [Grouping(outputs=tuple(outputs), classes=tuple(classes), groups={name: (name,) for name in classes})]
