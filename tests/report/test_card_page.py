"""Cards as pages: every card renders, with what is known of it and nothing else; jets seen in training are marked."""

from dataclasses import replace

import pandas as pd
import pytest

from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.seen import seen_in_training
from jetassay.errors import ConfigError
from jetassay.report.card_page import card_page, parameter_count
from jetassay.report.results import Results

PUBLISHED_COUNTS = {"part-full": 2_143_486, "sophon": 2_304_688}


@pytest.fixture
def results(frame, tmp_path, monkeypatch):
    """Stored results of a suite of part-mini and a backbone with a long name; the first has seen the jets."""
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path))
    named = frame.replace({"backbone": {"alpha": "part-mini"}, "backbone_b": {"alpha": "part-mini"}})
    found = Results(
        suite="mine",
        title="Mine",
        frame=named,
        counts=pd.DataFrame({"jets": [3]}, index=pd.Index(["test"], name="split")),
        provenance={"created": "2026-11-22T00:00:00+00:00", "seen_in_training": {"part-mini": "trained on sim"}},
        protocol="",
    )
    found.save()
    return found


@pytest.mark.parametrize("name", list(backbone_cards()))
def test_every_card_has_a_page_with_its_origin_inputs_and_training(name, results):
    card = backbone_cards()[name]
    page = card_page(card)
    for title in ("Facts", "Inputs of each", "Trained on", "Known limits and notes"):
        assert f"## {title}" in page
    assert card.title in page
    assert all(dataset in page for dataset in card.trained_on)
    assert ("## Published numbers" in page) == (name in {"part-full", "particlenet-full", "sophon", "sophon-onnx"})


@pytest.mark.parametrize(("name", "count"), PUBLISHED_COUNTS.items())
def test_parameters_are_as_many_as_those_of_the_official_weights(name, count):
    assert parameter_count(backbone_cards()[name]) == count


def test_the_inputs_are_a_table_with_shift_scale_clip_and_source(results):
    page = card_page(backbone_cards()["part-full"])
    assert "| log_pt | 1.7 | 0.7 | -5 to 5 | JetClass_kin.yaml" in page
    assert "| ParT | 100,000,000 | rejection Tbqq 50% | 32787 | 28651 to 37558 | 61 of 2,000,000 |" in page
    assert "not those of a probe" in page


def test_measured_numbers_name_suite_date_and_digest_and_whether_the_jets_were_seen(results):
    page = card_page(backbone_cards()["part-mini"])
    assert "data digest | f6b1cb8e" in page
    assert "## Measured in suite mine" in page
    assert "run at 2026-11-22T00:00:00+00:00; dataset sim, data digest d." in page
    assert "| Hbb | 0.9500(30) | 123.4 +14.6-12.2 |" in page or "Hbb | 0.950(3)" in page
    assert "part-mini has seen these jets in training: trained on sim." in page
    assert "Measured in suite" not in card_page(backbone_cards()["mlp"])


def test_results_that_cannot_be_read_are_named_on_the_page(results):
    (results.folder / "provenance.json").write_text("{")
    assert "results cannot be read" in card_page(backbone_cards()["part-mini"])


def test_a_page_is_one_html_file_without_a_network(results, tmp_path):
    path = tmp_path / "card.html"
    assert card_page(backbone_cards()["sophon"], output=path) == str(path)
    text = path.read_text()
    assert "<h1>sophon</h1>" in text
    assert "default-src 'none'" in text
    assert "<script" not in text.split("</head>")[1]
    assert "src=" not in text
    assert text.count("<table>") == text.count("</table>") >= 3


def test_a_page_of_another_ending_and_a_file_in_the_way_are_errors(tmp_path):
    card = backbone_cards()["jet-observables"]
    with pytest.raises(ConfigError, match=r"\.md or \.html"):
        card_page(card, output=tmp_path / "card.pdf")
    (tmp_path / "card.md").write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        card_page(card, output=tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text() == "mine"
    card_page(card, output=tmp_path / "card.md", force=True)
    assert (tmp_path / "card.md").read_text().startswith("# jet-observables")


def test_a_dataset_is_seen_by_name_or_by_content():
    official, shipped = backbone_cards()["part-full"], backbone_cards()["part-mini"]
    assert seen_in_training(official, dataset="jetclass", digest="0") == "trained on jetclass"
    assert seen_in_training(official, dataset="jetclass-sim", digest="0") is None
    assert seen_in_training(shipped, dataset="copy", digest=shipped.training.data_digest) == (
        "trained on exactly these files"
    )
    assert seen_in_training(backbone_cards()["part-mini-untrained"], dataset="jetclass", digest="0") is None


def test_backbones_that_have_seen_the_jets_are_marked_wherever_numbers_are_shown(results, unrendered):
    assert "part-mini (seen in training)" in results.table(width=200)
    assert "part-mini (seen in training)" in results.markdown()
    assert "part-mini (seen in training)" in results.draw().path.read_text()
    assert "part-mini (seen" not in (results.folder / "scores.csv").read_text()
    unmarked = replace(results, provenance={})
    assert "seen in training" not in unmarked.table(width=200)
