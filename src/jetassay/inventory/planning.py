"""A suite as the list of its units of work. Nothing is simulated, embedded or scored to find out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from jetassay.audit.archive import kept_at
from jetassay.audit.subject import Subject
from jetassay.audit.subsample import AuditedJets
from jetassay.backbones.card import ALL_LAYERS
from jetassay.embeddings.datasets import DEFAULT_BATCHING, default_store
from jetassay.embeddings.store import DamagedShardError
from jetassay.embeddings.tables import JetTable, as_table, join_tables
from jetassay.embeddings.units import EmbeddingRecipe, Reading, TableRecipe, Unit, embedding_recipe, plan
from jetassay.inventory.jets import Files, PlannedJets, planned_jets, planned_mode
from jetassay.jets.dataset import DataFile, Dataset, split_files
from jetassay.jets.perturbations import parse_perturbation
from jetassay.layering import layered
from jetassay.progress import Reporter
from jetassay.steps import load_backbones
from jetassay.suite import Suite
from jetassay.tasks.choices import RobustnessChoice
from jetassay.varying import WantedJets

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone

TABLES = "tables of jets"
"""In place of a backbone's name: what belongs to none."""
TABLE_COLUMNS = 16
"""More columns of at most 8 bytes than a table of jets has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Units of one backbone, or of the tables of jets, that a suite takes for one purpose.

    row_bytes: bytes of a row before compression; of a table of jets, an upper limit
    known:     whether the files are there, and which of their entries are taken is known; keys mean something then
    reached:   whether all that it is made of was there once, damaged or not; of a part that is not, nothing was made
    """

    backbone: str
    what: str
    units: tuple[Unit[Any], ...]
    row_bytes: int
    known: bool = True
    reached: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """The jets of a run: digest of their dataset, and names of the files of all splits; None where that is not told."""

    digest: str
    files: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlan:
    """All that a suite takes of the cache.

    jets:   the suite's own, and where they are
    audits: where the findings on each backbone are kept; empty where the jets are not there yet
    aside:  units of files that a run went on without: no result took them, but the next run tries them again
    """

    suite: Suite
    jets: PlannedJets
    parts: tuple[Part, ...]
    audits: tuple[Path, ...] = ()
    aside: tuple[Part, ...] = ()

    @property
    def known(self) -> bool:
        """Whether every unit is known and not estimated."""
        return all(part.known for part in self.parts)

    @property
    def known_so_far(self) -> bool:
        """Whether every unit is known that a run which has not finished can have come to."""
        return all(part.known or not part.reached for part in self.parts)


def plan_suite(suite: Suite, *, set_aside: bool = False, taken: Taken | None = None, reporter: Reporter) -> SuitePlan:
    """The units of a suite in the order in which they would be computed.

    set_aside: whether files that cannot be read are named and left out, as a run does; else they are an error
    taken:     of a run that went on without files that could not be used, and the plan is without them too; where that
               does not give its dataset, the jets are others now, and the plan is of all of them

    Weights are loaded, since keys depend on them, and files of jets that were never read are hashed. Raises as
    `run_suite` does where cards, weights or files are missing.
    """
    backbones = load_backbones(suite, device="cpu", reporter=reporter)
    jets = planned_jets(suite.dataset, set_aside=set_aside, reporter=reporter)
    split = suite.split
    splits = split_files(jets.dataset, seed=split.seed, train=split.train, validation=split.validation, test=split.test)
    planner, aside = _reduced(_Planner(suite, jets, splits, backbones), taken)
    parts = (*planner.embeddings(), *planner.layers(reporter), *planner.variations(reporter))
    audits = tuple(planner.audits()) if jets.there else ()
    return SuitePlan(suite=suite, jets=planner.jets, parts=parts, audits=audits, aside=aside)


