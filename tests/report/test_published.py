"""Published numbers: every entry is whole, known to the rest of the project, and agrees with what can be computed."""

import csv
import io
import json
from decimal import Decimal

import pytest

from jetassay.backbones.catalogue import backbone_cards
from jetassay.errors import ConfigError
from jetassay.jets.catalogue import find_dataset_card
from jetassay.jets.classes import CLASS_NAMES, jet_class
from jetassay.report import published as module
from jetassay.report.published import Number, of_card, published, sources
from jetassay.report.reference import interval_text, quantity, render_reference, survivors_text

NUMBERS = published()
IDS = [f"{k + 2}-{number.model}-{quantity(number)}" for k, number in enumerate(NUMBERS)]
INTERPOLATED = {("L-GATr", "H4q")}  # its authors interpolate the ROC curve, so this one is no ratio of whole numbers


@pytest.fixture(scope="module")
def labels_of():
    names = {number.dataset for number in NUMBERS}
    return {name: find_dataset_card(name).labels or CLASS_NAMES for name in names}


@pytest.fixture(scope="module")
def backbones():
    return set(backbone_cards())


@pytest.mark.parametrize("number", NUMBERS, ids=IDS)
def test_every_number_belongs_to_things_that_exist(number, labels_of, backbones):
    labels = labels_of[number.dataset]
    assert number.source in sources().sources
    assert set(number.cards) <= backbones
    if number.metric in ("auc", "rejection"):
        assert number.signal in labels
        assert number.background in (*labels, "rest")


@pytest.mark.parametrize("number", [each for each in NUMBERS if each.survivors], ids=quantity)
def test_the_survivors_give_back_the_published_rejection(number):
    back = number.n_background / number.survivors
    exact = abs(back - float(number.value)) <= number.unit / 2
    assert exact or (number.model, number.signal) in INTERPOLATED
    assert number.interval.low < float(number.value) < number.interval.high


@pytest.mark.parametrize("number", [each for each in NUMBERS if each.dataset == "jetclass"], ids=quantity)
def test_jetclass_rejections_stand_at_the_working_points_of_the_classes(number):
    own = jet_class(number.signal).working_point if number.metric == "rejection" else None
    assert number.working_point == own


def test_no_number_is_there_twice():
    keys = [(n.source, n.model, n.dataset, n.how, n.n_train, n.metric, n.signal, n.working_point) for n in NUMBERS]
    assert len(set(keys)) == len(keys)


def test_every_source_is_used():
    assert {number.source for number in NUMBERS} == set(sources().sources)


def test_counts_that_the_digits_leave_open_are_said_to_be_about():
    part = {number.signal: number for number in of_card("part-full") if number.metric == "rejection"}
    assert survivors_text(part["Tbqq"]) == "61 of 2,000,000"
    assert survivors_text(part["Hgg"]) == "about 16,260 of 2,000,000"
    assert interval_text(part["Tbqq"]) == "28651 to 37558"  # 2e6 / 69.81 and 2e6 / 53.25, by scipy.stats.beta


def test_the_better_of_two_networks_has_the_higher_numbers():
    part, particlenet = (
        {(each.metric, each.signal): each.value for each in of_card(name)} for name in ("part-full", "particlenet-full")
    )
    assert len(part) == len(particlenet) == 11
    assert all(part[key] > particlenet[key] for key in part)


WHOLE = {"source": "lloca", "model": "A", "dataset": "jetclass", "how": "own outputs", "metric": "rejection",
         "signal": "Hbb", "background": "QCD", "working_point": "0.5", "value": "100"}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"working_point": ""},
        {"background": ""},
        {"signal": ""},
        {"value": "0.5"},
        {"value": "many"},
        {"metric": "auc"},
        {"metric": "accuracy"},
        {"how": "guessed"},
        {"source": "nowhere"},
        {"n_background": "-3"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_line_that_is_not_whole_is_named(changes, tmp_path, monkeypatch):
    path = tmp_path / "numbers.csv"
    monkeypatch.setattr(module, "NUMBERS", path)
    for row, whole in ((WHOLE, True), (WHOLE | changes, False)):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)
        if whole:
            assert len(module.published.__wrapped__()) == 1
            continue
        with pytest.raises(ConfigError, match=r"numbers\.csv:2"):
            module.published.__wrapped__()


def test_digits_are_kept_as_published():
    assert Number.model_validate({**WHOLE, "value": "100.0"}).unit == pytest.approx(0.1)
    assert any(number.value == Decimal("0.9870") and str(number.value) == "0.9870" for number in NUMBERS)


@pytest.mark.parametrize("metric", [None, "rejection"])
def test_csv_and_json_hold_every_fact_of_the_chosen_numbers(metric):
    table, tree = (
        render_reference(dataset="jetclass", metric=metric, format=each, width=80) for each in ("csv", "json")
    )
    rows, told = list(csv.DictReader(io.StringIO(table))), json.loads(tree)["published"]
    expected = [float(n.value) for n in NUMBERS if n.dataset == "jetclass" and metric in (None, n.metric)]
    assert [float(row["value"]) for row in rows] == [each["value"] for each in told] == expected
    assert all(each["source"] and each["definitions"] and each["verified"] for each in told)
    for name in ("n_train", "n_test", "n_background", "survivors"):
        assert [row[name] for row in rows] == ["" if each[name] is None else str(each[name]) for each in told]


def test_the_printed_table_fits_the_terminal_and_names_its_sources():
    text = render_reference(dataset="jetclass", metric="rejection", format="table", width=100)
    assert max(map(len, text.splitlines())) <= 100
    assert "ParT" in text
    assert "61 of 2,000,000" in text
    assert "[1] arXiv:2505.20280, tables 1 and 5" in text
    assert "404,000" in render_reference(dataset="toplandscape", metric="accuracy", format="table", width=100)
    assert "Clopper-Pearson" not in render_reference(dataset="quarkgluon", metric=None, format="table", width=100)


def test_what_was_not_published_is_said_with_what_was():
    with pytest.raises(ConfigError, match="jetclass, toplandscape, quarkgluon"):
        render_reference(dataset="nowhere", metric=None, format="table", width=80)
    with pytest.raises(ConfigError, match="no published ece on quarkgluon"):
        render_reference(dataset="quarkgluon", metric="ece", format="table", width=80)
