"""What a home holds after a run: everything that must be equal to the bit, and everything that must not be there."""

import hashlib
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from homes import Home

from jetassay.embeddings.store import EmbeddingStore, check_shard
from jetassay.errors import JetAssayError

_COMPUTED = re.compile(
    r"^(.+): (?:\d+ entries computed in \S+ s, )?(\d+) of (\d+) shards taken from the store$", re.MULTILINE
)
_TIMES = ("time_s/", "memory_mib/")
Stamps = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """scores, shards, metrics: what must be the same; jets: of all splits; the rest must be empty or equal too.

    shards: name of the file -> digest of its columns; metrics: (run, metric) -> value, of runs that are current
    finished: runs that count as finished; running: runs that count as running; orphans: temporary files
    """

    scores: str
    shards: dict[str, str]
    metrics: dict[tuple[str, str], float]
    jets: int
    finished: int
    running: tuple[str, ...]
    orphans: tuple[str, ...]

    def differences(self, other: "Observed") -> list[str]:
        """In which of the results two homes differ."""
        names = [name for name in ("scores", "shards", "metrics") if getattr(self, name) != getattr(other, name)]
        if self.finished != other.finished:
            names.append(f"{other.finished} finished runs, not {self.finished}")
        return names


def observe(home: Home, *, database: Path | None = None) -> Observed:
    """Read everything; raises `JetAssayError` for a damaged shard, `OSError` for results that are not there."""
    folder = home.workspace / "reports" / "tiny"
    frame = pd.read_parquet(folder / "scores.parquet").drop(columns="run_id")
    counts = pd.read_csv(folder / "counts.csv")
    metrics, finished, running = _tracked(database or home.workspace / "mlflow.db")
    return Observed(
        scores=hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest(),
        shards={path.name: _columns_digest(path) for path in sorted((home.cache / "embeddings").rglob("*.parquet"))},
        metrics=metrics,
        jets=int(counts["jets"].sum()),
        finished=finished,
        running=running,
        orphans=orphans(home),
    )


def stamps(home: Home) -> Stamps:
    """Every unit of work that is whole: its file's inode and time of writing, which change when it is done again."""
    found = [*(home.cache / "embeddings").rglob("*.parquet"), *(home.cache / "simulated").rglob("*.root")]
    whole = {str(path): path.stat() for path in found if not path.name.startswith(".")}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in whole.items()}


def repeated(before: Stamps, home: Home) -> int:
    """Units that were whole before, and were done again."""
    after = stamps(home)
    return sum(name in after and after[name] != stamp for name, stamp in before.items())


def computed_twice(*logs: str) -> dict[str, int]:
    """By what several runs say that they computed: units of each backbone, or of the tables, beyond once each."""
    computed: dict[str, int] = {}
    units: dict[str, int] = {}
    for label, there, total in (found for log in logs for found in _COMPUTED.findall(log)):
        computed[label] = computed.get(label, 0) + int(total) - int(there)
        units[label] = int(total)
    return {label: computed[label] - total for label, total in units.items()}


def orphans(home: Home) -> tuple[str, ...]:
    """Temporary files, and parts of things that were never finished."""
    places = (home.cache, home.workspace, home.temporary)
    left = [path for place in places for path in place.rglob("*")]
    own = {
        path for path in left if path.name.endswith((".partial", "-journal", "-wal")) or path.parent == home.temporary
    }
    own |= {path for path in (home.workspace / "outbox").glob("*/") if not (path / "record.json").exists()}
    return tuple(sorted(str(path.relative_to(home.root)) for path in own))


def living(home: Home, patience_s: float = 5.0) -> tuple[str, ...]:
    """Processes that were started by ours, and did not end soon after it."""
    given, until = f"JETASSAY_CACHE={home.cache}".encode(), time.monotonic() + patience_s
    while found := [each for each in Path("/proc").glob("[0-9]*") if _given(each, given)]:
        if time.monotonic() > until:
            return tuple(_read(each / "cmdline").replace(b"\0", b" ").decode()[:80] for each in found)
        time.sleep(0.1)
    return ()


def _given(process: Path, variable: bytes) -> bool:
    return variable in _read(process / "environ").split(b"\0")


def _read(path: Path) -> bytes:
    """Nothing of a process that is gone, or somebody else's."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _columns_digest(path: Path) -> str:
    """Over names and values; not over the facts beside them, which hold times."""
    outline = check_shard(path)
    assert EmbeddingStore(path.parent.parent).root.name == "embeddings"
    table = pd.read_parquet(path)
    digest = hashlib.sha256(str(outline.rows).encode())
    for name in table.columns:
        digest.update(name.encode())
        for value in table[name]:
            digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
    return digest.hexdigest()


def _tracked(database: Path) -> tuple[dict[tuple[str, str], float], int, tuple[str, ...]]:
    if not database.exists():
        raise JetAssayError(f"{database}: no runs are tracked")
    with closing(sqlite3.connect(database)) as store:
        runs = store.execute("SELECT run_uuid, name, status, lifecycle_stage FROM runs").fetchall()
        current = {run for (run,) in store.execute("SELECT run_uuid FROM tags WHERE key='current' AND value='true'")}
        finished = {run: name for run, name, status, stage in runs if status == "FINISHED" and stage == "active"}
        values = store.execute("SELECT run_uuid, key, value, is_nan FROM latest_metrics").fetchall()
    metrics = {
        (finished[run], key): float("inf") if nan else value
        for run, key, value, nan in values
        if run in finished and run in current and not key.startswith(_TIMES)
    }
    return metrics, len(finished), tuple(run for run, _, status, _ in runs if status == "RUNNING")
