"""What a suite leaves on disk, one folder a suite under `reports/`: scores, counts, provenance, figures, page.

Scores are written here before anything else is told of them, so no later failure can lose a number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from jetassay.backbones.catalogue import backbone_cards
from jetassay.errors import ConfigError
from jetassay.masking import mask_values
from jetassay.places import workspace
from jetassay.progress import Reporter
from jetassay.report.content import Content
from jetassay.report.gaps import Page
from jetassay.report.jet_rows import JET_TABLES, JetRows
from jetassay.report.page import write_page
from jetassay.report.reading import read_provenance, read_scores, take_text
from jetassay.report.result_files import ResultFile
from jetassay.report.sections.audit import NAME as AUDIT
from jetassay.report.sections.audit import audit_line
from jetassay.report.sections.comparison import ranks_text
from jetassay.report.tables import (
    REJECTION,
    aligned,
    background_of,
    leaderboard_cells,
    leaderboard_text,
    markdown,
    matrix,
    throughput_cells,
)
from jetassay.whole_files import whole_file

SEEN = "seen in training"
"""How backbones are marked that have seen the dataset in training."""

GONE = "no card"
"""How backbones are marked whose card is no longer there."""

TABLES = "tables"
"""The folder, beside the scores, of everything long that figures are drawn from."""

_ON_SCREEN = ("probe", "zero-shot")
"""Tasks whose leaderboards a terminal shows; the page shows all."""

_BACKBONES = ("backbone", "backbone_b")
"""Columns that name backbones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The outcome of one execution of a suite.

    frame: the long result frame, one score a row
    counts: jets of each split and class, dropped and truncated
    provenance: everything the numbers depend on
    protocol: how the scores are defined, in a sentence or two
    tables: name -> curves and other long tables that figures are drawn from
    jet_tables: name -> table with a row for each test jet
    unranked: backbone -> why it stands apart from the rankings
    """

    suite: str
    title: str
    frame: pd.DataFrame
    counts: pd.DataFrame
    provenance: Mapping[str, Any]
    protocol: str
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    jet_tables: Mapping[str, JetRows] = field(default_factory=dict)
    unranked: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Texts of a suite and its tasks, before any of them is written, drawn, kept for later or sent."""
        for name in ("title", "protocol", "provenance", "unranked"):
            object.__setattr__(self, name, mask_values(getattr(self, name)))

    @property
    def folder(self) -> Path:
        """Where everything of this suite lies."""
        return results_folder(self.suite)

    @property
    def seen(self) -> Mapping[str, str]:
        """Backbones that have seen the dataset in training, and why."""
        found: Mapping[str, str] = self.provenance.get("seen_in_training", {})
        return found

    @property
    def shown(self) -> pd.DataFrame:
        """The frame as people see it: backbones that saw the dataset in training or lost their card are named so."""
        return self._marked(self.frame)

    @property
    def content(self) -> Content:
        """What the page's sections are made from."""
        roles: Mapping[str, str] = self.provenance.get("roles", {})
        return Content(
            frame=self.shown,
            tables={name: self._marked(table) for name, table in self.tables.items()},
            jet_tables=self.jet_tables,
            counts=self.counts,
            provenance=self.provenance,
            protocol=self.protocol,
            roles={self._name(name): role for name, role in roles.items()},
            names={self._name(name): name for name in (*self.seen, *self.unranked)},
            unranked={self._name(name): why for name, why in self.unranked.items()},
        )

    def _name(self, backbone: str) -> str:
        marks = [words for words, names in ((SEEN, self.seen), (GONE, self.unranked)) if backbone in names]
        return f"{backbone} ({', '.join(marks)})" if marks else backbone

    def _marked(self, table: pd.DataFrame) -> pd.DataFrame:
        columns = [name for name in _BACKBONES if name in table.columns] if self.seen or self.unranked else []
        return table.assign(**{name: table[name].map(self._name, na_action="ignore") for name in columns})

    def save(self) -> None:
        """Write scores as parquet and CSV, definitions, counts and provenance; each file whole or not at all."""
        with whole_file(self.folder / "scores.parquet") as path:
            self.frame.to_parquet(path, index=False)
        with whole_file(self.folder / "scores.csv") as path:
            self.frame.to_csv(path, index=False)
        with whole_file(self.folder / "definitions.txt") as path:
            path.write_text(self.protocol + "\n", encoding="utf-8")
        for name, table in self.tables.items():
            with whole_file(self.folder / TABLES / f"{name}.parquet") as path:
                table.to_parquet(path, index=False)
        for name, rows in self.jet_tables.items():
            rows.save(self.folder / TABLES / f"{name}.parquet")
        for stale in (self.folder / TABLES).glob("*.parquet"):
            if stale.stem not in {*self.tables, *self.jet_tables}:
                stale.unlink()
        with whole_file(self.folder / "counts.csv") as path:
            self.counts.to_csv(path, index_label="split")
        about = {"suite": self.suite, "title": self.title, "protocol": self.protocol, **self.provenance}
        with whole_file(self.folder / "provenance.json") as path:
            path.write_text(json.dumps(about, indent=1) + "\n")

    def draw(self, folder: Path | None = None, *, reporter: Reporter | None = None) -> Page:
        """Draw all figures and the page, in the suite's folder if no other is given; gives its path and its gaps."""
        return write_page(self.content, title=self.title, folder=folder or self.folder, reporter=reporter)

    def as_file(self) -> ResultFile:
        """What of it goes into one small file to keep and to send."""
        return ResultFile(
            suite=self.suite,
            title=self.title,
            frame=self.frame,
            provenance=self.provenance,
            definitions=tuple(self.protocol.split("\n\n")) if self.protocol else (),
            counts=json.loads(self.counts.to_json(orient="index")),
        )

    def table(self, *, width: int) -> str:
        """The answer on one screen: audit, AUC and rejection by backbone and signal, ranks, similarity, throughput.

        Backbones whose card is no longer there stand last and have no rank; a line at the end says why.
        """
        parts = [audit_line(self.tables[AUDIT])] if len(self.tables.get(AUDIT, ())) else []
        shown = self.shown.iloc[self.frame["backbone"].isin(list(self.unranked)).argsort(kind="stable")]
        tasks = set(shown["task"])
        parts += [leaderboard_text(shown, width=width, task=task) for task in _ON_SCREEN if task in tasks]
        if "comparison" in self.tables:
            parts.append(ranks_text(self.content, width=width))
        if "similarity" in tasks:
            cka = matrix(shown, "cka", where="all").map(lambda value: f"{value:.2f}")
            numbered = cka.set_axis([str(k + 1) for k in range(len(cka))], axis=1)
            numbered.index = pd.Index([f"{k + 1} {name}" for k, name in enumerate(cka.index)])
            parts.append("Debiased linear CKA, all test jets\n" + aligned(numbered, width=width))
        if "throughput" in tasks:
            parts.append(
                "Throughput in jets per second, median of rounds (slowest to fastest)\n"
                + aligned(throughput_cells(shown), width=width)
            )
        parts += [f"{name}: {why}" for name, why in self.unranked.items()]
        return "\n\n".join(parts)

    def markdown(self) -> str:
        """The headline table, for a run's description."""
        if "probe" not in set(self.shown["task"]):
            return self.title
        auc, rejection = (leaderboard_cells(self.shown, metric) for metric in ("auc", REJECTION))
        return (
            f"{self.title}\n\nAUC of each signal against {background_of(self.frame)}\n\n"
            f"{markdown(auc, corner='backbone')}\n\n"
            f"Background rejection at each class's working point\n\n{markdown(rejection, corner='backbone')}"
        )


