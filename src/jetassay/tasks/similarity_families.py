"""Six measures of how alike backbones are: overall, in each class, without pT, mass and multiplicity; with anchors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ortho_group

from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND, in_order
from jetassay.metrics.intervals import Interval
from jetassay.metrics.maps import VARIANCE_KEPT
from jetassay.metrics.neighbours import NEIGHBOURS
from jetassay.tasks.catalogue import SIMILARITY_FAMILIES
from jetassay.tasks.choices import Anchor
from jetassay.tasks.convergence import convergence
from jetassay.tasks.families import (
    BANDWIDTH,
    FEWEST_JETS,
    MOST_NEIGHBOURS_JETS,
    MOST_NULL_JETS,
    Embeddings,
    Likeness,
    Shuffles,
    likenesses,
    nulls,
    subset,
)
from jetassay.tasks.residuals import BASIS, explained, residuals, spline_basis
from jetassay.tasks.samples import Sample, same_jets
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds
from jetassay.tasks.similarity import unfit

REGRESSED_OUT = ("jet_pt", "jet_sdmass", "multiplicity")
"""Columns whose splines are taken out of the embeddings for the bins `..., residual`."""

ALL, RESIDUAL = "all", "residual"
COPY = "rotated and scaled copy"
MOST_JETS = 20_000
"""Jets that are taken at most, of all and of each class."""
JETS_PER_DIRECTION = 32
"""Residuals need so many jets for each of the K directions that are taken out: all embeddings lose the same ones, which
alone makes sqrt(p q) K / J^2 of linear CKA between unrelated isotropic ones of p and q dimensions."""
MOST_EXPLAINED = 1 - 1e-6  # of the variance; what is left beyond that is rounding

_PROTOCOL = (
    f"Similarity families, version {SIMILARITY_FAMILIES.version}. Of every two backbones, on the same test jets, the "
    "embeddings as they are. Each measure is 1 for embeddings equal up to rotation, isotropic scale and shift, and 0 "
    "on average for unrelated ones, however few the jets; values slightly below 0 are kept.\n"
    "linear_cka: debiased linear CKA. rbf_cka: CKA with the kernel exp(-d^2 / 2 sigma^2), sigma = {bandwidth:g} of "
    "the median distance in that bin, HSIC unbiased in random batches of about 256 jets (fewer where that leaves less "
    "than 8 batches), numerator and denominators averaged over batches (Nguyen et al. 2021): each of the three means "
    "is unbiased for any size of batch. procrustes (orthogonal), svcca (mean canonical correlation of the principal "
    f"components with {VARIANCE_KEPT:.0%} of the variance), cross_r2 (ridge regression of the second backbone on the "
    "first): the map comes from one half of the jets and is judged on the other, both ways, averaged. mutual_knn: "
    f"share of {NEIGHBOURS} nearest neighbours in common, beyond chance, among at most {MOST_NEIGHBOURS_JETS} jets; "
    "its value depends on that number.\n"
    "'all' takes every jet, where distances between classes dominate; the name of a class takes its jets alone; "
    f"of more than {MOST_JETS}, so many drawn at random. "
    "'..., residual': after least squares of every dimension on {columns}: " + BASIS + "; 'explained' is the share of "
    f"the variance that this takes away, on the same jets, at least {JETS_PER_DIRECTION} for each direction.\n"
    "Intervals: delete-one-block jackknife (linear_cka, and the maps, which stay fixed), delete-one-batch (rbf_cka), "
    "normal (mutual_knn). Nulls, over {permutations} permutations of the jets of one backbone (within halves "
    "for the maps, within batches for rbf_cka), and p-values, 1 added to both counts, take at most "
    f"{MOST_NULL_JETS} jets.\n"
    "None of these numbers says that two backbones do the same: compare their scores."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What holds for all bins; the fields are those of the task."""

    background: str
    regress_out: Sequence[str]
    bandwidth: float
    permutations: int
    seed: int


@dataclass(slots=True)
class _Found:
    """What there is so far; `overall`: the measures of all jets."""

    scores: list[Score] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    overall: list[Likeness] = field(default_factory=list)


