"""Every task of a suite on what it takes, in order; a score that cannot be had is named, and stops no other."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from jetassay.embeddings.heap import give_back, quick_collections
from jetassay.embeddings.scratch import let_go
from jetassay.jets.dataset import DataFile, Dataset
from jetassay.progress import Reporter, time_text
from jetassay.report.jet_rows import JetRows
from jetassay.report.results import Results
from jetassay.suite import Suite
from jetassay.tasks.catalogue import TASKS, Task
from jetassay.tasks.further import attempt
from jetassay.tasks.samples import JetKeys, Sample, Splits
from jetassay.tasks.score import Context, Outcome, Score, result_frame

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.embeddings.embedded import Embedded
    from jetassay.tasks.layers import Layers
    from jetassay.tasks.robustness import Variations

Files = Mapping[str, tuple[DataFile, ...]]


@dataclass(slots=True)
class Scored:
    """Scores, what could not be scored, what is not defined, and how the scores are defined."""

    scores: list[Score] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    unavailable: dict[str, list[str]] = field(default_factory=dict)
    protocol: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    jet_tables: dict[str, JetRows] = field(default_factory=dict)

    def take(self, outcome: Outcome[Any], *, task: str, backbone: str = "", layer: str | None = None) -> None:
        """Add what a task gave."""
        self.scores += [replace(score, layer=layer or score.layer) for score in outcome.scores]
        where = f"{backbone}, {task}" if backbone else task
        self.problems += tuple(f"{where}, {what}: {why}" for what, why in outcome.problems.items())
        for what, why in outcome.undefined.items():
            self.unavailable.setdefault(f"{task}, {what}: {why}", []).append(backbone)
        said = (outcome.protocol, *outcome.notes) if outcome.scores or outcome.tables or outcome.jet_tables else ()
        paragraphs = self.protocol.split("\n\n") if self.protocol else []
        self.protocol = "\n\n".join(dict.fromkeys(each for each in [*paragraphs, *said] if each))
        for name, table in outcome.tables.items():
            new = table.assign(backbone=backbone) if backbone else table
            self.tables[name] = pd.concat([self.tables[name], new], ignore_index=True) if name in self.tables else new
        for name, blocks in outcome.jet_tables.items():
            rows = JetRows.of(block.assign(backbone=backbone) if backbone else block for block in blocks)
            self.jet_tables[name] = self.jet_tables[name] + rows if name in self.jet_tables else rows

    @property
    def undefined(self) -> tuple[str, ...]:
        """What no score exists of, one sentence for each reason; nothing is missing."""
        return tuple(
            f"{', '.join(names)}: {reason}" if any(names) else reason for reason, names in self.unavailable.items()
        )

    def frame(self, suite: Suite, dataset: Dataset, backbones: "Mapping[str, Backbone]") -> pd.DataFrame:
        """The long result frame."""
        data_digest = dataset.digest
        return result_frame(
            (
                Context(
                    suite=suite.name,
                    dataset=dataset.name,
                    data_digest=data_digest,
                    split_seed=suite.split.seed,
                    weights_sha256=backbones[score.backbone].weights_sha256,
                    dtype=suite.dtype,
                ),
                score,
            )
            for score in self.scores
        )


def results_of(
    suite: Suite, scored: Scored, *, frame: pd.DataFrame, counts: pd.DataFrame, provenance: Mapping[str, Any]
) -> Results:
    """What goes to the disk: scores, tables, how they are defined, and what is missing."""
    missing = {"missing": list(scored.problems), "undefined": list(scored.undefined)}
    return Results(
        suite=suite.name,
        title=suite.title,
        frame=frame,
        counts=counts,
        provenance={**provenance, **missing},
        protocol=scored.protocol,
        tables=scored.tables,
        jet_tables=scored.jet_tables,
    )


def score_all(
    suite: Suite,
    embedded: "Mapping[str, Embedded]",
    splits: Files,
    *,
    varied: "Mapping[str, Variations] | None" = None,
    layers: "Mapping[str, Layers] | None" = None,
    reporter: Reporter,
) -> Scored:
    """Every task of the suite on the stored embeddings. Raises `LeakageError` and `ConfigError`.

    varied: test jets as other detectors would have seen them, for the tasks that take these
    layers: all layers of some backbones, for the task that takes these
    """
    from jetassay.embeddings.threads import one_thread_per_operator

    done, began = Scored(), time.perf_counter()
    taken = Material(embedded, splits, varied=varied or {}, layers=layers or {})
    chosen = suite.chosen
    steps = sum(len(embedded) if TASKS[name].scope == "backbone" else 1 for name in chosen)
    # One thread: the same bits for any number of cores, and no waiting for a core that others use.
    with one_thread_per_operator(), quick_collections(), reporter.bar("scoring", steps, unit="steps") as bar:
        for name, options in chosen.items():
            task = TASKS[name]
            bar.doing(f"scoring: {name}")
            if task.scope == "suite":
                done.take(_described(task, attempt(name, options, taken.of_all(task))), task=name)
                taken.let_go()
                bar.advance()
                continue
            for backbone, each in embedded.items():
                outcome = attempt(name, options, taken.of(backbone, task), backbone=backbone)
                if name == "probe":
                    taken.probes[backbone] = outcome.details
                layer = each.layer if task.of == "embedding" else None
                done.take(_described(task, outcome), task=name, backbone=backbone, layer=layer)
                taken.let_go()
                bar.advance()
    spent = time_text(time.perf_counter() - began)
    reporter.line(f"scores: {', '.join(chosen)} of {len(embedded)} backbones, from their embeddings, in {spent}")
    return done


def _described(task: Task, outcome: Outcome[Any]) -> Outcome[Any]:
    """The outcome with its task's description, where it brings no definitions of its own."""
    said = outcome.protocol or f"{task.name} (version {task.version}): {task.description}"
    return replace(outcome, protocol=said)


