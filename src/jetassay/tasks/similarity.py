"""How alike the embeddings of different backbones are on the same jets, overall and within QCD alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.embeddings.scratch import let_go
from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.cka import CHUNK, FEWEST_JETS, CrossSums, permutation_null
from jetassay.metrics.intervals import Interval
from jetassay.tasks.catalogue import SIMILARITY
from jetassay.tasks.families import subset
from jetassay.tasks.samples import Sample, require_finite, same_jets
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds
from jetassay.tasks.standardisation import Standardisation

PERMUTATIONS = 99
"""Draws of the null; the smallest p-value that can be had is 1 / (1 + draws) = 0.01."""

MOST_NULL_JETS = 2000
"""The null, and the CKA that its p-value is about, use a random subset of this size where there are more jets."""

_PROTOCOL = (
    f"Similarity, version {SIMILARITY.version}. Debiased linear CKA (unbiased HSIC of Song et al. 2012 in numerator "
    "and denominator) of the embeddings, as they are, of the same jets: 1 for embeddings equal up to rotation, scale "
    "and shift, 0 on average for unrelated ones; slightly negative values are kept. 'all' takes every jet, where "
    f"distances between classes dominate, '{BACKGROUND}' the background alone. Interval: delete-one-block jackknife "
    "over 20 random blocks of jets.\n"
    "'cka_null': mean and central interval of CKA over {permutations} permutations of the jets of one backbone. "
    "'cka_p_value': share of permutations at or above the observed CKA, 1 added to both counts. Both take at most "
    f"{MOST_NULL_JETS} jets.\n"
    "Equal CKA does not mean equal function."
)


def protocol(permutations: int = PERMUTATIONS) -> str:
    """The definition behind every number of this task, to be shown beside it."""
    return _PROTOCOL.format(permutations=permutations)


@dataclass(frozen=True, slots=True)
class Pairs:
    """CKA of all pairs in one bin, for heat maps.

    backbones: B names, those without a problem
    cka:       float64 (B, B), symmetric, 1 on the diagonal
    n_jets:    jets that it rests on
    """

    backbones: tuple[str, ...]
    cka: NDArray[np.float64]
    n_jets: int


def similarity(
    samples: Mapping[str, Sample], *, background: str = BACKGROUND, permutations: int = PERMUTATIONS, seed: int = 0
) -> Outcome[Pairs]:
    """Compare every pair of backbones; `protocol` says how.

    samples: backbone name -> its embeddings of the same jets in the same order; two at least
    seed:    of the permutations, the subset that they use, and the blocks of the jackknife

    Scores, for each pair and each `bin` ("all", and the background's name): `cka` with its interval, `cka_null`,
    `cka_p_value`. `n_signal` counts the jets that are not background, so n_signal + n_background is the number of jets.
    Details: bin -> `Pairs`. A backbone with NaN or a constant embedding, or a bin with too few jets, is in `problems`.
    Raises `DataError` where the samples are not of the same jets in the same order.
    """
    if len(samples) < 2:
        raise DataError(f"similarity compares pairs of backbones; got {len(samples)}: {', '.join(samples) or 'none'}")
    same_jets(samples)
    reference = next(iter(samples.values()))
    in_background = reference.rows(background) if background in reference.names else np.empty(0, np.int64)
    bins = {"all": samples, background: {name: sample.take(in_background) for name, sample in samples.items()}}
    scores: list[Score] = []
    problems: dict[str, str] = {}
    details: dict[str, Pairs] = {}
    for bin_name, selected in bins.items():
        jets = len(next(iter(selected.values())))
        if jets < FEWEST_JETS:
            problems[bin_name] = f"CKA needs at least {FEWEST_JETS} jets, and the bin '{bin_name}' has {jets}"
            continue
        wrong = {name: reason for name, sample in selected.items() if (reason := unfit(sample, name, bin_name))}
        problems = wrong | problems
        sound = {name: sample for name, sample in selected.items() if name not in wrong}
        if len(sound) < 2:
            continue
        details[bin_name], found = _compare(sound, bin_name, background, permutations=permutations, seed=seed)
        scores += found
    return Outcome(tuple(scores), problems, details, protocol=protocol(permutations))


def unfit(sample: Sample, name: str, bin_name: str) -> str | None:
    """Why no similarity is defined for this embedding, if so: NaN, infinity, or the same for all jets."""
    where = f"similarity of '{name}', bin '{bin_name}'"
    try:
        require_finite(sample, where)
    except DataError as error:
        return str(error)
    if Standardisation.of(sample.embedding).all_constant:
        return f"{where}: the embedding is the same for all {len(sample)} jets"
    return None


def _compare(
    samples: Mapping[str, Sample], bin_name: str, background: str, *, permutations: int, seed: int
) -> tuple[Pairs, list[Score]]:
    """CKA of all pairs of these samples, with interval and null."""
    names = tuple(samples)
    reference = samples[names[0]]
    sums = CrossSums({name: sample.width for name, sample in samples.items()}, seed=seed)
    for start in range(0, len(reference), CHUNK):
        part = {name: sample.embedding[start : start + CHUNK] for name, sample in samples.items()}
        sums.add(part)
        let_go(*part.values())
    chosen = subset(len(reference), MOST_NULL_JETS, seed)
    of_null = {name: sample.take(chosen) for name, sample in samples.items()}
    shared = {"bin": bin_name, "background": background, "seed": seed}
    counts, null_counts = _counts(reference, background), _counts(of_null[names[0]], background)
    matrix, scores = np.eye(len(names)), []
    for first, second in combinations(names, 2):
        value = sums.cka(first, second)
        a, b = names.index(first), names.index(second)
        matrix[a, b] = matrix[b, a] = value
        null = permutation_null(of_null[first].embedding, of_null[second].embedding, draws=permutations, seed=seed)
        low, high = np.quantile(null.values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        spread = Interval(float(low), float(high), LEVEL, "permutation")
        facts: dict[str, Any] = {**shared, "backbone": first, "backbone_b": second}
        facts |= {"task": SIMILARITY.name, "task_version": SIMILARITY.version}
        interval = bounds(sums.interval(first, second, level=LEVEL))
        scores += [
            Score(**facts, **counts, **interval, metric="cka", value=value),
            Score(**facts, **null_counts, **bounds(spread), metric="cka_null", value=float(null.values.mean())),
            Score(**facts, **null_counts, metric="cka_p_value", value=null.p_value),
        ]
    return Pairs(names, matrix, len(reference)), scores


def _counts(sample: Sample, background: str) -> dict[str, Any]:
    n_background = len(sample.rows(background)) if background in sample.names else 0
    return {"n_signal": len(sample) - n_background, "n_background": n_background}
