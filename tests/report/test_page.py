"""A page shows its sections in order, links them, and keeps controls apart."""

from base64 import b64encode
from hashlib import sha256
from html import escape

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from jetassay.errors import JetAssayError
from jetassay.report import page as module
from jetassay.report import sections as every
from jetassay.report.content import CONTROLS, TRAINED, Content, Figure, Fold, Row, Section, Table, Text
from jetassay.report.page import write_page
from jetassay.report.pictures import Picture
from jetassay.report.sections import leaderboard, sections
from jetassay.tasks.score import COLUMNS, Context, Score, result_frame

COUNTS = pd.DataFrame({"jets": [3]}, index=pd.Index(["test"], name="split"))


def content_of(frame, **changes):
    facts = {"tables": {}, "counts": COUNTS, "provenance": {}, "protocol": "", "roles": {}}
    return Content(frame=frame, **{**facts, **changes})


def page_of(*parts, tmp_path, monkeypatch, **changes):
    monkeypatch.setattr(module, "sections", lambda content: parts)
    return write_page(content_of(pd.DataFrame(columns=list(COLUMNS)), **changes), title="A page", folder=tmp_path).path


def line():
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 2])
    return figure


def test_the_list_of_contents_leads_to_every_section_in_order(frame, tmp_path, unrendered):
    content = content_of(frame, protocol="Linear probe, version 1.")
    text = write_page(content, title="A page", folder=tmp_path).path.read_text()
    shown = [escape(each.title) for each in sections(content)]
    assert len(shown) >= 7
    places = [text.index(f">{title}</h2>") for title in shown]
    assert places == sorted(places)
    for anchor in (part.split('"')[0] for part in text.split('href="#')[1:]):
        assert f'id="{anchor}"' in text or f"id={anchor}" in text


def test_a_section_points_to_the_paragraph_that_defines_it(tmp_path, monkeypatch):
    part = Section("Mine", (Text("Words."),), ("Linear probe", "Not said"))
    options = {"protocol": "Linear probes and more.\n\nLinear probe, version 1."}
    text = page_of(part, tmp_path=tmp_path, monkeypatch=monkeypatch, **options).read_text()
    assert '<a href="#definition-2">Linear probe</a>' in text
    assert "Not said" not in text


def test_trained_backbones_stand_above_controls_and_floors(frame):
    table = leaderboard.probe(content_of(frame, roles={"alpha": "control"})).blocks[0]
    assert list(table.cells.index) == ["beta-long-name", "alpha"]
    assert table.groups == {"beta-long-name": TRAINED, "alpha": CONTROLS}


