"""Suites as MLflow runs: one flat run for each backbone and seed, and one for what belongs to the suite.

Scores are on disk before anything here is called. Recording the same result again adds nothing, so a suite that was
interrupted, or whose server was away, is recorded by running it again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jetassay.errors import TrackingError
from jetassay.jets.classes import JET_CLASSES
from jetassay.progress import Reporter
from jetassay.tracking.engine import Tracking, open_tracking, told_plainly
from jetassay.tracking.lifecycle import closing, identity_tags, sweep
from jetassay.tracking.naming import HEADLINE_TASK, metric_name, named_scores
from jetassay.tracking.record import BackboneRecord, SuiteRecord, result_digest
from jetassay.tracking.store import ServerAwayError
from jetassay.tracking.views import (
    LOCAL_UI,
    VIEW_TAG,
    compare_link,
    encode_view,
    leaderboard_link,
    leaderboard_state,
    run_link,
)
from jetassay.tracking.writing import backbone_parameters, provenance_tags, write_backbone, write_suite

RunKey = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Where a suite is in MLflow.

    runs: run id of each (backbone, seed)
    written: runs that are new; the others were there already
    missing: names of scores that have no value and are therefore in no run
    base: address of MLflow's pages
    """

    store: str
    experiment_id: str
    suite_run: str
    runs: Mapping[RunKey, str]
    written: int
    missing: tuple[str, ...]
    base: str
    view_key: str | None

    @property
    def leaderboard(self) -> str:
        """Link to the saved leaderboard, or to the suite's run where the view could not be saved."""
        if self.view_key is None:
            return run_link(self.experiment_id, self.suite_run, base=self.base)
        return leaderboard_link(self.experiment_id, key=self.view_key, base=self.base)

    @property
    def compare(self) -> str:
        """Link to all backbones side by side."""
        return compare_link(self.experiment_id, list(self.runs.values()), base=self.base)

    def with_run_ids(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with `run_id` filled in: of the backbone and seed, or of the suite for what belongs to it."""

        def run_of(row: pd.Series) -> str:
            if not row["backbone"] or pd.notna(row["backbone_b"]):
                return self.suite_run
            seed = None if pd.isna(row["seed"]) else int(row["seed"])
            own = [run_id for (name, at), run_id in self.runs.items() if name == row["backbone"] and seed in {at, None}]
            return own[0] if own else self.suite_run

        return frame.assign(run_id=frame.apply(run_of, axis=1).astype("string"))


@dataclass(slots=True)
class SuiteRun:
    """A suite's run while the suite is being computed; `run_id` is None where the server is away."""

    reporter: Reporter
    tracking: Tracking | None = None
    run_id: str | None = None
    repeats: str | None = None

    def record(self, record: SuiteRecord) -> Recorded:
        """Track the results, into this run where they are new. Raises `TrackingError` where they cannot be sent."""
        return _record(record, self)


@contextmanager
def open_suite_run(*, suite: str, suite_id: str, reporter: Reporter) -> Iterator[SuiteRun]:
    """A run that is RUNNING while the suite is, and FINISHED, FAILED or KILLED after it.

    Runs that an earlier process left running are swept first. Where a server does not answer, a warning says so and
    the suite goes on; `record` tries again. Raises `TrackingError` for a store that no waiting will mend.
    """
    opened = SuiteRun(reporter)
    try:
        tracking = open_tracking(reporter=reporter)
    except ServerAwayError as error:
        reporter.warning(str(error))
        yield opened
        return
    with told_plainly(tracking.store):
        sweep(tracking, reporter=reporter)
        tags = {"kind": "suite", "suite": suite, "suite_id": suite_id, **identity_tags()}
        run_id = tracking.create_run(f"suite {suite}", tags)
    opened.tracking, opened.run_id = tracking, run_id
    with closing(tracking, run_id, reporter=reporter):
        yield opened
    if opened.repeats is not None:  # this execution found what an earlier one has recorded: one run is enough
        with told_plainly(tracking.store):
            tracking.client.delete_run(run_id)


def record_suite(record: SuiteRecord, *, reporter: Reporter) -> Recorded:
    """Track a suite from what is on disk; what is tracked already is left alone.

    Raises `ServerAwayError` where a server does not answer, and `TrackingError` for any other failure.
    """
    with open_suite_run(suite=record.suite, suite_id=record.suite_id, reporter=reporter) as opened:
        return opened.record(record)


def _record(record: SuiteRecord, opened: SuiteRun) -> Recorded:
    if opened.tracking is None or opened.run_id is None:
        open_tracking(reporter=opened.reporter)  # raises while the server is still away
        return record_suite(record, reporter=opened.reporter)
    tracking, reporter = opened.tracking, opened.reporter
    runs: dict[RunKey, str] = {}
    missing: list[str] = []
    written = 0
    with told_plainly(tracking.store), tracking.store.lock():
        known = tracking.find(f"tags.suite_id = '{record.suite_id}' AND attributes.status = 'FINISHED'")
        wanted = [(each, seed) for each in record.backbones for seed in record.seeds(each.name)]
        with reporter.bar("tracking", len(wanted), unit="runs") as bar:
            for backbone, seed in wanted:
                run_id, is_new = _record_backbone(tracking, record, backbone, seed, known=known, reporter=reporter)
                runs[backbone.name, seed] = run_id
                written += is_new
                missing += named_scores(record.rows(backbone.name, seed)).missing
                bar.advance()
        suite_run, is_new = _record_shared(tracking, record, opened, known)
        written += is_new
        missing += named_scores(record.shared_rows()).missing
    if missing:
        reporter.line(f"{len(missing)} score(s) have no value and are left out of the metrics; the tables say why")
    return Recorded(
        store=tracking.store.shown,
        experiment_id=tracking.experiment_id,
        suite_run=suite_run,
        runs=runs,
        written=written,
        missing=tuple(missing),
        base=tracking.store.shown if tracking.store.is_server else LOCAL_UI,
        view_key=_save_view(tracking, record, reporter),
    )


def _record_backbone(
    tracking: Tracking,
    record: SuiteRecord,
    backbone: BackboneRecord,
    seed: int | None,
    *,
    known: list[Any],
    reporter: Reporter,
) -> tuple[str, bool]:
    """Run id, and whether it is new."""
    rows = record.rows(backbone.name, seed)
    facts = {**backbone_parameters(rows, backbone, seed), "weights_sha256": backbone.weights_sha256}
    place = {"kind": "backbone", "backbone": backbone.name, "seed": "none" if seed is None else str(seed)}
    tags = {
        **_common_tags(record, rows),
        **place,
        "role": backbone.role,
        "weights_sha256": backbone.weights_sha256 or "none",
        "mlflow.note.content": backbone.description,
    }
    several = len(record.seeds(backbone.name)) > 1

    def write() -> str:
        name = f"{backbone.name} seed {seed}" if several else backbone.name
        run_id = tracking.create_run(name, {**tags, **identity_tags()})
        with closing(tracking, run_id, reporter=reporter):
            write_backbone(tracking, run_id, record, backbone, seed)
        return run_id

    return _once(tracking, known, place, digest=result_digest(rows, facts), write=write)


def _record_shared(tracking: Tracking, record: SuiteRecord, opened: SuiteRun, known: list[Any]) -> tuple[str, bool]:
    """The suite's own run: the open one where the result is new."""
    assert opened.run_id is not None
    current = opened.run_id
    place = {"kind": "suite"}

    def write() -> str:
        tracking.log(current, tags={**_common_tags(record, record.frame), **place})
        write_suite(tracking, current, record)
        return current

    digest = result_digest(record.frame, {"suite": record.suite})
    run_id, is_new = _once(tracking, known, place, digest=digest, write=write)
    opened.repeats = None if is_new else run_id
    return run_id, is_new


def _once(
    tracking: Tracking, known: list[Any], place: Mapping[str, str], *, digest: str, write: Callable[[], str]
) -> tuple[str, bool]:
    """The run of this result in this place, written only if it is not there; older results there are not current."""
    there = [run for run in known if all(run.data.tags.get(key) == value for key, value in place.items())]
    same = [run for run in there if run.data.tags.get("result_digest") == digest]
    run_id = str(same[0].info.run_id) if same else write()
    tracking.log(run_id, tags={"result_digest": digest, "current": "true"})
    for run in there:
        if run.info.run_id != run_id and run.data.tags.get("current") == "true":
            tracking.log(run.info.run_id, tags={"current": "false"})
    return run_id, not same


def _common_tags(record: SuiteRecord, rows: pd.DataFrame) -> dict[str, str]:
    digests = sorted(rows["data_digest"].dropna().unique())
    return {
        "suite": record.suite,
        "suite_id": record.suite_id,
        "data_digest": ", ".join(digests),
        **provenance_tags(record.provenance),
    }


def _save_view(tracking: Tracking, record: SuiteRecord, reporter: Reporter) -> str | None:
    """Save the leaderboard with the experiment; gives its key, or None: no result is worth less for the want of it."""
    columns = _leaderboard_columns(record.frame)
    where = f"tags.suite_id = '{record.suite_id}' AND tags.kind = 'backbone' AND tags.current = 'true'"
    state = leaderboard_state(columns=columns, order_by=columns[0] if columns else None, where=where)
    key = f"jetassay-{record.suite}"
    try:
        with told_plainly(tracking.store):
            view = encode_view(f"{record.suite}: leaderboard", state)
            tracking.client.set_experiment_tag(tracking.experiment_id, VIEW_TAG + key, view)
    except TrackingError as error:
        reporter.warning(f"the leaderboard view was not saved: {error}")
        return None
    return key


def _leaderboard_columns(frame: pd.DataFrame) -> list[str]:
    """Means first, then AUC and the rejection at each class's working point, then throughput."""
    names: dict[str, list[str]] = {"auc": [], "rejection": [], "jets_per_s": []}
    for row in frame.to_dict(orient="records"):
        known = JET_CLASSES.get(str(row["signal"]))
        at_point = row["metric"] != "rejection" or (known is not None and row["working_point"] == known.working_point)
        if row["task"] in {HEADLINE_TASK, "throughput"} and row["metric"] in names and at_point:
            name = metric_name(row)
            if name not in names[row["metric"]]:
                names[row["metric"]].append(name)
    means = [f"mean/{metric}" for metric in ("auc", "rejection") if names[metric]]
    return [*means, *names["auc"], *names["rejection"], *names["jets_per_s"]]
