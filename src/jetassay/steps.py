"""The steps that `run.py` names in order: each joins two stages, and decides nothing that belongs to a stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jetassay.errors import ConfigError, LeakageError, WeightsError
from jetassay.jets.catalogue import find_dataset_card, open_card
from jetassay.jets.dataset import DataFile, Dataset, open_dataset, require_jets, split_files
from jetassay.jets.peaks import check_labels
from jetassay.progress import Reporter
from jetassay.records import Record
from jetassay.suite import SIMULATED, DatasetChoice, Suite
from jetassay.tasks.samples import JetKeys, Sample, Splits
from jetassay.tasks.score import Context, Outcome, Score, result_frame

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.embeddings.embedded import Embedded

Files = Mapping[str, tuple[DataFile, ...]]


@dataclass(slots=True)
class Scored:
    """Scores, what could not be scored, what is not defined, and how the scores are defined."""

    scores: list[Score] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    unavailable: dict[str, list[str]] = field(default_factory=dict)
    protocol: str = ""

    def take(
        self, outcome: Outcome[Any], *, task: str, protocol: str, backbone: str = "", layer: str | None = None
    ) -> None:
        """Add what a task gave; `protocol` says how its scores are defined."""
        self.scores += [replace(score, layer=layer) for score in outcome.scores]
        where = f"{backbone}, {task}" if backbone else task
        self.problems += tuple(f"{where}, {what}: {why}" for what, why in outcome.problems.items())
        for what, why in outcome.undefined.items():
            self.unavailable.setdefault(f"{task}, {what}: {why}", []).append(backbone)
        said = (protocol, *outcome.notes) if outcome.scores else ()
        paragraphs = self.protocol.split("\n\n") if self.protocol else []
        self.protocol = "\n\n".join(dict.fromkeys([*paragraphs, *said]))

    @property
    def undefined(self) -> tuple[str, ...]:
        """What no score exists of, one sentence for each reason; nothing is missing."""
        return tuple(f"{', '.join(names)}: {reason}" for reason, names in self.unavailable.items())

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


def load_backbones(suite: Suite, *, device: str, reporter: Reporter) -> "dict[str, Backbone]":
    """Every backbone of the suite. Raises `WeightsError` naming all whose weights are missing or wrong, at once."""
    from jetassay.backbones.catalogue import backbone_cards, find_card
    from jetassay.backbones.loading import load_backbone

    known = backbone_cards()
    cards = {name: find_card(known, name) for name in suite.backbones}
    loaded, problems = {}, []
    for name, card in cards.items():
        try:
            loaded[name] = load_backbone(card, device=device, dtype=suite.dtype, reporter=reporter)
        except WeightsError as error:
            problems.append(str(error))
    if problems:
        raise WeightsError("\n".join(problems))
    _require_unseen_jets(suite.dataset, loaded)
    return loaded


def _require_unseen_jets(choice: DatasetChoice, backbones: "Mapping[str, Backbone]") -> None:
    """Raises `LeakageError` where the jets to simulate are those that a backbone was trained on.

    A simulated jet follows from seed, kind, class and file alone, so an equal seed gives jets of the training.
    """
    simulation = find_dataset_card(choice.card).simulation
    if simulation is None or choice.folder is not None:
        return
    wanted = simulation.kind, simulation.seed if choice.seed is None else choice.seed
    for name, backbone in backbones.items():
        training = backbone.card.training
        sample = training.recipe.get("sample", {}) if training is not None else {}
        if (sample.get("kind"), sample.get("seed")) == wanted:
            raise LeakageError(
                f"{name} was trained on jets simulated with seed {wanted[1]}; give [dataset] of the suite another seed"
            )


def find_jets(choice: DatasetChoice, *, reporter: Reporter) -> Dataset:
    """The suite's jets: simulated once and kept in the cache, or the files of a real dataset."""
    card = find_dataset_card(choice.card)
    changes = {name: getattr(choice, name) for name in SIMULATED if getattr(choice, name) is not None}
    if card.simulation is None or choice.folder is not None:
        if changes:
            raise ConfigError(
                f"dataset '{card.name}': {', '.join(changes)} in [dataset] say what to simulate, but these jets are "
                "read from files; take them out of the suite"
            )
        opened = open_card(card, folder=choice.folder, reporter=reporter)
        for warning in check_labels(opened):
            reporter.warning(f"{opened.name}: {warning}")
        return opened if choice.limit is None else opened.limited(choice.limit)
    from jetassay.simulation.recipe import Recipe, default_output
    from jetassay.simulation.sample import simulate

    recipe = Recipe(**{**card.simulation.model_dump(), **changes})
    folder = default_output(recipe)
    reporter.line(f"jets: {recipe.jets} of each of {len(recipe.classes)} classes in {folder}")
    paths = simulate(recipe, output=folder, reporter=reporter)
    made = open_dataset(card.name, paths, schema=card.schema_name, reporter=reporter)
    return made if choice.limit is None else made.limited(choice.limit)


def split_jets(suite: Suite, dataset: Dataset) -> Files:
    """The files of each split. Raises `DataError` where a class has too few files or jets to be probed."""
    split = suite.split
    files = split_files(dataset, seed=split.seed, train=split.train, validation=split.validation, test=split.test)
    if suite.probe is not None:
        for some in files.values():
            require_jets(dataset, classes=(suite.probe.background, *suite.probe.signals), minimum=2, files=some)
    if suite.zero_shot is not None:
        require_jets(
            dataset, classes=(suite.zero_shot.background, *suite.zero_shot.signals), minimum=2, files=files["test"]
        )
    return files


