"""Whether the weights in memory are trained ones: not those that the architecture draws at random."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jetassay.audit.finding import Finding, Status
from jetassay.audit.subject import Subject
from jetassay.backbones.card import Card

Floats = NDArray[np.float64]

_SEEDS = (104729, 1299709)
_SIGNIFICANCE = 1e-3
"""Chance that one of all tensors of an untrained network looks trained."""
_MOST = 20_000
"""Values of a tensor that are compared."""


def weights(subject: Subject) -> Iterator[Finding]:
    """Every tensor of weights against a fresh draw of the same architecture."""
    card = subject.backbone.card
    if card.untrained_twin_of is not None:
        yield _finding(
            "pass", f"seed {card.seed}", f"A declared control: {card.untrained_twin_of} with random weights."
        )
        return
    if card.weights is None:
        yield _finding("pass", "none", "It has no weights, and its card names none.")
        return
    state = _state(subject.backbone)
    if state is None:
        yield _finding(
            "note",
            subject.backbone.weights_sha256[:12],
            "Its weights are no tensors of torch, so they are not compared with random ones; their hash is the card's.",
        )
        return
    fresh, level = _fresh(card), _SIGNIFICANCE / max(len(state), 1)
    moved = [name for name, values in state.items() if not looks_fresh(name, values, fresh, level=level)]
    most = 2 * len(moved) >= len(state)
    yield Finding(
        check="weights",
        status="pass" if most else "note" if moved else "fail",
        figure=f"{len(moved)} of {len(state)} moved",
        meaning="Tensors of weights differ from those of an untrained network of this architecture."
        if most
        else "Most tensors are as an untrained network draws them: look whether all trained ones were loaded."
        if moved
        else "All weights are as an untrained network draws them: the trained ones were not loaded. Load them, or "
        "declare it as a control (`untrained_twin_of`).",
        numbers={"moved": len(moved), "tensors": len(state)},
    )


def looks_fresh(name: str, values: Floats, fresh: Mapping[str, list[Floats]], *, level: float) -> bool:
    """Whether a tensor is what an untrained network of the architecture draws, as far as its values show.

    Against fresh draws of the same tensor where they can be had: equal where these are constant, else by the two-sample
    Kolmogorov-Smirnov test at `level`. Otherwise: the constants of untrained norms, and for matrices the
    uniform distribution within 1 / sqrt(inputs), which `torch.nn.Linear` draws.
    """
    from scipy.stats import ks_2samp, kstest

    if name in fresh:
        drawn = np.concatenate(fresh[name])
        if np.ptp(drawn) == 0:
            return bool((values == drawn[0]).all())
        return bool(ks_2samp(_some(values), _some(drawn), method="asymp").pvalue > level)
    if np.ptp(values) == 0:
        return bool(values.flat[0] in (0.0, 1.0))
    if name.endswith("bias"):  # drawn within a bound that the matrix knows: says nothing
        return True
    bound = 1 / np.sqrt(max(values[0].size, 1))
    if values.ndim < 2 or np.abs(values).max() > bound * (1 + 1e-6):
        return False
    return bool(kstest(_some(values), "uniform", args=(-bound, 2 * bound)).pvalue > level)


def _some(values: Floats) -> Floats:
    """At most `_MOST` of the values, spread over all."""
    return values.ravel()[:: -(-values.size // _MOST)]


def _fresh(card: Card) -> dict[str, list[Floats]]:
    """Tensors of the card's architecture as drawn with other seeds, flat; none where only its `load` can make one."""
    from jetassay.backbones.loading import build_module

    if card.architecture.endswith(":load"):
        return {}
    drawn: dict[str, list[Floats]] = {}
    for seed in _SEEDS:
        for name, values in _tensors(build_module(card.model_copy(update={"seed": seed}))).items():
            drawn.setdefault(name, []).append(values.ravel())
    return drawn


def _state(backbone: Any) -> dict[str, Floats] | None:
    module = getattr(backbone, "module", None)
    return _tensors(module) if hasattr(module, "named_parameters") else None


def _tensors(module: Any) -> dict[str, Floats]:
    """Parameters by name, and running statistics, in float64."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return {
        name: np.asarray(values.detach().cpu().double().numpy())
        for name, values in named
        if not name.endswith("num_batches_tracked") and values.is_floating_point() and values.numel()
    }


def _finding(status: Status, figure: str, meaning: str) -> Finding:
    return Finding(check="weights", status=status, figure=figure, meaning=meaning)
