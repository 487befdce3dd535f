"""The embedding in two dimensions: a map of some test jets by UMAP, and how far its neighbourhoods can be trusted."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.tasks.catalogue import MAP
from jetassay.tasks.samples import IntArray, Sample, require_finite
from jetassay.tasks.score import Outcome, Score
from jetassay.tasks.standardisation import Standardisation

MIN_DIST = 0.1
"""UMAP's default: how closely it may place jets."""

EXTRA = "maps are drawn by umap-learn, which is not installed: pip install 'jetassay[maps]', and run the suite again"

PROTOCOL = (
    f"Map, version {MAP.version}. UMAP (McInnes, Healy and Melville, arXiv:1802.03426) of the embedding in two "
    "dimensions: equally many test jets of every class, the same for all backbones, each dimension standardised on "
    f"them, Euclidean neighbours, smallest distance {MIN_DIST:g}, begun from the first two principal components, one "
    "thread. Distances between far groups mean nothing. 'trustworthiness' (Venna and Kaski, 2001), 0 to 1, falls with "
    "every jet that is near on the map and not near in the embedding; 'trustworthiness_pca' is that of the first two "
    "principal components, for comparison."
)
"""The definition behind every number of this task, to be shown beside it."""


def embedding_map(
    sample: Sample,
    *,
    backbone: str,
    jets: int = 1500,
    neighbours: int = 15,
    background: str = BACKGROUND,
    seed: int = 0,
) -> Outcome[None]:
    """Table `map`, with columns jet (row of the test sample), x and y; and how far it can be trusted.

    jets: at most, all classes together; neighbours: of UMAP and of the trustworthiness
    background: what counts call background; seed: of the choice of jets and of UMAP

    Where umap-learn is not installed, that is the one problem. Raises `DataError` for an embedding that is the same
    for all jets, that holds NaN, or for too few jets.
    """
    rows = chosen_jets(sample, jets=jets, seed=seed)
    where = f"map of '{backbone}'"
    if len(rows) <= 2 * neighbours:
        raise DataError(f"{where}: {len(rows)} jets, but {neighbours} neighbours need more than {2 * neighbours}")
    kept = sample.take(rows)
    require_finite(kept, where)
    standardisation = Standardisation.of(kept.embedding)
    if standardisation.all_constant:
        raise DataError(f"{where}: the embedding is the same for all {len(rows)} jets")
    features = standardisation.apply(kept.embedding)
    places = _umap(features, neighbours=neighbours, seed=seed)
    if places is None:
        return Outcome((), problems={"umap-learn": EXTRA})
    from sklearn.manifold import trustworthiness

    centred = features - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    placed = {"trustworthiness": places, "trustworthiness_pca": centred @ axes[:2].T}
    n_background = int((kept.labels == kept.names.index(background)).sum()) if background in kept.names else 0
    shared: dict[str, Any] = {"task": MAP.name, "task_version": MAP.version, "backbone": backbone, "seed": seed}
    shared |= {"n_signal": len(rows) - n_background, "n_background": n_background}
    scores = tuple(
        Score(metric=name, value=float(trustworthiness(features, each, n_neighbors=neighbours)), **shared)
        for name, each in placed.items()
    )
    table = pd.DataFrame({"jet": rows.astype(np.int32), "x": places[:, 0], "y": places[:, 1]})
    return Outcome(scores, tables={"map": table}, protocol=PROTOCOL)


def chosen_jets(sample: Sample, *, jets: int, seed: int) -> IntArray:
    """Rows (int64, rising) of at most `jets` jets, equally many of every class that has so many."""
    stream = np.random.default_rng(seed)
    each = max(jets // max(len(np.unique(sample.labels)), 1), 1)
    parts = []
    for number in np.unique(sample.labels):
        rows = np.flatnonzero(sample.labels == number)
        parts.append(stream.choice(rows, each, replace=False) if len(rows) > each else rows)
    return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)


def _umap(features: NDArray[np.float32], *, neighbours: int, seed: int) -> NDArray[np.float32] | None:
    """Places of J jets, float32 (J, 2); None where umap-learn is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # it looks for TensorFlow, which nothing here needs
            from umap import UMAP
    except ModuleNotFoundError:
        return None
    # A seed without `n_jobs=1` gives a warning: more threads would not give the same map again.
    mapper = UMAP(n_neighbors=neighbours, min_dist=MIN_DIST, init="pca", random_state=seed, n_jobs=1)
    return np.asarray(mapper.fit_transform(features), np.float32)
