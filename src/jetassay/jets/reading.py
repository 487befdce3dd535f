"""Files to `Jets`, in ranges of entries: what is read, what is checked, what is lost on the way, by rule.

A file is opened once and streamed; memory follows the range, not the file. No Python step is taken per jet.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jetassay.errors import ConfigError, DataError
from jetassay.jets.containers import Chunk, FloatArray, IntArray, Jets, Origin, Truth, ragged_rows
from jetassay.jets.mapped import open_jets
from jetassay.jets.ordering import by_falling_pt, hardest
from jetassay.jets.schema import CORE, DERIVED, Schema, Selection
from jetassay.jets.sources import Ragged, RawChunk, Source, require_branches
from jetassay.jets.validity import Columns, Problem, decode_labels, find_problems, first_rule

OnInvalid = Literal["error", "drop"]

ENTRIES_PER_CHUNK = 4096
MAX_CONSTITUENTS = 128
"""The length of a jet in the published inputs of ParT, ParticleNet and Sophon."""


def count_entries(path: Path, schema: Schema) -> int:
    """Jets in a file before any rule. Raises `DataError` where there are none or the file is no such file."""
    with closing(open_jets(path, schema)) as source:
        return source.n_entries


def read_chunks(  # noqa: PLR0913  what to read, which entries, and what to do with the unusable: all named
    path: Path,
    *,
    schema: Schema,
    needs: tuple[str, ...] | None = None,
    start: int = 0,
    stop: int | None = None,
    entries_per_chunk: int = ENTRIES_PER_CHUNK,
    max_constituents: int = MAX_CONSTITUENTS,
    on_invalid: OnInvalid = "error",
    selection: tuple[Selection, ...] = (),
    truth_columns: tuple[str, ...] = (),
    labelled: bool = True,
    file_name: str | None = None,
) -> Iterator[Chunk]:
    """The jets of entries start:stop, at most `entries_per_chunk` entries at a time, as they stand in the file.

    needs: observed columns to return, beside the four-vectors of the constituents, which always come; None for
        all that the schema lists and the file has
    max_constituents: each jet keeps this many of highest pT; what is cut is counted. A jet whose constituents
        do not fall in pT is sorted first.
    on_invalid: "error" raises at the first jet that breaks a rule of `validity.RULES` in a column that is read;
        "drop" leaves such jets out and counts them by rule, and then looks at every observed column of the
        file, so that the same jets stay whatever is needed
    selection: cuts that drop jets, counted by their rules, whatever `on_invalid` says
    truth_columns: truth columns with one number per jet to return in `Truth.columns`, unchecked
    labelled: False for files without labels: none are read, and every label is -1
    file_name: what `Origin.file` says; the file's own name by default

    Raises `DataError` naming file, branch and entry; `LeakageError` where `needs` asks for truth.
    """
    _check_arguments(schema, needs, truth_columns, entries_per_chunk, max_constituents)

    def stream() -> Iterator[Chunk]:
        with closing(open_jets(path, schema)) as source:
            plan = _plan(
                source,
                schema,
                needs,
                selection,
                truth_columns,
                labelled=labelled,
                thorough=on_invalid == "drop",
            )
            end = source.n_entries if stop is None else stop
            if not 0 <= start <= end <= source.n_entries:
                raise DataError(f"{path}: entries {start}:{end} were asked for, but it holds {source.n_entries}")
            for raw in source.chunks(plan.branches, start=start, stop=end, step=entries_per_chunk):
                yield _finish(raw, plan, on_invalid, max_constituents, file_name or path.name)

    return stream()


def read_opened(
    source: Source, *, schema: Schema, needs: tuple[str, ...], max_constituents: int = MAX_CONSTITUENTS
) -> Iterator[Chunk]:
    """All jets of an open source, unlabelled, every one of them: the first that cannot be used raises `DataError`."""
    _check_arguments(schema, needs, (), ENTRIES_PER_CHUNK, max_constituents)
    plan = _plan(source, schema, needs, (), (), labelled=False, thorough=False)
    for raw in source.chunks(plan.branches, start=0, stop=source.n_entries, step=ENTRIES_PER_CHUNK):
        yield _finish(raw, plan, "error", max_constituents, source.path.name)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which branches of one file are read, and which columns are returned."""

    path: Path
    schema: Schema
    lists: tuple[str, ...]
    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    truth: tuple[str, ...]
    wanted: frozenset[str]
    selection: tuple[Selection, ...]

    @property
    def branches(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.lists, *self.numbers, *self.labels, *self.truth)))


def _check_arguments(
    schema: Schema, needs: Sequence[str] | None, truth: Sequence[str], entries: int, constituents: int
) -> None:
    schema.require_observed(needs or ())
    observed = [name for name in truth if not schema.is_truth(name)]
    if observed:
        raise ConfigError(f"{', '.join(observed)}: not a truth column of schema '{schema.name}'; put it into `needs`")
    if entries < 1 or constituents < 1:
        raise ConfigError(f"a chunk needs at least 1 entry and a jet 1 constituent, not {entries} and {constituents}")


