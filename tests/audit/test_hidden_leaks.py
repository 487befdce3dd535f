"""Leaks that hide: in the last decimals, beside giants, in scores, in threads, in time, in one class of many."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from constructed_backbones import (
    BesideAGiant,
    Clean,
    FaintBatchMean,
    Late,
    LeakyScores,
    NotFinite,
    SharedMemory,
)
from jet_files import audited_jets, subject_of, write_files
from test_gallery import OURS, failed

from jetassay.audit.archive import STOPPED
from jetassay.audit.audit import audit, run_check
from jetassay.audit.catalogue import CHECKS
from jetassay.audit.deviation import deviation
from jetassay.audit.static import labels_given
from jetassay.audit.tainting import _differ
from jetassay.errors import StoreError
from jetassay.features.quantities import QUANTITIES, Quantity
from jetassay.features.recipe import Feature, FeatureSet


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JETASSAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        return audited_jets(write_files(tmp_path_factory.mktemp("jets")))


@pytest.mark.parametrize(
    ("backbone", "checks"),
    [
        (FaintBatchMean, {"batches", "batch-statistics"}),
        (BesideAGiant, {"batches"}),
        (LeakyScores, {"batches", "repeats", "taint"}),
        (SharedMemory, {"repeats"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_backbone_that_hides_its_fault_is_caught_by_name(jets, backbone, checks):
    assert checks <= failed(subject_of(backbone(), jets))


def test_embeddings_that_are_not_finite_are_not_called_a_leak(jets):
    assert failed(subject_of(NotFinite(), jets)) == {"finite"}


def with_quantity(function):
    """A feature set of somebody's own, with one quantity that `function` makes of the momenta along x."""
    definitions = (*QUANTITIES.values(), Quantity("own", ("part_px",), function))
    return FeatureSet(name="own", title="Own", features=(Feature("own"), Feature("part_deta")), definitions=definitions)


def test_inputs_that_are_centred_by_their_file_are_caught_in_a_small_subsample(jets):
    centred = with_quantity(lambda momenta: momenta - momenta.mean())
    assert failed(subject_of(Clean(feature_set=centred), jets)) == {"batches"}


def test_a_leak_that_begins_late_is_seen_in_what_is_scored(jets, tmp_path):
    backbone = Late()
    subject = subject_of(backbone, jets, store=tmp_path / "store")
    assert len(subject.splits.test) == 120  # 360 jets have passed, the last of them with the leak
    backbone.seen, backbone.patience = 0, 10**9
    assert failed(subject, [*OURS, "stored"]) == {"stored"}


def test_the_embeddings_of_another_network_in_the_store_are_caught(jets, tmp_path):
    subject_of(Clean(seed=1), jets, store=tmp_path / "store").splits  # noqa: B018 - fills the store
    pretender = subject_of(Clean(seed=2), jets, store=tmp_path / "store")
    (row,) = run_check("stored", pretender)
    assert row.status == "fail"
    assert "not what the backbone gives now" in row.meaning


def test_what_is_scored_is_what_was_embedded_again_and_labels_and_jets_count_too(jets, tmp_path):
    subject = subject_of(Clean(), jets, store=tmp_path / "store")
    (row,) = run_check("stored", subject)
    assert row.status == "pass"
    test = subject.splits.test
    flipped = replace(test, labels=np.where(np.arange(len(test)) == 3, 1 - test.labels, test.labels))
    vars(subject)["splits"] = SimpleNamespace(test=flipped)
    (row,) = run_check("stored", subject)
    assert (row.status, row.numbers["relabelled"]) == ("fail", 1)
    vars(subject)["splits"] = SimpleNamespace(test=test.take(np.arange(5, len(test))))
    (row,) = run_check("stored", subject)
    assert (row.status, row.numbers["missing"]) == ("fail", 5)
    vars(subject)["splits"] = SimpleNamespace(test=test.take(np.arange(0)))
    (row,) = run_check("stored", subject)
    assert (row.status, row.numbers["missing"]) == ("fail", len(test))


def test_a_column_that_gives_one_class_of_many_away_is_caught():
    labels = np.repeat(np.arange(10), 20)
    assert labels_given(np.where(labels == 4, 125.25, 0.0).astype(np.float32), labels) == [4]
    assert labels_given(labels.astype(np.float32), labels) == list(range(10))
    almost = np.where(labels == 4, 125.25, 0.0)
    almost[0] = 125.25
    assert labels_given(almost.astype(np.float32), labels) == []


def test_few_jets_that_differ_by_chance_give_no_label_away():
    labels = np.array([0] * 99 + [1])
    assert labels_given((labels == 1).astype(np.float32), labels) == []
    stream = np.random.default_rng(0)
    small = np.repeat([0, 1], 10)
    assert not any(labels_given(stream.integers(0, 2, 20).astype(np.float32), small) for _ in range(2000))


def test_a_label_in_the_midst_of_a_jet_is_caught(tmp_path):
    def edit(lists, counts, numbers):
        second = np.cumsum(counts) - counts + 1
        lists["part_deta"][second] = 9 + numbers["label_Hbb"]

    jets = audited_jets(write_files(tmp_path / "jets", edit=edit))
    (row,) = run_check("label-columns", subject_of(Clean(), jets))
    assert row.status == "fail"
    assert "part_deta" in row.meaning