def similarity_families(  # noqa: PLR0913 - the keys of a suite's table
    samples: Mapping[str, Sample],
    *,
    background: str = BACKGROUND,
    within: Sequence[str] | None = None,
    regress_out: Sequence[str] = REGRESSED_OUT,
    bandwidth: float = BANDWIDTH,
    permutations: int = 19,
    anchors: Sequence[Anchor] = (),
    seed: int = 0,
) -> Outcome[Any]:
    """Compare every pair of backbones by every family; the protocol says how.

    samples: backbone -> its embeddings of the same jets in the same order; two at least
    within:  labels that get a bin beside all jets and the background; None for all that have jets
    regress_out: columns for the residual bins of all jets and of the background; none without columns
    anchors: pairs of backbones that say how alike is a lot, shown beside the others
    seed:    of blocks, batches, subsets (among them that of more than `MOST_JETS` jets) and permutations

    Scores for each pair and bin: one for each of `families.FAMILIES`, cross_r2 both ways round ("backbone" maps to
    "backbone_b"); `..._null` and `..._p_value` for all jets and the background; `explained` for each backbone.
    Tables: `cka_convergence` (see `convergence`) and `similarity_anchors`. Raises `DataError` where the samples are not
    of the same jets.
    """
    if len(samples) < 2:
        raise DataError(f"similarity compares pairs of backbones; got {len(samples)}: {', '.join(samples) or 'none'}")
    same_jets(samples)
    plan = _Plan(
        background=background, regress_out=regress_out, bandwidth=bandwidth, permutations=permutations, seed=seed
    )
    found = _Found()
    tables: dict[str, pd.DataFrame] = {}
    reference = next(iter(samples.values()))
    for name, rows in _bins(reference, background, within).items():
        chosen = samples
        if len(rows) < len(reference) or len(rows) > MOST_JETS:
            few = rows[subset(len(rows), MOST_JETS, seed)]
            chosen = {backbone: each.take(few) for backbone, each in samples.items()}
        sound = _sound(chosen, name, found)
        if len(sound) < 2:
            continue
        _measure(sound, name, plan, found)
        if name in (ALL, background):
            _shuffle(sound, name, plan, found)
            _regress(sound, name, plan, found)
        if name == ALL:
            embeddings = {backbone: sample.embedding for backbone, sample in sound.items()}
            tables["cka_convergence"] = convergence(embeddings, seed=seed)
            tables["similarity_anchors"] = _anchors(embeddings, anchors, plan, found)
    facts = {"permutations": permutations, "bandwidth": bandwidth, "columns": ", ".join(regress_out) or "nothing"}
    protocol = _PROTOCOL.format(**facts)
    return Outcome(tuple(found.scores), found.problems, undefined=found.undefined, protocol=protocol, tables=tables)


def _bins(reference: Sample, background: str, within: Sequence[str] | None) -> dict[str, NDArray[np.int64]]:
    """All jets, the background, and each of the labels: name -> rows; labels without a jet are left out of all."""
    there = in_order(reference.names[label] for label in np.unique(reference.labels))
    labels = dict.fromkeys([background, *(there if within is None else within)])
    found = {name: reference.rows(name) if name in reference.names else np.empty(0, np.int64) for name in labels}
    return {ALL: np.arange(len(reference)), **found}


def _sound(samples: Mapping[str, Sample], name: str, found: _Found) -> Mapping[str, Sample]:
    """The backbones that can be compared on these jets; the others become problems."""
    jets = len(next(iter(samples.values())))
    if jets < FEWEST_JETS:
        found.problems[name] = f"at least {FEWEST_JETS} jets are needed, and the bin '{name}' has {jets}"
        return {}
    wrong = {each: reason for each, sample in samples.items() if (reason := unfit(sample, each, name))}
    found.problems = wrong | found.problems
    return {each: sample for each, sample in samples.items() if each not in wrong}


def _measure(samples: Mapping[str, Sample], name: str, plan: _Plan, found: _Found) -> None:
    """Every family of every pair."""
    embeddings = {backbone: sample.embedding for backbone, sample in samples.items()}
    measured, problems = likenesses(embeddings, bandwidth=plan.bandwidth, seed=plan.seed)
    found.problems |= {f"{backbone}, {name}": reason for backbone, reason in problems.items()}
    found.overall = measured if name == ALL else found.overall
    found.scores += _scores(measured, name, next(iter(samples.values())), plan)


