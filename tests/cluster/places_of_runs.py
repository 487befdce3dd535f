"""A suite of seconds over a few simulated jets, run by the command line in processes of their own."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

HERE = Path(__file__).parent
SOURCE = HERE.parent.parent / "src"
SUITE = """
name = "tiny"
title = "A suite of seconds"
backbones = ["tiny-1", "tiny-2"]
audit = false
[dataset]
card = "jetclass"
folder = "{folder}"
[split]
seed = 1
train = 2
validation = 1
test = 1
[probe]
signals = ["Hbb"]
[similarity]
permutations = 9
"""
PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Place:
    """Cache, workspace, cards and suite, all below `root`; the jets lie in `data`."""

    root: Path
    data: Path

    @property
    def suite(self):
        return self.root / "tiny.toml"

    def environment(self, **how):
        """Of a process that lives here; how: see `misbehave`."""
        given = {
            "JETASSAY_CACHE": self.root / "cache",
            "JETASSAY_WORKSPACE": self.root / "workspace",
            "JETASSAY_MODELS": self.root / "models",
            "DASK_CONFIG": self.root / "dask",
            "DASK_LOCAL_DIRECTORY": self.root / "dask-local",
            "DASK_TEMPORARY_DIRECTORY": self.root / "dask-local",
            "COLUMNS": "200",
            **(
                {"MISBEHAVE": json.dumps(how), "DASK_DISTRIBUTED__WORKER__PRELOAD": HERE / "misbehave.py"}
                if how
                else {}
            ),
        }
        kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        return kept | {name: str(value) for name, value in given.items()}

    def start(self, *arguments, environment=None, **how):
        """`jetassay run SUITE ARGUMENTS`, leading a group of its own."""
        command = [sys.executable, "-m", "jetassay.cli", "run", str(self.suite), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        environment = self.environment(**how) | (environment or {})
        return subprocess.Popen(command, env=environment, cwd=self.root, start_new_session=True, **pipes)

    def run(self, *arguments, **options):
        """Exit code and all that it said; whatever it had started must be gone."""
        return finish(self.start(*arguments, **options))

    def results(self):
        """What must be the same to the bit: scores, and the columns of every shard."""
        frame = pd.read_parquet(self.root / "workspace/reports/tiny/scores.parquet").drop(columns="run_id")
        shards = sorted((self.root / "cache/embeddings").rglob("*.parquet"))
        return {"scores": frame.to_csv(index=False)} | {path.name: _digest(path) for path in shards}

    def shards(self):
        """How many are whole."""
        return len(self.written())

    def written(self):
        """When each whole shard was written, in ns."""
        shards = (self.root / "cache/embeddings").rglob("[!.]*.parquet")
        return {path.name: path.stat().st_mtime_ns for path in shards}

    def jobs(self):
        """What the stand-ins of batch systems keep of each job."""
        return [path for path in (self.root / "jobs").iterdir() if path.is_dir()]

    def left_over(self):
        """Temporary files."""
        return [path for path in self.root.rglob("*") if path.name.endswith(".partial")]


def finish(process, patience_s=PATIENCE_S):
    """Wait for the end of a process; gives its exit code and what it said. No process of its group may be left."""
    try:
        said, _ = process.communicate(timeout=patience_s)
    finally:
        left = gone_within(process.pid, seconds=5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert not left, f"still there: {left}"
    assert "Traceback (most recent call last)" not in said, said
    return process.returncode, said


def gone_within(group, *, seconds):
    """Those processes of a group that are still there after so long."""
    until = time.monotonic() + seconds
    while (left := members(group)) and time.monotonic() < until:
        time.sleep(0.05)
    return [process.pid for process in left]


def members(group):
    """The living processes of a group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(condition, seconds=PATIENCE_S):
    """Until `condition()` is true; gives what it gives."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not so within {seconds} s")


def _digest(path):
    table = pd.read_parquet(path)
    digest = hashlib.sha256()
    for name in table.columns:
        digest.update(name.encode())
        for value in table[name]:
            digest.update(value.tobytes() if hasattr(value, "tobytes") else repr(value).encode())
    return digest.hexdigest()