def embed_all(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> "dict[str, Embedded]":
    """Every backbone embeds the same jets; what the store has is not computed again."""
    from jetassay.embeddings.datasets import default_store, embed_dataset

    used = {file for files in splits.values() for file in files}
    chosen = replace(dataset, files=tuple(file for file in dataset.files if file in used))
    return {
        name: embed_dataset(
            backbone,
            chosen,
            store=default_store(),
            on_invalid=suite.dataset.on_invalid,
            threads=suite.threads,
            reporter=reporter,
        )
        for name, backbone in backbones.items()
    }


def score_all(suite: Suite, embedded: "Mapping[str, Embedded]", splits: Files, *, reporter: Reporter) -> Scored:
    """Every task of the suite on the stored embeddings. A score that cannot be had is named, and stops no other."""
    from jetassay.embeddings.threads import one_thread_per_operator

    done = Scored()
    # One thread: the same bits for any number of cores, and no waiting for a core that others use.
    per_backbone = [choice for choice in (suite.probe, suite.zero_shot) if choice is not None]
    steps = len(embedded) * len(per_backbone) + (suite.similarity is not None) + len(suite.tasks)
    with one_thread_per_operator(), reporter.bar("scoring", steps, unit="steps") as bar:
        if suite.probe is not None:
            from jetassay.tasks.probe import PROTOCOL, probe

            for name, each in embedded.items():
                probed = probe(_splits(each, splits), backbone=name, **_options(suite.probe))
                done.take(probed, task="probe", backbone=name, layer=each.layer, protocol=PROTOCOL)
                bar.advance()
        if suite.zero_shot is not None:
            from jetassay.tasks import zero_shot

            for name, each in embedded.items():
                found = zero_shot.zero_shot(_splits(each, splits), backbone=name, **_options(suite.zero_shot))
                done.take(found, task="zero-shot", backbone=name, protocol=zero_shot.PROTOCOL)
                bar.advance()
        if suite.similarity is not None:
            from jetassay.tasks.similarity import protocol, similarity

            tests = {name: sample_of(each, splits["test"]) for name, each in embedded.items()}
            compared = similarity(tests, **_options(suite.similarity))
            done.take(compared, task="similarity", protocol=protocol(suite.similarity.permutations))
            bar.advance()
        for task in suite.tasks:
            _take_further(done, task, suite.tasks[task], embedded, splits)
            bar.advance()
    return done


def _take_further(
    done: Scored, name: str, options: Mapping[str, Any], embedded: "Mapping[str, Embedded]", splits: Files
) -> None:
    """The scores of a plug-in's task."""
    from jetassay.tasks.catalogue import TASKS
    from jetassay.tasks.further import attempt

    task = TASKS[name]
    said = f"{name} (version {task.version}): {task.description}"
    if task.scope == "suite":
        tests = {backbone: sample_of(each, splits["test"]) for backbone, each in embedded.items()}
        done.take(attempt(name, options, tests), task=name, protocol=said)
        return
    for backbone, each in embedded.items():
        found = attempt(name, options, _splits(each, splits), backbone=backbone)
        done.take(found, task=name, backbone=backbone, layer=each.layer, protocol=said)


def _options(choice: Record) -> dict[str, Any]:
    """The keys of a task's table in a suite are the task's arguments."""
    return {name: getattr(choice, name) for name in type(choice).model_fields}


def _splits(embedded: "Embedded", splits: Files) -> Splits:
    return Splits(**{split: sample_of(embedded, files) for split, files in splits.items()})


def sample_of(embedded: "Embedded", files: tuple[DataFile, ...]) -> Sample:
    """The jets of some files as a task takes them."""
    rows = np.flatnonzero(embedded.jets.in_files(files))
    keys = JetKeys(
        tuple(file.digest for file in embedded.jets.files), embedded.jets.file_index[rows], embedded.jets.entries[rows]
    )
    scores = None if embedded.scores is None else embedded.scores[rows]
    return Sample(
        embedded.embedding[rows], embedded.labels[rows], embedded.label_names, keys, scores, embedded.score_names
    )


def measure_throughput(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> list[Score]:
    """Jets per second of each backbone on the first test jets of every class, in one sitting."""
    if suite.throughput is None:
        return []
    from jetassay.embeddings.speed import measure_speed
    from jetassay.features.inputs import compute_inputs

    files = splits["test"]
    each = -(-suite.throughput.jets // len(files))
    reporter.line(f"throughput: {suite.throughput.rounds} rounds of {len(backbones)} backbones, interleaved")
    entries = {}
    for name, backbone in backbones.items():
        options = {
            "needs": backbone.feature_set.needs,
            "max_constituents": backbone.card.max_constituents,
            "on_invalid": suite.dataset.on_invalid,
        }
        chunks = (chunk for file in files for chunk in dataset.read(file, stop=min(each, file.entries), **options))
        parts = [compute_inputs(backbone.feature_set, chunk.jets) for chunk in chunks]
        entries[name] = backbone, type(parts[0]).join(parts)
    speeds = measure_speed(entries, rounds=suite.throughput.rounds, threads=suite.threads)
    return [
        Score(
            task="throughput",
            task_version=1,
            metric="jets_per_s",
            value=speed.jets_per_s,
            low=speed.slowest,
            high=speed.fastest,
            interval=f"slowest and fastest of {len(speed.rounds_s)} rounds, {speed.threads} threads",
            backbone=name,
        )
        for name, speed in speeds.items()
    ]
