"""What a suite says about itself: jets counted, provenance, timing, and its runs in MLflow."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from jetassay import __version__
from jetassay.backbones.seen import seen_in_training
from jetassay.embeddings.units import EXTRACTION_VERSION
from jetassay.errors import ConfigError, TrackingError
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.progress import Reporter
from jetassay.report.paper import PAPER
from jetassay.report.results import Results, load_results
from jetassay.suite import Suite
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.score import typed

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.embeddings.embedded import Embedded
    from jetassay.tracking.runs import SuiteRun

Files = Mapping[str, tuple[DataFile, ...]]


_STORED = "Jets and embeddings are kept"
_KEPT = {
    "backbones": "Nothing was computed yet",
    "jets": "Files of jets that are whole are kept",
    "embeddings": "Jets are kept, and every shard of embeddings that is whole",
    "jets seen otherwise": f"{_STORED}, and of perturbed jets every shard that is whole",
    "scores": f"{_STORED}; scores are computed again",
    "audit": f"{_STORED}, and the audits that were finished; scores are computed again",
    "jets to look at": f"{_STORED}, and audits; scores are computed again",
    "throughput": f"{_STORED}, and audits; scores and speeds are computed again",
    "report": f"{_STORED}, and the scores in reports/{{suite}}",
    "tracking": f"{_STORED}, and scores and report in reports/{{suite}}; runs that were tracked are not tracked twice",
}


class Clock:
    """Wall time of each stage, and what is there already when the run is stopped."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}
        self._stage, self._kept = "backbones", _KEPT["backbones"]

    def kept(self, suite: str) -> str:
        """What a run that is stopped now leaves behind, and how to go on."""
        spent = sum(self.spent_s.values())
        what = self._kept.format(suite=suite)
        return f"It was at: {self._stage}, after {spent:.0f} s. {what}. The same command goes on from there."

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done within."""
        began = time.perf_counter()
        self._stage, self._kept = stage, _KEPT[stage]  # now, so that no stage runs that could not say what is kept
        try:
            yield
        finally:
            self.spent_s[stage] = self.spent_s.get(stage, 0.0) + time.perf_counter() - began

    def text(self) -> str:
        """One line with every stage and the total."""
        stages = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in self.spent_s.items())
        return f"{stages}; {sum(self.spent_s.values()):.1f} s in all"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which execution this is: suite_id is a `settings_digest`; series names the suite on any split, as series_id."""

    suite_id: str
    series: str
    series_id: str

    @classmethod
    def of(cls, suite: Suite, dataset: Dataset, backbones: "Mapping[str, Backbone]") -> Self:
        """Of a suite on these jets."""
        any_split = suite.model_copy(update={"name": suite.series, "split": suite.split.model_copy(update={"seed": 0})})
        return cls(
            settings_digest(suite, dataset, backbones), suite.series, settings_digest(any_split, dataset, backbones)
        )


