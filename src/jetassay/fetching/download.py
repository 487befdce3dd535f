"""One file over the network: into NAME.part, going on where it stopped, from the first mirror that has it."""

import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jetassay.errors import FetchError, StoreError
from jetassay.fetching.connection import TIMEOUT_S, AnswerError, UnreachableError, open_url, plainly, whole_number
from jetassay.fetching.remote import RemoteFile, shown_size
from jetassay.progress import Reporter

_STEP = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})$")
_PARTIAL, _RANGE_REFUSED = 206, 416


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait: tries in a row without a new byte, seconds before the first further try, and for an answer."""

    tries: int = 4
    pause_s: float = 1.0
    longest_s: float = 30.0
    timeout_s: float = TIMEOUT_S


class _ChangedError(Exception):
    """What is there does not belong to what the server has now: start again from the first byte."""


def part_of(target: Path) -> Path:
    """Where a file grows before it is whole."""
    return target.with_name(f"{target.name}.part")


def forget_part(target: Path) -> None:
    """Remove what was begun of `target`."""
    part_of(target).unlink(missing_ok=True)
    _facts_of(part_of(target)).unlink(missing_ok=True)


@dataclass(slots=True)
class Download:
    """Brings one remote file to `part_of(target)`.

    plain_http: whether the addresses were given by the user, so that http is allowed
    advance:    told how many bytes there are more (or fewer, where the start had to be repeated)
    """

    remote: RemoteFile
    target: Path
    reporter: Reporter
    plain_http: bool = False
    patience: Patience = Patience()
    advance: Callable[[int], None] = lambda _amount: None
    _answered: bool = False  # whether the mirror has begun to send the file: then a lost connection is worth a retry

    def run(self) -> str:
        """The mirror that gave the last byte. What was received stays where this fails or is stopped.

        Raises `FetchError` where no mirror has the file, `UnreachableError` where none answers, and `StoreError`
        where the disk is full or cannot be written.
        """
        problems: list[FetchError] = []
        part = part_of(self.target)
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            self.advance(_size(part))
            for url in self.remote.urls:
                try:
                    self._from(url, part)
                except FetchError as error:
                    problems.append(error)
                    if url != self.remote.urls[-1]:
                        self.reporter.warning(f"{error}; trying the next mirror")
                else:
                    return url
        except KeyboardInterrupt:
            self.reporter.warning(f"stopped; {part} is kept with {shown_size(_size(part))}: the same command goes on")
            raise
        except OSError as error:
            raise StoreError(f"{part}: cannot be written: {error.strerror}; what was received is kept") from error
        reasons = "\n".join(f"    {each}" for each in problems)
        kept = f"\n{part} is kept: the same command goes on from there." if part.is_file() else ""
        kind = UnreachableError if all(isinstance(each, UnreachableError) for each in problems) else FetchError
        raise kind(f"{self.remote.name}: no mirror gave the file:\n{reasons}{kept}")

    def _from(self, url: str, part: Path) -> None:
        """Try one mirror until the file is whole or it gives nothing more."""
        failures, restarts, self._answered = 0, 0, False
        while True:
            before = _size(part)
            try:
                return self._transfer(url, part)
            except _ChangedError as change:
                restarts += 1
                if restarts > self.patience.tries:
                    raise AnswerError(f"{url}: {change}, again and again") from change
                self.reporter.line(f"{self.remote.name}: {change}; starting again")
                self._discard(part)
                continue
            except (UnreachableError, AnswerError) as error:
                worth_a_try = error.may_pass if isinstance(error, AnswerError) else self._answered
                if not worth_a_try:
                    raise
                failures = 1 if _size(part) > before else failures + 1
                if failures >= self.patience.tries:
                    raise
                wait = self.patience.pause_s * 2 ** (failures - 1)
                asked = error.wait_s if isinstance(error, AnswerError) and error.wait_s is not None else wait
                reason = error
            self.reporter.line(f"{reason}; trying again, {shown_size(_size(part))} are here")
            time.sleep(min(max(asked, 0.0), self.patience.longest_s))

    def _transfer(self, url: str, part: Path) -> None:
        """One connection."""
        have, facts = _size(part), _read_facts(part)
        if have and have in {self.remote.size, facts.get("total")}:
            return
        validator = facts.get("validator")
        if have and validator is None and not self.remote.checks:
            self._discard(part)  # nothing would tell whether the two halves belong together
            have = 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and validator is not None:
            headers["If-Range"] = str(validator)
        with open_url(url, plain_http=self.plain_http, headers=headers, timeout_s=self.patience.timeout_s) as answer:
            total = self._total(url, answer, have, facts)
            if have and answer.status != _PARTIAL:
                self.reporter.line(f"{self.remote.name}: the server sends it from the start")
                self._discard(part)
                have = 0
            self._answered = True
            _require_space(part, total, have)
            _facts_of(part).write_text(json.dumps({"validator": _validator(answer.headers), "total": total}))
            self._copy(url, answer, part, have=have, total=total)

    def _total(self, url: str, answer: Any, have: int, facts: dict[str, Any]) -> int | None:
        """Bytes of the whole file after this answer, which must fit what is asked for and what is here."""
        if answer.status == _RANGE_REFUSED:
            raise _ChangedError(f"the server has no byte {have}")
        total = whole_number(answer.headers.get("Content-Length"))
        if answer.status == _PARTIAL:
            found = _CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
            if not have or found is None or int(found[1]) != have:
                raise _ChangedError("the server sends another range than asked for")
            total = int(found[3])
            if facts.get("total") not in {None, total}:
                raise _ChangedError("the file has another size than before")
        if self.remote.size is not None and total not in {None, self.remote.size}:
            raise AnswerError(f"{url}: {total} bytes instead of {self.remote.size}")
        if answer.headers.get_content_type() == "text/html" and not self.remote.name.endswith((".html", ".htm")):
            raise AnswerError(f"{url}: a web page instead of the file; is there a login page or a proxy in between?")
        return total

    def _copy(self, url: str, answer: Any, part: Path, *, have: int, total: int | None) -> None:
        expected = total if total is not None else self.remote.size
        with part.open("ab") as stream:
            while True:
                with plainly(url):
                    block = answer.read1(_STEP)
                if not block:
                    break
                if expected is not None and have + len(block) > expected:
                    raise AnswerError(f"{url}: sends more than the {expected} bytes of the file")
                stream.write(block)
                have += len(block)
                self.advance(len(block))
        if expected is not None and have < expected:
            raise UnreachableError(f"{url}: the connection ended after {have} of {expected} bytes")

    def _discard(self, part: Path) -> None:
        self.advance(-_size(part))
        part.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, *, what: str) -> None:
    """Raises `StoreError` where the disk of `folder` (or of its nearest parent) has fewer than `needed` bytes free."""
    existing = next(each for each in (folder, *folder.resolve().parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise StoreError(
            f"{folder}: {what} needs {shown_size(needed)}, but only {shown_size(free)} are free. Choose another "
            "place with --output, or fewer files with --files"
        )


def _require_space(part: Path, total: int | None, have: int) -> None:
    if total is not None:
        require_space(part.parent, total - have, what=part.name.removesuffix(".part"))


def _validator(headers: Any) -> str | None:
    """What tells this version of the file from another: a strong ETag, else the time of change."""
    etag = headers.get("ETag")
    if etag is not None and etag.startswith('"'):
        return str(etag)
    changed = headers.get("Last-Modified")
    return str(changed) if changed is not None else None


def _facts_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_facts(part: Path) -> dict[str, Any]:
    """What was noted of a part; nothing where the note is missing or damaged, so that it starts again or is checked."""
    try:
        facts = json.loads(_facts_of(part).read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
