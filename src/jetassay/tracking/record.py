"""What is handed over to be tracked: plain facts of a suite that was run, all of them on disk already."""

import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from jetassay.errors import TrackingError
from jetassay.jets.classes import CLASS_NAMES
from jetassay.tasks.score import COLUMNS

RECORD_VERSION = 1  # rises when runs are written differently, so that old results may be recorded anew
HEADLINE_TASK = "probe"
VOLATILE_TASKS = ("throughput",)  # a new measurement of the same thing: no reason for a new run
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*")

Parameter = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneRecord:
    """One backbone in a suite, besides its scores.

    parameters: only what is worth comparing between backbones: architecture, feature set, embedding width
    timing_s: seconds of wall time by stage, for this backbone alone
    artifacts: files or folders that go with each of its runs
    description: Markdown, shown on top of each of its runs
    """

    name: str
    role: str = "backbone"
    weights_sha256: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    timing_s: Mapping[str, float] = field(default_factory=dict)
    artifacts: tuple[Path, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRecord:
    """One suite that was run.

    suite_id: equal for executions that must give equal numbers (a digest of settings, jets, weights and code)
    series, series_id: name and digest that executions share which differ in the seed of the split alone; those of the
        suite where none is given
    frame: the long result frame, with the columns of `tasks.score.COLUMNS`
    provenance: of the whole suite, from `collect_provenance`
    backbones: every backbone that the frame mentions
    artifacts: files or folders of the suite: the frame as parquet, figures, the report page
    description: Markdown with the headline table

    Raises `TrackingError` where a column, a backbone or an artifact is missing, or a name could not be searched for.
    """

    suite: str
    suite_id: str
    frame: pd.DataFrame
    provenance: Mapping[str, Any]
    backbones: tuple[BackboneRecord, ...]
    artifacts: tuple[Path, ...] = ()
    description: str = ""
    series: str = ""
    series_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", self.series or self.suite)
        object.__setattr__(self, "series_id", self.series_id or self.suite_id)
        for what, name in [
            ("suite", self.suite),
            ("suite_id", self.suite_id),
            ("series", self.series),
            ("series_id", self.series_id),
            *[("backbone", each.name) for each in self.backbones],
        ]:
            if not _NAME.fullmatch(name):
                raise TrackingError(f"{what} '{name}' cannot be tracked: use letters, digits and _ . @ - only")
        absent = [name for name in COLUMNS if name not in self.frame.columns]
        if absent:
            raise TrackingError(f"suite '{self.suite}': the result frame lacks {', '.join(absent)}; write it again")
        mentioned = {name for column in ("backbone", "backbone_b") for name in self.frame[column].dropna() if name}
        unknown = sorted(mentioned - {each.name for each in self.backbones})
        if unknown:
            raise TrackingError(f"suite '{self.suite}': scores of {', '.join(unknown)}, but no record of them")
        paths = [*self.artifacts, *(path for each in self.backbones for path in each.artifacts)]
        lost = [str(path) for path in paths if not path.exists()]
        if lost:
            raise TrackingError(f"suite '{self.suite}': files to be kept with the runs are gone: {', '.join(lost)}")

    def seeds(self, backbone: str) -> tuple[int | None, ...]:
        """Seeds of the backbone's own scores; one None where no score has a seed."""
        found = sorted(int(seed) for seed in self._own(backbone)["seed"].dropna().unique())
        return tuple(found) or (None,)

    def rows(self, backbone: str, seed: int | None) -> pd.DataFrame:
        """Scores of one run: those of the backbone with this seed, or that depend on no seed."""
        own = self._own(backbone)
        return own[own["seed"].isna() | (own["seed"] == seed)] if seed is not None else own

    def shared_rows(self) -> pd.DataFrame:
        """Scores that belong to the suite: those of pairs of backbones, and of none."""
        return self.frame[self._is_shared()]

    def _own(self, backbone: str) -> pd.DataFrame:
        return self.frame[(self.frame["backbone"] == backbone).fillna(value=False) & ~self._is_shared()]

    def _is_shared(self) -> pd.Series:
        alone = self.frame["backbone"].fillna("") == ""
        return alone | self.frame["backbone_b"].notna()


def score_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as dictionaries by column name."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict(orient="records")]


def given(value: Any) -> bool:
    """Whether a score uses this column."""
    return not (value is None or pd.isna(value) or value == "")


def probed_signals(frame: pd.DataFrame) -> tuple[str, ...]:
    """Signals that the probe measured for any backbone, in the order of the jet classes."""
    order = {name: place for place, name in enumerate(CLASS_NAMES)}
    found = frame.loc[frame["task"] == HEADLINE_TASK, "signal"].dropna().unique()
    return tuple(sorted(found, key=lambda name: (order.get(name, len(order)), name)))


def result_digest(rows: pd.DataFrame, facts: Mapping[str, Any]) -> str:
    """sha256 hex over scores and facts, whatever the order of rows; two recordings of it would be the same run.

    Timings and the scores of `VOLATILE_TASKS` do not count, nor does the run that a score is in.
    """
    text = io.StringIO()
    kept = rows[~rows["task"].isin(VOLATILE_TASKS)].drop(columns="run_id")
    kept.to_csv(text, index=False, header=False, columns=sorted(kept.columns))
    lines = sorted(text.getvalue().splitlines())
    payload = json.dumps([RECORD_VERSION, dict(facts), lines], sort_keys=True, default=str)
    return hashlib.sha256(payload.encode()).hexdigest()