def _regress(samples: Mapping[str, Sample], name: str, plan: _Plan, found: _Found) -> None:
    """The same families on what the columns do not explain, and how much they do."""
    reference, where = next(iter(samples.values())), f"{name}, {RESIDUAL}"
    if not plan.regress_out:
        return
    try:
        basis = spline_basis(reference.columns, plan.regress_out)
        if len(basis) < JETS_PER_DIRECTION * basis.shape[1]:
            raise DataError(  # noqa: TRY301 - one way out
                f"regressing out {', '.join(plan.regress_out)} takes {JETS_PER_DIRECTION * basis.shape[1]} jets, "
                f"{JETS_PER_DIRECTION} for each of {basis.shape[1]} directions, and there are {len(basis)}"
            )
    except DataError as error:
        found.undefined[where] = str(error)
        return
    left = {}
    for backbone, sample in samples.items():
        share = explained(sample.embedding, basis)
        facts = _facts(reference, len(reference), plan) | {"bin": where, "backbone": backbone}
        found.scores.append(Score(**facts, metric="explained", value=share))
        if share < MOST_EXPLAINED:
            left[backbone] = residuals(sample.embedding, basis).astype(np.float32)
        else:
            found.undefined[f"{backbone}, {where}"] = f"{', '.join(plan.regress_out)} explain all of its embedding"
    if len(left) > 1:
        measured, problems = likenesses(left, bandwidth=plan.bandwidth, seed=plan.seed)
        found.problems |= {f"{backbone}, {where}": reason for backbone, reason in problems.items()}
        found.scores += _scores(measured, where, reference, plan)


def _shuffle(samples: Mapping[str, Sample], name: str, plan: _Plan, found: _Found) -> None:
    """What every family gives with the jets of one backbone shuffled."""
    shuffles = Shuffles(draws=plan.permutations, bandwidth=plan.bandwidth, seed=plan.seed)
    reference = next(iter(samples.values()))
    for each in nulls({backbone: sample.embedding for backbone, sample in samples.items()}, shuffles):
        values = each.null.values  # noqa: PD011 - of a null, not of a frame
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        spread = bounds(Interval(float(low), float(high), LEVEL, "permutation"))
        facts = _facts(reference, each.jets, plan) | {"bin": name, "backbone": each.first, "backbone_b": each.second}
        found.scores.append(Score(**facts, **spread, metric=f"{each.metric}_null", value=float(values.mean())))
        found.scores.append(Score(**facts, metric=f"{each.metric}_p_value", value=each.null.p_value))


def _anchors(embeddings: Embeddings, anchors: Iterable[Anchor], plan: _Plan, found: _Found) -> pd.DataFrame:
    """Each backbone beside a rotated and scaled copy of itself, and the pairs that the suite names."""
    rows = subset(len(next(iter(embeddings.values()))), MOST_NEIGHBOURS_JETS, plan.seed)
    table = []
    for name, each in embeddings.items():
        few = each[rows].astype(np.float64)
        width = few.shape[1]
        turn = ortho_group.rvs(width, random_state=np.random.default_rng(plan.seed)) if width > 1 else -np.eye(1)
        copy = likenesses({name: few, COPY: 2.5 * (few - few.mean(axis=0)) @ turn}, bandwidth=plan.bandwidth)
        table += [(COPY, name, COPY, each) for each in copy[0] if each.first == name]
    for anchor in anchors:
        pair = {anchor.backbone, anchor.other}
        here = [each for each in found.overall if {each.first, each.second} == pair]
        if not here:
            lost = ", ".join(sorted(pair - set(embeddings)))
            found.problems[f"anchor {anchor.backbone}, {anchor.other}"] = f"{lost}: no sound embedding in this suite"
        table += [(anchor.kind, each.first, each.second, each) for each in here]
    columns = ["kind", "backbone", "backbone_b", "metric", "value", "low", "high", "n_jets"]
    return pd.DataFrame([(*facts, each.metric, each.value, *_ends(each), each.jets) for *facts, each in table],
                        columns=columns)  # fmt: skip


def _ends(likeness: Likeness) -> tuple[float | None, float | None]:
    interval = likeness.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def _scores(measured: Iterable[Likeness], name: str, reference: Sample, plan: _Plan) -> list[Score]:
    return [
        Score(
            **_facts(reference, each.jets, plan),
            **bounds(each.interval),
            bin=name,
            backbone=each.first,
            backbone_b=each.second,
            metric=each.metric,
            value=each.value,
        )
        for each in measured
    ]


def _facts(reference: Sample, jets: int, plan: _Plan) -> dict[str, Any]:
    """What all scores on `jets` of these jets share; a subset is drawn again as the measure drew it."""
    labels = reference.labels[subset(len(reference), jets, plan.seed)]
    number = reference.names.index(plan.background) if plan.background in reference.names else -1
    n_background = int(np.count_nonzero(labels == number))
    return {
        "task": SIMILARITY_FAMILIES.name,
        "task_version": SIMILARITY_FAMILIES.version,
        "background": plan.background,
        "seed": plan.seed,
        "n_signal": jets - n_background,
        "n_background": n_background,
    }
