"""The steps that `run.py` names in order: each joins two stages, and decides nothing that belongs to a stage."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from jetassay.errors import ConfigError, DataError, LeakageError, NotFiniteError, WeightsError
from jetassay.jets.catalogue import find_dataset_card, open_card
from jetassay.jets.counting import require_jets
from jetassay.jets.dataset import DataFile, Dataset, open_dataset, split_files
from jetassay.jets.peaks import check_labels
from jetassay.progress import Reporter
from jetassay.suite import SIMULATED, DatasetChoice, Suite
from jetassay.tasks.score import Score

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.embeddings.embedded import Embedded
    from jetassay.simulation.recipe import Recipe

Files = Mapping[str, tuple[DataFile, ...]]


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
    reporter.line(f"backbones: {', '.join(loaded)}")
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


def find_jets(choice: DatasetChoice, *, set_aside: bool = False, reporter: Reporter) -> Dataset:
    """The suite's jets: simulated once and kept in the cache, or the files of a real dataset.

    set_aside: whether files of a real dataset that cannot be read are named and left out, in place of an error
    """
    from jetassay.embeddings.aside import FilesAside

    card, changes = find_dataset_card(choice.card), _changes(choice)
    recipe = simulation_recipe(choice)
    if recipe is None:
        if changes:
            raise ConfigError(
                f"dataset '{card.name}': {', '.join(changes)} in [dataset] say what to simulate, but these jets are "
                "read from files; take them out of the suite"
            )
        put = FilesAside(reporter).put if set_aside else None
        opened = open_card(card, folder=choice.folder, set_aside=put, reporter=reporter)
        for warning in check_labels(opened):
            reporter.warning(f"{opened.name}: {warning}")
        reporter.line(f"jets: {opened.name}, {opened.entries} entries in {len(opened.files)} files")
        return opened if choice.limit is None else opened.limited(choice.limit)
    from jetassay.simulation.recipe import default_output
    from jetassay.simulation.sample import simulate

    folder = default_output(recipe)
    reporter.line(f"jets: {recipe.jets} of each of {len(recipe.classes)} classes in {folder}")
    paths = simulate(recipe, output=folder, reporter=reporter)
    made = open_dataset(card.name, paths, schema=card.schema_name, reporter=reporter)
    return made if choice.limit is None else made.limited(choice.limit)


def simulation_recipe(choice: DatasetChoice) -> "Recipe | None":
    """What is simulated; None for jets that are read from files. Raises `ConfigError` for values without sense."""
    card = find_dataset_card(choice.card)
    if card.simulation is None or choice.folder is not None:
        return None
    from jetassay.simulation.recipe import Recipe

    return Recipe(**{**card.simulation.model_dump(), **_changes(choice)})


def _changes(choice: DatasetChoice) -> dict[str, Any]:
    """What the suite changes of the simulation that the dataset's card describes."""
    return {name: getattr(choice, name) for name in SIMULATED if getattr(choice, name) is not None}


def split_jets(suite: Suite, dataset: Dataset) -> Files:
    """The files of each split. Raises `DataError` where a class has too few files or jets to be probed.

    Raises `ConfigError` where [robustness] asks for the detector mode of the jets themselves, or for another seed of a
    split that the publisher has made.
    """
    split = suite.split
    if dataset.splits and suite.series != suite.name:
        raise ConfigError(f"{dataset.name}: its publisher has split it, so a seed draws nothing; leave out --seed")
    if suite.robustness is not None and suite.robustness.modes:
        recipe = simulation_recipe(suite.dataset)
        if recipe is not None and recipe.mode in suite.robustness.modes:
            raise ConfigError(
                f"[robustness] asks for mode {recipe.mode}, in which the suite's jets are simulated anyway; "
                "take it out of modes"
            )
    files = split_files(dataset, seed=split.seed, train=split.train, validation=split.validation, test=split.test)
    _require_probed(suite, dataset, files)
    return files


def _require_probed(suite: Suite, dataset: Dataset, splits: Files) -> None:
    """Raises `DataError` where a split has too few jets of a class that is scored, with what was set aside."""
    from jetassay.embeddings.aside import reasons, told

    try:
        _require_enough(suite, dataset, splits)
    except DataError as error:
        if not dataset.aside:
            raise
        cause = f"{told(dataset.aside)}:\n{reasons(dataset.aside)}"
        raise DataError(f"{cause}\nThe suite cannot do without: {error}") from error


def _require_enough(suite: Suite, dataset: Dataset, splits: Files) -> None:
    for name, some in splits.items():
        if not some:
            raise DataError(f"{dataset.name}: no file of the {name} split is left")
    if suite.probe is not None:
        for some in splits.values():
            require_jets(dataset, classes=(suite.probe.background, *suite.probe.signals), minimum=2, files=some)
    if suite.zero_shot is not None:
        require_jets(
            dataset, classes=(suite.zero_shot.background, *suite.zero_shot.signals), minimum=2, files=splits["test"]
        )


