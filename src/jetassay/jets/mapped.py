"""Files in other people's layouts, seen as files of a schema: lists unpadded, energies in GeV, labels by name.

What the layout does not give and can be derived is derived here, in float64.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError, LeakageError
from jetassay.jets.mapping import LABEL, Layout, name_parts
from jetassay.jets.schema import Schema
from jetassay.jets.sources import Ragged, RawChunk, Source, file_format, open_source
from jetassay.jets.unpacking import MappedJets, Unpadding

_SHOWN = 60


def open_jets(path: Path, schema: Schema) -> Source:
    """Open a file as one of `schema`, in whichever of its layouts it is.

    Raises `DataError` where it cannot be opened, or is in none of them, naming what each would need.
    """
    if not schema.layouts:
        return open_source(path, tree=schema.tree)
    form = file_format(path)
    layouts = [layout for layout in schema.layouts if form in layout.formats]
    if not layouts:
        known = ", ".join(sorted({each for layout in schema.layouts for each in layout.formats}))
        raise DataError(f"{path}: a file of kind {form}, but dataset '{schema.name}' is known as {known}")
    problems = []
    for layout in layouts:
        with ExitStack() as opened:
            try:
                source = open_source(path, tree=layout.tree, feature_names=layout.feature_names)
            except DataError as error:
                problems.append(str(error))
                continue
            opened.callback(source.close)
            missing = lacking(source, layout)
            if not missing:
                mapped = MappedSource(source, layout, schema)
                opened.pop_all()
                return mapped
            names = (*source.lists, *source.numbers)
            problems.append(
                f"{path}: not in the layout '{layout.title}' of dataset '{schema.name}': it has no "
                f"{', '.join(missing)}; it has {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}"
            )
    raise DataError("\n".join(dict.fromkeys(problems)))


def lacking(source: Source, layout: Layout) -> list[str]:
    """The columns that the layout names and the file has not, or has as something else, as sentences."""
    wanted = {
        **{column: name.startswith("part_") for name, column in layout.columns.items()},
        **({layout.mask: True} if layout.mask else {}),
        **dict.fromkeys(layout.labels.sources, False),
    }
    return [
        f"{column} ({'list of numbers' if is_list else 'one number'} per jet)"
        for column, is_list in wanted.items()
        if not _resolve(source, column, is_list=is_list)
    ]


def _resolve(source: Source, column: str, *, is_list: bool) -> tuple[str, ...]:
    """The columns of the file that `column` stands for: one, or a series of numbers; none where it has no such."""
    names = {*source.lists} if is_list else {*source.numbers}
    if is_list and "{}" in column:
        return _series(source, column)
    aliases: Mapping[str, str] = getattr(source, "aliases", {})
    real = aliases.get(column, column)
    return (real,) if real in names else ()


def _series(source: Source, column: str) -> tuple[str, ...]:
    """E_0, E_1, ... as far as they go without a gap, from 0 or 1."""
    before, after = column.split("{}", 1)
    pattern = re.compile(f"{re.escape(before)}(\\d+){re.escape(after)}")
    found = {int(match[1]): name for name in source.numbers if (match := pattern.fullmatch(name))}
    if not found or min(found) > 1:
        return ()
    indices = sorted(found)
    if indices != list(range(indices[0], indices[-1] + 1)):
        gap = next(i for i in range(indices[0], indices[-1]) if i not in found)
        raise DataError(f"{source.path}: the series {column} has no {before}{gap}{after}")
    return tuple(found[index] for index in indices)


class MappedSource:
    """A file in a layout of a schema; see `sources.Source`. Branch names are those of the schema."""

    def __init__(self, source: Source, layout: Layout, schema: Schema) -> None:
        self.path, self.n_entries = source.path, source.n_entries
        self.layout = layout
        self._source = source
        self._columns = {
            name: _resolve(source, column, is_list=name.startswith("part_")) for name, column in layout.columns.items()
        }
        self._mask = _resolve(source, layout.mask, is_list=True) if layout.mask else ()
        self._labels = {column: _resolve(source, column, is_list=False)[0] for column in layout.labels.sources}
        self._label_names = schema.label_names
        self._check_apart(schema)
        self.lists, self.numbers = layout.constituents, (*layout.jet_columns, LABEL)
        used = {each for names in self._columns.values() for each in names} | {*self._labels.values(), *self._mask}
        self.others: Mapping[str, str] = {
            name: "a column that the layout does not name"
            for name in (*source.lists, *source.numbers)
            if name not in used and name not in schema.observed and "[" not in name
        }

    def _check_apart(self, schema: Schema) -> None:
        """No column may be both observed and truth, whatever names it goes by."""
        for name, columns in {**self._columns, "mask": self._mask}.items():
            for column in columns:
                if column in self._labels.values() or any(schema.is_truth(part) for part in name_parts(column)):
                    raise LeakageError(
                        f"{self.path}: the layout '{self.layout.title}' maps {name} to {column}, which is truth "
                        f"in dataset '{schema.name}' and can never be an input"
                    )

    @property
    def observed_columns(self) -> frozenset[str]:
        """The file's own names of the columns that a backbone may see something of."""
        return frozenset(each for names in self._columns.values() for each in names) | frozenset(self._mask)

    def chunks(self, names: Sequence[str], *, start: int, stop: int, step: int) -> Iterator[RawChunk]:
        """See `sources.Source`."""
        wanted = self._wanted([name for name in names if name != LABEL])
        columns = [each for name in wanted for each in self._columns[name]]
        columns += self._mask if any(name.startswith("part_") for name in wanted) else ()
        columns += self._labels.values() if LABEL in names else ()
        for raw in self._source.chunks(tuple(dict.fromkeys(columns)), start=start, stop=stop, step=step):
            yield self._chunk(raw, names, wanted)

    def _wanted(self, names: Sequence[str]) -> tuple[str, ...]:
        """The layout's columns that `names` are computed from: all of them where one must be derived."""
        if all(name in self._columns and name.startswith("jet_") for name in names):
            return tuple(names)
        displaced = ("part_d0", "part_dz", "jet_tau", "jet_sdmass")
        return tuple(name for name in self._columns if name in names or not name.startswith(displaced))

    def _chunk(self, raw: RawChunk, names: Sequence[str], wanted: Sequence[str]) -> RawChunk:
        lists = {name: self._list(raw, self._columns[name]) for name in wanted if name.startswith("part_")}
        numbers = {name: raw.numbers[self._columns[name][0]] for name in wanted if name.startswith("jet_")}
        if lists:
            mask = raw.lists[self._mask[0]] if self._mask else None
            lists = Unpadding(self.layout, self.path).apply(lists, mask)
        jets = MappedJets(self.layout, self.path, lists, numbers)
        return RawChunk(
            raw.start,
            raw.stop,
            {name: self._label(raw) if name == LABEL else jets.number(name) for name in names if name in self.numbers},
            {name: jets.list(name) for name in names if name in self.lists},
        )

    @staticmethod
    def _list(raw: RawChunk, columns: tuple[str, ...]) -> Ragged:
        if columns[0] in raw.lists:
            return raw.lists[columns[0]]
        table = np.stack([raw.numbers[column] for column in columns], axis=1)
        return Ragged(np.arange(len(raw) + 1, dtype=np.int64) * table.shape[1], table.ravel())

    def _label(self, raw: RawChunk) -> NDArray[np.int64]:
        """Index into the label names, (J,); -1 where the jet has none of them, or several."""
        labels = self.layout.labels
        places = {name: index for index, name in enumerate(self._label_names)}
        found = np.full(len(raw), -1, dtype=np.int64)
        if labels.columns:
            flags = np.stack([raw.numbers[self._labels[column]] for column in labels.columns.values()], axis=1)
            sound = ((flags == 0) | (flags == 1)).all(axis=1) & (flags.sum(axis=1) == 1)
            order = np.array([places[name] for name in labels.columns])
            return np.where(sound, order[np.argmax(flags, axis=1)], found)
        values: NDArray[Any] = raw.numbers[self._labels[labels.sources[0]]]
        for name, value in labels.values.items():
            found[values == value] = places[name]
        return found

    def close(self) -> None:
        """See `sources.Source`."""
        self._source.close()
