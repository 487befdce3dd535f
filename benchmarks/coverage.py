"""How often intervals hold the truth, for the documentation: `python -m benchmarks.coverage`.

Writes docs/coverage.csv, a row for each set-up, method and level, and docs/coverage.png. It takes about ten minutes on
one core; `--draw` draws the figure again from the table.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from jetassay.metrics.coverage import auc_trial, coverage, paired_coverage, rejection_trial

DOCS = Path(__file__).parents[1] / "docs"
LEVELS = (0.68, 0.95)
REPEATS = 1000
WORKING_POINTS = (0.5, 0.99, 0.995)


def tables() -> Iterator[pd.DataFrame]:
    """Every set-up, the quick ones with as many repeats as the slow ones."""
    for working_point in WORKING_POINTS:
        for jets in (300, 1000, 10_000):
            for survivors in (3, 30):
                trial = rejection_trial(jets, signal_efficiency=working_point, survivors=survivors)
                yield coverage(trial, levels=LEVELS, repeats=REPEATS, seed=1)
    for jets in (50, 200, 1000):
        for auc in (0.7, 0.95, 0.999):
            yield coverage(auc_trial(jets, auc=auc), levels=LEVELS, repeats=REPEATS, seed=2)
    shifts = {0.5: (2.0, 3.0), 0.99: (5.0,), 0.995: (5.0,)}
    pairs = [(point, shift) for point, several in shifts.items() for shift in several]
    for working_point, shift in pairs:
        table = paired_coverage(
            1000, signal_efficiency=working_point, shift=shift, levels=LEVELS, repeats=REPEATS, seed=3
        )
        # The AUC has no working point: once for each shift.
        yield table if working_point != 0.995 else table[table["quantity"] == "ln rejection difference"]


_NAMES = {
    "rejection": "rejection",
    "auc": "AUC",
    "auc difference": "AUC difference",
    "ln rejection difference": "ratio of rejections",
}


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """With a line of text for each set-up."""

    def text(row: pd.Series) -> str:
        about = f"{_NAMES[row['quantity']]}, {row['jets']:,.0f} jets a side, "
        if row["quantity"] == "auc":
            return about + f"AUC {row['auc']:g}"
        if row["quantity"] == "auc difference":
            return about + f"shift {row['shift']:g}"
        return about + f"$\\varepsilon_S$ = {row['signal_efficiency']:g}, {row['survivors']:.0f} survivors"

    return table.assign(label=[text(row) for _, row in table.iterrows()])


def draw(table: pd.DataFrame, path: Path) -> None:
    """A dot for each set-up and method, its bar the binomial error; a line at the level that is claimed."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="paper", font_scale=1.1)
    table = labelled(table)
    labels = list(dict.fromkeys(table["label"]))
    methods = list(dict.fromkeys(table["method"]))
    colours = dict(zip(methods, sns.color_palette("colorblind", len(methods)), strict=True))
    figure, panels = plt.subplots(1, 2, figsize=(12, 0.27 * len(labels) + 1.4), sharey=True)
    for axes, level in zip(panels, LEVELS, strict=True):
        for k, method in enumerate(methods):
            rows = table[(table["level"] == level) & (table["method"] == method)]
            places = [labels.index(label) + 0.16 * (k % 2 - 0.5) * 2 for label in rows["label"]]
            axes.errorbar(rows["covered"], places, xerr=rows["error"], fmt="os^Dv"[k], color=colours[method],
                          markersize=5, label=method)  # fmt: skip
        axes.axvline(level, color="0.3", linestyle="--", linewidth=1.2, zorder=0)
        axes.set_title(f"intervals of level {100 * level:.0f} %")
        axes.set_xlabel("fraction that hold the truth")
        axes.set_xlim(0.25 if level < 0.9 else 0.5, 1.02)
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].set_ylim(len(labels) - 0.4, -0.6)
    panels[1].legend(loc="lower left", title="method", frameon=True)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Simulate unless only the drawing is asked for."""
    if "--draw" not in sys.argv:
        pd.concat(tables(), ignore_index=True).round(5).to_csv(DOCS / "coverage.csv", index=False)
    draw(pd.read_csv(DOCS / "coverage.csv"), DOCS / "coverage.png")


if __name__ == "__main__":
    main()