@dataclass(frozen=True, slots=True)
class _Planner:
    suite: Suite
    jets: PlannedJets
    splits: Files
    backbones: "Mapping[str, Backbone]"

    @property
    def used(self) -> Dataset:
        """The files of all splits, in the order of the dataset."""
        files = {file for some in self.splits.values() for file in some}
        return replace(self.jets.dataset, files=tuple(file for file in self.jets.dataset.files if file in files))

    def embeddings(self) -> Iterator[Part]:
        yield self.part(self.used, what="all splits", known=self.jets.there)
        for name, backbone in self.backbones.items():
            yield self.part(self.used, (name, backbone), what="embedding", known=self.jets.there)

    def layers(self, reporter: Reporter) -> Iterator[Part]:
        from jetassay.backbones.loading import load_backbone

        names = layered(self.suite, self.backbones)
        if self.suite.layers is None:
            return
        first = self.suite.layers.jets
        chosen = replace(self.jets.dataset, files=self.splits["test"]).limited(first)
        yield self.part(chosen, what=f"first {first} of test files", known=self.jets.there)
        for name in names:
            card = self.backbones[name].card.at(ALL_LAYERS)
            backbone = load_backbone(card, device="cpu", dtype=self.suite.dtype, reporter=reporter)
            yield self.part(chosen, (name, backbone), what="all layers", known=self.jets.there)

    def variations(self, reporter: Reporter) -> Iterator[Part]:
        choice = self.suite.robustness
        if choice is None:
            return
        stops, exact = self._stops()
        tables = (default_store().path(unit) for unit in self.part(self.used, what="", known=True).units)
        reached = all(path.exists() for path in tables)
        yield from (replace(part, reached=reached) for part in self._perturbed(choice, stops, known=exact))
        for mode in choice.modes:
            other = planned_mode(self.suite.dataset, mode, stops, reporter=reporter)
            if other is None:
                continue
            simulated = not exact or all(file.path.exists() for file in other.dataset.files)
            for each in (None, *self.backbones.items()):
                part = self.part(other.dataset, each, what=f"mode={mode}", known=exact and other.there)
                yield replace(part, reached=reached and simulated)

    def _perturbed(self, choice: RobustnessChoice, stops: Mapping[DataFile, int], *, known: bool) -> Iterator[Part]:
        chosen = replace(self.jets.dataset, files=tuple(stops))
        yield self.part(chosen, what="first test jets", known=known, stops=stops)
        for text in choice.perturbations:
            perturbation = parse_perturbation(text, seed=choice.seed)
            for name, backbone in self.backbones.items():
                if perturbation.touches(backbone.feature_set.needs):
                    made = self.part(chosen, (name, backbone), what=str(perturbation), known=known, stops=stops)
                    units = tuple(
                        replace(unit, recipe=replace(unit.recipe, perturbation=perturbation)) for unit in made.units
                    )
                    yield replace(made, units=units)

    def audits(self) -> Iterator[Path]:
        choice = self.suite.audit
        if choice is None:
            return
        on_invalid = self.suite.dataset.on_invalid
        jets = AuditedJets(self.jets.dataset, self.splits, jets=choice.jets, on_invalid=on_invalid, seed=choice.seed)
        for backbone in self.backbones.values():
            yield kept_at(Subject(backbone, jets=jets, choice=choice, samples=_never, threads=self.suite.threads))

    def part(
        self,
        dataset: Dataset,
        of: "tuple[str, Backbone] | None" = None,
        *,
        what: str,
        known: bool,
        stops: Mapping[DataFile, int] | None = None,
    ) -> Part:
        """The units of `dataset`: of a backbone, or the tables of jets."""
        recipe: TableRecipe | EmbeddingRecipe = TableRecipe()
        owner, row_bytes = TABLES, 8 * TABLE_COLUMNS
        if of is not None:
            owner, backbone = of
            recipe = embedding_recipe(backbone, feature_set=backbone.feature_set, batching=DEFAULT_BATCHING)
            row_bytes = 8 + 4 * (backbone.card.embedding_dim + len(backbone.labels))
        reading = Reading(schema=dataset.schema, selection=dataset.selection, on_invalid=self.suite.dataset.on_invalid)
        units: tuple[Unit[Any], ...] = plan(
            dataset.files,
            reading=reading,
            recipe=recipe,
            entries_per_unit=DEFAULT_BATCHING.entries_per_unit,
            stops=stops,
        )
        return Part(backbone=owner, what=what, units=units, row_bytes=row_bytes, known=known)

    def _stops(self) -> tuple[Mapping[DataFile, int], bool]:
        """How many entries of which test files are seen otherwise, and whether that is known."""
        suite = self.suite
        assert suite.probe is not None  # as the suite has checked
        assert suite.robustness is not None
        classes = (suite.probe.background, *suite.probe.signals)
        table = _stored_table(self.part(self.used, what="", known=True).units) if self.jets.there else None
        if table is not None:
            return WantedJets.of(table, self.splits["test"], classes=classes, jets=suite.robustness.jets).stops, True
        return _likely_stops(self.splits["test"], classes=classes, jets=suite.robustness.jets), False


def _reduced(planner: _Planner, taken: Taken | None) -> tuple[_Planner, tuple[Part, ...]]:
    """The plan of a run that went on without files, as `steps.embed_usable` does, and the parts of these files."""
    if taken is None or taken.files is None:
        return planner, ()
    aside = {file for file in planner.used.files if file.name not in taken.files}
    if not aside:
        return planner, ()
    left_out = _Planner(planner.suite, *_only(planner, aside.__contains__), planner.backbones)
    rest = _Planner(planner.suite, *_only(planner, lambda file: file not in aside), planner.backbones)
    if planner.jets.there and rest.jets.dataset.digest != taken.digest:
        return planner, ()
    return rest, tuple(left_out.embeddings())


def _only(planner: _Planner, wanted: Callable[[DataFile], bool]) -> tuple[PlannedJets, Files]:
    files = tuple(filter(wanted, planner.jets.dataset.files))
    splits = {name: tuple(filter(wanted, some)) for name, some in planner.splits.items()}
    return replace(planner.jets, dataset=replace(planner.jets.dataset, files=files)), splits


def _stored_table(units: Sequence[Unit[TableRecipe]]) -> JetTable | None:
    """The jets of the suite where the store has all of their tables."""
    store, parts = default_store(), []
    for unit in units:
        try:
            shard = store.read(unit)
        except DamagedShardError:
            return None
        if shard is None:
            return None
        parts.append(as_table(unit, shard))
    return join_tables(parts)


def _likely_stops(files: Sequence[DataFile], *, classes: Sequence[str], jets: int) -> dict[DataFile, int]:
    """As if every entry became a jet of the class that its file is named by; evenly over files that are not."""
    left = dict.fromkeys(classes, jets)
    others = [file for file in files if file.group not in left]
    each = -(-jets * len(classes) // max(len(others), 1))
    stops = {}
    for file in files:
        stop = min(file.entries, left.get(file.group, each))
        if file.group in left:
            left[file.group] -= stop
        if stop:
            stops[file] = stop
    return stops


def _never() -> NoReturn:
    raise AssertionError("a plan embeds no jets")