def settings_digest(suite: Suite, dataset: Dataset, backbones: "Mapping[str, Backbone]") -> str:
    """32 hex digits that are equal for executions that must give equal numbers."""
    facts = {
        "suite": suite.model_dump(
            mode="json", exclude={"title": True, "dataset": {"folder"}, "throughput": True, "audit": True}
        ),
        "data": dataset.digest,
        "backbones": {
            name: [each.card.digest(), each.weights_sha256, each.feature_set.digest()]
            for name, each in backbones.items()
        },
        "extraction": EXTRACTION_VERSION,
        "tasks": {name: TASKS[name].version for name in TASKS},
        "jetassay": __version__,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def count_jets(embedded: "Mapping[str, Embedded]", splits: Files) -> pd.DataFrame:
    """Jets of each split and class, and what was dropped or truncated on the way; entries in = jets + dropped."""
    jets = next(iter(embedded.values())).jets
    rows = {}
    for split, files in splits.items():
        chosen = jets.in_files(files)
        names = {file.name for file in files}
        counts = [each for file, each in zip(jets.files, jets.counts, strict=True) if file.name in names]
        per_class = np.bincount(jets.labels[chosen], minlength=len(jets.label_names))
        rows[split] = {
            "files": len(files),
            "entries": sum(each.entries for each in counts),
            "jets": int(chosen.sum()),
            "dropped": sum(sum(each.dropped.values()) for each in counts),
            **dict(zip(jets.label_names, per_class.tolist(), strict=True)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")


def seen_jets(backbones: "Mapping[str, Backbone]", dataset: Dataset) -> dict[str, str]:
    """The backbones that have seen the dataset in training, and why."""
    found = {
        name: seen_in_training(each.card, dataset=dataset.name, digest=dataset.digest)
        for name, each in backbones.items()
    }
    return {name: why for name, why in found.items() if why}


def warn_of_seen_jets(backbones: "Mapping[str, Backbone]", dataset: Dataset, *, reporter: Reporter) -> None:
    """Say which backbones have an unfair advantage; their numbers are marked wherever they are shown."""
    for name, why in seen_jets(backbones, dataset).items():
        reporter.warning(f"{name} has seen {dataset.name} in training ({why}); its numbers are marked")


def provenance_of(
    suite: Suite,
    dataset: Dataset,
    backbones: "Mapping[str, Backbone]",
    embedded: "Mapping[str, Embedded]",
    *,
    clock: Clock,
    device: str,
) -> dict[str, Any]:
    """Everything the numbers depend on, for the disk and for tracking."""
    from jetassay.embeddings.threads import usable_cores
    from jetassay.tracking.provenance import collect_provenance

    jets = next(iter(embedded.values())).jets
    some = jets.total
    own = {
        "seen_in_training": seen_jets(backbones, dataset),
        "roles": {name: each.card.role for name, each in backbones.items()},
        "cards": {name: each.card.digest() for name, each in backbones.items()},
    }
    return own | collect_provenance(
        parameters={**suite.model_dump(mode="json"), "device": device},
        data={
            "dataset": dataset.name,
            "digest": dataset.digest,
            "schema": dataset.schema.name,
            "files": len(jets.files),
            "file_names": [file.name for file in jets.files],
            "entries": some.entries,
            "jets": some.jets,
            "dropped": dict(some.dropped),
            "truncated_jets": {name: each.counts.truncated_jets for name, each in embedded.items()},
        },
        weights={name: each.weights_sha256 for name, each in backbones.items()},
        seed=suite.split.seed,
        threads=suite.threads or usable_cores(),
        timing_s=clock.spent_s,
    )


def track(
    opened: "SuiteRun",
    results: Results,
    backbones: "Mapping[str, Backbone]",
    embedded: "Mapping[str, Embedded]",
    identity: Identity,
    *,
    reporter: Reporter,
) -> tuple[dict[str, str], Results, tuple[str, ...]]:
    """Send what is on disk to MLflow; gives links, the results with run ids (saved again), and what went wrong."""
    from jetassay.tracking import outbox
    from jetassay.tracking.record import BackboneRecord, SuiteRecord

    record = SuiteRecord(
        suite=results.suite,
        suite_id=identity.suite_id,
        series=identity.series,
        series_id=identity.series_id,
        frame=results.frame,
        provenance=results.provenance,
        backbones=tuple(
            BackboneRecord(
                name=name,
                role=backbone.card.role,
                weights_sha256=backbone.weights_sha256,
                parameters={
                    "architecture": backbone.card.architecture,
                    "feature_set": backbone.card.feature_set,
                    "embedding_dim": backbone.card.embedding_dim,
                    "seen_in_training": results.seen.get(name, "no"),
                },
                timing_s={"embedding": embedded[name].cost.seconds},
                description=f"{backbone.card.title}\n\n{backbone.card.notes}".strip(),
            )
            for name, backbone in backbones.items()
        ),
        artifacts=tuple(
            sorted(path for path in results.folder.iterdir() if not path.name.startswith(".") and path.name != PAPER)
        ),
        description=results.markdown(),
    )
    outbox.tidy()
    try:
        recorded = opened.record(record)
    except TrackingError as error:
        entry = outbox.keep(record, run_id=opened.run_id)
        reporter.warning(str(error))
        return {}, results, (f"not tracked: {error} All of it is kept in {entry}: jetassay sync",)
    results = replace(results, frame=recorded.with_run_ids(results.frame))
    results.save()
    if others := outbox.waiting():
        reporter.line(f"{len(others)} earlier result(s) wait to be tracked: jetassay sync")
    links = {"tracking": recorded.store, "leaderboard": recorded.leaderboard, "side by side": recorded.compare}
    return links, results, ()


def sync(*, reporter: Reporter) -> tuple[str, ...]:
    """Track what waits; gives what could not be sent, and why.

    Where a suite's stored results are still the same, they get the ids of their runs. Raises `TrackingError` where the
    store cannot be used.
    """
    from jetassay.tracking import outbox

    sent = outbox.send(reporter=reporter)
    for record, recorded in sent.recorded:
        reporter.line(f"{record.suite}: {recorded.written} run(s) sent, {recorded.leaderboard}")
        try:
            results = load_results(record.suite)
        except ConfigError:
            continue  # removed meanwhile; it is in the store
        stored, sent_rows = (typed(each).drop(columns="run_id") for each in (results.frame, record.frame))
        if stored.equals(sent_rows):
            replace(results, frame=recorded.with_run_ids(results.frame)).save()
    if not sent.recorded and not sent.problems:
        reporter.line("nothing waits to be sent")
    return tuple(sent.problems)
