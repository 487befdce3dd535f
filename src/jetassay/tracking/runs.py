"""Suites as MLflow runs: one flat run for each backbone and seed, and one for what belongs to the suite.

Scores are on disk before anything here is called. Recording the same result again adds nothing, so a suite that was
interrupted, or whose server was away, is recorded by running it again.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from jetassay.progress import Reporter
from jetassay.tracking.engine import Tracking, open_tracking, told_plainly
from jetassay.tracking.leaderboards import save_leaderboard
from jetassay.tracking.lifecycle import closing, identity_tags, is_alive, sweep
from jetassay.tracking.naming import leaderboard_names, named_scores
from jetassay.tracking.record import BackboneRecord, SuiteRecord, result_digest
from jetassay.tracking.store import ServerAwayError
from jetassay.tracking.views import compare_link, leaderboard_link, run_link
from jetassay.tracking.writing import backbone_parameters, provenance_tags, write_backbone, write_suite

RunKey = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Where a suite is in MLflow.

    store, base: the tracking store, and the address of MLflow's pages on it
    runs: run id of each (backbone, seed); None for the seed where no score has one
    written: how many runs are new; the others were there already
    missing: names of scores that have no value and are therefore no metric
    """

    store: str
    base: str
    experiment_id: str
    suite_run: str
    runs: Mapping[RunKey, str]
    written: int
    missing: tuple[str, ...]
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
        first: dict[str, str] = {}
        for (name, _), run_id in self.runs.items():
            first.setdefault(name, run_id)

        def run_of(backbone: Any, other: Any, seed: Any) -> str:
            if pd.isna(backbone) or pd.notna(other):
                return self.suite_run
            own = None if pd.isna(seed) else self.runs.get((backbone, int(seed)))
            return own or first.get(backbone, self.suite_run)

        ids = [run_of(*each) for each in zip(frame["backbone"], frame["backbone_b"], frame["seed"], strict=True)]
        return frame.assign(run_id=pd.array(ids, dtype="string"))


@dataclass(slots=True)
class SuiteRun:
    """A suite's run while the suite is being computed; without `tracking` where the server is away.

    repeats: the store has this result already; ended: the last status of the run, FAILED where the record broke off
    """

    reporter: Reporter
    tracking: Tracking | None = None
    run_id: str = ""
    repeats: bool = False
    ended: str = "FINISHED"

    def record(self, record: SuiteRecord) -> Recorded:
        """Track the results, into this run where they are new. Raises `TrackingError` where they cannot be sent."""
        if self.tracking is None:
            return record_suite(record, reporter=self.reporter)
        self.ended = "FAILED"
        recorded = _record(record, self, self.tracking)
        self.ended = "FINISHED"
        return recorded


@contextmanager
def open_suite_run(*, suite: str, suite_id: str, reporter: Reporter) -> Iterator[SuiteRun]:
    """A run that is RUNNING while the suite is, and FINISHED, FAILED or KILLED after it.

    Runs that an earlier process left running are swept first. Where a server does not answer, a warning says so and
    the suite goes on; `record` tries again. Raises `TrackingError` for a store that no waiting will mend.
    """
    try:
        tracking = open_tracking(reporter=reporter)
    except ServerAwayError as error:
        reporter.warning(str(error))
        yield SuiteRun(reporter)
        return
    with _opened(tracking, suite=suite, suite_id=suite_id, reporter=reporter) as opened:
        yield opened


def record_suite(record: SuiteRecord, *, reporter: Reporter, run_id: str = "") -> Recorded:
    """Track a suite from what is on disk; what is tracked already is left alone.

    run_id: a run that was opened for this suite and never filled, to be used instead of another one

    Raises `ServerAwayError` where a server does not answer, and `TrackingError` for any other failure.
    """
    tracking = open_tracking(reporter=reporter)
    about = {"suite": record.suite, "suite_id": record.suite_id, "run_id": run_id}
    with _opened(tracking, reporter=reporter, **about) as opened:
        return opened.record(record)


@contextmanager
def _opened(
    tracking: Tracking, *, suite: str, suite_id: str, reporter: Reporter, run_id: str = ""
) -> Iterator[SuiteRun]:
    with told_plainly(tracking.store):
        sweep(tracking, reporter=reporter)
        tags = {"kind": "suite", "suite": suite, "suite_id": suite_id, **identity_tags()}
        opened = SuiteRun(reporter, tracking, _reopened(tracking, run_id, tags))
        opened.run_id = opened.run_id or tracking.create_run(f"suite {suite}", tags)
    with closing(tracking, opened.run_id, reporter=reporter, ended=lambda: opened.ended):
        yield opened
    if opened.repeats:  # this execution found what an earlier one has recorded: one run is enough
        with told_plainly(tracking.store):
            tracking.client.delete_run(opened.run_id)


def _reopened(tracking: Tracking, run_id: str, tags: Mapping[str, str]) -> str:
    """`run_id` where it is a run of this suite in this store that was never filled; else empty."""
    where = f"tags.suite_id = '{tags['suite_id']}' AND tags.kind = 'suite' AND attributes.status != 'FINISHED'"
    if run_id not in {run.info.run_id for run in tracking.find(where) if run_id}:
        return ""
    tracking.client.update_run(run_id, status="RUNNING")
    tracking.log(run_id, tags=tags)
    return run_id


