"""One self-contained HTML page of a run of `make throughput`: ratios to peers, curves, tables, the machine."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jetassay.gates import HEADS, MEANING, Judgement, Verdict, verdict_rows
from jetassay.measurements import Curve, Number, Session, curves_of, describe_machine, numbers_of
from jetassay.report.content import Block, Figure, Row, Section, Table, Text
from jetassay.report.gaps import Page
from jetassay.report.page import write_sections

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_MARKERS = "os^Dv"
_COLOURS = {"met": "#3f90da", "near": "#ffa90e", "missed": "#bd1f01", "-": "#94a4a2"}
_ONE_OFF = 2.0  # x axes that reach over more than this factor are logarithmic


def write_speed_page(session: Session, judgement: Judgement, *, folder: Path) -> Page:
    """Draw every figure into `folder`/figures and write `folder`/report.html; gives the page."""
    parts = (
        *_beside_peers(judgement.verdicts),
        *_curves(session),
        *_tables(session),
        _not_measured(session, judgement),
    )
    shown = tuple(part for part in parts if part.blocks)
    return write_sections(shown, title="Throughput", lead=describe_machine(session), protocol="", folder=folder)


def ratio_figure(verdicts: Sequence[Verdict]) -> "Drawing":
    """A bar for each ratio, a line where its gate is; log scale, 1 is as fast as the peer."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(10.5, 0.8 + 0.26 * len(verdicts)))
    names = [each.comparison.name for each in verdicts]
    axes.barh(names, [each.comparison.ratio for each in verdicts], color=[_COLOURS[each.word] for each in verdicts])
    for row, each in enumerate(verdicts):
        axes.annotate(f" {each.comparison.ratio:.2f}", (max(each.comparison.ratio, each.gate or 0), row), va="center")
        if each.gate is not None:
            axes.plot([each.gate] * 2, [row - 0.45, row + 0.45], color="black", linewidth=2)
    axes.axvline(1, color="0.6", linewidth=0.8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    axes.set_xlabel("ours / peer (black: the gate; blue: met, yellow: near, red: missed, grey: no gate)")
    return figure


def curve_figure(curves: Sequence[Curve]) -> "Drawing":
    """All lines of one figure; the y axis begins at zero."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.4))
    for k, curve in enumerate(curves):
        xs, ys = zip(*curve.points, strict=True)
        axes.plot(xs, ys, marker=_MARKERS[k % len(_MARKERS)], label=curve.series)
        if min(xs) > 0 and max(xs) > _ONE_OFF * min(xs):
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks(xs, [f"{x:,g}" if x < 10_000 else f"{x:.0e}" for x in xs], rotation=30)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(curves[0].x)
    axes.set_ylabel(curves[0].y)
    axes.grid(color="0.93")
    axes.legend(frameon=False)
    return figure


def _beside_peers(verdicts: Sequence[Verdict]) -> tuple[Section, ...]:
    if not verdicts:
        return ()
    cells = pd.DataFrame(verdict_rows(verdicts), columns=HEADS).set_index("")
    figure = Figure("ratios", partial(ratio_figure, verdicts), "Speed of ours in units of the peer's, in the same run.")
    return (Section("Beside peers", (figure, Table(cells, "network"), Text(MEANING, "note"))),)


def _curves(session: Session) -> tuple[Section, ...]:
    grouped: dict[str, list[Curve]] = {}
    for curve in curves_of(session):
        grouped.setdefault(curve.figure, []).append(curve)
    figures = tuple(
        Figure(f"curve_{k}", partial(curve_figure, curves), name) for k, (name, curves) in enumerate(grouped.items())
    )
    return (Section("Scaling", tuple(Row(figures[k : k + 2]) for k in range(0, len(figures), 2))),)


def _tables(session: Session) -> tuple[Section, ...]:
    groups: dict[str, list[Number]] = {}
    for number in numbers_of(session):
        groups.setdefault(number.group, []).append(number)
    tables = tuple(
        Table(
            pd.DataFrame({each.unit: f"{each.value:,.4g}" for each in numbers[:1]}, index=[numbers[0].name])
            if len(numbers) == 1
            else pd.DataFrame({numbers[0].unit: [f"{each.value:,.4g}" for each in numbers]},
                              index=[each.name for each in numbers]),
            "",
            title=group,
        )
        for group, numbers in groups.items()
    )  # fmt: skip
    benchmarks = [each for each in session["benchmarks"] if not each["extra_info"].get("beside_peer")]
    rates: tuple[Block, ...] = ()
    if benchmarks:
        cells = pd.DataFrame(
            [_rate_cells(each) for each in benchmarks], index=[str(each["name"]) for each in benchmarks]
        )
        rates = (
            Table(cells, "benchmark"),
            Text("Medians over rounds; spread is half of the interquartile range.", "note"),
        )
    return Section("Where time and memory go", tables), Section("Every benchmark", rates)


def _not_measured(session: Session, judgement: Judgement) -> Section:
    missing = tuple(
        Text(f"{name}: {reason}", "failure" if kind == "failed" else "note")
        for kind in ("failed", "skipped")
        for name, reason in (session.get(kind) or {}).items()
    )
    gates = (Text(judgement.missing, "failure"),) if judgement.missing else ()
    return Section("Not measured", (*gates, *missing))


def _rate_cells(benchmark: Mapping[str, Any]) -> dict[str, str]:
    about, stats = benchmark["extra_info"], benchmark["stats"]
    middle = float(stats["median"])
    return {
        "jets/s": f"{float(about['jets_per_s']):,.4g}",
        "spread": f"{50 * float(stats['iqr']) / middle:.0f} %",
        "rounds": str(stats.get("rounds", "")),
        "of": str(about.get("note") or about.get("variant") or ""),
    }
