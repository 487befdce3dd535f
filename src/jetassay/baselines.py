"""The kept baseline of `make throughput`, and a run beside it."""

import json
from pathlib import Path

from jetassay.errors import ConfigError
from jetassay.gates import read_gates
from jetassay.measurements import read_session
from jetassay.slower import Changes, changes_between, newest_run, render_changes
from jetassay.throughput import benchmarks_folder, runs_folder
from jetassay.whole_files import whole_file

_BASELINE = "baseline.json"


def keep_baseline(measured: Path | None = None) -> Path:
    """Keep a run, the newest if None, as the baseline; gives where it is. Raises `DataError` where there is none."""
    session = read_session(measured or newest_run(runs_folder()))
    with whole_file(runs_folder() / _BASELINE) as path:
        path.write_text(json.dumps(session, indent=1), encoding="utf-8")
    return runs_folder() / _BASELINE


def compare_runs(measured: Path | None = None, *, baseline: Path | None = None) -> tuple[str, Changes, float]:
    """A run, the newest if None, beside a baseline, the kept one if None: as text, in numbers, and the limit.

    Raises `ConfigError` where no baseline was kept, `DataError` where a file is none of ours.
    """
    kept = baseline or runs_folder() / _BASELINE
    if baseline is None and not kept.exists():
        raise ConfigError(f"{kept}: no baseline was kept; keep the newest run as one: jetassay throughput --keep")
    before, after = read_session(kept), read_session(measured or newest_run(runs_folder()))
    limit = read_gates(benchmarks_folder() / "gates.toml").slower_below
    changes = changes_between(before, after)
    return render_changes(changes, before, after, limit=limit), changes, limit
