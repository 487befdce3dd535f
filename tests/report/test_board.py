"""Many people's result files become one leaderboard; what is not comparable is named, and never ranked."""

from dataclasses import replace
from pathlib import Path

import pytest

from jetassay.errors import ConfigError
from jetassay.report.board import draw_board
from jetassay.report.drawing import draw_report
from jetassay.report.merging import merge
from jetassay.report.result_files import ResultFile
from jetassay.report.results import Results, vanished_cards
from jetassay.tasks.score import Context, Score, result_frame

PROBE = {"task": "probe", "task_version": 1, "background": "QCD", "n_signal": 100, "n_background": 200, "n_train": 50}


def auc(backbone, value, signal="Hbb", **changes):
    facts = {"metric": "auc", "value": value, "low": value - 0.01, "high": value + 0.01, "level": 0.68}
    return Score(**{**PROBE, **facts, "interval": "bootstrap", "backbone": backbone, "signal": signal, **changes})


def file_of(*scores, created="2026-01-01", cpu="x", weights="w", roles=None, missing=(), digest="d", **context):
    shared = {"suite": "mine", "dataset": "sim", "split_seed": 1, "dtype": "float32", "data_digest": digest}
    where = Context(**{**shared, "weights_sha256": weights, **context})
    about = {
        "created": created,
        "machine": {"cpu": cpu},
        "threads": {"used": 2},
        "roles": roles or {each.backbone: "backbone" for each in scores},
        "missing": list(missing),
    }
    return ResultFile(suite="mine", title="M", frame=result_frame((where, each) for each in scores), provenance=about)


def reasons(merged):
    return {(row.file, row.what): row.reason for row in merged.left_out.itertuples()}


def speed(backbone, value):
    return Score(task="throughput", task_version=1, metric="jets_per_s", value=value, backbone=backbone)


def test_backbones_of_two_people_stand_in_one_ranking_the_best_first():
    merged = merge({"a": file_of(auc("low", 0.8)), "b": file_of(auc("high", 0.9))})
    assert list(merged.frame["backbone"]) == ["high", "low"]
    assert not len(merged.left_out)


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (file_of(auc("c", 0.99), digest="e"), "data digest: e, the others' is d"),
        (file_of(auc("c", 0.99), dataset="real"), "dataset: real, the others' is sim"),
        (file_of(auc("c", 0.99), split_seed=2), "split: 2, the others' is 1"),
        (file_of(auc("c", 0.99), digest=None), "data digest: none, the others' is d"),
        (file_of(auc("c", 0.99, task_version=2)), "task version: 2, the others' is 1"),
        (file_of(auc("c", 0.99, n_background=199)), "test jets of the background: 199, the others' is 200"),
        (file_of(auc("c", 0.99, n_train=5000)), "training jets: 5000, the others' is 50"),
    ],
)
def test_other_jets_splits_or_versions_are_left_out_with_the_reason(odd, reason):
    merged = merge({"a": file_of(auc("a", 0.8)), "b": file_of(auc("b", 0.7)), "odd": odd})
    assert set(merged.frame["backbone"]) == {"a", "b"}
    assert reasons(merged) == {("odd", "everything"): reason}


def test_of_equally_many_files_the_newest_sets_the_standard_unless_one_is_named():
    files = {
        "old": file_of(auc("a", 0.8), created="2025"),
        "new": file_of(auc("b", 0.9), created="2026", digest="e"),
    }
    assert list(merge(files).frame["backbone"]) == ["b"]
    assert list(merge(files, reference="old").frame["backbone"]) == ["a"]


def test_a_task_of_another_version_costs_that_task_alone():
    both = [auc("a", 0.8), auc("a", 0.9, task="zero-shot")]
    other = file_of(auc("b", 0.7), auc("b", 0.95, task="zero-shot", task_version=2), created="2020")
    merged = merge({"a": file_of(*both), "b": other})
    shown = set(zip(merged.frame["task"], merged.frame["backbone"], strict=True))
    assert shown == {("probe", "a"), ("probe", "b"), ("zero-shot", "a")}
    assert reasons(merged) == {("b", "zero-shot of b"): "task version: 2, the others' is 1"}