def _plan(
    source: Source,
    schema: Schema,
    needs: tuple[str, ...] | None,
    selection: tuple[Selection, ...],
    truth: tuple[str, ...],
    *,
    labelled: bool,
    thorough: bool,
) -> _Plan:
    existing = {*source.lists, *source.numbers, *source.others}
    derived = {name: DERIVED[name] for name in schema.derived}
    derivable = {name for name, sources in derived.items() if set(sources) <= existing}
    wanted = {*CORE, *(needs if needs is not None else existing | derivable)}
    required = {
        *(branch for name in wanted for branch in derived.get(name, (name,))),
        *(cut.column for cut in selection),
    }
    read = required | existing if thorough else required
    plan = _Plan(
        path=source.path,
        schema=schema,
        lists=tuple(name for name in schema.constituents if name in read),
        numbers=tuple(name for name in schema.columns if name in read),
        labels=schema.labels if labelled else (),
        truth=truth,
        wanted=frozenset(wanted),
        selection=selection,
    )
    require_branches(source, lists=plan.lists, numbers=(*plan.numbers, *plan.labels, *plan.truth))
    return plan


def _finish(raw: RawChunk, plan: _Plan, on_invalid: OnInvalid, most: int, file_name: str) -> Chunk:
    columns = Columns(
        lists={name: Ragged(raw.lists[name].offsets, as_float32(raw.lists[name].content)) for name in plan.lists},
        numbers={name: as_float32(raw.numbers[name]) for name in plan.numbers},
        labels={name: raw.numbers[name] for name in plan.labels},
    )
    problems = find_problems(columns, plan.schema)
    if problems and on_invalid == "error":
        raise _error(plan.path, raw.start, problems)
    removed, dropped = first_rule([*problems, *cuts(columns.numbers, plan.selection)], len(raw))
    kept = np.flatnonzero(~removed)
    constituents, offsets = _kept_lists(columns.lists, kept, whole=len(kept) == len(raw))
    numbers = {name: values[kept] for name, values in columns.numbers.items()}
    for name in plan.wanted & set(plan.schema.derived):
        numbers[name] = mass_of(numbers)
    constituents, offsets, truncated = _sorted_and_cut(constituents, offsets, most)
    labels = {name: values[kept] for name, values in columns.labels.items()}
    return Chunk(
        jets=Jets(
            {name: constituents[name] for name in plan.lists if name in plan.wanted},
            offsets,
            {
                name: numbers[name]
                for name in (*plan.schema.columns, *plan.schema.derived)
                if name in plan.wanted & numbers.keys()
            },
        ),
        truth=Truth(
            decode_labels(labels, plan.schema) if labels else np.full(len(kept), -1, dtype=np.int64),
            plan.schema.label_names,
            {name: raw.numbers[name][kept] for name in plan.truth},
        ),
        origin=Origin(file_name, raw.start + kept),
        n_entries=len(raw),
        dropped=dropped,
        truncated_jets=truncated[0],
        truncated_constituents=truncated[1],
        removed_constituents=raw.removed,
    )


def as_float32(values: NDArray[Any]) -> FloatArray:
    """Any numbers as float32; what is too large becomes infinite."""
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is then named as such
        return np.asarray(values, dtype=np.float32)


def cuts(numbers: Mapping[str, FloatArray], selection: Sequence[Selection]) -> Iterator[Problem]:
    """The jets that each cut drops, where there are any."""
    for cut in selection:
        outside = ~((numbers[cut.column] > cut.low) & (numbers[cut.column] < cut.high))
        if outside.any():
            yield Problem(cut.rule, cut.column, np.flatnonzero(outside), "outside of the selection")


def _kept_lists(lists: Mapping[str, Ragged], kept: IntArray, *, whole: bool) -> tuple[dict[str, FloatArray], IntArray]:
    """The constituents of the jets `kept`; branches have offsets of their own where lengths disagree."""
    offsets = lists[CORE[0]].offsets
    if whole:
        return {name: ragged.content for name, ragged in lists.items()}, offsets
    rows, new_offsets = ragged_rows(offsets, kept)
    gathered = {
        name: ragged.content[rows if np.array_equal(ragged.offsets, offsets) else ragged_rows(ragged.offsets, kept)[0]]
        for name, ragged in lists.items()
    }
    return gathered, new_offsets


def _sorted_and_cut(
    constituents: Mapping[str, FloatArray], offsets: IntArray, most: int
) -> tuple[dict[str, FloatArray], IntArray, tuple[int, int]]:
    """By falling pT, at most `most` per jet; and how many jets and constituents that cost."""
    rows = by_falling_pt(constituents["part_px"], constituents["part_py"], offsets)
    cut = hardest(offsets, most)
    truncated = (0, 0)
    if cut is not None:
        truncated = int((np.diff(offsets) > most).sum()), int(offsets[-1] - cut[1][-1])
        rows = cut[0] if rows is None else rows[cut[0]]
        offsets = cut[1]
    if rows is None:
        return dict(constituents), offsets, truncated
    return {name: values[rows] for name, values in constituents.items()}, offsets, truncated


def mass_of(numbers: Mapping[str, FloatArray]) -> FloatArray:
    """Mass in GeV, sqrt(max(E^2 - p^2, 0)) with p = pT cosh(eta), in float64 until the end."""
    pt, eta, energy = (numbers[name].astype(np.float64) for name in DERIVED["jet_mass"])
    momentum = pt * np.cosh(eta)
    return np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0.0)).astype(np.float32)


def _error(path: Path, start: int, problems: Sequence[Problem]) -> DataError:
    first = min(problems, key=lambda problem: int(problem.jets[0]))
    return DataError(
        f"{path}, branch {first.branch}, entry {start + int(first.jets[0])}: {first.what} ({first.rule}); "
        "repair the file, or set on_invalid to drop to leave such jets out and count them"
    )