def results_folder(suite: str) -> Path:
    """`reports/SUITE` in the workspace. Raises `ConfigError` for a name that is none and would lead elsewhere."""
    if not suite or suite in {".", ".."} or "/" in suite or "\\" in suite:
        raise ConfigError(f"'{suite}' is not the name of a suite; see `jetassay list suites`")
    return workspace() / "reports" / suite


def load_results(suite: str) -> Results:
    """The last results of `suite`, a name or a suite's own file.

    Raises `ConfigError` where it was not run yet or its files are damaged.
    """
    asked, suite = suite, Path(suite).stem if suite.endswith(".toml") else suite
    try:
        return replace(load_folder(results_folder(suite), again=f"jetassay run {asked}"), suite=suite)
    except FileNotFoundError as error:
        folder = results_folder(suite)
        if (folder / "scores.parquet").exists():
            lost = Path(error.filename or folder).name
            again = f"half-written or half-copied; run again: jetassay run {asked}"
            raise ConfigError(f"{folder}: {lost} is missing: {again}") from error
        there = sorted(path.parent.name for path in folder.parent.glob("*/scores.parquet"))
        raise ConfigError(
            f"{folder}: no results of suite '{suite}'; run it first: jetassay run {asked}. "
            f"There are results of: {', '.join(there) or 'none'}."
        ) from error


def load_folder(folder: Path, *, again: str = "jetassay run SUITE") -> Results:
    """The results in `folder`, on whichever machine they were made.

    again: what makes them anew. Raises `ConfigError` where files are damaged, half-written or of another schema
    version, `FileNotFoundError` where one is missing.
    """
    try:
        frame, about = read_scores(folder, again=again), read_provenance(folder)
        counts = pd.read_csv(folder / "counts.csv", index_col="split")
        title, protocol = take_text(about, "title"), take_text(about, "protocol")
        suite = about.pop("suite", folder.name)
        paths = sorted((folder / TABLES).glob("*.parquet"))
        tables = {path.stem: pd.read_parquet(path) for path in paths if path.stem not in JET_TABLES}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: results cannot be read ({error}); run again: {again}") from error
    return Results(
        suite=str(suite),
        title=title,
        frame=frame,
        counts=counts,
        provenance=about,
        protocol=protocol,
        tables=tables,
        jet_tables={path.stem: JetRows((path,)) for path in paths if path.stem in JET_TABLES},
    )


def vanished_cards(results: Results) -> dict[str, str]:
    """Backbones with scores that nobody here can embed again, and why."""
    known = set(backbone_cards())
    return {
        name: f"there is no card '{name.partition('@')[0]}' any more; its scores are kept, and it is not ranked"
        for name in dict.fromkeys(results.frame["backbone"].dropna())
        if name and name.partition("@")[0] not in known
    }


def render_results(suite: str, *, format: str, output: Path | None, width: int, slim: bool = False) -> str:  # noqa: A002 - the option's name
    """The results as a table, CSV, JSON or parquet; gives the text to print. slim: JSON of what a leaderboard needs."""
    if slim and format != "json":
        raise ConfigError("--slim goes with --format json")
    results = load_results(suite)
    if format == "parquet":
        if output is None:
            raise ConfigError("parquet is not text: give --output FILE.parquet")
        with whole_file(output) as path:
            results.frame.to_parquet(path, index=False)
        return str(output)
    if format == "csv":
        text = results.frame.to_csv(index=False).rstrip("\n")
    elif format == "json":
        file = results.as_file()
        text = (file.slim() if slim else file).text()
    else:
        text = replace(results, unranked=vanished_cards(results)).table(width=width)
    if output is None:
        return text
    with whole_file(output) as path:
        path.write_text(text + "\n", encoding="utf-8")
    return str(output)