def test_truth_that_is_the_same_for_every_jet_cannot_be_shuffled_and_that_is_said(tmp_path):
    def edit(lists, counts, numbers):
        for name in list(numbers):
            if name.startswith(("aux_", "secret")):
                numbers[name][:] = np.nan
            if name.startswith("label_"):
                numbers[name][:] = name == "label_QCD"

    (row,) = run_check("taint", subject_of(Clean(), audited_jets(write_files(tmp_path / "jets", edit=edit))))
    assert (row.status, row.numbers["moved"]) == ("note", 0)
    assert _differ(np.array([np.nan, 1, 2]), np.array([np.nan, 1, np.nan])).tolist() == [False, False, True]


def test_findings_that_cannot_be_kept_are_given_all_the_same(jets, monkeypatch):
    def full(*_):
        raise StoreError("no space left.")

    monkeypatch.setattr("jetassay.audit.audit.keep", full)
    subject, heard = subject_of(Clean(), jets, depth=("columns",)), []
    monkeypatch.setattr(type(subject.reporter), "warning", lambda _, text: heard.append(text))
    assert [row.status for row in audit(subject).rows] == ["pass"]
    assert heard == ["no space left. The audit of constructed is not kept."]


def test_a_feature_set_that_raises_what_it_likes_stops_its_checks_and_no_other(jets):
    def broken(_):
        raise ZeroDivisionError("by nobody")

    backbone = Clean(feature_set=with_quantity(broken))
    found = audit(subject_of(backbone, jets, depth=("columns", "batches", "splits"))).rows
    assert [(row.check, row.status) for row in found] == [("columns", "pass"), ("batches", "fail"), ("splits", "pass")]
    assert (found[1].figure, found[1].meaning) == (STOPPED, "ZeroDivisionError: by nobody")


@pytest.mark.parametrize("width", [1, 6])
def test_rounding_is_no_deviation_whatever_the_scale(width):
    stream = np.random.default_rng(width)
    one = (stream.normal(size=(200, width)) * 10.0 ** stream.integers(-3, 4, width)).astype(np.float32)
    found = deviation(one, (one * (1 + 3e-7 * stream.normal(size=one.shape))).astype(np.float32))
    assert found.is_rounding
    assert found.shift < 1e-5
    assert str(deviation(one, one)) == "equal"


@pytest.mark.parametrize(("base", "scale"), [(1, 1e-5), (0, 1e-12), (0, 1e-41)], ids=["digits", "small", "denormal"])
def test_what_moves_a_dimension_by_its_own_width_is_a_deviation_however_small(base, scale):
    stream = np.random.default_rng(0)
    one = stream.normal(size=(200, 3)).astype(np.float32)
    one[:, 2] = base + scale * stream.normal(size=200)
    other = one.copy()
    other[:, 2] = base + scale * stream.normal(size=200)
    found = deviation(one, other)
    assert found.relative < 1e-4
    assert found.shift == pytest.approx(np.sqrt(2), rel=0.2)
    assert not found.is_rounding


def test_what_is_finite_in_one_alone_is_a_deviation():
    one = np.ones((4, 2), np.float32)
    other = one.copy()
    other[1, 1] = np.nan
    assert not deviation(one, other).is_rounding
    assert deviation(other, other).is_rounding
    assert not deviation(np.zeros((4, 2), np.float32), one).is_rounding


def test_every_check_of_a_leak_is_cheap():
    assert {check.depth for check in CHECKS.values() if check.leak} == {"cheap"}


def test_a_clean_backbone_of_one_dimension_passes(tmp_path):
    jets = audited_jets(write_files(tmp_path / "jets"))
    backbone = Clean(embedding_dim=1)
    rows = audit(subject_of(backbone, jets, store=tmp_path / "store")).rows
    assert [row for row in rows if row.status == "fail"] == []


@pytest.mark.parametrize(
    "write",
    [
        lambda values: values.astype(np.float16).astype(np.float32),
        lambda values: np.round(values, 2),
        lambda values: (values.view(np.uint32) & ~np.uint32(1)).view(np.float32),
    ],
    ids=["float16", "two decimals", "last bit"],
)
def test_momenta_of_one_class_that_were_written_in_another_way_are_caught(tmp_path, write):
    def edit(lists, counts, numbers):
        if numbers["label_Hbb"].all():
            lists["part_px"] = write(lists["part_px"])

    jets = audited_jets(write_files(tmp_path / "jets", edit=edit))
    (row,) = run_check("last-digits", subject_of(Clean(), jets))
    assert row.status == "fail"
    assert row.meaning.startswith("part_px (Hbb): decimal places")


def test_momenta_that_were_shortened_alike_for_all_classes_pass(tmp_path):
    def edit(lists, counts, numbers):
        for name in ("part_px", "part_py", "part_pz", "part_energy"):
            lists[name] = lists[name].astype(np.float16).astype(np.float32)
        lists["part_energy"] = lists["part_energy"] * np.float32(1.25)

    (row,) = run_check("last-digits", subject_of(Clean(), audited_jets(write_files(tmp_path / "jets", edit=edit))))
    assert row.status == "pass"
