"""What `make throughput` measured, as MLflow runs: one for each backbone, one for the stages alone, one of the rest.

The rest are ratios to peers, curves and single numbers, as `benchmarks/rounds.py` saves them.

A benchmark says in its `extra_info` what it is of: `backbone` (none for a stage alone), `batch_size`, either
`jets_per_s` or `jets` (of one round, which with the median gives the rate), and `variant` where something else differs.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from jetassay.errors import DataError, TrackingError
from jetassay.progress import Reporter
from jetassay.tracking.engine import Metric, Tracking, open_tracking, told_plainly
from jetassay.tracking.lifecycle import closing, identity_tags, sweep
from jetassay.tracking.naming import clean
from jetassay.tracking.provenance import machine_facts, version_facts
from jetassay.tracking.views import compare_link
from jetassay.tracking.writing import log_files, plain_metrics, provenance_tags

STAGES = "stages"  # the run of what belongs to no backbone
PEERS = "beside-peers"  # the run of ratios to peers, curves and single numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedThroughput:
    """Where a benchmark file is in MLflow: run id of each backbone and of `stages`, and how many are new."""

    store: str
    base: str
    experiment_id: str
    runs: Mapping[str, str]
    written: int

    @property
    def compare(self) -> str:
        """Link to all of them side by side."""
        return compare_link(self.experiment_id, list(self.runs.values()), base=self.base)


def record_throughput(path: Path, *, attached: Sequence[Path] = (), reporter: Reporter) -> RecordedThroughput:
    """Track a JSON file of measurements; a file that was tracked already adds nothing.

    attached: more files for the artifacts of the run of ratios, such as the page

    Raises `DataError` where the file is not such a file, `TrackingError` where runs cannot be recorded.
    """
    session, digest = _read_session(path)
    grouped: dict[str, list[dict[str, Any]]] = {}
    for each in session["benchmarks"]:
        grouped.setdefault(each["extra_info"].get("backbone") or STAGES, []).append(each)
    metrics = {name: throughput_metrics(benchmarks, where=f"{path}, {name}") for name, benchmarks in grouped.items()}
    if found_beside := peer_metrics(session, where=str(path)):
        metrics[PEERS] = found_beside
    tracking = open_tracking(reporter=reporter)
    runs: dict[str, str] = {}
    written = 0
    with told_plainly(tracking.store), tracking.store.lock():
        sweep(tracking, reporter=reporter)
        found = tracking.find(f"tags.result_digest = '{digest}' AND attributes.status = 'FINISHED'")
        known = {run.data.tags.get("backbone"): str(run.info.run_id) for run in found}
        for name, measured in metrics.items():
            if name not in known:
                files = [path, *(attached if name == PEERS else ())]
                known[name] = _write(
                    tracking, name, measured, files, {**_tags(session), "result_digest": digest}, reporter
                )
                written += 1
            runs[name] = known[name]
    return RecordedThroughput(
        store=tracking.store.shown,
        base=tracking.store.pages,
        experiment_id=tracking.experiment_id,
        runs=runs,
        written=written,
    )


def throughput_metrics(benchmarks: list[dict[str, Any]], *, where: str = "") -> list[Metric]:
    """Metrics of one backbone's benchmarks: jets per second by batch size, as numbers and as one curve, and the best.

    Raises `TrackingError` where two benchmarks would have one name.
    """
    numbers: dict[str, float] = {}
    curve: list[Metric] = []
    for each in benchmarks:
        about, median = each["extra_info"], float(each["stats"]["median"])
        batch, variant = about.get("batch_size"), about.get("variant")
        rate = about.get("jets_per_s") or (about["jets"] / median if "jets" in about else None)
        stem = "" if about.get("backbone") else f"{each['name'].removeprefix('bench_').removeprefix('test_')}_"
        end = f"{f'_{variant}' if variant else ''}{f'_b{int(batch):04d}' if batch else ''}"
        name = f"throughput/{clean(f'{stem}jets_per_s{end}')}" if rate else f"time_s/{clean(f'{stem}median{end}')}"
        if name in numbers:
            raise TrackingError(
                f"{where}: two benchmarks would be tracked as '{name}'; set extra_info['variant'] to tell them apart"
            )
        numbers[name] = float(rate) if rate else median
        if rate and batch and not variant:
            curve += plain_metrics({"throughput/jets_per_s_vs_batch": rate}, step=int(batch))
    rates = [number for name, number in numbers.items() if name.startswith("throughput/jets_per_s")]
    best = {"throughput/jets_per_s_best": max(rates)} if rates else {}
    return [*plain_metrics({**numbers, **best}), *curve]


def peer_metrics(session: Mapping[str, Any], *, where: str = "") -> list[Metric]:
    """Ratios to peers by network, curves by step, and single numbers by table.

    Raises `TrackingError` where two would have one name.
    """
    numbers: dict[str, float] = {}
    for each in session.get("quantities") or ():
        words = str(each["quantity"]).replace(" / ", "_over_").replace(", ", "_")
        _add(
            numbers,
            f"ratio_{clean(each['network'])}/{clean(words)}",
            median(each["ours"]) / median(each["peer"]),
            where,
        )
    for each in session.get("numbers") or ():
        _add(numbers, f"{clean(each['group'])}/{clean(each['name'])}", float(each["value"]), where)
    curves = [
        metric
        for each in session.get("curves") or ()
        for x, y in each["points"]
        for metric in plain_metrics({f"curve_{clean(each['figure'])}/{clean(each['series'])}": y}, step=int(x))
    ]
    return [*plain_metrics(numbers), *curves]


def _add(numbers: dict[str, float], name: str, value: float, where: str) -> None:
    if name in numbers:
        raise TrackingError(f"{where}: two numbers would be tracked as '{name}'; give one of them another name")
    numbers[name] = value


def _write(
    tracking: Tracking, name: str, metrics: list[Metric], files: list[Path], tags: Mapping[str, str], reporter: Reporter
) -> str:
    own = {"kind": "throughput", "backbone": name, "current": "true", **identity_tags()}
    run_id = tracking.create_run(f"throughput {name}", {**tags, **own})
    with closing(tracking, run_id, reporter=reporter):
        tracking.log(run_id, metrics=metrics)
        log_files(tracking, run_id, files)
    return run_id


def _read_session(path: Path) -> tuple[dict[str, Any], str]:
    """The session, and the sha256 hex of its file."""
    try:
        content = path.read_bytes()
        session = json.loads(content)
        for each in session["benchmarks"]:
            each["extra_info"].get("backbone"), float(each["stats"]["median"]), each["name"]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not a pytest-benchmark JSON file ({error!r}); make one with `make throughput`"
        ) from error
    return session, hashlib.sha256(content).hexdigest()


def _tags(session: Mapping[str, Any]) -> dict[str, str]:
    """Commit and processor as they were when the benchmarks ran, versions as they are."""
    commit, machine = session.get("commit_info") or {}, session.get("machine_info") or {}
    facts = machine_facts()
    measured_on = (machine.get("cpu") or {}).get("brand_raw")
    return provenance_tags(
        {
            "git": {"commit": commit.get("id"), "dirty": commit.get("dirty"), "note": "not a git checkout"},
            "machine": {**facts, "cpu": measured_on or facts["cpu"]},
            "versions": version_facts(),
        }
    )
