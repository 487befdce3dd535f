"""Test jets as other detectors would have seen them, embedded by every backbone: what robustness is measured on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from jetassay.embeddings.tables import JetTable
from jetassay.errors import ConfigError, DataError, InterruptedRunError, JetAssayError, LeakageError
from jetassay.jets.dataset import DataFile, Dataset, open_dataset
from jetassay.jets.matching import TRACK, match_jets
from jetassay.jets.perturbations import Perturbation, parse_perturbation
from jetassay.progress import Reporter
from jetassay.scoring import Files, sample_of
from jetassay.steps import simulation_recipe
from jetassay.suite import Suite
from jetassay.tasks.choices import RobustnessChoice
from jetassay.tasks.robustness import Variation, Variations
from jetassay.tasks.samples import IntArray, JetKeys, Sample

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.embeddings.embedded import Embedded

_UNCUT = 1 << 30


def embed_variations(
    suite: Suite,
    backbones: "Mapping[str, Backbone]",
    embedded: "Mapping[str, Embedded]",
    dataset: Dataset,
    splits: Files,
    *,
    reporter: Reporter,
) -> dict[str, Variations]:
    """What the suite's [robustness] asks for, of every backbone; nothing without it.

    Simulated and embedded once: what cache and store have is not made again. What cannot be had is in `problems` or
    `undefined` of the backbone's variations. Raises `ConfigError` and `LeakageError`.
    """
    choice = suite.robustness
    if choice is None:
        return {}
    assert suite.probe is not None  # as the suite has checked
    classes = (suite.probe.background, *suite.probe.signals)
    wanted = WantedJets.of(next(iter(embedded.values())).jets, splits["test"], classes=classes, jets=choice.jets)
    other_modes = [_tried(mode, suite, dataset, wanted, reporter=reporter) for mode in choice.modes]
    perturbations = [parse_perturbation(text, seed=choice.seed) for text in choice.perturbations]
    varied: dict[str, Variations] = {}
    with reporter.bar("jets seen otherwise", len(backbones), unit="backbones") as bar:
        for name, backbone in backbones.items():
            nominal = sample_of(embedded[name], splits["test"])
            work = _Work(suite, choice, backbone, replace(dataset, files=tuple(wanted.stops)), nominal, wanted)
            varied[name] = work.everything(perturbations, other_modes)
            bar.advance()
    made = ", ".join([*(str(each) for each in perturbations), *(f"mode={mode}" for mode in choice.modes)])
    reporter.line(f"robustness: {len(wanted.rows)} test jets, {len(backbones)} backbones, seen with {made}")
    return varied


@dataclass(frozen=True, slots=True)
class WantedJets:
    """Which jets are looked at again.

    rows:  int64 (K,), rows of the test sample: the first jets of each class that is probed
    stops: the files that they are in, and how many entries of each are enough
    """

    rows: IntArray
    stops: Mapping[DataFile, int]

    @classmethod
    def of(cls, table: JetTable, files: Sequence[DataFile], *, classes: Sequence[str], jets: int) -> "WantedJets":
        """The first `jets` of each class in `files`."""
        tested = np.flatnonzero(table.in_files(files))
        labels, place, entries = table.labels[tested], table.file_index[tested], table.entries[tested]
        numbers = [table.label_names.index(name) for name in classes]
        rows = np.sort(np.concatenate([np.flatnonzero(labels == number)[:jets] for number in numbers]))
        stops = np.zeros(len(table.files), np.int64)
        np.maximum.at(stops, place[rows], entries[rows] + 1)
        return cls(rows, {file: int(stop) for file, stop in zip(table.files, stops, strict=True) if stop})


@dataclass(frozen=True, slots=True)
class _Mode:
    """The same events in another detector mode: its files, and pairs of jets; or why there is nothing.

    ours, theirs: keys of the jets that both modes have
    failed: whether there should have been something
    """

    name: str
    dataset: Dataset | None = None
    ours: JetKeys | None = None
    theirs: JetKeys | None = None
    reason: str = ""
    note: str = ""
    failed: bool = False


def _tried(
    mode: Literal["delphes", "ideal"], suite: Suite, dataset: Dataset, wanted: WantedJets, *, reporter: Reporter
) -> _Mode:
    """As `_in_mode`; a simulation that fails costs no other score, and one that is stopped stops the run."""
    try:
        return _in_mode(mode, suite, dataset, wanted, reporter=reporter)
    except (ConfigError, LeakageError, InterruptedRunError):
        raise
    except JetAssayError as error:
        return _Mode(f"mode={mode}", reason=str(error), failed=True)


def _in_mode(
    mode: Literal["delphes", "ideal"], suite: Suite, dataset: Dataset, wanted: WantedJets, *, reporter: Reporter
) -> _Mode:
    """Simulate the events of the wanted files in another mode, and find the same jets.

    A file's events follow from seed, class and number of the file alone, so fewer jets of a file are its first events.
    """
    name = f"mode={mode}"
    recipe = simulation_recipe(suite.dataset)
    if recipe is None:
        return _Mode(name, reason=f"the jets of {dataset.name} are read from files and not simulated")
    from jetassay.simulation.recipe import default_output
    from jetassay.simulation.sample import simulate

    recipe = replace(recipe, mode=mode, jets=max(wanted.stops.values()) * recipe.files)
    names = {file.name: file for file in wanted.stops}
    reporter.line(f"jets: the same events in mode {mode}, {recipe.jets // recipe.files} jets in {len(names)} files")
    paths = simulate(recipe, output=default_output(recipe), reporter=reporter, only=names)
    other = open_dataset(f"{dataset.name}-{mode}", paths, schema=dataset.schema, reporter=reporter)
    ours, theirs = _Entries(), _Entries()
    for file in other.files:
        chunks = []
        for where, one in ((dataset, names[file.name]), (other, file)):
            options = {"needs": TRACK, "entries_per_chunk": one.entries, "max_constituents": _UNCUT}
            (chunk,) = where.read(one, on_invalid=suite.dataset.on_invalid, stop=one.entries, **options)
            chunks.append(chunk)
        pairs = match_jets(chunks[0].jets, chunks[1].jets)
        ours.add(names[file.name], chunks[0].origin.entries[pairs[0]])
        theirs.add(file, chunks[1].origin.entries[pairs[1]])
    found = len(theirs.keys())
    note = f"{name}: {found} of {other.entries} simulated jets are jets of the test sample too."
    return _Mode(name, other, ours.keys(), theirs.keys(), note=note)


@dataclass(slots=True)
class _Entries:
    """Keys of jets, collected file by file."""

    files: list[str] = field(default_factory=list)
    entries: list[IntArray] = field(default_factory=list)

    def add(self, file: DataFile, entries: IntArray) -> None:
        self.files.append(file.digest)
        self.entries.append(entries)

    def keys(self) -> JetKeys:
        lengths = [len(each) for each in self.entries]
        return JetKeys(tuple(self.files), np.repeat(np.arange(len(lengths)), lengths), np.concatenate(self.entries))


@dataclass(frozen=True, slots=True)
class _Work:
    """One backbone, and what is the same for all of its variations.

    dataset: the files that jets are taken from; nominal: the test sample
    """

    suite: Suite
    choice: RobustnessChoice
    backbone: "Backbone"
    dataset: Dataset
    nominal: Sample
    wanted: WantedJets

    def everything(self, perturbations: Sequence[Perturbation], modes: Sequence[_Mode]) -> Variations:
        """Every variation that can be had."""
        made: dict[str, Variation] = {}
        problems: dict[str, str] = {}
        undefined: dict[str, str] = {}
        wanted: tuple[Perturbation | _Mode, ...] = (*perturbations, *modes)
        for each in wanted:
            name = each.name if isinstance(each, _Mode) else str(each)
            if isinstance(each, _Mode) and each.dataset is None:
                (problems if each.failed else undefined)[name] = each.reason
                continue
            try:
                made[name] = self.in_mode(each) if isinstance(each, _Mode) else self.perturbed(each)
            except (ConfigError, LeakageError):
                raise
            except JetAssayError as error:
                problems[name] = str(error)
        return Variations(made, problems, undefined, tuple(mode.note for mode in modes if mode.name in made))

    def perturbed(self, perturbation: Perturbation) -> Variation:
        """The wanted jets perturbed; where the backbone has no input that could change, its embedding as it is."""
        from jetassay.embeddings.perturbed import embed_perturbed

        rows = self.wanted.rows
        if not perturbation.touches(self.backbone.feature_set.needs):
            return Variation(self.nominal.take(rows), rows)
        found = embed_perturbed(
            self.backbone,
            self.dataset,
            perturbation=perturbation,
            stops=self.wanted.stops,
            on_invalid=self.suite.dataset.on_invalid,
            threads=self.suite.threads,
            reporter=Reporter(quiet=True),
        )
        sample = sample_of(found, self.dataset.files)
        return Variation(sample.take(_present(sample.keys.find(self.nominal.keys.take(rows)), str(perturbation))), rows)

    def in_mode(self, mode: _Mode) -> Variation:
        """The jets that both modes have and that are in the test sample."""
        from jetassay.embeddings.datasets import default_store, embed_dataset

        assert mode.dataset is not None
        assert mode.ours is not None
        assert mode.theirs is not None
        found = embed_dataset(
            self.backbone,
            mode.dataset,
            store=default_store(),
            on_invalid=self.suite.dataset.on_invalid,
            threads=self.suite.threads,
            reporter=Reporter(quiet=True),
        )
        sample = sample_of(found, mode.dataset.files)
        rows = self.nominal.keys.find(mode.ours)
        kept = np.flatnonzero(rows >= 0)
        if not len(kept):
            raise DataError(f"{mode.name}: none of its {len(sample)} jets is a jet of the test sample")
        others = _present(sample.keys.find(mode.theirs.take(kept)), mode.name)
        return Variation(sample.take(others), rows[kept])


def _present(rows: IntArray, what: str) -> IntArray:
    if (rows < 0).any():
        raise DataError(f"{what}: {int((rows < 0).sum())} jets are missing among those that were embedded for it")
    return rows
