"""Stored results are compared score by score, and what is not comparable is never ranked."""

import json
from io import StringIO

import pandas as pd
import pytest

from jetassay.errors import ConfigError
from jetassay.report.compare import render_comparison
from jetassay.report.differences import CHANGED, LIMIT, MOVED, NOT_COMPARABLE, SAME, WITHIN, differences, ranked
from jetassay.report.result_files import ResultFile
from jetassay.report.stored import Stored, read_stored
from jetassay.report.unlike import unlike
from jetassay.tasks.score import Context, Score, result_frame

ABOUT = {"git": {"commit": "a" * 40, "dirty": False}, "machine": {"cpu": "x"}, "versions": {"torch": "2.6"}}


def auc(value, half=0.003, *, signal="Hbb", **changes):
    facts = {"task": "probe", "task_version": 1, "metric": "auc", "backbone": "alpha", "background": "QCD"}
    bounds = {"low": value - half, "high": value + half, "level": 0.68, "interval": "bootstrap"} if half else {}
    return Score(**{**facts, "value": value, "signal": signal, "n_signal": 100, **bounds, **changes})


def rejection(value, low, high, **changes):
    facts = {"low": low, "high": high, "metric": "rejection", "working_point": 0.5, "interval": "clopper-pearson"}
    return auc(value, 0, **{"level": 0.68, **facts, **changes})


def stored(*scores, about=ABOUT, source="here", **context):
    facts = {"suite": "mine", "dataset": "sim", "data_digest": "d", "split_seed": 1}
    shared = Context(**{**facts, "weights_sha256": "w", "dtype": "float32", **context})
    return Stored(source=source, frame=result_frame((shared, each) for each in scores), provenance=about)


def only(first, second):
    rows = differences(first, second)
    assert len(rows) == 1
    return rows.iloc[0]


def on_disk(result, folder):
    folder.mkdir(parents=True)
    result.frame.to_parquet(folder / "scores.parquet")
    (folder / "provenance.json").write_text(json.dumps(dict(result.provenance)))
    return str(folder)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (auc(0.95), auc(0.95), SAME),
        (auc(0.95), auc(0.95 + 1e-15), SAME),
        (auc(0.95), auc(0.952), WITHIN),
        (auc(0.95), auc(0.97), MOVED),
        (auc(0.95, 0), auc(0.97, 0), CHANGED),
        (auc(0.95, interval="permutation"), auc(0.97, interval="permutation"), CHANGED),
        (rejection(None, 500, None), rejection(90, 70, 110), LIMIT),
        (rejection(None, 500, None), rejection(None, 500, None), SAME),
        (rejection(100, 90, 110), rejection(10, 9, 11), MOVED),
        (auc(0.95), auc(0.97, task_version=2), NOT_COMPARABLE),
        (auc(0.95), auc(0.97, n_signal=99), NOT_COMPARABLE),
        (auc(0.95, n_train=100), auc(0.97, n_train=200), NOT_COMPARABLE),
        (auc(0.95, n_train=100, task="few-shot"), auc(0.97, n_train=200, task="few-shot"), None),
        (auc(0.95), auc(0.97, signal="Hcc"), None),
    ],
)
def test_every_pair_of_scores_gets_the_verdict_that_it_deserves(first, second, verdict):
    rows = differences(stored(first), stored(second))
    wanted = [verdict] if verdict else ["only in the first", "only in the second"]
    assert list(rows["verdict"]) == wanted


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data_digest": "e"}, "data digest: d, e"),
        ({"split_seed": 2}, "split: 1, 2"),
        ({"dtype": "float64"}, "precision: float32, float64"),
    ],
)
def test_other_jets_or_another_precision_are_named_and_have_no_change(changes, reason):
    row = only(stored(auc(0.95)), stored(auc(0.97), **changes))
    assert row["verdict"] == NOT_COMPARABLE
    assert row["reason"] == reason
    assert row[["change", "change_low", "change_high", "z", "p_holm"]].isna().all()


def test_speeds_of_two_machines_are_not_comparable_and_other_scores_are():
    speed = auc(500.0, 10, task="throughput", metric="jets_per_s", signal=None)
    rows = differences(stored(speed, auc(0.9)), stored(speed, auc(0.9), about={**ABOUT, "machine": {"cpu": "y"}}))
    assert dict(zip(rows["task"], rows["verdict"], strict=True)) == {"throughput": NOT_COMPARABLE, "probe": SAME}


def test_a_rejection_changes_by_a_factor():
    row = only(stored(rejection(50, 40, 62.5)), stored(rejection(100, 80, 125)))
    assert row["scale"] == "ratio"
    assert row["change"] == pytest.approx(2)
    assert row["change"] / row["change_low"] == pytest.approx(row["change_high"] / row["change"])


