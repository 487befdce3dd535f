"""Scores and provenance as they lie in a folder: read without trust, for folders are copied, cut short and edited."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jetassay.errors import ConfigError
from jetassay.report.tables import DISCRIMINATION, REJECTION
from jetassay.tasks.score import COLUMNS, SCHEMA_VERSION, typed

SCORES, PROVENANCE = "scores.parquet", "provenance.json"
"""The files' names."""

_NUMBERS = ("value", "low", "high", "level", "interval", "n_signal", "n_background", "n_survivors")
_IDENTITY = [name for name in COLUMNS if name not in (*_NUMBERS, "schema", "suite", "weights_sha256", "run_id")]
"""What says which score a row is; no two rows share it."""

_NAMES = ("backbone", "backbone_b", "signal", "background")
_AUC, _REJECTIONS = ("auc",), ("rejection", REJECTION)

_MAPPINGS = (
    "roles", "seen_in_training", "cards", "weights", "machine", "threads", "git", "versions", "data", "parameters",
    "timing_s",
)  # fmt: skip
_LISTS = ("missing", "undefined")


def read_scores(folder: Path, *, again: str) -> pd.DataFrame:
    """The long result frame in `folder`, in its fixed types.

    Raises `ConfigError` for scores of another schema version; `again` makes them anew. Raises ValueError or OSError
    for what no run writes: no score, a column less, text for a number, a score twice, or what `require_sound` refuses.
    """
    frame = pd.read_parquet(folder / SCORES)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise ValueError(f"{SCORES} has no column {', '.join(absent)}")
    require_schema(frame, where=folder, again=again)
    if not len(frame):
        raise ValueError("no score in it")
    frame = typed(frame[list(COLUMNS)])
    require_sound(frame)
    twice = int(frame.duplicated(_IDENTITY).sum())
    if twice:
        raise ValueError(f"{SCORES} holds {twice} scores twice, and which of them counts is not said: changed by hand?")
    return frame


def require_sound(frame: pd.DataFrame) -> None:
    """Raises ValueError for scores that no run writes, whose types are those of the result frame."""
    numbers = frame[["value", "low", "high"]].to_numpy(np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        raise ValueError("it holds infinity, which no score is: changed by hand?")
    if frame["backbone"].isna().any():
        raise ValueError("it holds scores that say not of which backbone: changed by hand?")
    for column in _NAMES:
        strange = [name for name in frame[column].dropna().unique() if "$" in name or not name.isprintable()]
        if strange:  # a figure reads what stands between two $ as TeX
            raise ValueError(f"the {column} {strange[0]!r} has a character that no name has: changed by hand?")
    value = frame["value"]
    for metrics, wrong in ((_AUC, (value < 0) | (value > 1)), (_REJECTIONS, value <= 0)):
        found = frame[frame["task"].isin(list(DISCRIMINATION)) & frame["metric"].isin(metrics) & wrong.fillna(False)]
        if len(found):
            first = found.iloc[0]
            raise ValueError(f"{first['metric']} of {first['backbone']} is {first['value']}: changed by hand?")


def read_provenance(folder: Path) -> dict[str, Any]:
    """Everything that the scores in `folder` depend on. Raises as `read_scores`, and TypeError."""
    try:
        return checked_provenance(json.loads((folder / PROVENANCE).read_text(encoding="utf-8")))
    except RecursionError as error:
        raise ValueError(f"{PROVENANCE}: tables within tables without end") from error


def checked_provenance(found: Any) -> dict[str, Any]:
    """The same, with every part that others look into of the kind that it has to be; raises TypeError."""
    if not isinstance(found, Mapping):
        raise TypeError("its provenance is no table")
    for names, kind, words in ((_MAPPINGS, Mapping, "table"), (_LISTS, list, "list")):
        wrong = [name for name in names if name in found and not isinstance(found[name], kind)]
        if wrong:
            raise TypeError(f"'{wrong[0]}' in its provenance is no {words}")
    return dict(found)


def take_text(about: dict[str, Any], name: str) -> str:
    """Remove a text from a provenance and give it. Raises KeyError and TypeError."""
    if name not in about:
        raise KeyError(f"no {name} in its provenance")
    text = about.pop(name)
    if not isinstance(text, str):
        raise TypeError(f"'{name}' in its provenance is no text")
    return text


def require_schema(frame: pd.DataFrame, *, where: Path, again: str) -> None:
    """Raises `ConfigError` for scores of another schema version than this one's; `again` makes them anew."""
    others = sorted({str(each) for each in frame["schema"].unique()} - {str(SCHEMA_VERSION)})
    if others:
        raise ConfigError(f"{where}: scores of schema {others[0]}, this version reads {SCHEMA_VERSION}; {again}")
