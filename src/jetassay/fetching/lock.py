"""The lock beside fetched data: what the publisher listed, what was verified, what was unpacked."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from jetassay.errors import FetchError
from jetassay.fetching.remote import RemoteFile, safe_name
from jetassay.records import Record
from jetassay.whole_files import whole_file

LOCK_NAME = "fetched.lock.json"


class LockedFile(Record):
    """What is known of one file.

    urls, size, checks: as the publisher listed them when first asked; after verification `checks` has every hash
    source:   where it was taken from, once it was verified; mtime_ns: its time of change then
    members:  for an unpacked archive, path -> bytes
    """

    urls: tuple[str, ...] = ()
    size: int | None = None
    checks: dict[str, str] = Field(default_factory=dict)
    source: str | None = None
    mtime_ns: int | None = None
    members: dict[str, int] | None = None


class Lock(Record):
    """The lock of one folder.

    origin: who listed the files; listed: when, None where no publisher was asked yet
    """

    version: int = 1
    dataset: str
    origin: str
    listed: str | None = None
    files: dict[str, LockedFile] = Field(default_factory=dict)

    def remote(self, name: str) -> RemoteFile:
        """A listed file, to be fetched and compared with what the lock says."""
        each = self.files[name]
        return RemoteFile(name=name, urls=each.urls, size=each.size, checks=each.checks)

    def with_file(self, name: str, file: LockedFile) -> Self:
        """The same lock with one more file, or with another state of it."""
        return self.model_copy(update={"files": {**self.files, name: file}})

    def joined(self, listing: tuple[RemoteFile, ...], *, when: str) -> Self:
        """The same lock with all files of a listing. Raises `FetchError` where it says something else than the lock."""
        files = dict(self.files)
        for each in listing:
            known = files.get(each.name, LockedFile())
            agrees(known.checks, each.checks, f"{self.origin}: {each.name}")
            files[each.name] = known.model_copy(
                update={"urls": each.urls, "size": each.size, "checks": {**known.checks, **each.checks}}
            )
        return self.model_copy(update={"files": files, "listed": when})

    def save(self, folder: Path) -> None:
        """Write it into `folder`."""
        with whole_file(folder / LOCK_NAME) as path:
            path.write_text(self.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")


def read_lock(folder: Path) -> Lock | None:
    """The lock in `folder`. Raises `FetchError` where it is damaged."""
    path = folder / LOCK_NAME
    try:
        lock = Lock.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, ValidationError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise FetchError(
            f"{path}: not a lock of this version: {reason}. Move it away and fetch again: files that are there are "
            "compared with the publisher's listing"
        ) from error
    for name, each in lock.files.items():
        for inside in (name, *(each.members or {})):
            safe_name(inside, where=str(path))
    return lock


def agrees(known: Mapping[str, str], said: Mapping[str, str], where: str) -> None:
    """Raises `FetchError` where two sets of hashes of one file contradict each other."""
    for kind, digest in said.items():
        if known.get(kind, digest) != digest:
            raise FetchError(
                f"{where}: listed now with {kind} {digest}, but the file that was fetched before has {known[kind]}: it "
                "was replaced or came from elsewhere. Fetch into another folder with --output to have the listed one"
            )


def with_checks(file: RemoteFile, checks: Mapping[str, str]) -> RemoteFile:
    """The file with more to compare it with."""
    return replace(file, checks={**checks, **file.checks})
