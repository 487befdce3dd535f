"""Figures of an earlier page, known by a digest of all that they are drawn from: what did not change is taken again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jetassay.report.pictures import Picture
from jetassay.whole_files import whole_file

RECORD = ".drawn.json"
"""What the PNGs of a folder were drawn from, beside them."""

_PACKAGE = Path(__file__).parent.parent
_LIBRARIES = ("matplotlib", "numpy", "pandas", "pillow", "seaborn")
_NEVER_SHOWN = ("run_id",)
"""Columns that say where a score is filed; it has none before it is tracked, and figures show none."""


class _UnknownError(Exception):
    """Something that figures may be drawn from, and that has no digest."""


def drawing_digest(draw: Callable[..., object]) -> str | None:
    """sha256 of all that a figure is drawn from: function, arguments, this package's source, versions of libraries.

    None where that cannot be known: for what is no `partial` of a function of this package by its own name, or has an
    argument that is neither a frame, text or a number, nor a collection of them.
    """
    if not isinstance(draw, partial):
        return None
    module, name = (getattr(draw.func, each, "") for each in ("__module__", "__qualname__"))
    if not module.startswith("jetassay.") or "<" in name:  # <lambda> and <locals> may hold more than their arguments
        return None
    digest = sha256(f"{_surroundings()} {module} {name}".encode())
    try:
        for part in _parts([draw.args, draw.keywords]):
            digest.update(part)
    except _UnknownError:
        return None
    return digest.hexdigest()


def kept_pictures(folder: Path, digests: Mapping[str, str]) -> dict[str, Picture]:
    """Of the figures (name -> digest) those whose PNG in `folder` is still the one that was drawn from the same."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = {}
    for name, digest in digests.items():
        entry, path = record.get(name) if isinstance(record, dict) else None, folder / f"{name}.png"
        if isinstance(entry, dict) and entry.get("digest") == digest and path.is_file():
            made = Picture(path.read_bytes(), str(entry.get("points")), entry.get("scale") is True)
            if _entry(digest, made) == entry:
                found[name] = made
    return found


def keep_record(folder: Path, digests: Mapping[str, str], drawn: Mapping[str, Picture]) -> None:
    """Say what each of the PNGs was drawn from, where it is known. Raises `StoreError`."""
    record = {name: _entry(digests[name], made) for name, made in drawn.items() if name in digests}
    if not record:
        (folder / RECORD).unlink(missing_ok=True)
        return
    with whole_file(folder / RECORD) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _entry(digest: str, made: Picture) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(made).items() if name != "png"}
    return {"digest": digest, "png": sha256(made.png).hexdigest(), **facts}


@cache
def _surroundings() -> str:
    """Of the code that draws: all of this package, since figures take names, colours and cells from most of it."""
    digest = sha256(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"\0{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _parts(value: Any) -> list[bytes]:
    """What a value consists of; collections say their kind and length, so that no two values give the same."""
    match value:
        case None | bool() | int() | float() | str():
            return [f"{type(value).__name__} {value!r}\n".encode()]
        case pd.DataFrame():
            shown = value.drop(columns=[name for name in _NEVER_SHOWN if name in value.columns])
            head = f"frame {shown.shape} {list(shown.columns)!r} {list(map(str, shown.dtypes))}\n".encode()
            return [head, _column(shown.index), *(_column(column) for _, column in shown.items())]
        case tuple() | list():
            inside = list(value)
        case dict():
            inside = [part for pair in value.items() for part in pair]
        case frozenset() | set():
            inside = sorted(value, key=repr)
        case _:
            raise _UnknownError
    head = f"{type(value).__name__} {len(inside)}\n".encode()
    return [head, *(part for each in inside for part in _parts(each))]


def _column(values: "pd.Series | pd.Index") -> bytes:
    """All values, so that equal bytes mean equal values of one dtype."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return values.to_numpy().tobytes()
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) not in ("string", "empty"):
        return repr(values.tolist()).encode()
    codes, different = pd.factorize(values)  # the same few names in many rows
    order = values.dtype.categories.tolist() if isinstance(values.dtype, pd.CategoricalDtype) else None
    return codes.tobytes() + repr((different.tolist(), order)).encode()
