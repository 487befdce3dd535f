"""How alike the layers of backbones are, each with every other, within a backbone and across."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jetassay.errors import DataError
from jetassay.jets.classes import BACKGROUND
from jetassay.metrics.cka import CHUNK, CrossSums
from jetassay.metrics.intervals import Interval
from jetassay.metrics.kernels import bandwidths, kernel_sums, median_distance
from jetassay.tasks.catalogue import LAYERS
from jetassay.tasks.families import BANDWIDTH, BLOCKS, FEWEST_JETS
from jetassay.tasks.samples import Sample, same_jets
from jetassay.tasks.score import LEVEL, Outcome, Score, bounds

_PROTOCOL = (
    f"Layers, version {LAYERS.version}. Debiased linear CKA, and CKA with a Gaussian kernel by the unbiased minibatch "
    f"estimator (sigma = {BANDWIDTH:g} of the median distance; both as in 'similarity-families'), of every layer that "
    "the backbones' cards name with every other, on the same test jets: the first {jets} of each test file, or all "
    "where it has fewer; over all of them, and over the background alone. All layers of a backbone come from one pass. "
    "A layer of constituents is their mean. Intervals: delete-one-block and delete-one-batch jackknife.\n"
    "'cka_to_embedding' and 'rbf_cka_to_embedding' are those of each inner layer with the layer that is the backbone's "
    "embedding; all pairs are in the table 'layer_similarity'."
)

COLUMNS = ("backbone", "layer", "backbone_b", "layer_b", "metric", "bin", "value", "low", "high", "n_jets")
METRICS = {"linear_cka": "cka_to_embedding", "rbf_cka": "rbf_cka_to_embedding"}


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of one backbone on the same jets.

    sample: its embedding (J, sum of widths) has the layers side by side
    widths: layer -> width, in that order; the one that is the backbone's embedding first
    """

    sample: Sample
    widths: Mapping[str, int]

    def __post_init__(self) -> None:
        if sum(self.widths.values()) != self.sample.width:
            raise DataError(f"layers of widths {dict(self.widths)} do not fill {self.sample.width} dimensions")

    def by_depth(self) -> dict[str, NDArray[np.float32]]:
        """Layer -> (J, D), inner ones as the card orders them, the backbone's embedding last."""
        ends = np.cumsum(list(self.widths.values()))[:-1]
        tables = dict(zip(self.widths, np.split(self.sample.embedding, ends, axis=1), strict=True))
        first = next(iter(tables))
        return {name: tables[name] for name in (*list(tables)[1:], first)}


Key = tuple[str, str]


def layers(
    backbones_layers: Mapping[str, Layers],
    *,
    backbones: Sequence[str] = (),
    jets: int = 200,
    background: str = BACKGROUND,
    seed: int = 0,
) -> Outcome[Any]:
    """Compare every two layers of these backbones; the protocol says how.

    backbones_layers: backbone -> its layers, on the same jets in the same order
    backbones: those to compare, in this order; all without a name
    jets:      taken of each test file, for the protocol
    seed:      of blocks, batches and medians

    Table `layer_similarity`, a row for each pair of layers, metric and bin; scores as the protocol says. A layer that
    is constant or holds NaN, and a backbone whose layers are not there, is in `problems`. Raises `DataError` where the
    jets are not the same, or there are no layers at all.
    """
    wanted = backbones or tuple(backbones_layers)
    chosen = {name: backbones_layers[name] for name in wanted if name in backbones_layers}
    if not chosen:
        there = ", ".join(backbones_layers) or "none"
        raise DataError(f"no layers of {', '.join(wanted) or 'any backbone'}; there are those of {there}")
    same_jets({name: each.sample for name, each in chosen.items()})
    reference = next(iter(chosen.values())).sample
    in_background = reference.rows(background) if background in reference.names else np.empty(0, np.int64)
    problems = {name: "its layers are not there" for name in wanted if name not in chosen}
    rows: list[dict[str, Any]] = []
    for name, kept in {"all": np.arange(len(reference)), background: in_background}.items():
        if len(kept) < FEWEST_JETS:
            problems[name] = f"at least {FEWEST_JETS} jets are needed, and the bin '{name}' has {len(kept)}"
            continue
        tables = _sound(chosen, kept, name, problems, seed=seed)
        if len(tables) < 2:
            continue
        rows += [{**row, "bin": name, "n_jets": len(kept)} for row in (*_linear(tables, seed), *_kernel(tables, seed))]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    outputs = {name: next(iter(each.widths)) for name, each in chosen.items()}
    counts = {"all": len(in_background), background: len(in_background)}
    scores = tuple(_scores(table, outputs, counts, {"background": background, "seed": seed}))
    return Outcome(scores, problems, protocol=_PROTOCOL.format(jets=jets), tables={"layer_similarity": table})


