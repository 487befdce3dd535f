"""A leaderboard of executions' own folders: curves, pairs, and the mean over splits beside what result files give."""

import numpy as np
import pandas as pd
import pytest

from jetassay.metrics.roc import auc
from jetassay.report.board import draw_board
from jetassay.report.board_tables import board_tables
from jetassay.report.jet_rows import JetRows
from jetassay.report.merging import merge
from jetassay.report.result_files import ResultFile
from jetassay.report.results import Results, load_folder
from jetassay.report.sections.comparison import BETTER, TIED
from jetassay.report.splits import splits_section
from jetassay.tasks.curves import logit_table, roc_table
from jetassay.tasks.score import Context, Score, result_frame

JETS = 300
FACTS = {"task": "probe", "task_version": 1, "signal": "Hbb", "background": "QCD", "n_train": 50}


def result(backbone, value, *, split=1, weights=None, rejection=None, **changes):
    """Scores of one backbone, AUC and, where given, rejection; as a result file."""
    context = Context(
        suite="mine", dataset="sim", data_digest="d", split_seed=split, weights_sha256=weights, dtype="float32"
    )
    facts = {**FACTS, "backbone": backbone, "n_signal": JETS, "n_background": JETS, **changes}
    scores = [Score(**facts, metric="auc", value=value, low=value - 0.01, high=value + 0.01)]
    if rejection:
        scores.append(Score(**facts, metric="rejection_over_cuts", value=rejection, working_point=0.5))
    frame = result_frame((context, each) for each in scores)
    return ResultFile(suite="mine", title="M", frame=frame, provenance={"roles": {backbone: "backbone"}})


def execution(folder, backbone, shift, *, jets="f", pairs=(), monkeypatch):
    """A folder as a run leaves it: signal lies `shift` above the background; half of each score is the jet's own."""
    shared, own = np.random.default_rng(1), np.random.default_rng(len(backbone))
    signal, background = (np.float32(shared.normal(0, 1, JETS) + own.normal(0, 1, JETS)) for _ in range(2))
    signal = np.float32(signal + shift)
    made = result(backbone, auc(signal, background), weights="w" * 64)
    (logits,) = logit_table({"Hbb": np.concatenate([signal, background])})["probe_logits"]
    curve = roc_table("probe", {"Hbb": (signal, background)})["roc"]
    labels = ["Hbb"] * JETS + ["QCD"] * JETS
    named = pd.DataFrame({"jet": logits["jet"], "file": jets, "entry": range(2 * JETS), "label": labels})
    rows = {"probe_logits": JetRows.of([logits.assign(backbone=backbone)]), "test_jets": JetRows.of([named])}
    monkeypatch.setattr(Results, "folder", folder)
    counts = pd.DataFrame({"Hbb": [JETS]}, index=pd.Index(["test"], name="split"))
    about = {"provenance": made.provenance, "protocol": "", "counts": counts, "jet_tables": rows}
    Results(suite="mine", title="M", frame=made.frame, tables={"roc": curve.assign(backbone=backbone)}, **about).save()


def merged_of(root):
    folders = {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}
    return merge({name: load_folder(path).as_file() for name, path in folders.items()}), folders


@pytest.fixture
def three(tmp_path, monkeypatch):
    for name, shift in (("far", 4.0), ("near", 0.5), ("also-near", 0.5)):
        execution(tmp_path / name, name, shift, monkeypatch=monkeypatch)
    return tmp_path


def test_backbones_of_three_executions_are_compared_on_the_jets_that_all_have(three):
    tables, gaps = board_tables(*merged_of(three))
    assert gaps == ()
    verdicts = {frozenset((r.backbone, r.backbone_b)): r.verdict for r in tables["comparison"].itertuples()}
    assert verdicts[frozenset(("near", "also-near"))] == TIED
    first = tables["comparison"].query("backbone == 'far'")
    assert list(first["verdict"]) == [BETTER, BETTER]
    ranks = {row.backbone: (row.first, row.last) for row in tables["ranks"].itertuples()}
    assert ranks == {"far": (1, 1), "near": (2, 3), "also-near": (2, 3)}


