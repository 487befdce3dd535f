"""One leaderboard from a folder of results: several people, machines, suites and splits; no store and no jets."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jetassay.errors import ConfigError, JetAssayError
from jetassay.progress import Reporter
from jetassay.report.board_tables import PROTOCOL, board_tables
from jetassay.report.content import Content, Section, Table, Text
from jetassay.report.merging import Merged, merge
from jetassay.report.page import write_sections
from jetassay.report.result_files import ResultFile, begins_as_results, read_result_file
from jetassay.report.results import load_folder
from jetassay.report.sections import (
    comparison,
    definitions,
    few_shot,
    ladder,
    leaderboard,
    multiclass,
    roc,
    sections,
    similarity,
    throughput,
)
from jetassay.report.splits import splits_section

_SECTIONS: tuple[Callable[[Content], Section | None], ...] = (
    leaderboard.zero_shot,
    roc.section,
    comparison.section,
    similarity.section,
    ladder.section,
    multiclass.section,
    few_shot.section,
    throughput.section,
    definitions.section,
)
"""Those that need scores, curves and logits alone; what needs jets or embeddings is on the page of each execution."""

_DIGITS = 12

_DEEPEST = 2
"""Names of a path from the folder of results down to one of them, where the page goes into that folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The page that was written, and what did not get into its rankings: one sentence each."""

    page: Path
    left_out: tuple[str, ...]


def draw_board(
    folder: Path, *, output: Path | None = None, reference: Path | None = None, reporter: Reporter | None = None
) -> Board:
    """Write report.html from all results in `folder` and below it: result files, and folders of executions.

    output:    folder for the page and its figures; `folder` itself if not given
    reference: one of them, whose jets, splits and versions the others must share to be ranked

    Curves and pairs are drawn of those that came as folders. A file that cannot be used costs nothing but itself: it is
    named on the page, with the reason. Raises `ConfigError` where no file can be used, or `reference` is none of them;
    without `output` also where one lies deeper than in a folder of `folder`, which may then be any folder at all.
    """
    files, folders, refused = _read(folder, apart=output is not None)
    if not files:
        reasons = "".join(f"\n{label}: {reason}" for label, reason in refused)
        raise ConfigError(
            f"{folder}: no result file that can be used; write some: "
            f"jetassay results SUITE --format json --output {folder}/NAME.json{reasons}"
        )
    merged = merge(files, reference=None if reference is None else _label_of(reference, folder, files))
    extra = pd.DataFrame([{"file": label, "what": "everything", "reason": reason} for label, reason in refused])
    left_out = pd.concat([extra, merged.left_out], ignore_index=True) if refused else merged.left_out
    content, shown = _sections(files, folders, merged)
    page = write_sections(
        [shown[0], _left_out(left_out), *shown[1:]],
        title=f"Leaderboard: {folder.resolve().name}",
        lead=_lead(merged, files),
        protocol=content.protocol,
        folder=output or folder,
        reporter=reporter,
    )
    lines = [f"{row.file}: {row.what}: {row.reason}" for row in left_out.itertuples()]
    return Board(page=page.whole(), left_out=tuple(lines))


def _sections(
    files: Mapping[str, ResultFile], folders: Mapping[str, Path], merged: Merged
) -> tuple[Content, tuple[Section, ...]]:
    """What they are made from, and all of them; who gave what comes first."""
    tables, gaps = board_tables(merged, folders)
    content = _content(merged, files, tables)

    def over_splits(_: Content) -> Section | None:
        return splits_section(files, merged)

    made = sections(content, (leaderboard.probe, over_splits, *_SECTIONS))
    return content, (_contributions(files, merged, gaps if tables else ()), *made)


def _lying(folder: Path, *, apart: bool) -> tuple[list[Path], list[Path]]:
    """Folders of executions, and JSON files that lie in none, in `folder` and below it; not what is hidden.

    Files of others that lie deeper than `_DEEPEST` are not looked at. apart: the page goes to another folder; where it
    does not, results that lie so deep raise `ConfigError`.
    """
    executions: list[Path] = []
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        found = [here] if "scores.parquet" in names else []
        executions += found
        if not any(here.is_relative_to(each) for each in executions):
            found = [here / name for name in names if name.endswith(".json") and not name.startswith(".")]
            found = [path for path in found if not _deep(path, folder) or begins_as_results(path)]
            files += found
        deep = None if apart else next((path for path in sorted(found) if _deep(path, folder)), None)
        if deep is not None:
            raise ConfigError(
                f"{folder}: {deep.relative_to(folder)} lies more than one folder deep. If this is a folder of "
                "results, say where the page goes: --output FOLDER; else name the folder that the results lie in"
            )
    return sorted(executions), sorted(files)


def _deep(path: Path, folder: Path) -> bool:
    return len(path.relative_to(folder).parts) > _DEEPEST


def _read(folder: Path, *, apart: bool) -> tuple[dict[str, ResultFile], dict[str, Path], list[tuple[str, str]]]:
    """Results by label, the folders of those that are folders, and label and reason of what cannot be used."""
    files: dict[str, ResultFile] = {}
    folders: dict[str, Path] = {}
    refused: list[tuple[str, str]] = []
    known: dict[str, str] = {}
    executions, others = _lying(folder, apart=apart)
    for path in [*executions, *others]:  # folders first: of the same results, they hold more
        label = path.relative_to(folder).as_posix()
        label = label if path.is_dir() or label.removesuffix(".json") in files else label.removesuffix(".json")
        try:
            found = load_folder(path).as_file() if path.is_dir() else read_result_file(path)
        except FileNotFoundError as error:
            refused.append((label, f"{Path(error.filename or path).name} is missing: half-written or half-copied"))
            continue
        except JetAssayError as error:
            refused.append((label, str(error).removeprefix(f"{path}: ")))
            continue
        text = found.text()
        if text in known:
            refused.append((label, f"the same results as {known[text]}, which count once"))
            continue
        known[text] = label
        files[label] = found
        if path.is_dir():
            folders[label] = path
    return files, folders, refused


def _label_of(reference: Path, folder: Path, files: Mapping[str, ResultFile]) -> str:
    for label in files:
        paths = [(folder / name).resolve() for name in (label, f"{label}.json")]
        if reference.resolve() in paths or str(reference) in {label, f"{label}.json"}:
            return label
    raise ConfigError(f"--reference {reference}: none of the files that can be used: {', '.join(files)}")


def _content(merged: Merged, files: Mapping[str, ResultFile], tables: Mapping[str, pd.DataFrame]) -> Content:
    paragraphs = dict.fromkeys(text for file in files.values() for text in file.definitions)
    if "comparison" in tables:  # ours, and not those of single suites
        paragraphs = dict.fromkeys([*(each for each in paragraphs if not each.startswith("Comparison")), PROTOCOL])
    return Content(
        frame=pd.concat([merged.frame, merged.pairs], ignore_index=True) if len(merged.pairs) else merged.frame,
        tables=tables,
        counts=pd.DataFrame(),
        provenance={},
        protocol="\n\n".join(paragraphs),
        roles={str(name): role for name, role in merged.backbones["role"].items()},
        names={str(name): card for name, card in merged.backbones["card"].items()},
    )


def _contributions(files: Mapping[str, ResultFile], merged: Merged, gaps: Sequence[str]) -> Section:
    """Who gave what, and which backbone comes from which files."""
    sources = pd.DataFrame.from_dict({label: _about(each) for label, each in files.items()}, orient="index")
    dtypes = merged.frame.groupby("backbone")["dtype"].first().reindex(merged.backbones.index).fillna("not said")
    backbones = merged.backbones.assign(weights=merged.backbones["weights"].str[:_DIGITS])
    backbones.insert(2, "computed in", dtypes)
    return Section(
        "Contributions",
        (
            Table(sources, "file", title="Result files", kind="text"),
            Table(backbones.rename(columns={"files": "in these files"}), "backbone", title="Backbones", kind="text"),
            Text(
                "A backbone of the same card, weights and values in several files stands once. Where weights or values "
                "differ, each has the name of its file.",
                "note",
            ),
            *(Text(each, "note") for each in gaps),
        ),
    )


def _about(file: ResultFile) -> dict[str, str]:
    facts = {name: _part(file.provenance, name) for name in ("data", "git", "versions", "machine", "threads")}
    dirty = " with changes" if facts["git"].get("dirty") else ""
    digest = ", ".join(str(each)[:_DIGITS] for each in file.frame["data_digest"].dropna().unique())
    return {
        "suite": file.suite,
        "run at": _text(file.provenance.get("created")),
        "jets of": ", ".join(file.frame["dataset"].dropna().unique()),
        "data digest": digest,
        "commit": f"{_text(facts['git'].get('commit'))[:_DIGITS]}{dirty}",
        "jetassay": _text(facts["versions"].get("jetassay")),
        "torch": _text(facts["versions"].get("torch")),
        "machine": _text(facts["machine"].get("cpu")),
        "threads": _text(facts["threads"].get("used")),
    }


def _part(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = provenance.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(value: Any) -> str:
    return "not said" if value is None else str(value)


def _left_out(rows: pd.DataFrame) -> Section:
    title = "Left out of the rankings"
    if not len(rows):
        return Section(title, (Text("Nothing: all scores of all files are of the same jets, splits and versions."),))
    note = Text("A cell `-` in a table below is a score that nobody gave, or one of these.", "note")
    cells = rows.set_index("file")
    return Section(title, (Table(cells, "file", kind="text"), note))


def _lead(merged: Merged, files: Mapping[str, ResultFile]) -> str:
    frame = merged.frame
    jets = ", ".join(frame["dataset"].dropna().unique())
    digest = ", ".join(each[:_DIGITS] for each in frame["data_digest"].dropna().unique())
    return f"{len(merged.backbones)} backbones from {len(files)} result files, jets of {jets} (digest {digest})"
