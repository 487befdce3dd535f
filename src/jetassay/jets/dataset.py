"""Datasets: files of jets with one schema, and splits of them by file, so that no file is in two splits."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from jetassay.errors import ConfigError, DataError
from jetassay.jets.classes import JET_CLASSES
from jetassay.jets.containers import Chunk
from jetassay.jets.digests import Stamp, kept_facts, stamp_of
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS, Schema, Selection
from jetassay.progress import Reporter

SPLITS: tuple[str, ...] = ("train", "validation", "test")
SUFFIXES: tuple[str, ...] = (".root", ".parquet", ".h5", ".hdf5")
MAPPED_SUFFIXES: tuple[str, ...] = (*SUFFIXES, ".npz")

_INDEX = re.compile(r"[_-]\d+$")
_CLASS_OF_STEM = {each.file_stem: name for name, each in JET_CLASSES.items()}


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of jets.

    group:   what the file's name says it holds: a class of `jets.classes`, else the name without its index
    entries: jets in the file before any rule
    digest:  sha256 hex of the jets in it; see `digests.content_facts`
    stamp:   of the file when it had that digest, so that another one in its place is noticed; None for none
    """

    path: Path
    group: str
    entries: int
    digest: str
    stamp: Stamp | None = field(default=None, compare=False)

    def unchanged(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """What is read from this file, as long as it is the file that has this digest.

        Raises `DataError` where it was changed or replaced meanwhile: nothing read since then is passed on, so that
        no other jets are stored under its digest.
        """
        for chunk in chunks:
            if self.stamp is not None and stamp_of(self.path) != self.stamp:
                raise DataError(
                    f"{self.path}: changed or was replaced during the run; what was kept is of the old file. When it "
                    "is complete, run the same command again"
                )
            yield chunk

    @property
    def name(self) -> str:
        """The file's name without its folder: unique in a dataset, and what `Origin.file` says."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files of one schema, sorted by group and name, and the cuts that are applied to them.

    splits: split -> patterns of its files' names, where the publisher has split the dataset
    aside:  files that are left out of `files` -> why; without entries and digest where they could not be read at all
    """

    name: str
    schema: Schema
    files: tuple[DataFile, ...]
    selection: tuple[Selection, ...]
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    aside: Mapping[DataFile, str] = field(default_factory=dict, hash=False)

    @property
    def groups(self) -> dict[str, tuple[DataFile, ...]]:
        """The files of each group, in order."""
        names = dict.fromkeys(file.group for file in self.files)
        return {name: tuple(file for file in self.files if file.group == name) for name in names}

    @property
    def entries(self) -> int:
        """Jets in all files before any rule."""
        return sum(file.entries for file in self.files)

    @property
    def digest(self) -> str:
        """sha256 hex over names and digests of the files, schema and selection; not over folders."""
        facts = {
            "schema": self.schema.digest(),
            "selection": [asdict(cut) for cut in self.selection],
            "files": [[file.group, file.name, file.digest] for file in self.files],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def limited(self, entries: int) -> "Dataset":
        """The same dataset with at most the first `entries` entries of each file: other jets, so another digest."""
        files = tuple(
            file
            if file.entries <= entries
            else replace(file, entries=entries, digest=hashlib.sha256(f"{file.digest}:{entries}".encode()).hexdigest())
            for file in self.files
        )
        return replace(self, files=files)

    def read(self, file: DataFile, **options: Any) -> Iterator[Chunk]:
        """The jets of one file after the dataset's cuts; `options` are those of `reading.read_chunks`."""
        options = {"schema": self.schema, "selection": self.selection, "file_name": file.name, **options}
        return file.unchanged(read_chunks(file.path, **options))


def group_of(path: Path) -> str:
    """What a file's name says it holds: `HToBB_120.root` and `Hbb_000.root` Hbb, `Res2P_0200.parquet` Res2P."""
    stem = _INDEX.sub("", path.stem)
    return _CLASS_OF_STEM.get(stem, stem)


def open_dataset(
    name: str,
    folder_or_files: Path | Sequence[Path],
    *,
    schema: str | Schema,
    selection: tuple[Selection, ...] | None = None,
    mixed: bool = False,
    set_aside: Callable[[DataFile, str], None] | None = None,
    reporter: Reporter | None = None,
) -> Dataset:
    """A dataset of the given files, or of all files of jets in and below a folder.

    selection: cuts that drop jets by named rules; None for those of the schema
    mixed:     whether every file holds all classes: they are then one group, whatever their names
    set_aside: hears of each file that is not a file of jets, and why, in place of an error

    Raises `DataError` where there are no files, two have the same name, or one is not a file of jets (with
    `set_aside`, where none is one).
    """
    form = SCHEMAS[schema] if isinstance(schema, str) else schema
    paths = _find(folder_or_files, MAPPED_SUFFIXES if form.layouts else SUFFIXES)
    files: list[DataFile] = []
    aside: dict[DataFile, str] = {}
    bar_of_files = (reporter or Reporter(quiet=True)).bar("checking files", len(paths), unit="files")
    unkept = None if reporter is None else reporter.warning  # a cache that can only be read may hold all that is wanted
    with bar_of_files as bar, kept_facts(form, unkept=unkept) as facts_of:
        for path in paths:
            group = name if mixed else group_of(path)
            try:
                facts = facts_of(path)
                files.append(DataFile(path, group, facts.entries, facts.digest, facts.stamp))
            except DataError as error:
                if set_aside is None:
                    raise
                bad = DataFile(path, group, entries=0, digest="")
                aside[bad] = str(error)
                set_aside(bad, str(error))
            bar.advance()
    if not files:
        raise DataError(f"{name}: not one of its {len(paths)} files can be used:\n" + "\n".join(aside.values()))
    ordered = tuple(sorted(files, key=lambda file: (file.group, file.name)))
    return Dataset(name, form, ordered, form.selection if selection is None else selection, aside=aside)


def split_files(
    dataset: Dataset, *, seed: int, train: float, validation: float, test: float
) -> dict[str, tuple[DataFile, ...]]:
    """The files of each split: whole files, drawn within each group, so that classes stay balanced.

    train, validation, test: files of each group (integers), or fractions of its files that add up to at most 1
        (the train split takes what rounding leaves), at least one file each

    The order in which a group's files are drawn is that of sha256("SEED/NAME"): it depends on the seed and the
    files' names alone, not on folders, on other groups, or on the machine. Test files are drawn first, then
    validation, then train, so more training files change neither of the others. Where the publisher has split the
    dataset, its splits are taken instead, whole.

    Raises `DataError` where a group has too few files, two files of different splits hold the same jets, or the files
    say nothing of what a jet is.
    """
    if not dataset.schema.labels:
        raise DataError(
            f"{dataset.name}: its files have no labels, so nothing can be measured on them; "
            "embed them with `jetassay embed`, or convert them and add labels of your own"
        )
    if dataset.splits:
        return _published(dataset)
    wanted = dict(zip(SPLITS, (train, validation, test), strict=True))
    splits: dict[str, list[DataFile]] = {split: [] for split in SPLITS}
    for group, sound in dataset.groups.items():
        files = (*sound, *(file for file in dataset.aside if file.group == group))
        drawn = sorted(files, key=lambda file: hashlib.sha256(f"{seed}/{file.name}".encode()).digest())
        counts = _counts(wanted, len(files), f"{dataset.name}: {group}")
        for split in reversed(SPLITS):
            splits[split] += drawn[: counts[split]]
            drawn = drawn[counts[split] :]
    return _usable(splits, dataset.aside)


def _published(dataset: Dataset) -> dict[str, tuple[DataFile, ...]]:
    """The publisher's splits. Raises `DataError` where one has no file, or two hold the same jets."""
    everything = (*dataset.files, *dataset.aside)
    splits = {
        split: [file for file in everything if any(file.path.match(pattern) for pattern in dataset.splits[split])]
        for split in SPLITS
    }
    for split, files in splits.items():
        if not files:
            raise DataError(
                f"{dataset.name}: no file of the published {split} split ({', '.join(dataset.splits[split])}) is here"
            )
    return _usable(splits, dataset.aside)


def _usable(splits: Mapping[str, Sequence[DataFile]], aside: Mapping[DataFile, str]) -> dict[str, tuple[DataFile, ...]]:
    """The splits without the files in `aside`, in the order of a dataset."""
    kept = {split: [file for file in files if file not in aside] for split, files in splits.items()}
    _require_distinct(kept)
    return {split: tuple(sorted(files, key=lambda file: (file.group, file.name))) for split, files in kept.items()}


def _find(folder_or_files: Path | Sequence[Path], suffixes: tuple[str, ...]) -> list[Path]:
    if isinstance(folder_or_files, Path) and not folder_or_files.is_file():
        folder = folder_or_files
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder")
        paths = sorted(
            path for path in folder.rglob("*") if path.suffix in suffixes and not path.name.startswith((".", "_"))
        )
        if not paths:
            raise DataError(f"{folder}: holds no {', '.join(suffixes[:-1])} or {suffixes[-1]} files")
    else:
        paths = [folder_or_files] if isinstance(folder_or_files, Path) else list(folder_or_files)
        if not paths:
            raise DataError("a dataset needs at least one file")
    seen: dict[str, Path] = {}
    for path in paths:
        if path.name in seen:
            raise DataError(
                f"{seen[path.name]} and {path}: two files of one dataset have the same name; rename one of them"
            )
        seen[path.name] = path
    return paths


def _counts(wanted: dict[str, float], available: int, where: str) -> dict[str, int]:
    whole = {split: count for split, count in wanted.items() if isinstance(count, int)}
    if whole and len(whole) < len(wanted):
        raise ConfigError(f"{where}: give all splits as numbers of files or all as fractions, not {wanted}")
    if whole:
        counts = whole
    else:
        total = sum(wanted.values())
        if total > 1 + 1e-9:
            raise ConfigError(f"{where}: the fractions of the splits add up to {total:g}; they may not exceed 1")
        counts = {split: max(1, round(available * wanted[split])) for split in ("validation", "test")}
        counts["train"] = int(available * total + 1e-9) - sum(counts.values())
    if min(counts.values()) < 1 or sum(counts.values()) > available:
        asked = " + ".join(f"{wanted[split]:g} {split}" for split in SPLITS)
        raise DataError(
            f"{where}: {available} files are too few for {asked}; each split needs at least one file of its own"
        )
    return counts


def _require_distinct(splits: dict[str, list[DataFile]]) -> None:
    seen: dict[str, tuple[str, DataFile]] = {}
    for split, files in splits.items():
        for file in files:
            other_split, other = seen.setdefault(file.digest, (split, file))
            if other_split != split:
                raise DataError(
                    f"{other.path} ({other_split}) and {file.path} ({split}) hold the same jets; remove one of them"
                )
