"""WHAT is compared: a suite is a TOML file under `suites/`, checked key by key."""

import re
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from jetassay.audit.choices import AuditChoice, Depth
from jetassay.errors import ConfigError
from jetassay.places import suites_folder
from jetassay.records import Record, parse_record, read_toml
from jetassay.registry import Registry
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.choices import (
    BinsChoice,
    CalibrationChoice,
    ComparisonChoice,
    ContentChoice,
    FewShotChoice,
    KnnChoice,
    LayersChoice,
    MapChoice,
    MlpProbeChoice,
    MulticlassChoice,
    ProbeChoice,
    RobustnessChoice,
    SculptingChoice,
    Seed,
    ShuffledLabelsChoice,
    SimilarityChoice,
    SimilarityFamiliesChoice,
    StabilityChoice,
    ThroughputChoice,
    ZeroShotChoice,
)

SIMULATED = ("jets", "files", "seed", "mode")
"""Keys of `DatasetChoice` that say what to simulate, and mean nothing for jets that are read from files."""


class DatasetChoice(Record):
    """Which jets. A simulated dataset is made once and cached; the others need `folder` or `--data`.

    jets, files: of each class, for simulated datasets
    folder: where the files of a real dataset lie, from the current folder where it is relative, and kept as an absolute
            path; the command line's `--data` wins over it
    limit: of each file, take at most this many entries, from its beginning
    """

    card: str
    jets: int | None = Field(default=None, gt=0)
    files: int | None = Field(default=None, ge=3)
    seed: Seed | None = None
    mode: Literal["delphes", "ideal"] | None = None
    folder: Path | None = None
    limit: int | None = Field(default=None, gt=0)
    on_invalid: Literal["error", "drop"] = "error"

    @field_validator("folder")
    @classmethod
    def _same_from_everywhere(cls, folder: Path | None) -> Path | None:
        """What a run keeps of its suite is read again in other folders."""
        return None if folder is None else folder.absolute()


class SplitChoice(Record):
    """Files of each class that train the probe, choose its penalty, and test it, drawn with `seed`."""

    seed: Seed = 1
    train: int = Field(gt=0)
    validation: int = Field(gt=0)
    test: int = Field(gt=0)


