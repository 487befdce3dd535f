"""What is in a file of jets, and everything that is wrong with it: `jetassay inspect FILE`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.containers import FloatArray, IntArray
from jetassay.jets.mapped import MappedSource, open_jets
from jetassay.jets.peaks import mass_columns, masses_by_label, swapped_labels
from jetassay.jets.reading import MAX_CONSTITUENTS, as_float32, cuts
from jetassay.jets.schema import CORE, SCHEMAS, Schema
from jetassay.jets.sources import Ragged, RawChunk, Source, missing_branches
from jetassay.jets.validity import Columns, find_problems, sound_labels

_ENTRIES_PER_STEP = 4096
_JETS_IN_MEDIAN = 20_000
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest, middle and largest finite value of a column; NaN where there is none."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Entries of the file that break one rule in one branch, int64, rising."""

    rule: str
    branch: str
    what: str
    entries: IntArray

    def __str__(self) -> str:
        count = f"{len(self.entries)} jet{'s' if len(self.entries) > 1 else ''}"
        return f"{self.rule}, branch {self.branch}: {self.what}; {count}: {_entries(self.entries)}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """One file of jets, looked at as a whole.

    schema:       the schema that fits best, or the one that was given
    layout:       of the files of that schema, which one this is; empty where there is but one
    labels:       jets of each label that occurs, where labels are sound
    ranges:       column -> spread over jets or constituents; medians over every `median_step`-th jet
    multiplicity: constituents of a jet; mean_multiplicity likewise
    truncated_jets, truncated_constituents: jets with more than 128 constituents, and how many those have too many
    outside:      rule of the schema's selection -> jets that it would drop
    removed:      rule of the format -> constituents that it leaves out
    absent:       observed columns of the schema that the file lacks
    truth, unknown: branches that are truth, and that the schema does not know
    missing:      what the schema needs and the file lacks, as sentences
    findings:     jets that break a rule
    warnings:     what looks wrong and may yet be right
    """

    path: Path
    schema: str
    layout: str
    entries: int
    labels: Mapping[str, int]
    ranges: Mapping[str, Spread]
    median_step: int
    multiplicity: Spread
    mean_multiplicity: float
    truncated_jets: int
    truncated_constituents: int
    outside: Mapping[str, int]
    removed: Mapping[str, int]
    absent: tuple[str, ...]
    truth: tuple[str, ...]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong, one sentence each; empty for a file that can be read without a loss."""
        return [*self.missing, *(str(finding) for finding in self.findings)]


def inspect_file(path: Path, *, schema: Schema | None = None) -> Inspection:
    """Look at every jet of a file, streamed. Raises `DataError` where it cannot be opened or decoded at all.

    schema: what the file is taken for; the one that fits best where none is given
    """
    schema = schema or guess_schema(path)
    with closing(open_jets(path, schema)) as source:
        survey = _Survey(source, schema)
        for chunk in source.chunks(survey.branches, start=0, stop=source.n_entries, step=_ENTRIES_PER_STEP):
            survey.add(chunk)
        return survey.result()


def guess_schema(path: Path) -> Schema:
    """The schema with most of its branches in the file. Raises `DataError` where it cannot be opened by any."""
    scores: dict[str, int] = {}
    failure: DataError | None = None
    for name, schema in SCHEMAS.items():
        try:
            with closing(open_jets(path, schema)) as source:
                scores[name] = _fit(source, schema)
        except DataError as error:
            failure = failure or error
    if not scores and failure:
        raise failure
    return SCHEMAS[max(scores, key=lambda name: scores[name])]


def _fit(source: Source, schema: Schema) -> int:
    """Columns of the file that the schema knows; a layout that fits knows all that it names."""
    if isinstance(source, MappedSource):
        return len(source.layout.columns) + len(source.layout.labels.sources)
    known = {*schema.constituents, *schema.columns, *schema.labels, *schema.truth_columns}
    return len(known & {*source.lists, *source.numbers, *source.others})