def test_the_page_shows_curves_and_pairs_and_names_who_has_none(three):
    (three / "alone.json").write_text(result("alone", 0.7).text())
    text = draw_board(three).page.read_text()
    assert "ROC curves" in text
    assert "Who is better" in text
    assert "alone: no curve and no pair: its files hold scores alone" in text
    assert text.count("<figure>") == 3


def test_other_test_jets_or_logits_of_another_run_are_no_pair_and_the_page_says_so(three, monkeypatch):
    execution(three / "other", "other", 1.0, jets="g", monkeypatch=monkeypatch)
    path = three / "near/tables/probe_logits.parquet"
    table = pd.read_parquet(path)
    table.assign(Hbb=-table["Hbb"]).to_parquet(path)
    tables, gaps = board_tables(*merged_of(three))
    assert set(tables["comparison"]["backbone"]) | set(tables["comparison"]["backbone_b"]) == {"far", "also-near"}
    assert set(gaps) == {
        "near: no pair: its tables do not fit its scores, or cannot be read",
        "other: no pair: its test jets are not those of far",
    }


@pytest.mark.parametrize(
    ("table", "column"), [("probe_logits", "Hbb"), ("test_jets", "jet"), ("test_jets", "entry"), ("roc", "rejection")]
)
def test_text_for_numbers_in_a_table_costs_its_backbone_alone_and_the_page_says_so(table, column, three, unrendered):
    path = three / f"near/tables/{table}.parquet"
    found = pd.read_parquet(path)
    found.assign(**{column: found[column].astype(str) + "x"}).to_parquet(path)
    text = draw_board(three).page.read_text()
    assert "Who is better" in text
    what = "curve" if table == "roc" else "pair"
    assert f"near: no {what}: its tables do not fit its scores, or cannot be read" in text


def test_a_signal_without_a_number_has_no_pair_and_the_others_have(three):
    for path in three.glob("*/scores.parquet"):
        frame = pd.read_parquet(path)
        none = frame.assign(signal="Tbl", value=None, low=None, high=None).astype(frame.dtypes)
        pd.concat([frame, none]).to_parquet(path)
    tables, gaps = board_tables(*merged_of(three))
    assert gaps == ()
    assert set(tables["comparison"]["signal"]) == {"Hbb"}


def test_a_folder_that_is_half_there_is_left_out_with_the_file_that_is_missing(three):
    (three / "near/provenance.json").unlink()
    (three / "also-near/scores.parquet").write_bytes(b"half")
    board = draw_board(three)
    assert any("near: everything: provenance.json is missing" in line for line in board.left_out)
    assert any("also-near: everything: results cannot be read" in line for line in board.left_out)


def test_a_folder_and_its_own_result_file_count_once(three):
    (three / "far.json").write_text(load_folder(three / "far").as_file().text())
    assert "far.json: everything: the same results as far, which count once" in draw_board(three).left_out


def cells_of(files):
    section = splits_section(files, merge(files))
    return {table.title: table for table in section.blocks[1:]}


def test_over_splits_a_cell_is_mean_and_standard_deviation_and_a_rejections_mean_is_geometric():
    values = {1: (0.90, 10.0), 2: (0.92, 40.0), 3: (0.94, 20.0)}
    files = {f"s{k}": result("a", auc, split=k, rejection=r) for k, (auc, r) in values.items()}
    tables = cells_of(files)
    assert tables["AUC of the linear probe"].cells.loc["a"].to_dict() == {"splits": "1, 2, 3", "Hbb": "0.9200 ± 0.0200"}
    assert tables["Background rejection of the linear probe"].cells.loc["a", "Hbb 50%"] == "20 ± 69%"


def test_a_backbone_without_all_splits_is_not_ranked_and_other_jets_or_versions_do_not_count():
    files = {f"a{k}": result("a", 0.8 + k / 100, split=k) for k in (1, 2)}
    files |= {"b1": result("b", 0.99), "c2": result("c", 0.7, split=2, task_version=9), "d1": result("d", 0.5)}
    table = cells_of(files)["AUC of the linear probe"]
    assert list(table.cells.index) == ["a", "b", "d"]
    assert table.groups == {"a": "trained backbones", "b": "not ranked", "d": "not ranked"}
    assert table.cells.loc["b", "Hbb"] == "-"


