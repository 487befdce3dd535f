"""Whether an embedding says anything: finite, spread over many directions, no dead dimension, no two jets alike."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.finding import Finding
from jetassay.audit.fingerprints import fingerprints
from jetassay.audit.subject import Subject

DEAD = 1e-6
"""A dimension whose standard deviation is below this fraction of the largest one carries nothing in float32."""
_ALIKE = 0.01
"""More distinct jets than this fraction with an embedding that another jet has too: duplicates."""


def finite(subject: Subject) -> Iterator[Finding]:
    """No NaN and no infinity in the subsample's embedding."""
    broken = int((~np.isfinite(subject.embedding).all(axis=1)).sum())
    yield Finding(
        check="finite",
        status="fail" if broken else "pass",
        figure=f"{broken} of {len(subject.embedding)} jets",
        meaning="Embeddings hold NaN or infinity; look at the weights and at the feature set."
        if broken
        else "No NaN and no infinity.",
        numbers={"broken": broken},
    )


def collapse(subject: Subject) -> Iterator[Finding]:
    """The variance spectrum of the embedding, and over how many directions it spreads."""
    embedding = _finite_rows(subject)
    spectrum, width = singular_values(embedding), embedding.shape[1]
    rank, scale = effective_rank(spectrum), float(np.abs(embedding).max(initial=0.0))
    if not len(spectrum) or float(spectrum[0]) <= DEAD * scale * np.sqrt(len(embedding)):
        meaning = "Every jet gets the same embedding: it has collapsed."
        yield Finding(check="collapse", status="fail", figure="constant", meaning=meaning)
        return
    shares = spectrum**2 / (spectrum**2).sum()
    for_most = int(np.searchsorted(np.cumsum(shares), 0.99) + 1)
    flat = width > 1 and rank < 1 + 1e-3
    by_chance = subject.backbone.card.role == "control"  # few of its units may ever fire
    yield Finding(
        check="collapse",
        status="pass" if not flat else "note" if by_chance else "fail",
        figure=f"effective rank {rank:.1f} of {width}",
        meaning="The embedding varies along one direction alone: it has collapsed."
        if flat
        else f"{for_most} principal components hold 99 % of the variance, the first {shares[0]:.0%}.",
        numbers={"effective_rank": rank, "components_99": for_most, "first_share": float(shares[0])},
    )


def dead_dimensions(subject: Subject) -> Iterator[Finding]:
    """Dimensions that are the same for every jet. Of an untrained control, units that never fire are chance alone."""
    embedding = _finite_rows(subject).astype(np.float64)
    spread = embedding.std(axis=0)
    dead, width = int((spread <= DEAD * spread.max(initial=0.0)).sum()), len(spread)
    wasted = 2 * dead >= width and subject.backbone.card.role != "control"
    rest = ", half of them or more: most of the network is not used." if wasted else "; the rest varies."
    yield Finding(
        check="dead-dimensions",
        status="fail" if wasted else "note" if dead else "pass",
        figure=f"{dead} of {width} dimensions",
        meaning=f"{dead} dimensions are the same for every jet{rest}" if dead else "Every dimension varies.",
        numbers={"dead": dead, "width": width},
    )


def duplicates(subject: Subject) -> Iterator[Finding]:
    """Jets that differ in their inputs and have the same embedding to the bit."""
    embedding, jets = subject.embedding, subject.subsample.jets
    _, first = np.unique(fingerprints(jets), return_index=True)
    first = first[np.isfinite(embedding[first]).all(axis=1)]  # `finite` counts the others
    distinct = np.ascontiguousarray(embedding[first])
    rows = distinct.view(np.dtype((np.void, distinct.dtype.itemsize * distinct.shape[1])))[:, 0]
    _, counts = np.unique(rows, return_counts=True)
    alike = int(counts[counts > 1].sum())
    share = alike / max(len(distinct), 1)
    yield Finding(
        check="duplicates",
        status="fail" if share > _ALIKE else "note" if alike else "pass",
        figure=f"{alike} of {len(distinct)} jets",
        meaning="Distinct jets have the same embedding to the bit"
        + (": most of what tells them apart is lost." if share > _ALIKE else ", few of them.")
        if alike
        else "Distinct jets have distinct embeddings.",
        numbers={"alike": alike, "distinct": len(distinct)},
    )


def singular_values(embedding: NDArray[np.float32]) -> NDArray[np.float64]:
    """Singular values of the centred embedding (J, D), falling, in float64, (min(J, D),)."""
    centred = embedding.astype(np.float64)
    centred -= centred.mean(axis=0)
    return np.asarray(np.linalg.svd(centred, compute_uv=False), np.float64)


def effective_rank(values: NDArray[np.float64]) -> float:
    """exp(H(p)) with p_k = s_k / sum(s) of the singular values s, from 1 to their number; 0 where all vanish.

    Roy and Vetterli, "The effective rank", EUSIPCO 2007, definition 1; for embeddings: RankMe, arXiv:2210.02885,
    which leaves the mean in. Here it is taken out, since a probe has an intercept.

    >>> round(effective_rank(np.array([1.0, 1.0, 1.0, 0.0])), 6)
    3.0
    """
    total = float(values.sum())
    if total == 0:
        return 0.0
    shares = values / total
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _finite_rows(subject: Subject) -> NDArray[np.float32]:
    embedding = subject.embedding
    return embedding[np.isfinite(embedding).all(axis=1)]
