"""Six measures of similarity side by side, in every class, with what chance gives and what anchors say."""

from collections.abc import Iterable
from functools import partial
from itertools import combinations
from typing import Any

import pandas as pd

from jetassay.jets.classes import in_order
from jetassay.report.content import Block, Content, Figure, Section, Table, Text
from jetassay.report.similarity_figures import NAMES, bins_figure, convergence_figure, families_figure
from jetassay.report.tables import auc_cell

TASK = "similarity-families"
_COLOURS = {"linear_cka": "#3f90da", "procrustes": "#bd1f01", "svcca": "#ffa90e"}
_MOST_CURVES = 6
_PAIR = ["kind", "backbone", "backbone_b"]


def section(content: Content) -> Section | None:
    """Heat maps of all families, one family in all bins, anchors, convergence, and every pair with its null."""
    scores = content.scores(TASK, *NAMES)
    if not len(scores):
        return None
    overall = scores[scores["bin"] == "all"]
    pairs = list(combinations([name for name in content.backbones if _is_in(name, scores)], 2))
    trained = [pair for pair in pairs if not any(map(content.is_control, pair))] or pairs
    blocks: list[Block] = []
    if len(overall):
        figure = partial(families_figure, overall, [name for name in content.backbones if _is_in(name, overall)])
        blocks += [
            Figure("similarity_families", figure, "All test jets. Of cross-prediction, the row predicts the column."),
            Text(_chance(content), "note"),
        ]
    blocks += _anchors(content)
    bins = _bins(scores["bin"])
    for metric in [name for name in ("linear_cka", "mutual_knn") if name in set(scores["metric"])]:
        chosen = scores[scores["metric"] == metric]
        caption = (
            f"{NAMES[metric]} among all jets, within each class, and after regressing out ('residual'). Where 'all' is "
            "far above the classes, it is the distances between classes that are alike."
        )
        blocks.append(Figure(f"similarity_bins_{metric}", partial(bins_figure, chosen, pairs, bins), caption))
    curves = content.tables.get("cka_convergence")
    if curves is not None:
        from jetassay.tasks.convergence import NOISE

        figure = partial(convergence_figure, curves, trained[:_MOST_CURVES], NOISE, _COLOURS)
        caption = (
            "Full: as measured here. Dashed: as it is often computed, which calls unrelated embeddings alike until "
            "jets are many times the dimensions."
        )
        blocks.append(Figure("cka_convergence", figure, caption))
    if len(overall):
        blocks.append(Table(family_cells(overall, pairs), "pair", "Every pair, all test jets", folded=True))
    return Section("Similarity by six measures", tuple(blocks), ("Similarity families",))


def family_cells(scores: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Text cells with intervals, pairs down and families across; cross-prediction both ways round."""
    found = {(row["metric"], row["backbone"], row["backbone_b"]): auc_cell(row) for _, row in scores.iterrows()}
    cells = {}
    for first, second in pairs:
        row = {}
        for metric, name in NAMES.items():
            here, back = (found.get((metric, *each)) for each in ((first, second), (second, first)))
            row[name] = " / ".join(each for each in (here, back) if each is not None) or "-"
        cells[f"{first} – {second}"] = row
    return pd.DataFrame.from_dict(cells, orient="index", columns=list(NAMES.values()))


def _anchors(content: Content) -> list[Block]:
    """How alike is a lot: one row for each kind of anchor and backbone."""
    table = content.tables.get("similarity_anchors")
    if table is None or not len(table):
        return []
    cells: dict[str, Any] = {}
    for kind, first, second in table.loc[table["metric"] == "linear_cka", _PAIR].itertuples(index=False):
        both = table[(table["kind"] == kind) & table["backbone"].isin([first, second])]
        both = both[both["backbone_b"].isin([first, second])]
        cells[f"{kind}: {first}"] = family_cells(both, [(first, second)]).iloc[0].to_dict()
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=list(NAMES.values()))
    return [
        Text(
            "Anchors: a copy of the embedding, rotated and scaled, is 1 by every measure; an untrained network of the "
            "same architecture on the same inputs is what no training gives.",
            "note",
        ),
        Table(frame, "anchor"),
    ]


def _chance(content: Content) -> str:
    """What shuffled jets give, in one sentence."""
    nulls = content.scores(TASK, *(f"{name}_null" for name in NAMES))
    p_values = content.scores(TASK, *(f"{name}_p_value" for name in NAMES))
    if not len(nulls):
        return ""
    largest, smallest = nulls["value"].abs().max(), p_values["value"].min()
    fewest = int((p_values["value"] <= smallest).sum())
    return (
        f"With the jets of one backbone shuffled, every measure is 0 within {largest:.3f} on average over "
        f"permutations. {fewest} of {len(p_values)} p-values are {smallest:.2g}, the smallest that was found, and the "
        f"largest is {p_values['value'].max():.2g}."
    )


def _bins(found: Iterable[str]) -> list[str]:
    """All, its residual, and the classes in their order, each with its residual."""
    names = set(found)
    classes = in_order(sorted(name for name in names if ", " not in name and name != "all"))
    ordered = [each for name in ("all", *classes) for each in (name, f"{name}, residual")]
    return [name for name in ordered if name in names]


def _is_in(backbone: str, scores: pd.DataFrame) -> bool:
    return bool(((scores["backbone"] == backbone) | (scores["backbone_b"] == backbone)).any())
