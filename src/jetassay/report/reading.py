"""Scores and provenance as they lie in a folder: read without trust, for folders are copied, cut short and edited."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jetassay.errors import ConfigError
from jetassay.tasks.score import COLUMNS, SCHEMA_VERSION, typed

SCORES, PROVENANCE = "scores.parquet", "provenance.json"
"""The files' names."""

_NUMBERS = ("value", "low", "high", "level", "interval", "n_signal", "n_background", "n_survivors")
_IDENTITY = [name for name in COLUMNS if name not in (*_NUMBERS, "schema", "suite", "weights_sha256", "run_id")]
"""What says which score a row is; no two rows share it."""

_MAPPINGS = (
    "roles", "seen_in_training", "cards", "weights", "machine", "threads", "git", "versions", "data", "parameters",
    "timing_s",
)  # fmt: skip
_LISTS = ("missing", "undefined")


def read_scores(folder: Path, *, again: str) -> pd.DataFrame:
    """The long result frame in `folder`, in its fixed types.

    Raises `ConfigError` for scores of another schema version; `again` makes them anew. Raises ValueError or OSError
    for what no run writes: no score, a column less, text for a number, infinity, a score twice, one of no backbone.
    """
    frame = pd.read_parquet(folder / SCORES)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise ValueError(f"{SCORES} has no column {', '.join(absent)}")
    require_schema(frame, where=folder, again=again)
    if not len(frame):
        raise ValueError("no score in it")
    frame = typed(frame[list(COLUMNS)])
    numbers = frame[["value", "low", "high"]].to_numpy(np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        raise ValueError(f"{SCORES} holds infinity, which no score is: changed by hand?")
    if frame["backbone"].isna().any():
        raise ValueError(f"{SCORES} holds scores that say not of which backbone: changed by hand?")
    twice = int(frame.duplicated(_IDENTITY).sum())
    if twice:
        raise ValueError(f"{SCORES} holds {twice} scores twice, and which of them counts is not said: changed by hand?")
    return frame


def read_provenance(folder: Path) -> dict[str, Any]:
    """Everything that the scores in `folder` depend on. Raises as `read_scores`, and TypeError."""
    return checked_provenance(json.loads((folder / PROVENANCE).read_text(encoding="utf-8")))


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
