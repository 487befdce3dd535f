"""What a suite may ask of each task: the keys of its table, which are the arguments of the task's function."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from jetassay.errors import ConfigError, UnknownNameError
from jetassay.jets.classes import BACKGROUND, SIGNAL_NAMES
from jetassay.jets.perturbations import parse_perturbation
from jetassay.records import Record
from jetassay.tasks.grouping import Grouping

Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _rising(edges: tuple[float, ...]) -> tuple[float, ...]:
    if any(high <= low for low, high in pairwise(edges)):
        raise ValueError(f"edges must rise, and {', '.join(f'{each:g}' for each in edges)} do not")
    return edges


Edges = Annotated[tuple[FiniteFloat, ...], Field(min_length=2), AfterValidator(_rising)]
"""Edges of bins: finite numbers, each above the one before."""


class Against(Record):
    """Which classes are measured against which; without a word, the nine signals of JetClass against QCD.

    Where the background is QCD, signals are those of JetClass; against another label of a dataset, any of its labels.
    """

    signals: tuple[str, ...] = Field(default=SIGNAL_NAMES, min_length=1)
    background: str = BACKGROUND
    seed: Seed = 0

    @model_validator(mode="after")
    def _known_signals(self) -> Self:
        unknown = sorted(set(self.signals) - set(SIGNAL_NAMES)) if self.background == BACKGROUND else []
        if unknown:
            known = f"{', '.join(SIGNAL_NAMES)} (the background is {BACKGROUND})"
            raise ValueError(f"unknown signals {', '.join(unknown)}; known: {known}")
        if self.background in self.signals:
            raise ValueError(f"{self.background} is the background and cannot be a signal too")
        return self


class ProbeChoice(Against):
    """The linear probe of every signal against the background."""


class ZeroShotChoice(Against):
    """A classifier's own outputs: every signal against the background, and all classes together.

    groupings: how outputs stand for classes, before the groupings that ship
    """

    groupings: tuple[Grouping, ...] = ()

    @model_validator(mode="after")
    def _no_output_on_both_sides(self) -> Self:
        for grouping in self.groupings:
            for signal in self.signals:
                shared = grouping.shared(signal, self.background)
                if shared:
                    raise ValueError(f"on both sides of {signal} against {self.background}: {', '.join(shared)}")
        return self


class SimilarityChoice(Record):
    """CKA between all pairs of backbones on the test jets, and on those of the background alone."""

    background: str = BACKGROUND
    permutations: int = Field(default=99, gt=0)
    seed: Seed = 0


class ShuffledLabelsChoice(Against):
    """The floor: linear probes of every signal against the background, on shuffled training labels."""

    permutations: int = Field(default=50, ge=2)


class ComparisonChoice(Record):
    """Every two backbones on the same jets, from their probes.

    level: chance of any false verdict among all pairs and signals; draws: of the paired bootstrap
    """

    level: float = Field(default=0.05, gt=0, lt=1)
    draws: int = Field(default=1000, ge=100)
    seed: Seed = 0


class BinsChoice(Record):
    """AUC, rejection and efficiencies of the probes in bins of observed jet variables.

    variables: jet columns (GeV), `multiplicity`, or `abs_eta`
    edges:     variable -> edges of its bins, rising; without them, `n_bins` quantiles of the background
    """

    variables: tuple[str, ...] = Field(default=("jet_pt", "jet_sdmass", "abs_eta", "multiplicity"), min_length=1)
    edges: dict[str, Edges] = Field(default_factory=dict)
    n_bins: int = Field(default=4, ge=1, le=100)
    seed: Seed = 0

    @model_validator(mode="after")
    def _edges_are_used(self) -> Self:
        unused = sorted(set(self.edges) - set(self.variables))
        if unused:
            raise ValueError(f"edges of {', '.join(unused)}, but `variables` are {', '.join(self.variables)}")
        return self


class SculptingChoice(Record):
    """How far cuts on the probes pull the soft-drop mass of the background.

    background_efficiencies: cuts that keep these fractions of the background, beside the class's working point
    edges: of the mass bins, GeV, rising; without them, at most `n_bins` of one round width
    """

    background_efficiencies: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.1, 0.01)
    edges: Edges | None = None
    n_bins: int = Field(default=30, ge=2, le=1000)
    seed: Seed = 0


class CalibrationChoice(Record):
    """Whether the probabilities of the probes, and of a classifier's own outputs, mean what they say.

    groupings: how outputs stand for classes, before the groupings that ship
    """

    groupings: tuple[Grouping, ...] = ()
    n_bins: int = Field(default=15, ge=1, le=1000)
    background: str = BACKGROUND
    seed: Seed = 0


Observable = Literal["mass", "soft-drop mass", "log pT", "multiplicity", "tau21", "tau32", "displaced tracks"]
"""What `content` asks embeddings for: the keys of its table of observables."""


class ContentChoice(Record):
    """What the embedding holds of jet observables; without a word, of all that the task knows."""

    observables: tuple[Observable, ...] | None = Field(default=None, min_length=1)
    background: str = BACKGROUND
    seed: Seed = 0


class RobustnessChoice(Record):
    """Probes on test jets as another detector would have seen them.

    perturbations: `NAME=VALUE`, see `jets.perturbations`
    modes: of the simulation, other than that of the dataset: the same events with another detector
    jets: of each class, the first of the test sample; more than there are means all
    seed: of the perturbations' random numbers and of the bootstrap
    """

    perturbations: tuple[str, ...] = (
        "drop=0.05",
        "drop=0.2",
        "smear=0.05",
        "smear=0.2",
        "scale=0.03",
        "without=displacement",
        "without=identity",
        "without=charge",
    )
    modes: tuple[Literal["delphes", "ideal"], ...] = ()
    jets: int = Field(default=250, gt=0)
    seed: Seed = 0

    @model_validator(mode="after")
    def _known_once(self) -> Self:
        if not self.perturbations and not self.modes:
            raise ValueError("name a perturbation or a mode")
        try:
            names = [str(parse_perturbation(text)) for text in self.perturbations]
        except (ConfigError, UnknownNameError) as error:
            raise ValueError(str(error)) from error
        doubles = sorted({name for name in (*names, *self.modes) if (*names, *self.modes).count(name) > 1})
        if doubles:
            raise ValueError(f"named twice: {', '.join(doubles)}")
        return self


class KnnChoice(Against):
    """The k nearest neighbours of every test jet, each signal against the background."""

    metric: Literal["euclidean", "cosine"] = "euclidean"


class MlpProbeChoice(Against):
    """Networks of one hidden layer, each signal against the background. starts: networks of a signal."""

    starts: int = Field(default=3, ge=1, le=100)


class MulticlassChoice(Record):
    """All classes together, by one multinomial regression."""

    background: str = BACKGROUND
    seed: Seed = 0


class FewShotChoice(Against):
    """Learning curves of every signal against the background.

    heads: linear, knn, mlp; draws: random choices of training jets; smallest: jets of each class where curves begin
    """

    heads: tuple[Literal["linear", "knn", "mlp"], ...] = Field(default=("linear",), min_length=1)
    draws: int = Field(default=10, ge=2, le=1000)
    smallest: int = Field(default=10, ge=2)

    @model_validator(mode="after")
    def _each_head_once(self) -> Self:
        if len(set(self.heads)) < len(self.heads):
            raise ValueError(f"heads named twice: {', '.join(self.heads)}")
        return self


class StabilityChoice(Record):
    """The probes fitted again.

    halves: on random halves of the training jets; resplits: on other splits of the files
    """

    halves: int = Field(default=8, ge=2)
    resplits: int = Field(default=4, ge=2)
    seed: Seed = 0


class Anchor(Record):
    """Two backbones of the suite whose likeness says how much is little or a lot.

    kind: an untrained network of the same architecture, or the same architecture from another seed
    """

    kind: Literal["untrained twin", "another seed"]
    backbone: str
    other: str


class SimilarityFamiliesChoice(Record):
    """Six measures of similarity between all pairs of backbones.

    within:      labels that get a bin beside all jets and the background; all without this key
    regress_out: jet columns whose splines are taken out for the residual bins; an empty list for no such bins
    bandwidth:   of the Gaussian kernel, in units of the median distance
    """

    background: str = BACKGROUND
    within: tuple[str, ...] | None = None
    regress_out: tuple[str, ...] = ("jet_pt", "jet_sdmass", "multiplicity")
    bandwidth: float = Field(default=0.5, gt=0, le=100)
    permutations: int = Field(default=19, gt=0)
    anchors: tuple[Anchor, ...] = ()
    seed: Seed = 0


class LayersChoice(Record):
    """Similarity of all layers of some backbones.

    backbones: of the suite; all whose cards name layers without this key
    jets:      of each test file, from its beginning
    """

    backbones: tuple[str, ...] = ()
    jets: int = Field(default=200, gt=0)
    background: str = BACKGROUND
    seed: Seed = 0


class MapChoice(Record):
    """The embedding in two dimensions. jets: of the test sample, at most; neighbours: that UMAP looks at."""

    jets: int = Field(default=1500, ge=50, le=20_000)
    neighbours: int = Field(default=15, ge=2, le=200)
    background: str = BACKGROUND
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class ThroughputChoice(Record):
    """The short form of the throughput measurement: each backbone embeds the same jets, interleaved."""

    jets: int = Field(default=512, gt=0)
    rounds: int = Field(default=3, gt=0)