def _record(record: SuiteRecord, opened: SuiteRun, tracking: Tracking) -> Recorded:
    reporter = opened.reporter
    wanted = [(each, seed) for each in record.backbones for seed in record.seeds(each.name)]
    named = {(each.name, seed): named_scores(record.rows(each.name, seed)) for each, seed in wanted}
    missing = [name for each in (*named.values(), named_scores(record.shared_rows())) for name in each.missing]
    runs: dict[RunKey, str] = {}
    digests: set[str] = set()
    written = 0
    with told_plainly(tracking.store), tracking.store.lock():
        known = tracking.find(f"tags.suite_id = '{record.suite_id}' AND attributes.status = 'FINISHED'")
        with reporter.bar("tracking", len(wanted), unit="runs") as bar:
            for backbone, seed in wanted:
                writer = _backbone_writer(tracking, record, backbone, seed, reporter=reporter)
                runs[backbone.name, seed], is_new = _once(tracking, known, *writer)
                digests.add(writer[0]["result_digest"])
                written += is_new
                bar.advance()
        suite_run, is_new = _once(tracking, known, *_suite_writer(tracking, record, opened))
        opened.repeats = not is_new
        _forget_halves(tracking, record, digests)
    there = len(wanted) + 1 - written - is_new
    reporter.line(f"tracking: {written + is_new} runs written, {there} were there already")
    if missing:
        limits = sum(name.startswith("rejection") or "_rejection" in name for name in missing)
        reporter.line(
            f"tracking: {len(missing)} scores without a value are no metrics, {limits} of them rejections with no "
            "background jet left, whose limit is the metric `rejection..._low`; the tag `missing` of a run names them"
        )
    columns = leaderboard_names({name: None for each in named.values() for name in each.numbers})
    return Recorded(
        store=tracking.store.shown,
        base=tracking.store.pages,
        experiment_id=tracking.experiment_id,
        suite_run=suite_run,
        runs=runs,
        written=written + is_new,
        missing=tuple(missing),
        view_key=save_leaderboard(tracking, record, columns, reporter=reporter),
    )


Writer = tuple[Mapping[str, str], Callable[[], str]]


def _backbone_writer(
    tracking: Tracking, record: SuiteRecord, backbone: BackboneRecord, seed: int | None, *, reporter: Reporter
) -> Writer:
    """Tags of a backbone's run, and what writes it and gives its id."""
    rows = record.rows(backbone.name, seed)
    facts = {**backbone_parameters(rows, backbone, seed), "weights_sha256": backbone.weights_sha256}
    tags = {
        **_common_tags(record, rows),
        "kind": "backbone",
        "backbone": backbone.name,
        "seed": "none" if seed is None else str(seed),
        "result_digest": result_digest(rows, facts),
        "role": backbone.role,
        "weights_sha256": backbone.weights_sha256 or "none",
        **({"mlflow.note.content": backbone.description} if backbone.description else {}),
    }

    def write() -> str:
        name = f"{backbone.name} seed {seed}" if len(record.seeds(backbone.name)) > 1 else backbone.name
        if record.series != record.suite:
            name = f"{name} split {rows['split_seed'].iloc[0]}"
        run_id = tracking.create_run(name, {**tags, **identity_tags()})
        with closing(tracking, run_id, reporter=reporter):
            write_backbone(tracking, run_id, record, backbone, seed)
        return run_id

    return tags, write


def _suite_writer(tracking: Tracking, record: SuiteRecord, opened: SuiteRun) -> Writer:
    """Tags of the suite's own run, and what writes it into the open one."""
    digest = result_digest(record.frame, {"suite": record.suite})
    tags = {**_common_tags(record, record.frame), "kind": "suite", "result_digest": digest}

    def write() -> str:
        write_suite(tracking, opened.run_id, record)
        tracking.log(opened.run_id, tags=tags)
        tracking.client.set_terminated(opened.run_id, "FINISHED")  # now, so that nobody else records it as well
        return opened.run_id

    return tags, write


def _once(tracking: Tracking, known: list[Any], tags: Mapping[str, str], write: Callable[[], str]) -> tuple[str, bool]:
    """The run of this result, written only if it is not there, and whether it was; older ones are no longer current."""
    place = {key: tags.get(key) for key in ("kind", "backbone", "seed")}
    there = [run for run in known if all(run.data.tags.get(key) == value for key, value in place.items())]
    same = [run for run in there if run.data.tags.get("result_digest") == tags["result_digest"]]
    run_id = str(same[0].info.run_id) if same else write()
    if same and same[0].data.tags.get("series") != tags["series"]:  # recorded before runs were told their series
        tracking.log(run_id, tags={"series": tags["series"]})
    for run in there:
        if (run.data.tags.get("current") == "true") != (run.info.run_id == run_id):
            tracking.log(run.info.run_id, tags={"current": "true" if run.info.run_id == run_id else "false"})
    return run_id, not same


def _forget_halves(tracking: Tracking, record: SuiteRecord, digests: set[str]) -> None:
    """Delete runs that broke off while one of these results was written, or before they deleted themselves."""
    for run in tracking.find(f"tags.suite_id = '{record.suite_id}' AND attributes.status != 'RUNNING'"):
        tags, finished = run.data.tags, run.info.status == "FINISHED"
        half = tags.get("kind") == "backbone" and not finished and tags.get("result_digest") in digests
        if half or (tags.get("kind") == "suite" and finished and "result_digest" not in tags and not is_alive(run)):
            source = f"source_run_id = '{run.info.run_id}'"
            for model in tracking.client.search_logged_models([tracking.experiment_id], filter_string=source):
                tracking.client.delete_logged_model(model.model_id)
            tracking.client.delete_run(run.info.run_id)


def _common_tags(record: SuiteRecord, rows: pd.DataFrame) -> dict[str, str]:
    return {
        "suite": record.suite,
        "suite_id": record.suite_id,
        "series": record.series_id,
        "current": "true",
        "data_digest": ", ".join(sorted(rows["data_digest"].dropna().unique())),
        **provenance_tags(record.provenance),
    }