def test_speeds_of_two_machines_are_not_ranked_together():
    merged = merge({"a": file_of(auc("a", 0.8), speed("a", 5)), "b": file_of(auc("b", 0.8), speed("b", 9), cpu="y")})
    assert list(merged.frame.loc[merged.frame["task"] == "throughput", "backbone"]) == ["b"]
    assert "machine: x, 2 threads" in reasons(merged)["a", "throughput of a"]


def test_the_same_backbone_with_the_same_numbers_stands_once_and_names_both_files():
    first = file_of(auc("a", 0.8), speed("a", 5))
    second = file_of(auc("a", 0.8 + 1e-9), speed("a", 6), auc("a", 0.7, signal="Hcc"), created="2027")
    merged = merge({"x": first, "y": second})
    assert merged.backbones.loc["a", "files"] == "x, y"
    assert sorted(merged.frame.loc[merged.frame["metric"] == "auc", "signal"]) == ["Hbb", "Hcc"]


@pytest.mark.parametrize("changed", [{"weights": "v"}, {"value": 0.81}])
def test_other_weights_or_other_numbers_under_one_name_are_two_backbones(changed):
    value = changed.pop("value", 0.8)
    merged = merge({"x": file_of(auc("a", 0.8)), "y": file_of(auc("a", value), created="2027", **changed)})
    assert set(merged.frame["backbone"]) == {"a (x)", "a (y)"}


def test_what_a_file_names_and_has_no_score_of_is_said_and_so_is_every_empty_cell():
    one = file_of(auc("a", 0.8), auc("a", 0.8, signal="Hcc"), roles={"a": "backbone", "lost": "backbone"})
    two = file_of(auc("b", 0.8), missing=["b: probe of Hcc did not converge"])
    found = reasons(merge({"one": one, "two": two}))
    assert found["one", "lost"] == "the file names it and has no score of it"
    assert found["two", "missing"] == "b: probe of Hcc did not converge"
    assert "no such score" in found["two", "b: probe of Hcc"]


def test_two_scores_of_one_name_in_a_file_are_both_left_out():
    merged = merge({"a": file_of(auc("a", 0.8), auc("a", 0.9)), "b": file_of(auc("b", 0.7))})
    assert list(merged.frame["backbone"]) == ["b"]
    assert "several scores of one name" in reasons(merged)["a", "everything"]


def test_a_folder_with_bad_files_gives_a_page_that_names_them(tmp_path):
    good = file_of(auc("<b>a</b>", 0.8))
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice" / "one.json").write_text(good.text())
    (tmp_path / "copy.json").write_text(good.text())
    (tmp_path / "cut.json").write_text(good.text()[:200])
    (tmp_path / "edited.json").write_text(good.text().replace("0.8", "0.9"))
    board = draw_board(tmp_path)
    said = " ".join(board.left_out)
    assert "copy: everything: the same results as alice/one" in said
    assert "cut: everything: cannot be read" in said
    assert "edited: everything: changed" in said
    text = board.page.read_text()
    assert "<b>a</b>" not in text
    assert "changed after it was written" in text
    assert board.page.parent == tmp_path
    again = draw_board(tmp_path, output=tmp_path / "page")
    assert again.page == tmp_path / "page" / "report.html"


def test_a_folder_without_a_usable_file_is_an_error_that_names_each(tmp_path):
    (tmp_path / "cut.json").write_text("{")
    with pytest.raises(ConfigError, match=r"(?s)no result file that can be used.*cut: cannot be read"):
        draw_board(tmp_path)


