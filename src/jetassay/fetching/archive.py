"""Unpacking tar archives that somebody else made: every member is checked before the first byte is written."""

import bz2
import gzip
import hashlib
import lzma
import os
import re
import tarfile
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from jetassay.errors import FetchError, JetAssayError
from jetassay.fetching.download import require_space
from jetassay.fetching.remote import safe_name
from jetassay.places import within

_STEP = 1 << 20
_MAX_HEADER = 1 << 20
_SUFFIX = ".unpacking"
_LEFT = re.compile(rf"\.[0-9a-f]{{32}}\{_SUFFIX}")
_DAMAGE = (
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    ArithmeticError,
    LookupError,
    RecursionError,
    MemoryError,
    zlib.error,
    lzma.LZMAError,
)  # fmt: skip - whatever tarfile and the decompressors raise for bytes that are no archive


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold: members, and how much larger than itself (files of jets are compressed already)."""

    members: int = 200_000
    ratio: float = 20.0
    slack: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of an archive: its path inside the target folder, and its bytes."""

    name: str
    size: int


def is_archive(name: str) -> bool:
    """Whether a file is unpacked, by its name."""
    return name.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def survey(path: Path, *, limits: Limits | None = None) -> tuple[Member, ...]:
    """All members, from their headers alone; folders are left out, since they are made as needed.

    Raises `FetchError` for anything but regular files and folders (links, devices, sparse files), for a path outside
    of the target, for a name that comes twice, for more than the limits allow, and for a damaged archive.
    """
    limits = limits or Limits()
    allowed = int(path.stat().st_size * limits.ratio) + limits.slack
    found: dict[str, Member] = {}
    with _opened(path) as archive:
        for count, (name, info) in enumerate(_members(archive, path), start=1):
            if count > limits.members:
                raise FetchError(f"{path}: refused, because it has more than {limits.members} members")
            if info.isdir():
                continue
            if name in found:
                raise FetchError(f"{path}: refused, because it holds {name} twice")
            allowed -= info.size
            if allowed < 0:
                raise FetchError(
                    f"{path}: refused, because unpacked it would be more than {limits.ratio:g} times as large as packed"
                )
            found[name] = Member(name, info.size)
    return tuple(found.values())


def unpack(
    path: Path, target: Path, *, limits: Limits | None = None, advance: Callable[[int], None] | None = None
) -> tuple[Member, ...]:
    """Unpack into `target`; each file is written under another name and renamed when it is whole.

    A file that is there already stays as it is: with the same bytes it counts as unpacked, with others it is an error.
    advance: told the number of bytes after each step. Raises `FetchError` as `survey` does, before anything is
    written, and `StoreError` where the disk is too small. One call at a time for each target.
    """
    members = survey(path, limits=limits)
    for left in target.rglob(f".*{_SUFFIX}"):  # of a process that was killed
        if _LEFT.fullmatch(left.name):
            left.unlink(missing_ok=True)
    require_space(target, sum(each.size for each in members), what=f"unpacking {path.name}")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _opened(path) as archive:
            for name, info in _members(archive, path):
                if not info.isdir():
                    stream = archive.extractfile(info)
                    assert stream is not None  # a regular file, checked
                    _place(stream, info.size, _inside(target, name, path), advance, source=path)
    except OSError as error:
        raise FetchError(f"{target}: {path.name} cannot be unpacked there: {error.strerror or error}") from error
    return members


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """Every member with its checked name."""
    while True:
        with _sound(path):
            info = archive.next()
            archive.members = []  # type: ignore[attr-defined]  # or a list of all headers would grow in memory
        if info is None:
            _require_end(archive, path)
            return
        name = str(safe_name(info.name, where=str(path))) if info.name.strip("./") or not info.isdir() else "."
        if info.issparse() or not (info.isreg() or info.isdir()):
            kind = "link" if info.issym() or info.islnk() else "sparse file" if info.issparse() else "special file"
            raise FetchError(f"{path}: refused, because {name} is a {kind}; only regular files are unpacked")
        if info.size < 0:
            raise FetchError(f"{path}: damaged: {name} has a negative size")
        yield name, info


def _require_end(archive: tarfile.TarFile, path: Path) -> None:
    """A damaged header counts as the end for tarfile; the true end is a block of zeros."""
    with _sound(path):
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"no member and no end at byte {archive.offset}")


def _inside(target: Path, name: str, source: Path) -> Path:
    """The place of a member. Raises `FetchError` where a link that is already there leads out of the folder."""
    place = target / name
    if not within(place.parent, target):
        raise FetchError(f"{source}: refused, because {place.parent} leads out of {target}")
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _place(stream: IO[bytes], size: int, place: Path, advance: Callable[[int], None] | None, *, source: Path) -> None:
    """One member, whole or absent."""
    partial = place.with_name(f".{uuid.uuid4().hex}{_SUFFIX}")
    digest, left = hashlib.sha256(), size
    try:
        with partial.open("xb") as out:
            while left:
                with _sound(source):
                    block = stream.read(min(_STEP, left))
                if not block:
                    raise FetchError(f"{source}: damaged: it ends within {place.name}")
                out.write(block)
                digest.update(block)
                left -= len(block)
                if advance is not None:
                    advance(len(block))
        if place.is_symlink() or place.exists():
            _require_same(place, size, digest.hexdigest(), source=source)
        else:
            partial.rename(place)
    finally:
        partial.unlink(missing_ok=True)


def _require_same(place: Path, size: int, digest: str, *, source: Path) -> None:
    if place.is_file() and not place.is_symlink() and place.stat().st_size == size:
        with place.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() == digest:
                return
    raise FetchError(
        f"{place}: is in the way of another file of that name in {source.name}; it was left as it is. "
        "Move it away, or unpack into another folder with --output"
    )


class _Guarded:
    """A stream for tarfile that only goes forward, in small steps: headers that say otherwise are an attack."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, count: int) -> bytes:
        if not 0 <= count <= _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {count} bytes")
        content: bytes = self._stream.read(count)
        return content

    def tell(self) -> int:
        place: int = self._stream.tell()
        return place

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or place < self._stream.tell() - tarfile.BLOCKSIZE:
            raise tarfile.ReadError("a header that leads back")
        reached: int = self._stream.seek(place)
        return reached


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive, whatever it is packed with, told by its first bytes."""
    openers: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
    with _sound(path):
        with path.open("rb") as stream:
            head = stream.read(6)
        opener = next((each for magic, each in openers.items() if head.startswith(magic)), open)
        raw = opener(path, "rb")
    with raw:
        with _sound(path):
            archive = tarfile.TarFile(fileobj=_Guarded(raw), mode="r", errorlevel=2)  # type: ignore[arg-type]
        yield archive


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    try:
        yield
    except JetAssayError:
        raise
    except _DAMAGE as error:
        raise FetchError(f"{path}: damaged or not a tar archive: {error}; fetch it again") from error
