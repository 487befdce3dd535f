"""Results as one small text file to keep in git and to send: a score a line, and a digest over all of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from jetassay.errors import ConfigError
from jetassay.tasks.score import COLUMNS, SCHEMA_VERSION, typed

KIND = "jetassay results"
FILE_VERSION = 2
"""Rises when files are laid out differently; 1 had one object a score and no digest."""

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

    def text(self) -> str:
        """The file's content. Equal results give equal bytes; folders of this machine are left out."""
        shared, columns, rows = _compact(self.frame)
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
        whole = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read, half-written or no JSON ({error}); {_AGAIN}") from error
    if not isinstance(whole, dict) or "scores" not in whole:
        raise ConfigError(f"{path}: cannot be read as results: no file of `jetassay results SUITE --format json`")
    _check_version(path, whole)
    found = whole.pop("digest", None)
    if found != (computed := _digest(whole)):
        raise ConfigError(
            f"{path}: changed after it was written: its digest is {str(found)[:12]}, its content's {computed[:12]}; "
            f"{_AGAIN}"
        )
    return _parsed(path, whole)


def require_schema(frame: pd.DataFrame, *, where: Path, again: str) -> None:
    """Raises `ConfigError` for scores of another schema version than this one's; `again` makes them anew."""
    others = sorted({str(each) for each in frame["schema"].unique()} - {str(SCHEMA_VERSION)})
    if others:
        raise ConfigError(f"{where}: scores of schema {others[0]}, this version reads {SCHEMA_VERSION}; {again}")


def _check_version(path: Path, whole: Mapping[str, Any]) -> None:
    version = whole.get("schema")
    if version != FILE_VERSION:
        newer = isinstance(version, int) and version > FILE_VERSION
        what = "take a newer jetassay" if newer else _AGAIN
        raise ConfigError(f"{path}: a file of schema {version}, this version reads {FILE_VERSION}; {what}")
    if whole.get("kind") != KIND:
        raise ConfigError(f"{path}: cannot be read as results: no file of `jetassay results SUITE --format json`")


def _parsed(path: Path, whole: Mapping[str, Any]) -> ResultFile:
    """Without trust in what somebody else wrote, although its digest fits."""
    try:
        missing = [name for name in _NEEDED if name not in whole]
        frame = pd.DataFrame(whole["scores"], columns=whole["columns"]).assign(**whole["shared"])
        frame = typed(frame[list(COLUMNS)])
        parts = {name: whole[name] for name in ("suite", "title", "counts")}
        provenance, definitions = dict(whole["provenance"]), tuple(str(each) for each in whole["definitions"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
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


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that a result can have")
