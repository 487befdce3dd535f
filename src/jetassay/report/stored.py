"""Results of others and of before: a suite's name, a folder, or a JSON file of `jetassay results --format json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jetassay.errors import ConfigError
from jetassay.report.reading import read_provenance, read_scores
from jetassay.report.result_files import read_result_file
from jetassay.report.results import results_folder

_WANTED = "give a suite that was run, a folder with scores.parquet and provenance.json, or a file of `jetassay results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Scores and what they depend on, wherever they lie.

    source:     as it was asked for
    frame:      the long result frame
    provenance: everything the numbers depend on
    folder:     where its long tables lie; None for a file of scores alone
    """

    source: str
    frame: pd.DataFrame
    provenance: Mapping[str, Any]
    folder: Path | None = None


def read_stored(source: str) -> Stored:
    """The results called `source`; a folder or file that exists wins over a suite of that name.

    Raises `ConfigError` where there are none, they are damaged, changed by hand, or of another schema version.
    """
    path = Path(source)
    if path.suffix == ".toml":
        path = results_folder(path.stem)
    elif not path.exists() and path.name == source:  # a bare name; anything else is a path, and nothing is there
        path = results_folder(source)
    try:
        frame, about = _json(path) if path.is_file() else _folder(path)
    except FileNotFoundError as error:
        lost = Path(error.filename or path)
        there = f"{lost.name} is missing from {path}" if path.is_dir() else "no results there"
        raise ConfigError(f"{source}: {there}; {_WANTED} SUITE --format json`") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: results cannot be read ({error}); {_WANTED} SUITE --format json`") from error
    if not len(frame):
        raise ConfigError(f"{path}: no score in it; run the suite again")
    folder = None if path.is_file() else path
    return Stored(source=source, frame=frame, provenance=about, folder=folder)


def _folder(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    return read_scores(path, again="run it again"), read_provenance(path)


def _json(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    found = read_result_file(path)
    return found.frame, dict(found.provenance)