@dataclass(slots=True)
class _Column:
    """One column's running range, and the values that its median is taken from."""

    low: float = np.inf
    high: float = -np.inf
    sample: list[FloatArray] = field(default_factory=list)

    def add(self, values: FloatArray, sampled: FloatArray) -> None:
        finite = values[np.isfinite(values)]
        if len(finite):
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
        self.sample.append(sampled[np.isfinite(sampled)])

    def spread(self) -> Spread:
        values = np.concatenate(self.sample) if self.sample else np.empty(0, np.float32)
        if self.low > self.high:
            return Spread(np.nan, np.nan, np.nan)
        return Spread(self.low, float(np.median(values)) if len(values) else np.nan, self.high)


class _Survey:
    """Sums over the chunks of one file."""

    def __init__(self, source: Source, schema: Schema) -> None:
        self._source, self._schema = source, schema
        self._lists = tuple(name for name in schema.constituents if name in source.lists)
        self._numbers = tuple(name for name in schema.columns if name in source.numbers)
        self._labels = schema.labels if set(schema.labels) <= set(source.numbers) else ()
        self._step = -(-source.n_entries // _JETS_IN_MEDIAN)
        self._columns = {name: _Column() for name in (*self._lists, *self._numbers)}
        self._multiplicity = _Column()
        self._label_counts = np.zeros(len(schema.label_names), dtype=np.int64)
        self._constituents = self._truncated_jets = self._truncated_constituents = 0
        self._outside = dict.fromkeys((cut.rule for cut in schema.selection), 0)
        self._removed: Counter[str] = Counter()
        self._findings: dict[tuple[str, str, str], list[IntArray]] = {}
        self._mass_columns = mass_columns(source, schema) if self._labels else ()
        self._masses: dict[str, list[FloatArray]] = {}

    @property
    def branches(self) -> tuple[str, ...]:
        return (*self._lists, *self._numbers, *self._labels)

    def add(self, raw: RawChunk) -> None:
        """One more chunk."""
        lists = {name: Ragged(raw.lists[name].offsets, as_float32(raw.lists[name].content)) for name in self._lists}
        numbers = {name: as_float32(raw.numbers[name]) for name in self._numbers}
        labels = {name: raw.numbers[name] for name in self._labels}
        sampled = (np.arange(raw.start, raw.stop) % self._step) == 0
        self._removed.update(raw.removed)
        for name, ragged in lists.items():
            self._columns[name].add(ragged.content, ragged.content[np.repeat(sampled, ragged.counts)])
        for name, values in numbers.items():
            self._columns[name].add(values, values[sampled])
        if lists:
            self._count(next(iter(lists.values())).counts, sampled)
        if labels:
            self._label_counts += np.bincount(sound_labels(labels, self._schema), minlength=len(self._label_counts))
        if self._mass_columns:
            for name, masses in masses_by_label(raw, self._mass_columns, self._schema).items():
                self._masses.setdefault(name, []).append(masses[:: self._step])
        for cut in cuts(numbers, tuple(cut for cut in self._schema.selection if cut.column in numbers)):
            self._outside[cut.rule] += len(cut.jets)
        if set(CORE) <= lists.keys():
            for problem in find_problems(Columns(lists, numbers, labels), self._schema):
                key = (problem.rule, problem.branch, problem.what)
                self._findings.setdefault(key, []).append(raw.start + problem.jets)

    def _count(self, counts: NDArray[np.int64], sampled: NDArray[np.bool_]) -> None:
        self._multiplicity.add(counts.astype(np.float32), counts[sampled].astype(np.float32))
        self._constituents += int(counts.sum())
        self._truncated_jets += int((counts > MAX_CONSTITUENTS).sum())
        self._truncated_constituents += int(np.maximum(counts - MAX_CONSTITUENTS, 0).sum())

    def result(self) -> Inspection:
        """What was found."""
        schema, source = self._schema, self._source
        existing = (*source.lists, *source.numbers, *source.others)
        return Inspection(
            path=source.path,
            schema=schema.name,
            layout=source.layout.title if isinstance(source, MappedSource) else "",
            entries=source.n_entries,
            labels={
                name: int(count)
                for name, count in zip(schema.label_names, self._label_counts, strict=True)
                if count and self._labels
            },
            ranges={name: column.spread() for name, column in self._columns.items()},
            median_step=self._step,
            multiplicity=self._multiplicity.spread(),
            mean_multiplicity=self._constituents / source.n_entries,
            truncated_jets=self._truncated_jets,
            truncated_constituents=self._truncated_constituents,
            outside=self._outside,
            removed=self._removed,
            absent=tuple(name for name in (*schema.constituents, *schema.columns) if name not in existing),
            truth=tuple(name for name in existing if schema.is_truth(name)),
            unknown=tuple(name for name in existing if not schema.is_truth(name) and name not in schema.observed),
            missing=tuple(_missing(source, schema)),
            findings=tuple(Finding(*key, np.concatenate(entries)) for key, entries in sorted(self._findings.items())),
            warnings=tuple(swapped_labels({name: np.concatenate(parts) for name, parts in self._masses.items()})),
        )


def _missing(source: Source, schema: Schema) -> Iterable[str]:
    """Branches without which nothing can be read, and schema branches of the wrong kind."""
    existing = {*source.lists, *source.numbers, *source.others}
    lists = [name for name in schema.constituents if name in CORE or name in existing]
    numbers = [*(name for name in schema.columns if name in existing), *schema.labels]
    return missing_branches(source, numbers=numbers, lists=lists)


def render(inspection: Inspection) -> str:
    """The inspection as text: facts, label counts, ranges, then every problem."""
    sections = [_align(list(_facts(inspection)))]
    if inspection.labels:
        sections.append(_align([("label", "jets"), *((name, str(jets)) for name, jets in inspection.labels.items())]))
    median = "median" if inspection.median_step == 1 else f"median of 1 jet in {inspection.median_step}"
    rows = [(name, *(f"{x:.5g}" for x in (e.low, e.median, e.high))) for name, e in inspection.ranges.items()]
    sections.append(_align([("column", "least", median, "most"), *rows]))
    sections += [f"warning: {each}" for each in inspection.warnings]
    problems = inspection.problems
    title = f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'} found"
    sections.append("\n".join([f"{title}:", *problems]) if problems else title)
    return "\n\n".join(sections)


def _facts(inspection: Inspection) -> Iterator[tuple[str, ...]]:
    yield "file", str(inspection.path)
    yield "schema", inspection.schema
    if inspection.layout:
        yield "layout", inspection.layout
    yield "jets", str(inspection.entries)
    spread = inspection.multiplicity
    mean = f"{inspection.mean_multiplicity:.1f} a jet on average"
    yield "constituents", f"{mean}, {spread.low:g} to {spread.high:g}, median {spread.median:g}"
    cut = f"{inspection.truncated_constituents} constituents are cut when read"
    yield f"over {MAX_CONSTITUENTS}", f"{inspection.truncated_jets} jets, from which {cut}"
    for rule, count in inspection.removed.items():
        yield "left out", f"{count} constituents, {rule}"
    for rule, jets in inspection.outside.items():
        yield f"drop {rule}", f"{jets} jets"
    for title, names in (
        ("not in file", inspection.absent),
        ("truth", inspection.truth),
        ("not known", inspection.unknown),
    ):
        if names:
            yield title, ", ".join(names)


def _align(rows: list[tuple[str, ...]]) -> str:
    """First column to the left, the others too where there are two, numbers to the right where there are more."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        rest = [cell if len(row) == 2 else cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]))
    return "\n".join(lines)


def _entries(entries: IntArray) -> str:
    """Entry numbers, neighbours as ranges, at most a line of them."""
    breaks = np.flatnonzero(np.diff(entries) > 1) + 1
    runs = np.split(entries, breaks[:_SHOWN])
    shown = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs[:_SHOWN]]
    left = sum(len(run) for run in runs[_SHOWN:])
    return ", ".join(shown) + (f" and {left} more" if left else "")