def test_one_large_change_among_many_stays_and_one_small_one_falls_to_holm():
    names = [f"backbone-{k}" for k in range(30)]
    before = stored(*(auc(0.9, backbone=name) for name in names))
    after = stored(*(auc(0.9 + (0.03, 0.01)[k] if k < 2 else 0.9, backbone=name) for k, name in enumerate(names)))
    rows = differences(before, after).set_index("backbone")
    assert rows.loc["backbone-0", "verdict"] == MOVED
    assert abs(rows.loc["backbone-1", "z"]) > 2
    assert rows.loc["backbone-1", "verdict"] == WITHIN


def test_what_moved_stands_before_what_did_not_and_what_is_not_comparable_last():
    before = stored(auc(0.9), auc(0.9, signal="Hcc"), auc(0.9, signal="Hgg"))
    after = stored(auc(0.99, task_version=2), auc(0.901, signal="Hcc"), auc(0.95, signal="Hgg"))
    assert list(ranked(differences(before, after))["verdict"]) == [MOVED, WITHIN, NOT_COMPARABLE]


def test_facts_that_differ_are_listed_and_others_are_not():
    other = {**ABOUT, "versions": {"torch": "2.7"}, "created": "later"}
    facts = unlike([stored(auc(0.9)), stored(auc(0.9, task_version=3), about=other)], "AB")
    assert facts.to_dict(orient="records") == [
        {"what": "task versions.probe", "A": "1", "B": "3"},
        {"what": "versions.torch", "A": "2.6", "B": "2.7"},
    ]


def test_code_that_no_commit_holds_is_listed_though_both_say_the_same():
    dirty = {**ABOUT, "git": {"commit": "a" * 40, "dirty": True}}
    assert list(unlike([stored(auc(0.9), about=dirty)] * 2, "AB")["what"]) == ["git.dirty"]


def test_folders_and_json_files_give_the_same_comparison(tmp_path):
    before, after = stored(auc(0.9), rejection(None, 500, None)), stored(auc(0.95), rejection(None, 500, None))
    folder, other = on_disk(before, tmp_path / "a"), on_disk(after, tmp_path / "b")
    file = tmp_path / "a.json"
    file.write_text(ResultFile(suite="mine", title="M", frame=before.frame, provenance=ABOUT).text())
    pd.testing.assert_frame_equal(read_stored(str(file)).frame, read_stored(folder).frame)
    texts = [render_comparison([each, other], format="csv", width=80) for each in (folder, str(file))]
    from_folder, from_file = (pd.read_csv(StringIO(text)) for text in texts)
    assert set(from_file["unpaired"].dropna()) == {"the first is a file of scores alone, without scores of single jets"}
    pd.testing.assert_frame_equal(from_folder.drop(columns="unpaired"), from_file.drop(columns="unpaired"))
    whole = json.loads(render_comparison([folder, other], format="json", width=80))
    assert [each["verdict"] for each in whole["scores"]] == [MOVED, SAME]
    assert "independent" in whole["method"]


def test_the_text_says_what_moved_what_was_not_the_same_and_how_it_is_known(tmp_path):
    changed = {**ABOUT, "versions": {"torch": "2.7"}}
    sources = [
        on_disk(stored(auc(0.9), auc(0.8, task="knn")), tmp_path / "a"),
        on_disk(stored(auc(0.95), auc(0.9, task="knn", task_version=2), about=changed), tmp_path / "b"),
    ]
    text = render_comparison(sources, format="table", width=120)
    assert "probe auc alpha Hbb  0.900(3)  0.950(3)  +0.0500" in text
    assert "knn (1): task version: 1, 2" in text
    assert "knn auc alpha" not in text
    assert ["versions.torch", "2.6", "2.7"] in [line.split() for line in text.splitlines()]
    assert "same jets and the same weights" in text
    assert "variance estimates recovery" in " ".join(text.split())
    assert "knn" not in render_comparison(sources, tasks=("probe",), format="csv", width=120)


def test_nothing_is_said_to_stand_still_where_nothing_is_comparable(tmp_path):
    sources = [on_disk(stored(auc(0.9), data_digest=name), tmp_path / name) for name in "ab"]
    text = render_comparison(sources, format="table", width=120)
    assert "B against A: no score of both is comparable" in text
    assert "nothing moved" not in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "no file of"),
        ('{"schema": 9, "scores": []}', "schema 9"),
        ("", "read"),
    ],
)
def test_a_damaged_file_is_named(content, message, tmp_path):
    file = tmp_path / "damaged.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_stored(str(file))
    assert "damaged.json" in str(caught.value)


def test_results_that_are_not_there_and_a_task_that_none_has_are_errors(tmp_path):
    with pytest.raises(ConfigError, match="no results there"):
        read_stored(str(tmp_path / "nothing"))
    folder = on_disk(stored(auc(0.9)), tmp_path / "a")
    with pytest.raises(ConfigError, match="no score of nonsense"):
        render_comparison([folder, folder], tasks=("nonsense",), format="table", width=80)
    with pytest.raises(ConfigError, match="needs 2"):
        render_comparison([folder], format="table", width=80)
