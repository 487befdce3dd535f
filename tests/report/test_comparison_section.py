"""Ranks, verdicts and spreads as the page shows them."""

import numpy as np
import pandas as pd
import pytest

from jetassay.report.content import Content
from jetassay.report.sections import comparison, stability


def pair(first, second, verdict, *, signal="Hbb", metric="auc", **more):
    row = {"signal": signal, "metric": metric, "backbone": first, "backbone_b": second, "verdict": verdict}
    numbers = dict.fromkeys(["only_first", "only_second", "jets_needed", "jets_needed_low", "jets_needed_high"], pd.NA)
    return row | {"p_holm": 0.2, "n_background": 1000, **numbers, **more}


@pytest.fixture
def comparisons():
    rejection = {"metric": "rejection", "only_first": 3, "only_second": 5}
    return pd.DataFrame(
        [
            pair("a", "b", "better"),
            pair("a", "c", "better"),
            pair("b", "c", "not distinguishable"),
            pair("a", "b", "worse", signal="Hcc"),
            pair("a", "b", "not distinguishable", **rejection, jets_needed=15449.0, jets_needed_low=2380.0),
            pair("a", "c", "not distinguishable", **rejection, jets_needed=900.0, jets_needed_low=500.0)
            | {"jets_needed_high": 2000.0},
            pair("b", "c", "not distinguishable", **rejection | {"only_second": 3}),
        ]
    )


@pytest.fixture
def ranks():
    rows = [("a", 1, 1), ("b", 2, 3), ("c", 2, 3)]
    return pd.DataFrame(
        [
            {"signal": "Hqql", "metric": m, "backbone": b, "first": f, "last": last}
            for m in ("auc", "rejection")
            for b, f, last in rows
        ]
    )


def test_ranks_show_ties_as_a_range(ranks):
    assert comparison.rank_cells(ranks, "auc")["Hqql"].to_dict() == {"a": "1", "b": "2-3", "c": "2-3"}
    assert list(comparison.rank_cells(ranks, "rejection").columns) == ["Hqql 99%"]


def test_undecided_pairs_say_how_many_jets_they_need(comparisons):
    cells = comparison.undecided_cells(comparisons)
    assert cells["needed"].tolist() == ["15,000 (more than 2,400)", "900 (500 to 2,000)", "-"]
    assert (cells.index == "Hbb").all()


def test_the_matrix_counts_verdicts_from_both_sides(comparisons):
    figure = comparison.verdict_figure(comparisons, "auc")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("1 0 1") == 2
    assert {"1 0 0", "0 0 1", "0 1 0"} <= set(texts)


def test_the_section_says_how_many_tie_and_is_left_out_without_comparisons(frame, comparisons, ranks):
    content = Content(frame=frame, tables={}, counts=pd.DataFrame(), provenance={}, protocol="")
    assert comparison.section(content) is None
    assert stability.section(content) is None
    tables = {"comparison": comparisons, "ranks": ranks}
    full = Content(frame=frame, tables=tables, counts=pd.DataFrame(), provenance={}, protocol="")
    shown = comparison.section(full)
    assert "In 4 of 7 comparisons the two are not distinguishable" in shown.blocks[0].text
    assert [each.name for each in shown.figures] == ["verdicts_auc", "verdicts_rejection"]


def test_the_ranks_are_text_on_the_screen_too(frame, comparisons, ranks):
    tables = {"comparison": comparisons, "ranks": ranks}
    content = Content(frame=frame, tables=tables, counts=pd.DataFrame(), provenance={}, protocol="")
    text = comparison.ranks_text(content, width=60)
    assert "Ranks by background rejection" in text
    assert "2-3" in text
    assert all(len(line) <= 60 for line in text.splitlines()[:-1])


def test_spreads_stand_in_one_cell_and_a_missing_one_is_never_zero():
    rows = [
        {"task": "stability", "metric": f"auc_sd_{part}", "backbone": name, "signal": "Hbb", "value": value}
        for name, values in {"a": (0.0042, 0.0005, 0.02), "b": (0.001, np.nan, 0.001), "c": 3 * (np.nan,)}.items()
        for part, value in zip(stability.PARTS, values, strict=True)
    ]
    cells = stability.spread_cells(pd.DataFrame(rows), "auc")
    assert cells["Hbb"].to_dict() == {"a": "4.2, 0.50, 20", "b": "1.0, -, 1.0", "c": "-"}
