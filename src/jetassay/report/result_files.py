"""Results as one small text file to keep in git and to send: a score a line, and a digest over all of it."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from jetassay.errors import ConfigError
from jetassay.report.reading import checked_provenance, require_schema, require_sound
from jetassay.tasks.score import COLUMNS, typed

KIND = "jetassay results"
FILE_VERSION = 3
"""Rises when files are laid out differently; 1 had one object a score and no digest, 2 no `names`."""

_READ = (2, FILE_VERSION)
_LONG = ("weights_sha256", "interval", "run_id")
"""Columns of long words that repeat: a score holds the place in `names`."""

LEADERBOARD = ("probe", "zero-shot", "knn", "mlp-probe", "multiclass", "few-shot", "throughput")
"""Tasks that the leaderboard of several result files shows."""

LEFT_OUT = "left_out"

_BEGINNING = 4096
"""Bytes of a file in which its kind stands."""

_WRITE = "jetassay results SUITE --format json --output FILE"
_AGAIN = f"write it again: {_WRITE}"
_NEEDED = ("suite", "title", "provenance", "definitions", "counts", "columns", "shared", "scores")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """What such a file holds: everything of an execution but curves and figures.

    frame:       the long result frame, one score a row
    counts:      split -> jets, files, entries, dropped
    definitions: how the scores are defined, a paragraph each
    """

    suite: str
    title: str
    frame: pd.DataFrame
    provenance: Mapping[str, Any]
    definitions: tuple[str, ...] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)

    def slim(self) -> "ResultFile":
        """What `jetassay report FOLDER` needs of it, small enough to keep in git.

        Left out, and counted by task in the provenance: single draws, pairs, bins, and tasks that leaderboards do not
        show. The suite itself gives them again. Tracked runs are named no more, for they lie in a store of one's own.
        """
        kept = single_backbones(self.frame) & self.frame["task"].isin(LEADERBOARD)
        lost = self.frame.loc[~kept, "task"].value_counts().sort_index()
        about = {**self.provenance, LEFT_OUT: {str(task): int(count) for task, count in lost.items()}}
        frame = typed(self.frame[kept].assign(run_id=None)).reset_index(drop=True)
        return replace(self, frame=frame, provenance=about)

    def text(self) -> str:
        """The file's content. Equal results give equal bytes; folders of this machine are left out."""
        shared, columns, rows = _compact(self.frame)
        names = _named(columns, rows)
        whole = {
            "kind": KIND,
            "schema": FILE_VERSION,
            "suite": self.suite,
            "title": self.title,
            "provenance": _without_folders(dict(self.provenance)),
            "definitions": list(self.definitions),
            "counts": dict(self.counts),
            "shared": shared,
            "columns": columns,
            "names": names,
            "scores": rows,
        }
        lines = ",\n".join(f"  {json.dumps(row)}" for row in whole.pop("scores"))
        head = json.dumps({"digest": _digest({**whole, "scores": rows}), **whole}, indent=1, allow_nan=False)
        return head.removesuffix("\n}") + f',\n "scores": [\n{lines}\n ]\n}}'


def read_result_file(path: Path) -> ResultFile:
    """The results in `path`, exactly as they were written.

    Raises `ConfigError` for a file that is none, is cut short, was changed after it was written, is of another
    version, or holds no score; `FileNotFoundError` where there is none.
    """
    try:
        whole = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse, parse_float=_finite)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read, half-written or no JSON ({error}); {_AGAIN}") from error
    if not isinstance(whole, dict) or "scores" not in whole:
        raise ConfigError(f"{path}: cannot be read as results: no file of `jetassay results SUITE --format json`")
    _check_version(path, whole)
    found, computed = whole.pop("digest", None), _digest(whole)
    if found != computed:
        raise ConfigError(
            f"{path}: changed after it was written: its digest is {str(found)[:12]}, its content's {computed[:12]}; "
            f"{_AGAIN}"
        )
    return _parsed(path, whole)


def single_backbones(frame: pd.DataFrame) -> pd.Series:
    """Which scores are of one backbone, over all draws; bool, the frame's index."""
    of_one: pd.Series = frame["backbone"].fillna("").ne("") & frame["backbone_b"].isna() & frame["draw"].isna()
    return of_one


def _check_version(path: Path, whole: Mapping[str, Any]) -> None:
    version = whole.get("schema")
    if version not in _READ:
        newer = isinstance(version, int) and version > FILE_VERSION
        what = "take a newer jetassay" if newer else _AGAIN
        raise ConfigError(
            f"{path}: a file of schema {version}, this version reads {' and '.join(map(str, _READ))}; {what}"
        )
    if whole.get("kind") != KIND:
        raise ConfigError(f"{path}: cannot be read as results: no file of `jetassay results SUITE --format json`")


def begins_as_results(path: Path) -> bool:
    """Whether a file says in its first lines that it is one of results; no more of it is read."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return f'"{KIND}"'.encode() in file.read(_BEGINNING)
    except OSError:  # not ours to read, so not ours
        return False


def _parsed(path: Path, whole: Mapping[str, Any]) -> ResultFile:
    """Without trust in what somebody else wrote, although its digest fits."""
    try:
        missing = [name for name in _NEEDED if name not in whole]
        frame = pd.DataFrame(whole["scores"], columns=whole["columns"]).assign(**whole["shared"])
        for name, words in whole.get("names", {}).items():
            frame[name] = [None if pd.isna(place) else words[int(place)] for place in frame[name]]
        frame = typed(frame[list(COLUMNS)])
        parts = {name: whole[name] for name in ("suite", "title", "counts")}
        provenance = checked_provenance(whole["provenance"])
        definitions = tuple(str(each) for each in whole["definitions"])
        require_sound(frame)
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError) as error:
        reason = f"it has no {', '.join(missing)}" if missing else str(error)
        raise ConfigError(f"{path}: cannot be read as results: {reason}; {_AGAIN}") from error
    require_schema(frame, where=path, again=_WRITE)
    if not len(frame):
        raise ConfigError(f"{path}: no score in it; run the suite again")
    return ResultFile(frame=frame, provenance=provenance, definitions=definitions, **parts)


def _compact(frame: pd.DataFrame) -> tuple[dict[str, Any], list[str], list[list[Any]]]:
    """What all scores share, the other columns, and the rows of these; a missing value is None."""
    plain = frame.astype(object).where(frame.notna(), None)
    same = [str(name) for name in plain if len(set(plain[name])) == 1]
    columns = [str(name) for name in plain if name not in same]
    return {name: plain[name].iloc[0] for name in same}, columns, plain[columns].to_numpy().tolist()


def _named(columns: list[str], rows: list[list[Any]]) -> dict[str, list[str]]:
    """Columns of long words as places in a list of them, changed in `rows`; the lists, in order of appearance."""
    names: dict[str, list[str]] = {}
    for name in [each for each in _LONG if each in columns]:
        at = columns.index(name)
        places: dict[str, int] = {}
        for row in rows:
            if row[at] is not None:
                row[at] = places.setdefault(row[at], len(places))
        names[name] = list(places)
    return names


def _digest(whole: Mapping[str, Any]) -> str:
    """sha256 hex over all but the digest, however the text is laid out."""
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_folders(value: Any) -> Any:
    """Absolute paths as their last part: where files lay on somebody's machine is nobody else's business."""
    if isinstance(value, Mapping):
        return {str(key): _without_folders(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _finite(text: str) -> float:
    return number if math.isfinite(number := float(text)) else _refuse(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that a result can have")
