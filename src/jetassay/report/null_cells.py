"""Table cells of numbers that chance alone makes larger than 0: each beside what chance would give."""

from collections.abc import Iterable

import pandas as pd

from jetassay.jets.classes import in_order

SIGNIFICANT = 0.05
"""p-value at and above which a cell says `ns`: not above what chance gives."""

ALL_CLASSES = "all classes"
"""The column of scores that belong to no one signal."""


def cells_beside_null(rows: pd.DataFrame, metric: str, *, backbones: Iterable[str]) -> pd.DataFrame:
    """Text cells, backbones down and signals across: `0.113 (0.033)`, the null's mean in brackets, `ns` after it.

    rows: of the result frame, with `metric`, `metric`_null and `metric`_p_value of each backbone and signal, once
    """
    labelled = rows.assign(signal=rows["signal"].fillna(ALL_CLASSES))
    wide = labelled.pivot(index=["backbone", "signal"], columns="metric", values="value")
    found = zip(wide[metric], wide[f"{metric}_null"], wide[f"{metric}_p_value"], strict=True)
    cells = [f"{value:.3f} ({null:.3f}){' ns' if p >= SIGNIFICANT else ''}" for value, null, p in found]
    table = pd.Series(cells, index=wide.index, dtype="object").unstack("signal").fillna("-")
    return table.reindex(index=[name for name in backbones if name in table.index], columns=in_order(table.columns))
