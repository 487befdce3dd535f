"""Results that could not be tracked: kept whole in the workspace until `jetassay sync` sends them.

A folder each under `outbox/`, whole or absent. `record.json` is removed first, after the result is in the store, so an
entry without it was sent; a stop in between sends nothing twice: the same result is recorded once.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from filelock import FileLock, Timeout

from jetassay.errors import TrackingError
from jetassay.masking import masked_json
from jetassay.places import workspace
from jetassay.progress import Reporter
from jetassay.tasks.score import typed
from jetassay.tracking.record import BackboneRecord, SuiteRecord, result_digest
from jetassay.whole_files import is_partial, remove_leftovers, whole_file, whole_folder

if TYPE_CHECKING:
    from jetassay.tracking.runs import Recorded

VERSION = 1
RECORD = "record.json"
_SCORES = "scores.parquet"
_FILES = "files"
_ENTRY = re.compile(r"-[0-9a-f]{12}$")


@dataclass(slots=True)
class Sent:
    """What `send` did: each record that is now in the store with where it is, and why each other one is not."""

    recorded: list[tuple[SuiteRecord, "Recorded"]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def outbox() -> Path:
    """Where results wait."""
    return workspace() / "outbox"


def suite_of(entry: Path) -> str:
    """The suite whose result waits there."""
    return _ENTRY.sub("", entry.name)


def waiting() -> list[Path]:
    """Entries that are complete, by name."""
    return sorted(path.parent for path in outbox().glob(f"*/{RECORD}") if not is_partial(path.parent))


def keep(record: SuiteRecord, *, run_id: str = "") -> Path:
    """Copy everything of the record into the outbox, its files too; gives the entry. The same result is kept once.

    run_id: of the suite's run where one was opened before the store went away. Raises `StoreError` where the disk
    cannot hold it.
    """
    digest = result_digest(record.frame, {"suite_id": record.suite_id})
    entry = outbox() / f"{record.suite}-{digest[:12]}"
    tidy()
    if (entry / RECORD).exists():
        return entry
    with whole_folder(entry) as folder:
        _write(folder, record, run_id)
    return entry


def tidy() -> None:
    """Remove what processes left that were killed while they wrote or sent an entry."""
    remove_leftovers(outbox())
    for folder in outbox().glob("*/"):
        if _ENTRY.search(folder.name) and not (folder / RECORD).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _write(entry: Path, record: SuiteRecord, run_id: str) -> None:
    (entry / _FILES).mkdir()
    files = {each: _copy(each, entry / _FILES / str(k)) for k, each in enumerate(_artifacts(record))}
    with whole_file(entry / _SCORES) as path:
        record.frame.to_parquet(path, index=False)
    about = {
        "version": VERSION,
        "run_id": run_id,
        "suite": record.suite,
        "suite_id": record.suite_id,
        "series": record.series,
        "series_id": record.series_id,
        "provenance": dict(record.provenance),
        "description": record.description,
        "artifacts": [files[each] for each in record.artifacts],
        "backbones": [
            {**asdict(each), "artifacts": [files[path] for path in each.artifacts]} for each in record.backbones
        ],
    }
    with whole_file(entry / RECORD) as path:
        path.write_text(masked_json(about), encoding="utf-8")


def send(*, reporter: Reporter) -> Sent:
    """Track every result that waits, the first kept first, and forget it. One sender at a time.

    An entry that cannot be read is named and stays. Raises `TrackingError` where the store cannot be used; what was
    not sent by then stays.
    """
    from jetassay.tracking.runs import record_suite

    sent = Sent()
    tidy()
    if not waiting():
        return sent
    with _alone():
        entries = sorted(waiting(), key=lambda entry: (entry / RECORD).stat().st_mtime_ns)
        for done, entry in enumerate(entries):
            try:
                record, run_id = load(entry)
            except TrackingError as error:
                sent.problems.append(str(error))
                continue
            try:
                recorded = record_suite(record, reporter=reporter, run_id=run_id)
            except TrackingError as error:
                raise TrackingError(f"{error} {len(entries) - done} result(s) stay in {outbox()}.") from error
            (entry / RECORD).unlink()
            shutil.rmtree(entry, ignore_errors=True)  # what remains, `tidy` takes
            sent.recorded.append((record, recorded))
    return sent


def load(entry: Path) -> tuple[SuiteRecord, str]:
    """The record of an entry, and the id of the run opened for it. Raises `TrackingError` where it is damaged."""
    try:
        about: dict[str, Any] = json.loads((entry / RECORD).read_text(encoding="utf-8"))
        if about["version"] != VERSION:
            raise TrackingError(f"{entry}: kept by another version ({about['version']}, this one reads {VERSION})")
        backbones = tuple(
            BackboneRecord(**{**each, "artifacts": tuple(entry / _FILES / name for name in each["artifacts"])})
            for each in about["backbones"]
        )
        record = SuiteRecord(
            suite=about["suite"],
            suite_id=about["suite_id"],
            frame=typed(pd.read_parquet(entry / _SCORES)),
            provenance=about["provenance"],
            backbones=backbones,
            artifacts=tuple(entry / _FILES / name for name in about["artifacts"]),
            description=about["description"],
            series=about.get("series", ""),
            series_id=about.get("series_id", ""),
        )
        return record, str(about["run_id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(
            f"{entry}: damaged, not sent ({error}); the scores may still be in reports/: run the suite again, then "
            "remove this folder"
        ) from error


def _artifacts(record: SuiteRecord) -> tuple[Path, ...]:
    own = (path for each in record.backbones for path in each.artifacts)
    return tuple(dict.fromkeys([*record.artifacts, *own]))


def _copy(source: Path, folder: Path) -> str:
    """A copy of a file or folder under its own name in a `folder` of its own; gives its place below the files."""
    folder.mkdir()
    target = folder / source.name
    if source.is_dir():
        shutil.copytree(source, target, ignore=lambda _, names: [name for name in names if is_partial(Path(name))])
    else:
        shutil.copyfile(source, target)
    return f"{folder.name}/{source.name}"


@contextmanager
def _alone() -> Iterator[None]:
    try:
        with FileLock(outbox() / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise TrackingError(f"{outbox()}: another process is sending; wait for it") from error