class Material:
    """What tasks take of each backbone, in the kinds that `Task.takes` names; each made once."""

    def __init__(
        self,
        embedded: "Mapping[str, Embedded]",
        splits: Files,
        *,
        varied: "Mapping[str, Variations]",
        layers: "Mapping[str, Layers]",
    ) -> None:
        self._embedded = embedded
        self._varied = varied
        self._layers = layers
        self._files = splits
        self._splits: dict[str, Splits] = {}
        self.probes: dict[str, Mapping[str, Any]] = {}

    def let_go(self) -> None:
        """Keep nothing of what a task had in memory for those after it."""
        for each in self._embedded.values():
            each.let_go()
        for result in (result for results in self.probes.values() for result in results.values()):
            let_go(result.signal_logits, result.background_logits)
        give_back()

    def of_all(self, task: Task) -> dict[str, Any]:
        """What `task` takes of every backbone that has it."""
        if task.takes == "layers":
            return dict(self._layers)
        return {backbone: self.of(backbone, task) for backbone in self._embedded}

    def of(self, backbone: str, task: Task) -> Any:
        """What `task` takes of `backbone`."""
        if task.takes in ("probes", "perturbed"):
            from jetassay.tasks.probe import Probed
            from jetassay.tasks.robustness import Perturbed

            probed = Probed(self.splits(backbone), self.probes[backbone])
            return probed if task.takes == "probes" else Perturbed(probed, self._varied[backbone])
        return self.splits(backbone).test if task.takes == "test" else self.splits(backbone)

    def splits(self, backbone: str) -> Splits:
        """The samples of one backbone."""
        if backbone not in self._splits:
            each = self._embedded[backbone]
            self._splits[backbone] = Splits(**{name: sample_of(each, files) for name, files in self._files.items()})
        return self._splits[backbone]


def sample_of(embedded: "Embedded", files: tuple[DataFile, ...]) -> Sample:
    """The jets of some files as a task takes them: views where these lie side by side, as splits do."""
    jets = embedded.jets
    rows = jets.rows_of(files)
    return Sample(
        embedding=embedded.embedding[rows],
        labels=embedded.labels[rows],
        names=embedded.label_names,
        keys=JetKeys(tuple(file.digest for file in jets.files), jets.file_index[rows], jets.entries[rows]),
        scores=None if embedded.scores is None else embedded.scores[rows],
        outputs=embedded.score_names,
        columns={name: column[rows] for name, column in jets.columns.items()},
    )