def test_shuffled_labels_are_a_row_among_the_floors(frame):
    context = Context(suite="mine", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")
    floor = {"task": "shuffled-labels", "task_version": 1, "metric": "auc", "signal": "Hbb", "background": "QCD"}
    scores = [Score(**floor, backbone=name, value=value) for name, value in (("alpha", 0.49), ("beta", 0.52))]
    both = pd.concat([frame, result_frame((context, score) for score in scores)], ignore_index=True)
    table = leaderboard.probe(content_of(both)).blocks[0]
    assert table.cells.loc["shuffled labels (2 backbones)"].to_dict() == {"Hbb": "0.490 to 0.520", "Tbl": "-"}
    assert table.groups["shuffled labels (2 backbones)"] == CONTROLS


def test_a_failed_check_is_red_and_text_cannot_be_markup(tmp_path, monkeypatch):
    cells = pd.DataFrame({"<b>": ["✗ <script>"]}, index=["row"])
    part = Section("Mine & yours", (Table(cells, "what", title="<i>"), Text("<u>", "failure")))
    text = page_of(part, tmp_path=tmp_path, monkeypatch=monkeypatch).read_text()
    assert "<td class=failure>✗ &lt;script&gt;</td>" in text
    assert "<p class=failure>&lt;u&gt;</p>" in text
    body = text.split("</head>")[1]
    assert not any(tag in body for tag in ("<b>", "<i>", "<u>", "<script>"))


def test_the_policy_names_the_pages_own_style_and_script_and_allows_nothing_else(frame, tmp_path, unrendered):
    text = write_page(content_of(frame), title="A page", folder=tmp_path).path.read_text()
    policy = text.split('http-equiv=Content-Security-Policy content="')[1].split('"')[0]
    for tag in ("style", "script"):
        assert text.count(f"<{tag}>") == 1
        inside = text.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        assert f"{tag}-src 'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert not any(word in text for word in ("http://", "https://", " style=", " onclick="))


def test_each_group_of_rows_is_a_body_of_its_own(frame, tmp_path, unrendered):
    text = write_page(content_of(frame, roles={"alpha": "control"}), title="A page", folder=tmp_path).path.read_text()
    table = text.split("<table>")[1].split("</table>")[0]
    assert [part.count("<tr>") for part in table.split("<tbody>")[1:]] == [1, 1]


def test_figures_are_drawn_once_saved_and_old_ones_removed(tmp_path, monkeypatch):
    before = plt.get_fignums()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.png").write_bytes(b"old")
    text = page_of(
        Section("Mine", (Figure("line", line, "A line"),)), tmp_path=tmp_path, monkeypatch=monkeypatch
    ).read_text()
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["line.png"]
    assert text.count("data:image/png;base64,") == 1
    assert "<figcaption>A line</figcaption>" in text
    assert plt.get_fignums() == before


@pytest.mark.parametrize("what", ["section", "figure"])
def test_a_name_stands_for_one_section_or_figure(what, tmp_path, monkeypatch):
    figure = (Figure("line", line),) if what == "figure" else ()
    titles = ("One", "One" if what == "section" else "Two")
    with pytest.raises(JetAssayError, match=f"two {what}s are called"):
        page_of(*(Section(title, figure) for title in titles), tmp_path=tmp_path, monkeypatch=monkeypatch)


def test_what_is_missing_stands_first_on_the_page_and_what_is_not_defined_is_no_failure(frame):
    provenance = {"missing": ["alpha, probe, Hbb: too few jets."], "undefined": ["beta: zero-shot: no classifier"]}
    first, *others = sections(content_of(frame, provenance=provenance))
    assert first.blocks == (Text("alpha, probe, Hbb: too few jets.", "failure"),)
    assert (Text("beta: zero-shot: no classifier."),) in [each.blocks for each in others]
    assert sections(content_of(frame))[0].title != first.title


def test_what_is_folded_is_on_the_page_with_its_figures(tmp_path, monkeypatch):
    part = Section("Mine", (Fold("More", (Text("Words."), Row((Figure("a", line),)))), Figure("b", line)))
    assert [each.name for each in part.figures] == ["a", "b"]
    text = page_of(part, tmp_path=tmp_path, monkeypatch=monkeypatch).read_text()
    folded = text.split("<details><summary>More</summary>")[1].split("</details>")[0]
    assert "Words." in folded
    assert folded.count("<img") == 1
    assert text.count("<img") == 2


def broken():
    plt.figure()
    raise ZeroDivisionError("no such jets")


def test_a_figure_that_fails_is_named_and_costs_no_other(tmp_path, monkeypatch):
    part = Section("Mine", (Figure("bad", broken), Figure("good", line)))
    monkeypatch.setattr(module, "sections", lambda content: (part,))
    before = plt.get_fignums()
    page = write_page(content_of(pd.DataFrame(columns=list(COLUMNS))), title="A page", folder=tmp_path)
    (gap,) = page.gaps
    assert gap.startswith("figure bad could not be drawn: ZeroDivisionError: no such jets (test_page.py, line ")
    text = page.path.read_text()
    assert f"<p class=failure>{escape(gap)}</p>" in text
    assert text.count("<img") == 1
    assert plt.get_fignums() == before


def test_a_section_that_fails_is_named_and_costs_no_other(frame, tmp_path, unrendered, monkeypatch):
    def bins(content):
        raise KeyError("edges")

    monkeypatch.setattr(every, "SECTIONS", (bins, leaderboard.probe))
    page = write_page(content_of(frame), title="A page", folder=tmp_path)
    (gap,) = page.gaps
    assert "KeyError: 'edges'" in gap
    text = page.path.read_text()
    assert text.index("Not drawn") < text.index(escape(gap)) < text.index("linear probe</h2>")


def test_every_number_leads_to_its_run_and_to_what_it_depends_on(frame, tmp_path, unrendered):
    tracked = frame.assign(run_id=frame["backbone"].map({"alpha": "run-1", "beta-long-name": "run-2"}))
    tracked.loc[tracked["backbone_b"].notna(), "run_id"] = "run-of-the-suite"
    content = content_of(tracked, provenance={"data": {"dataset": "sim"}}, roles={"alpha": "control"})
    text = write_page(content, title="A page", folder=tmp_path).path.read_text()
    leaderboard, provenance = (text.split(title)[1].split("</table>")[0] for title in ("<table>", ">Provenance</h2>"))
    for name, run in (("alpha", "run-1"), ("beta-long-name", "run-2")):
        anchor = leaderboard.split(f">{name}</a>")[0].rpartition('"#')[2].removesuffix('"')
        row = provenance.split(f"<tr id={anchor}>")[1].split("</tr>")[0]
        assert [row.split("<td>")[k].removesuffix("</td>") for k in (1, 2, 4)] == [name, run, "d"]


def test_without_provenance_names_lead_nowhere(frame, tmp_path, unrendered):
    text = write_page(content_of(frame), title="A page", folder=tmp_path).path.read_text()
    assert "#backbone-" not in text


def test_points_that_a_folder_of_somebody_else_claims_for_a_figure_cannot_be_markup():
    shown = Section("A", (Figure("one", plt.figure),))
    made = {"one": Picture(b"\0" * 24, '1 2 3"><b>x</b>')}
    text = module.document([shown], title="T", lead="", figures=made)
    assert "<b>x</b>" not in text
    assert escape('1 2 3"><b>x</b>') in text