def embed_all(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> "dict[str, Embedded]":
    """As `embed_finite`; raises `NotFiniteError` where one of them gives NaN or infinity."""
    found, broken = embed_finite(suite, backbones, dataset, splits, reporter=reporter)
    if broken:
        raise NotFiniteError(broken[0])
    return found


def embed_finite(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> "tuple[dict[str, Embedded], tuple[str, ...]]":
    """Every backbone embeds the same jets, which are read once; what the store has is not computed again.

    Also gives a sentence for each backbone that gives NaN or infinity: it costs the others nothing. Raises
    `NotFiniteError` where all of them do.
    """
    from jetassay.embeddings.datasets import default_store, fill, plan_embedding
    from jetassay.embeddings.heap import give_back

    # Split after split, so that the jets of each lie side by side.
    used = {split: set(files) for split, files in splits.items()}
    chosen = replace(dataset, files=tuple(file for some in used.values() for file in dataset.files if file in some))
    planned = {
        name: plan_embedding(
            backbone,
            chosen,
            store=default_store(),
            on_invalid=suite.dataset.on_invalid,
            threads=suite.threads,
            reporter=reporter,
        )
        for name, backbone in backbones.items()
    }
    errors = dict(zip(planned, fill(list(planned.values()), aside_before=len(dataset.aside)), strict=True))
    broken = {name: error for name, error in errors.items() if error is not None}
    for error in broken.values():
        reporter.warning(str(error))
    sound = {name: each for name, each in planned.items() if name not in broken}
    if not sound:
        raise next(iter(broken.values()))
    jets = next(iter(sound.values())).jets()
    found = {name: each.load(jets=jets) for name, each in sound.items()}
    give_back()
    return found, tuple(f"{name}: {error}" for name, error in broken.items())


@dataclass(frozen=True, slots=True)
class Usable:
    """What was embedded, and the files that it is of.

    problems: a sentence for each backbone that was left out, and for each file
    """

    embedded: "dict[str, Embedded]"
    dataset: Dataset
    splits: Files
    problems: tuple[str, ...]


def embed_usable(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> Usable:
    """As `embed_finite`; files that cannot be used are left out, for all backbones alike.

    Raises `DataError` where a split is too small without them.
    """
    from jetassay.embeddings.aside import SetAsideError

    _tell_what_is_left(dataset, reporter=reporter)
    try:
        embedded, broken = embed_finite(suite, backbones, dataset, splits, reporter=reporter)
    except SetAsideError as error:
        rest = tuple(file for file in dataset.files if file not in error.files)
        dataset = replace(dataset, files=rest, aside={**dataset.aside, **error.files})
        splits = {name: tuple(file for file in some if file not in error.files) for name, some in splits.items()}
        _require_probed(suite, dataset, splits)
        _tell_what_is_left(dataset, reporter=reporter)
        embedded, broken = embed_finite(suite, backbones, dataset, splits, reporter=reporter)
    return Usable(embedded, dataset, splits, (*_missing_files(dataset), *broken))


def _tell_what_is_left(dataset: Dataset, *, reporter: Reporter) -> None:
    if dataset.aside:
        files = len(dataset.files) + len(dataset.aside)
        reporter.warning(f"the suite goes on without {len(dataset.aside)} of {files} files, for all backbones alike")


def _missing_files(dataset: Dataset) -> tuple[str, ...]:
    """A sentence for each file that was set aside; how many entries one holds that was never read is not known."""
    from jetassay.embeddings.aside import named

    return tuple(
        f"set aside with {f'its {file.entries}' if file.digest else 'all its'} entries: {named(file, reason)}"
        for file, reason in dataset.aside.items()
    )


def measure_throughput(
    suite: Suite, backbones: "Mapping[str, Backbone]", dataset: Dataset, splits: Files, *, reporter: Reporter
) -> list[Score]:
    """Jets per second of each backbone on the first test jets of every class, in one sitting; then what it computes."""
    if suite.throughput is None:
        return []
    from jetassay.embeddings.footprint import measure_footprint
    from jetassay.embeddings.speed import measure_speed
    from jetassay.features.inputs import compute_inputs

    files = splits["test"]
    each = -(-suite.throughput.jets // len(files))
    rounds = suite.throughput.rounds
    reporter.line(f"throughput: {rounds} round{'s' * (rounds > 1)} of {len(backbones)} backbones, interleaved")
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
    scores = []
    for name, speed in speeds.items():
        shared: dict[str, Any] = {"task": "throughput", "task_version": 1, "backbone": name}
        interval = f"slowest and fastest of {len(speed.rounds_s)} rounds, {speed.threads} threads"
        bounds: dict[str, Any] = {"low": speed.slowest, "high": speed.fastest, "interval": interval}
        scores.append(Score(metric="jets_per_s", value=speed.jets_per_s, **bounds, **shared))
        footprint = measure_footprint(*entries[name])
        if footprint is not None:
            scores += [Score(metric=metric, value=value, **shared) for metric, value in asdict(footprint).items()]
    return scores
