"""Every task by name: what it measures, and where its code is. Listing tasks imports none of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from jetassay.errors import ConfigError
from jetassay.registry import Registry

if TYPE_CHECKING:
    from jetassay.tasks.score import Outcome  # it brings pandas, which a listing does not need


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The facts of one task.

    function: `package.module:function`, imported by `load`; it returns an `Outcome`
    scope:    "backbone": called once for each backbone, as function(what it takes, *, backbone, seed, ...);
              "suite": called once, as function({backbone: what it takes}, *, seed, ...)
    takes:    what it takes of a backbone: "test", a `Sample`; "splits", a `Splits`; "probes", a `Probed`, which needs
              the suite's [probe]; "perturbed", a `Perturbed`, which needs it too;
              "layers", a `Layers` of those backbones that the suite's [layers] names
    metrics:  what its scores are called
    of:       "embedding": its scores belong to the layer that is the embedding; "outputs": to the classifier's outputs
    version:  rises whenever a number may move
    """

    name: str
    version: int
    description: str
    scope: Literal["backbone", "suite"]
    takes: Literal["test", "splits", "probes", "perturbed", "layers"]
    metrics: tuple[str, ...]
    function: str
    of: Literal["embedding", "outputs"] = "embedding"

    def load(self) -> "Callable[..., Outcome[Any]]":
        """The task's function. Raises `ConfigError` where it cannot be imported."""
        module, _, name = self.function.partition(":")
        try:
            function: Callable[..., Outcome[Any]] = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"task '{self.name}': cannot import {self.function}: {error}") from error
        return function


PROBE = Task(
    name="probe",
    version=2,
    description="logistic regression on frozen embeddings, each signal class against QCD",
    scope="backbone",
    takes="splits",
    metrics=("auc", "rejection", "rejection_over_cuts"),
    function="jetassay.tasks.probe:probe",
)
SIMILARITY = Task(
    name="similarity",
    version=1,
    description="debiased linear CKA between every pair of backbones, overall and within QCD alone",
    scope="suite",
    takes="test",
    metrics=("cka", "cka_null", "cka_p_value"),
    function="jetassay.tasks.similarity:similarity",
)
ZERO_SHOT = Task(
    name="zero-shot",
    version=3,
    description="a classifier's own class probabilities, each signal class against QCD, and all classes together",
    scope="backbone",
    takes="splits",
    metrics=("auc", "rejection", "rejection_over_cuts", "accuracy", "macro_ovo_auc", "log_loss"),
    function="jetassay.tasks.zero_shot:zero_shot",
    of="outputs",
)
SHUFFLED_LABELS = Task(
    name="shuffled-labels",
    version=1,
    description="a linear probe trained on shuffled labels: the floor, 0.5 but for chance",
    scope="backbone",
    takes="splits",
    metrics=("auc",),
    function="jetassay.tasks.shuffled:shuffled",
)

COMPARISON = Task(
    name="comparison",
    version=2,
    description="every two backbones on the same jets: differences of AUC and rejection, who is better, and ranks",
    scope="suite",
    takes="probes",
    metrics=(
        "auc_difference",
        "auc_p_holm",
        "auc_rank",
        "log_rejection_difference",
        "rejection_p_holm",
        "rejection_rank",
        "mcnemar_p",
        "jets_needed",
    ),
    function="jetassay.tasks.comparison:comparison",
)
BINS = Task(
    name="bins",
    version=1,
    description="AUC, rejection and efficiencies of the probes in bins of pT, soft-drop mass, |eta| and multiplicity",
    scope="backbone",
    takes="probes",
    metrics=("auc", "rejection", "rejection_over_cuts", "signal_efficiency", "background_efficiency"),
    function="jetassay.tasks.bins:bins",
)
SCULPTING = Task(
    name="sculpting",
    version=1,
    description="how far cuts on the probes pull the soft-drop mass of the background: Jensen-Shannon divergence",
    scope="backbone",
    takes="probes",
    metrics=("jsd", "inverse_jsd", "jsd_null", "jsd_p_value"),
    function="jetassay.tasks.sculpting:mass_sculpting",
)
CALIBRATION = Task(
    name="calibration",
    version=1,
    description="whether probabilities mean what they say, of the probes and of a classifier's own outputs",
    scope="backbone",
    takes="probes",
    metrics=(
        "ece", "ece_null", "ece_p_value", "brier", "brier_reliability", "brier_resolution", "brier_uncertainty",
    ),
    function="jetassay.tasks.calibration:calibrated",
)  # fmt: skip
CONTENT = Task(
    name="content",
    version=2,
    description="how well mass, pT, multiplicity, tau ratios and displaced tracks can be read from the embedding",
    scope="backbone",
    takes="splits",
    metrics=("r2", "r2_permuted"),
    function="jetassay.tasks.content:content",
)