class Suite(Record):
    """One comparison. A task whose table is absent is not run.

    audit:     of every backbone, at the cheap depth unless its table says otherwise; `audit = false` for none
    dtype:     what backbones compute in; bfloat16 is for matrix products alone
    tasks:     those of plug-ins, by name, each with its arguments
    backbones: names of cards; `NAME@LAYER` takes one of the inner layers that the card names as the embedding
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    backbones: tuple[str, ...] = Field(min_length=1)
    dtype: Literal["float32", "float64", "bfloat16"] = "float32"
    threads: int | None = Field(default=None, gt=0)
    dataset: DatasetChoice
    split: SplitChoice
    probe: ProbeChoice | None = None
    zero_shot: ZeroShotChoice | None = None
    similarity: SimilarityChoice | None = None
    shuffled_labels: ShuffledLabelsChoice | None = None
    comparison: ComparisonChoice | None = None
    stability: StabilityChoice | None = None
    bins: BinsChoice | None = None
    sculpting: SculptingChoice | None = None
    calibration: CalibrationChoice | None = None
    content: ContentChoice | None = None
    robustness: RobustnessChoice | None = None
    knn: KnnChoice | None = None
    mlp_probe: MlpProbeChoice | None = None
    multiclass: MulticlassChoice | None = None
    few_shot: FewShotChoice | None = None
    similarity_families: SimilarityFamiliesChoice | None = None
    layers: LayersChoice | None = None
    map: MapChoice | None = None
    throughput: ThroughputChoice | None = None
    audit: AuditChoice | None = AuditChoice()
    tasks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    _series: str = PrivateAttr("")

    @field_validator("audit", mode="before")
    @classmethod
    def _no_audit(cls, audit: Any) -> Any:
        return None if audit is False else audit

    @model_validator(mode="after")
    def _own_tasks_have_their_tables(self) -> Self:
        own = [name for name in self.tasks if name.replace("-", "_") in type(self).model_fields]
        if own:
            raise ValueError(f"{', '.join(own)}: a table of its own, [{own[0].replace('-', '_')}], not in [tasks]")
        return self

    @property
    def series(self) -> str:
        """The name that this suite shares with itself on other splits; its own where it was drawn with its own seed."""
        return self._series or self.name

    @property
    def chosen(self) -> dict[str, dict[str, Any]]:
        """Every task to run, by name, with its arguments: jetassay's own in the order of the catalogue, then others."""
        tables = {name: getattr(self, name.replace("-", "_"), None) for name in TASKS if name not in self.tasks}
        own = {name: table for name, table in tables.items() if table is not None}
        options = {name: {key: getattr(table, key) for key in type(table).model_fields} for name, table in own.items()}
        return options | self.tasks

    @model_validator(mode="after")
    def _probes_are_there(self) -> Self:
        wanting = [name for name in self.chosen if name in TASKS and TASKS[name].takes in ("probes", "perturbed")]
        if wanting and self.probe is None:
            raise ValueError(f"{', '.join(wanting)}: made from the probes; add a table [probe]")
        perturbed = [name for name in wanting if TASKS[name].takes == "perturbed"]
        if perturbed and self.robustness is None:
            raise ValueError(f"{', '.join(perturbed)}: made from jets seen otherwise; add a table [robustness]")
        of_layers = [name for name in self.chosen if name in TASKS and TASKS[name].takes == "layers"]
        if of_layers and self.layers is None:
            raise ValueError(f"{', '.join(of_layers)}: made from all layers of backbones; add a table [layers]")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        doubles = sorted({name for name in self.backbones if self.backbones.count(name) > 1})
        if doubles:
            raise ValueError(f"backbones listed twice: {', '.join(doubles)}")
        return self

    @model_validator(mode="after")
    def _feasible(self) -> Self:
        if self.similarity is not None and len(self.backbones) < 2:
            raise ValueError("[similarity] compares pairs of backbones: name two at least, or take it out")
        families = self.similarity_families
        if families is not None and len(self.backbones) < 2:
            raise ValueError("[similarity_families] compares pairs of backbones: name two at least, or take it out")
        named = [name for each in (families.anchors if families else ()) for name in (each.backbone, each.other)]
        named += self.layers.backbones if self.layers else ()
        strange = sorted(set(named) - set(self.backbones))
        if strange:
            raise ValueError(f"not among the suite's backbones: {', '.join(strange)}; add them, or name others")
        if self.comparison is not None and len(self.backbones) < 2:
            raise ValueError("[comparison] compares pairs of backbones: name two at least, or take it out")
        asked = self.split.train + self.split.validation + self.split.test
        if self.dataset.files is not None and self.dataset.files < asked:
            raise ValueError(f"[split] takes {asked} files of each class, but [dataset] makes {self.dataset.files}")
        return self

    def on(
        self,
        *,
        dataset: str | None = None,
        folder: Path | None = None,
        limit: int | None = None,
        seed: int | None = None,
    ) -> "Suite":
        """The same suite on other jets: another dataset's card, other files of the same one, or fewer of each.

        seed: of the split, that is, of which files train and which test

        On another dataset or split it has another name, so that neither result takes the place of the other.
        """
        moved = self._on_jets(dataset=dataset, folder=folder, limit=limit)
        if seed is None or seed == self.split.seed:
            return moved
        split = SplitChoice.model_validate(moved.split.model_dump() | {"seed": seed})
        drawn = moved.model_copy(update={"name": f"{moved.name}-seed-{seed}", "split": split})
        drawn._series = moved.name  # noqa: SLF001 - of this very class
        return drawn

    def _on_jets(self, *, dataset: str | None, folder: Path | None, limit: int | None) -> "Suite":
        choice, name = self.dataset, self.name
        if dataset is not None and dataset != choice.card:
            choice = DatasetChoice(card=dataset, folder=folder, on_invalid=choice.on_invalid)
            slug = re.sub(r"[^a-z0-9]+", "-", Path(dataset).stem.lower()).strip("-")
            name = f"{self.name}-on-{slug}"
        elif folder is not None:
            choice = choice.model_copy(update={"folder": folder.absolute(), **dict.fromkeys(SIMULATED)})
        if limit is not None:
            choice = DatasetChoice.model_validate(choice.model_dump() | {"limit": limit})
        return self if choice is self.dataset else self.model_copy(update={"name": name, "dataset": choice})


def read_suite(path: Path) -> Suite:
    """The suite in `path`. Raises `ConfigError` naming the file and every wrong or unknown key."""
    suite = parse_record(read_toml(path), Suite, path=path)
    if suite.name != path.stem:
        raise ConfigError(f"{path}: name is '{suite.name}' but the file is '{path.stem}.toml'; make them equal")
    return suite


def suites() -> Registry[Suite]:
    """Every suite in `suites/`."""
    registry: Registry[Suite] = Registry("suite", of=Suite)
    for path in sorted(suites_folder().glob("*.toml")):
        registry.add(path.stem, partial(read_suite, path), origin=str(path))
    return registry


def find_suite(name_or_path: str) -> Suite:
    """A suite by name, or by the path of a TOML file of one's own."""
    if name_or_path.endswith(".toml"):
        return read_suite(Path(name_or_path))
    return suites()[name_or_path]


def audit_suite(backbone: str, *, depth: Depth, jets: int) -> Suite:
    """The jets and the split of the default suite for one backbone, with nothing to be done but its audit."""
    default = suites()["default"]
    audit = AuditChoice(depth=depth, jets=jets)
    return Suite(
        name="audit", title="Audit", backbones=(backbone,), dataset=default.dataset, split=default.split, audit=audit
    )
