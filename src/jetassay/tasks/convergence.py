"""How similarity settles as jets are added, beside what the usual estimates say of the same jets and of pure noise."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from jetassay.metrics.cka import CHUNK, CrossSums
from jetassay.metrics.maps import FITS, Halves
from jetassay.tasks.families import Embeddings

FEWEST = 128
"""Where the ladder begins; each step has twice the jets of the one before, and the last has all."""

DRAWS, MOST_DRAWN = 3, 2048
"""Random subsets at each step up to `MOST_DRAWN` jets; beyond, one scatters little."""

NOISE = ("independent Gaussian", "independent Gaussian'")
NOISE_WIDTH, MOST_NOISE = 128, 16384

_MAPS = tuple(fit for fit in FITS if fit != "cross_r2")
COLUMNS = ("backbone", "backbone_b", "metric", "estimator", "n_jets", "draw", "value")


def ladder(jets: int) -> tuple[int, ...]:
    """128, 256, ... and all jets; all alone where there are no more than 128."""
    steps: list[int] = []
    while (step := FEWEST << len(steps)) < jets:
        steps.append(step)
    return (*steps, jets)


def convergence(embeddings: Embeddings, *, seed: int = 0) -> pd.DataFrame:
    """The table `cka_convergence`: debiased and biased linear CKA of every pair at each step of the ladder.

    For two independent Gaussian embeddings of 128 dimensions (to 16384 jets), `procrustes` and `svcca` stand beside
    them, "held out" (the map judged on other jets) and "in sample" (as it is often computed). Columns are `COLUMNS`.
    """
    jets = len(next(iter(embeddings.values())))
    stream = np.random.default_rng([seed, 2])
    size = min(jets, MOST_NOISE), NOISE_WIDTH
    noise = {name: stream.standard_normal(size, dtype=np.float32) for name in NOISE}
    found: list[dict[str, Any]] = []
    for step in ladder(jets):
        for draw in range(DRAWS if step <= min(MOST_DRAWN, jets - 1) else 1):
            facts = {"n_jets": step, "draw": draw}
            found += [facts | row for row in _of_subset(_some(embeddings, step, stream), ())]
            if step <= MOST_NOISE:
                found += [facts | row for row in _of_subset(_some(noise, step, stream), _MAPS)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _some(embeddings: Embeddings, jets: int, stream: np.random.Generator) -> Embeddings:
    """The same jets of all embeddings, drawn at random; all of them without a copy."""
    there = len(next(iter(embeddings.values())))
    rows = np.sort(stream.permutation(there)[:jets])
    return embeddings if jets == there else {name: each[rows] for name, each in embeddings.items()}


def _of_subset(embeddings: Embeddings, maps: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    jets = len(next(iter(embeddings.values())))
    sums = CrossSums({name: each.shape[1] for name, each in embeddings.items()}, blocks=2)
    for start in range(0, jets, CHUNK):
        sums.add({name: each[start : start + CHUNK] for name, each in embeddings.items()})
    halves = Halves(sums)
    for first, second in combinations(embeddings, 2):
        facts = {"backbone": first, "backbone_b": second}
        yield facts | {"metric": "linear_cka", "estimator": "debiased", "value": sums.cka(first, second)}
        yield facts | {"metric": "linear_cka", "estimator": "biased", "value": sums.biased_cka(first, second)}
        for fit in maps:
            yield facts | {"metric": fit, "estimator": "held out", "value": halves.measure(fit, first, second)}
            yield facts | {"metric": fit, "estimator": "in sample", "value": halves.in_sample(fit, first, second)}
