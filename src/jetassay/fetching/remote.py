"""What a file to fetch is: a name that stays inside its folder, places to have it from, and what it is known by."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from jetassay.errors import ConfigError, FetchError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_NAMES = 100_000
_MAX_PART = 255  # bytes of one part of a path, as file systems have it


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file.

    name:   path relative to the output folder, with slashes
    urls:   mirrors in order of preference
    local:  the file in a folder, where it is taken from there instead
    size:   bytes, where known
    checks: kind of hash (`sha256`, `md5`, `git_blob`) -> hex digest
    """

    name: str
    urls: tuple[str, ...] = ()
    local: Path | None = None
    size: int | None = None
    checks: Mapping[str, str] = field(default_factory=dict)


def safe_name(name: str, *, where: str) -> PurePosixPath:
    """`name` as a relative path that stays inside the folder it is put in.

    Raises `FetchError` for absolute names, `..`, drive letters, backslashes, control characters and endless names.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    odd = [part for part in parts if part == ".." or len(part.encode("utf-8", "replace")) > _MAX_PART]
    if (
        not parts
        or odd
        or name.startswith("/")
        or "\\" in name
        or ":" in parts[0]
        or not name.isprintable()
        or len(name) > 16 * _MAX_PART
    ):
        raise FetchError(f"{where}: refused, because the name {name[:80]!r} would not stay inside the target folder")
    return PurePosixPath(*parts)


def expand(patterns: Sequence[str]) -> tuple[str, ...]:
    """Names with their ranges written out: `part{0..2}` is part0, part1, part2; `{00..10}` keeps leading zeros."""
    names: list[str] = []
    for pattern in patterns:
        found = _RANGE.search(pattern)
        if found is None:
            names.append(pattern)
            continue
        first, last = found.groups()
        if not 0 <= int(last) - int(first) < _MAX_NAMES:
            raise ConfigError(f"{pattern}: the range must rise and have fewer than {_MAX_NAMES} numbers")
        head, tail = pattern[: found.start()], pattern[found.end() :]
        width = len(first) if first.startswith("0") else 0
        names += expand([f"{head}{k:0{width}d}{tail}" for k in range(int(first), int(last) + 1)])
    return tuple(names)


def is_pattern(name: str) -> bool:
    """Whether a name stands for many, with `*`, `?` or `[`."""
    return any(letter in name for letter in "*?[")


def choose(names: Sequence[str], patterns: Sequence[str], *, where: str) -> tuple[str, ...]:
    """The names that match a pattern, as a whole or by their last part. Raises `FetchError` where one matches none."""
    wanted = expand(patterns)
    short = {name: name.rsplit("/", 1)[-1] for name in names}
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) or fnmatchcase(short[name], pattern) for name in names):
            some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise FetchError(f"{where}: there is no file {pattern}; there are {some or 'no files at all'}")
    return tuple(
        name for name in names if any(fnmatchcase(name, each) or fnmatchcase(short[name], each) for each in wanted)
    )


def shown_size(size: int | None) -> str:
    """Bytes for people: 1.5 MB, or `?` where unknown."""
    if size is None:
        return "?"
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