ROBUSTNESS = Task(
    name="robustness",
    version=2,
    description="probes of jets as they are, on the same test jets as another detector would have seen them",
    scope="backbone",
    takes="perturbed",
    metrics=(
        "auc",
        "auc_change",
        "rejection",
        "background_efficiency_change",
        "signal_flips",
        "background_flips",
        "embedding_shift",
        "embedding_cosine",
    ),
    function="jetassay.tasks.robustness:robustness",
)

KNN = Task(
    name="knn",
    version=4,
    description="k nearest neighbours on frozen embeddings, each signal class against QCD",
    scope="backbone",
    takes="splits",
    metrics=("auc", "rejection", "rejection_over_cuts", "neighbours"),
    function="jetassay.tasks.knn:knn",
)
MLP_PROBE = Task(
    name="mlp-probe",
    version=3,
    description="a network of one hidden layer on frozen embeddings, each signal class against QCD",
    scope="backbone",
    takes="splits",
    metrics=("auc", "rejection", "rejection_over_cuts", "auc_over_seeds"),
    function="jetassay.tasks.mlp_probe:mlp_probe",
)
MULTICLASS = Task(
    name="multiclass",
    version=3,
    description="multinomial regression on frozen embeddings, all classes together",
    scope="backbone",
    takes="splits",
    metrics=("accuracy", "macro_ovo_auc", "log_loss"),
    function="jetassay.tasks.multiclass:multiclass",
)
FEW_SHOT = Task(
    name="few-shot",
    version=4,
    description="learning curves: AUC against training jets per class, their area, and where backbones cross",
    scope="suite",
    takes="splits",
    metrics=(
        "auc",
        "auc_over_test_jets",
        "area_under_curve",
        "area_under_curve_over_test_jets",
        "crossing",
        "crossing_share",
    ),
    function="jetassay.tasks.few_shot:few_shot",
)

_FAMILIES = ("linear_cka", "rbf_cka", "procrustes", "svcca", "cross_r2", "mutual_knn")
SIMILARITY_FAMILIES = Task(
    name="similarity-families",
    version=2,
    description="six measures of similarity: overall, in each class, without pT, mass and multiplicity, with anchors",
    scope="suite",
    takes="test",
    metrics=(*(name + part for part in ("", "_null", "_p_value") for name in _FAMILIES), "explained"),
    function="jetassay.tasks.similarity_families:similarity_families",
)
LAYERS = Task(
    name="layers",
    version=1,
    description="CKA of every layer with every other, within backbones and across",
    scope="suite",
    takes="layers",
    metrics=("cka_to_embedding", "rbf_cka_to_embedding"),
    function="jetassay.tasks.layers:layers",
)
STABILITY = Task(
    name="stability",
    version=2,
    description="how much of a probe's score is chance: test jets, training jets and splits, apart",
    scope="backbone",
    takes="probes",
    metrics=tuple(
        f"{metric}_sd_{what}" for metric in ("auc", "log_rejection") for what in ("test", "train", "total", "splits")
    ),
    function="jetassay.tasks.stability:stability",
)
MAP = Task(
    name="map",
    version=1,
    description="the embedding in two dimensions, by UMAP, and how far its neighbourhoods can be trusted",
    scope="backbone",
    takes="test",
    metrics=("trustworthiness", "trustworthiness_pca"),
    function="jetassay.tasks.embedding_map:embedding_map",
)

TASKS: Registry[Task] = Registry("task", of=Task)
for _task in (
    PROBE,
    ZERO_SHOT,
    SIMILARITY,
    SHUFFLED_LABELS,
    COMPARISON,
    STABILITY,
    BINS,
    SCULPTING,
    CALIBRATION,
    CONTENT,
    ROBUSTNESS,
    KNN,
    MLP_PROBE,
    MULTICLASS,
    FEW_SHOT,
    SIMILARITY_FAMILIES,
    LAYERS,
    MAP,
):
    TASKS.add(_task.name, partial(lambda task: task, _task))