@pytest.mark.parametrize("changes", [{"n_train": 5000}, {"n_signal": 30}, {"n_background": 30}, {"n_train": None}])
def test_other_sizes_of_samples_are_no_split_of_the_same(changes):
    files = {f"a{k}": result("a", 0.8 + k / 100, split=k) for k in (1, 2)}
    files["large"] = result("a", 0.99, split=3, **changes)
    section = splits_section(files, merge(files, reference="a1"))
    assert section.blocks[1].cells.loc["a"].to_dict() == {"splits": "1, 2", "Hbb": "0.8150 ± 0.0071"}
    assert "Results: a1, a2;" in section.blocks[0].text


def test_another_precision_is_another_backbone_and_the_page_says_which(tmp_path, unrendered):
    files = {f"a{k}": result("a", 0.8 + k / 100, split=k) for k in (1, 2)}
    low = result("a", 0.7, split=2)
    files["low"] = ResultFile(suite="mine", title="M", frame=low.frame.assign(dtype="bfloat16"), provenance={})
    table = cells_of(files)["AUC of the linear probe"].cells
    assert table.loc["a (float32)"].to_dict() == {"splits": "1, 2", "Hbb": "0.8150 ± 0.0071"}
    assert table.loc["a (bfloat16)"].to_dict() == {"splits": "2", "Hbb": "-"}
    (tmp_path / "low.json").write_text(files["low"].text())
    assert "<th scope=col>computed in</th>" in draw_board(tmp_path).page.read_text()


def test_samples_that_differ_by_a_few_jets_are_splits_of_the_same():
    files = {f"a{k}": result("a", 0.8, split=k, n_signal=JETS - k, n_train=50 + k) for k in (1, 2)}
    assert cells_of(files)["AUC of the linear probe"].cells.loc["a", "splits"] == "1, 2"


def test_a_result_that_does_not_say_its_split_costs_the_others_nothing():
    files = {f"a{k}": result("a", 0.8, split=k) for k in (1, 2)} | {"odd": result("b", 0.9, split=None)}
    assert list(cells_of(files)["AUC of the linear probe"].cells.index) == ["a"]


def test_over_splits_backbones_stand_by_the_signals_that_all_have_and_one_without_a_number_stands_last():
    def both(name, first, second, split):
        parts = [result(name, value, split=split, signal=each) for value, each in ((first, "Hbb"), (second, "Tbl"))]
        return ResultFile(
            suite="mine", title="M", frame=pd.concat([each.frame for each in parts], ignore_index=True), provenance={}
        )

    files = {f"best{k}": both("best", 0.7, 0.99, k) for k in (1, 2)}
    files |= {f"easy{k}": result("easy", 0.95, split=k, signal="Tbl") for k in (1, 2)}
    assert list(cells_of(files)["AUC of the linear probe"].cells.index) == ["best", "easy"]
    for k in (1, 2):
        other = result("none", 0.5, split=k)
        frame = other.frame.assign(value=pd.array([None], dtype="Float64"))
        files[f"none{k}"] = ResultFile(suite="mine", title="M", frame=frame, provenance={})
    assert set(cells_of(files)["AUC of the linear probe"].cells.index) == {"best", "easy", "none"}


def test_one_split_has_no_mean_over_splits():
    files = {"a": result("a", 0.8)}
    assert splits_section(files, merge(files)) is None


def test_similarities_of_one_file_are_drawn_once_and_those_of_no_file_stay_empty():
    context = Context(suite="m", dataset="sim", data_digest="d", split_seed=1, weights_sha256=None, dtype="float32")
    pair = Score(
        task="similarity", task_version=1, metric="cka", value=0.4, backbone="a", backbone_b="b", bin="all"
    )  # fmt: skip
    rows = [*(result(name, 0.8).frame for name in "ab"), result_frame([(context, pair)])]
    both = ResultFile(suite="m", title="M", frame=pd.concat(rows, ignore_index=True), provenance={"created": "1"})
    again = ResultFile(suite="m", title="M", frame=both.frame, provenance={"created": "2"})
    merged = merge({"one": both, "two": again, "three": result("c", 0.9)})
    assert merged.pairs[["backbone", "backbone_b", "value"]].to_numpy().tolist() == [["a", "b", 0.4]]
