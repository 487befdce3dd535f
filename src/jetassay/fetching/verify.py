"""Is this the file? Hashes of every kind that publishers give, in one pass over the bytes."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from jetassay.errors import FetchError

KINDS: tuple[str, ...] = ("sha256", "md5", "git_blob")
_STEP = 1 << 20


def digests(path: Path, kinds: Iterable[str], *, advance: Callable[[int], None] | None = None) -> dict[str, str]:
    r"""Hex digests of a file's bytes; `git_blob` is the SHA-1 of `blob SIZE\0` and the bytes.

    advance: told the number of bytes after each step. Raises `FetchError` where the file cannot be read.
    """
    try:
        size = path.stat().st_size
        hashes = {kind: _start(kind, size) for kind in kinds}
        with path.open("rb") as stream:
            while block := stream.read(_STEP):
                for each in hashes.values():
                    each.update(block)
                if advance is not None:
                    advance(len(block))
    except OSError as error:
        raise FetchError(f"{path}: cannot be read: {error.strerror}") from error
    return {kind: each.hexdigest() for kind, each in hashes.items()}


def difference(found: Mapping[str, str], expected: Mapping[str, str]) -> str | None:
    """What to tell of the first hash that is not as expected; None where all agree."""
    for kind, digest in expected.items():
        if found.get(kind, digest) != digest:
            return f"{kind} is {found[kind]} instead of {digest}"
    return None


def _start(kind: str, size: int) -> "hashlib._Hash":
    if kind == "sha256":
        return hashlib.sha256()
    if kind == "md5":
        return hashlib.md5(usedforsecurity=False)
    if kind == "git_blob":
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    raise FetchError(f"a hash of kind '{kind}' is not known; known: {', '.join(KINDS)}")