@pytest.mark.parametrize("deep", ["a/b/one.json", "a/b/c/scores.parquet"])
def test_a_folder_with_files_deep_below_it_gets_no_page_unless_one_says_where(tmp_path, deep, monkeypatch):
    root = tmp_path / "some-project"
    (root / deep).parent.mkdir(parents=True)
    (root / deep).write_text(file_of(auc("a", 0.8)).text())
    (root / "two.json").write_text(file_of(auc("b", 0.7)).text())
    (root / "a" / "b" / "here").mkdir()
    monkeypatch.chdir(root / "a" / "b" / "here")
    before = sorted(root.rglob("*"))
    found = Path(deep).parent if deep.endswith("parquet") else Path(deep)
    with pytest.raises(ConfigError, match=rf"\.\./\.\./\.\.: {found} lies more than one folder deep.*--output FOLDER"):
        draw_board(Path("../../.."))
    assert sorted(root.rglob("*")) == before
    board = draw_board(Path("../../.."), output=tmp_path / "page")
    assert board.page == tmp_path / "page" / "report.html"
    assert sorted(root.rglob("*")) == before


def test_files_of_others_deep_below_a_folder_are_not_looked_at(tmp_path):
    (tmp_path / "one.json").write_text(file_of(auc("a", 0.8)).text())
    (tmp_path / "throughput" / "of-today").mkdir(parents=True)
    (tmp_path / "throughput" / "of-today" / "throughput.json").write_text('{"benchmarks": []}')
    (tmp_path / "near.json").write_text("{}")
    board = draw_board(tmp_path)
    assert board.page.parent == tmp_path
    assert [line.partition(":")[0] for line in board.left_out] == ["near"]


def test_what_is_hidden_and_what_lies_in_an_execution_is_no_result_file(tmp_path):
    (tmp_path / "one.json").write_text(file_of(auc("a", 0.8)).text())
    for place in (".git/a/b", "run/figures/deep", "run/.drawn"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "x.json").write_text("{}")
    (tmp_path / "run" / "scores.parquet").touch()
    assert [line.partition(":")[0] for line in draw_board(tmp_path).left_out] == ["run"]


def test_a_reference_that_is_none_of_the_files_is_an_error(tmp_path, reporter):
    (tmp_path / "one.json").write_text(file_of(auc("a", 0.8)).text())
    options = {"output": None, "reporter": reporter}
    with pytest.raises(ConfigError, match="none of the files that can be used: one"):
        draw_report(str(tmp_path), reference=tmp_path / "two.json", **options)
    assert draw_report(str(tmp_path), reference=tmp_path / "one.json", **options).is_file()


def test_options_of_folders_are_refused_for_a_suite(tmp_path, reporter):
    with pytest.raises(ConfigError, match="there is no folder"):
        draw_report("nothing-here", output=tmp_path, reference=None, reporter=reporter)


def test_a_folder_that_is_not_there_is_named_as_such(tmp_path, reporter):
    with pytest.raises(ConfigError, match="there is no such folder"):
        draw_report(str(tmp_path / "nothing"), output=None, reference=None, reporter=reporter)


def test_a_backbone_whose_card_is_gone_is_named_and_not_ranked(frame, counts):
    some = frame.assign(backbone=frame["backbone"].replace({"alpha": "mlp"}))
    results = Results(suite="s", title="S", frame=some, counts=counts, provenance={}, protocol="")
    gone = vanished_cards(results)
    assert list(gone) == ["beta-long-name"]
    content = replace(results, unranked=gone).content
    assert content.group("beta-long-name (no card)") == "not ranked"
    assert content.group("mlp") == "trained backbones"


def test_a_terminal_names_a_backbone_whose_card_is_gone_last_and_says_why(frame, counts):
    some = frame.assign(backbone=frame["backbone"].replace({"beta-long-name": "mlp"}))
    results = Results(suite="s", title="S", frame=some, counts=counts, provenance={}, protocol="")
    text = replace(results, unranked=vanished_cards(results)).table(width=120)
    first = [line.split("  ")[0] for line in text.splitlines() if line.startswith(("mlp", "alpha"))]
    assert first[:2] == ["mlp", "alpha (no card)"]
    assert text.endswith("alpha: there is no card 'alpha' any more; its scores are kept, and it is not ranked")
    assert "no card" not in results.table(width=120)