def _sound(
    chosen: Mapping[str, Layers], kept: NDArray[np.int64], where: str, problems: dict[str, str], *, seed: int
) -> dict[Key, NDArray[np.float32]]:
    """(backbone, layer) -> the layer on these jets; those that cannot be compared become problems."""
    found = {}
    for backbone, each in chosen.items():
        for layer, table in each.by_depth().items():
            rows = table[kept]
            broken = len(rows) - int(np.isfinite(rows).all(axis=1).sum())
            try:
                if broken:
                    raise DataError(f"{broken} of {len(rows)} jets hold NaN or infinity")  # noqa: TRY301 - one way out
                median_distance(rows, seed=seed)
            except DataError as error:
                problems[f"{backbone}@{layer}, {where}"] = str(error)
                continue
            found[backbone, layer] = rows
    return found


def _linear(tables: Mapping[Key, NDArray[np.float32]], seed: int) -> Iterator[dict[str, Any]]:
    """Two backbones at a time, for memory grows with the square of the widths together."""
    names = list(dict.fromkeys(backbone for backbone, _ in tables))
    done: set[tuple[Key, Key]] = set()
    groups: list[tuple[str, ...]] = [*combinations(names, 2)] if len(names) > 1 else [tuple(names)]
    for together in groups:
        few = {_text(key): each for key, each in tables.items() if key[0] in together}
        keys = [key for key in tables if key[0] in together]
        sums = CrossSums({name: each.shape[1] for name, each in few.items()}, blocks=BLOCKS, seed=seed)
        for start in range(0, len(next(iter(few.values()))), CHUNK):
            sums.add({name: each[start : start + CHUNK] for name, each in few.items()})
        for first, second in combinations(keys, 2):
            if (first, second) in done:
                continue
            done.add((first, second))
            pair = _text(first), _text(second)
            yield _row(first, second, "linear_cka", sums.cka(*pair), sums.interval(*pair, level=LEVEL))


def _kernel(tables: Mapping[Key, NDArray[np.float32]], seed: int) -> Iterator[dict[str, Any]]:
    few = {_text(key): each for key, each in tables.items()}
    sums = kernel_sums(few, widths=bandwidths(few, fraction=BANDWIDTH, seed=seed), seed=seed)
    for first, second in combinations(tables, 2):
        pair = _text(first), _text(second)
        yield _row(first, second, "rbf_cka", sums.cka(*pair), sums.interval(*pair, level=LEVEL))


def _text(key: Key) -> str:
    return "@".join(key)


def _row(first: Key, second: Key, metric: str, value: float, interval: Interval | None) -> dict[str, Any]:
    ends = {} if interval is None else {"low": interval.low, "high": interval.high}
    names = {"backbone": first[0], "layer": first[1], "backbone_b": second[0], "layer_b": second[1]}
    return {**names, "metric": metric, "value": value, **ends}


def _scores(
    table: pd.DataFrame, outputs: Mapping[str, str], counts: Mapping[str, int], facts: Mapping[str, Any]
) -> Iterator[Score]:
    own = table[(table["backbone"] == table["backbone_b"]) & (table["layer_b"] == table["backbone"].map(outputs))]
    for row in own.to_dict("records"):
        spread = Interval(row["low"], row["high"], LEVEL, _METHODS[row["metric"]]) if pd.notna(row["low"]) else None
        yield Score(
            **facts,
            **bounds(spread),
            task=LAYERS.name,
            task_version=LAYERS.version,
            metric=METRICS[row["metric"]],
            value=row["value"],
            bin=row["bin"],
            backbone=row["backbone"],
            layer=row["layer"],
            n_background=counts[row["bin"]],
            n_signal=row["n_jets"] - counts[row["bin"]],
        )


_METHODS = {"linear_cka": "block-jackknife", "rbf_cka": "batch-jackknife"}
