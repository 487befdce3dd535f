"""The whole path on a few simulated jets: from files to the report, twice, and with things missing."""

from dataclasses import replace
from io import StringIO

import awkward as ak
import numpy as np
import pandas as pd
import pytest
import uproot
from rich.console import Console

from jetassay.errors import ConfigError, DataError, InterruptedRunError, LeakageError, NotFiniteError, WeightsError
from jetassay.progress import Reporter
from jetassay.run import export_embeddings, run_suite
from jetassay.suite import Suite
from jetassay.tasks.score import COLUMNS


def suite_on(folder, **changes):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["tiny-1", "tiny-2", "jet-observables", "tiny-1@mean-block-1"],
        "dataset": {"card": "jetclass", "folder": str(folder)},
        "split": {"train": 1, "validation": 1, "test": 1},
        "probe": {"signals": ["Hbb"]},
        "zero_shot": {"signals": ["Hbb"]},
        "similarity": {"permutations": 9},
        "throughput": {"jets": 8, "rounds": 1},
    }
    return Suite.model_validate(table | changes)


@pytest.fixture(scope="module")
def outcome(shared_home, jets_folder):
    return run_suite(suite_on(jets_folder), reporter=Reporter(quiet=True))


def test_a_suite_gives_scores_of_every_task_on_disk_and_in_the_store(shared_home, outcome):
    frame = pd.read_parquet(shared_home / "workspace/reports/mine/scores.parquet")
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame["task"]) == {"probe", "zero-shot", "similarity", "throughput"}
    assert set(frame["backbone"]) >= {"tiny-1", "tiny-2", "jet-observables"}
    assert frame["run_id"].notna().all()
    assert len(set(frame["data_digest"])) == 1
    for name in ("report.html", "scores.csv", "counts.csv", "provenance.json"):
        assert (shared_home / "workspace/reports/mine" / name).stat().st_size > 0
    assert (shared_home / "workspace/mlflow.db").exists()


def test_every_rejection_has_its_counts_and_an_interval_or_a_limit(outcome):
    frame = outcome.results.frame
    rejections = frame[frame["metric"] == "rejection"]
    assert dict(rejections["task"].value_counts()) == {"probe": 4 * 2, "zero-shot": 2 * 2}
    assert (rejections["n_background"] == 24).all()
    assert (rejections["n_survivors"] <= rejections["n_background"]).all()
    assert (rejections["value"].notna() | rejections["low"].notna()).all()


def test_the_jets_that_are_shown_are_read_again_as_they_were_embedded(outcome):
    tables = outcome.results.tables | {
        name: pd.concat(rows.blocks(), ignore_index=True) for name, rows in outcome.results.jet_tables.items()
    }
    jets, shown, parts = (tables[name] for name in ("test_jets", "shown_jets", "shown_constituents"))
    assert set(parts["jet"]) == set(shown["jet"])
    multiplicity = jets.set_index("jet")["multiplicity"]
    assert (parts.groupby("jet").size() == multiplicity[parts["jet"].unique()]).all()
    best = shown[shown["why"] == "signal, surest"].merge(tables["probe_logits"], on=["backbone", "jet"])
    assert (jets.set_index("jet").loc[best["jet"], "label"] == "Hbb").all()
    signal = jets.loc[jets["label"] == "Hbb", "jet"]
    logits = tables["probe_logits"][tables["probe_logits"]["jet"].isin(signal)]
    assert best.set_index("backbone")["Hbb"].to_dict() == logits.groupby("backbone")["Hbb"].max().to_dict()
    assert not jets.duplicated(["file", "entry"]).any()


def test_an_inner_layer_is_a_row_of_its_own_with_its_layer_beside_it(outcome):
    probed = outcome.results.frame.query("task == 'probe' and metric == 'auc'")
    found = dict(
        zip(probed["backbone"], probed["layer"].astype(object).where(probed["layer"].notna(), None), strict=True)
    )
    assert found["tiny-1"] == "class-token"
    assert found["tiny-1@mean-block-1"] == "mean-block-1"
    assert found["jet-observables"] is None
    assert probed["run_id"].nunique() == 4


def test_a_classifier_is_scored_as_it_is_and_the_others_are_named_without_failing(outcome):
    frame = outcome.results.frame.query("task == 'zero-shot'")
    assert set(frame["backbone"]) == {"tiny-1", "tiny-2"}
    assert {"auc", "accuracy", "macro_ovo_auc", "log_loss"} < set(frame["metric"])
    assert frame["layer"].isna().all()
    assert outcome.undefined == ("jet-observables, tiny-1@mean-block-1: zero-shot, all classes: it has no classifier",)
    assert not outcome.problems
    assert "not defined: jet-observables" in outcome.summary(width=80)
    assert "how the published JetClass rejections are defined" in outcome.results.protocol


def test_an_unknown_layer_is_named_before_any_work(home, jets_folder):
    with pytest.raises(ConfigError, match="tiny-1 has no layer 'mean-block-2'"):
        run_suite(suite_on(jets_folder, backbones=["tiny-1", "tiny-1@mean-block-2"]), reporter=Reporter(quiet=True))
    assert not (home / "cache/embeddings").exists()


def test_jets_in_equal_jets_counted(outcome):
    counts = outcome.results.counts
    assert counts["entries"].tolist() == [48, 48, 48]
    assert (counts["jets"] + counts["dropped"] == counts["entries"]).all()
    assert (counts["QCD"] == 24).all()


def test_the_summary_shows_table_and_places(shared_home, outcome):
    text = outcome.summary(width=80)
    assert "Hbb 50%" in text
    assert str(shared_home / "workspace/reports/mine/report.html") in text
    assert "#/experiments/" in text
    assert text.endswith("The pages at 127.0.0.1 open while `jetassay ui` runs.")
    by_server = replace(outcome, links={**outcome.links, "tracking": "http://127.0.0.1:8080"})
    assert "jetassay ui" not in by_server.summary(width=80)  # the server has its own pages


@pytest.fixture(scope="module")
def again(shared_home, jets_folder, outcome):
    """The same suite a second time, where no embedding may be computed, and what it said."""

    def forbidden(*_args, **_kwargs):
        raise AssertionError("an embedding was computed again")

    said = StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("jetassay.embeddings.datasets.embed_together", forbidden)
        console = Console(file=said, soft_wrap=True, highlight=False)
        return run_suite(suite_on(jets_folder), reporter=Reporter(console=console)), said


def test_a_second_run_computes_no_embedding_and_gives_the_same_numbers(outcome, again):
    steady = [each.results.frame.query("task != 'throughput'") for each in (outcome, again[0])]
    pd.testing.assert_frame_equal(*steady)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("load_backbones", "It was at: backbones, after 0 s. Nothing was computed yet"),
        ("find_jets", "It was at: jets, .* Files of jets that are whole are kept"),
        ("embed_usable", "It was at: embeddings, .* every shard of embeddings that is whole"),
        ("score_all", "It was at: scores, .* scores are computed again"),
        ("show_jets", "It was at: jets to look at, .* and audits; scores are computed again"),
        ("track", "It was at: tracking, .* scores and report in reports/stopped"),
    ],
)
def test_ctrl_c_says_what_is_kept_and_how_to_go_on(shared_home, jets_folder, outcome, monkeypatch, step, told):
    few = {"backbones": ["jet-observables"], "zero_shot": None, "similarity": None, "throughput": None, "audit": False}

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"jetassay.run.{step}", stopped)
    with pytest.raises(InterruptedRunError, match=f"stopped by Ctrl-C. {told}.*The same command goes on") as caught:
        run_suite(suite_on(jets_folder, name="stopped", **few), reporter=Reporter(quiet=True))
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)  # which makes the exit code 130


def test_every_stage_says_what_it_computed_or_took_from_the_store(again):
    said = again[1].getvalue()
    for line in (
        "backbones: tiny-1, tiny-2, jet-observables, tiny-1@mean-block-1\n",
        "jets: jetclass, 144 entries in 6 files\n",
        "tiny-1: 6 of 6 shards taken from the store\n",
        "scores: probe, zero-shot, similarity of 4 backbones, from their embeddings, in ",
        "audit of tiny-1: taken from the cache\n",
        "throughput: 1 round of 4 backbones, interleaved\n",
        "report: ",
        "tracking: 0 runs written, 5 were there already\n",
    ):
        assert line in said
    assert "\x1b" not in said


def test_missing_weights_are_named_before_any_work(home, jets_folder):
    with pytest.raises(WeightsError, match=r"sophon(.|\n)*part-kin"):
        run_suite(suite_on(jets_folder, backbones=["sophon", "part-kin"]), reporter=Reporter(quiet=True))
    assert not (home / "cache/embeddings").exists()


def test_a_backbone_that_gives_nan_costs_no_other_score(home, jets_folder, monkeypatch):
    def broken(column, name, pool):
        if pool.work.backbone.card.name == "tiny-2":
            raise NotFiniteError("backbone 'tiny-2' gives NaN")

    monkeypatch.setattr("jetassay.embeddings.extraction._require_finite", broken)
    names = ["tiny-2", "tiny-1", "jet-observables"]
    tables = {
        "comparison": {},
        "robustness": {"perturbations": ["drop=0.1"], "jets": 8},
        "layers": {"jets": 8},
        "audit": False,
        "throughput": None,
    }
    found = run_suite(suite_on(jets_folder, backbones=names, **tables), reporter=Reporter(quiet=True))
    assert "tiny-2: backbone 'tiny-2' gives NaN" in found.problems
    frame = found.results.frame
    assert set(frame.loc[frame["task"] == "probe", "backbone"]) == {"tiny-1", "jet-observables"}
    assert set(frame.loc[frame["task"] == "robustness", "backbone"]) == {"tiny-1", "jet-observables"}
    assert frame["run_id"].notna().any()
    assert "gives NaN" in (found.results.folder / "report.html").read_text()
    with pytest.raises(NotFiniteError, match="tiny-2"):
        run_suite(suite_on(jets_folder, backbones=["tiny-2"], similarity=None), reporter=Reporter(quiet=True))


def test_jets_of_a_training_are_never_probed(home):
    suite = suite_on(home, backbones=["jet-observables", "mlp"], dataset={"card": "jetclass-sim", "seed": 1})
    with pytest.raises(LeakageError, match="mlp was trained on jets simulated with seed 1"):
        run_suite(suite, reporter=Reporter(quiet=True))
    assert not (home / "cache/simulated").exists()


def test_what_to_simulate_is_not_said_of_files(home, jets_folder):
    suite = suite_on(jets_folder, dataset={"card": "jetclass", "folder": str(jets_folder), "jets": 10, "seed": 3})
    with pytest.raises(ConfigError, match=r"jets, seed in .dataset. say what to simulate"):
        run_suite(suite, reporter=Reporter(quiet=True))


def test_a_figure_that_fails_costs_neither_page_nor_tracking(home, jets_folder, monkeypatch):
    def broken(scores, **options):
        raise ZeroDivisionError("no such jets")

    monkeypatch.setattr("jetassay.report.sections.throughput.throughput_figure", broken)
    suite = suite_on(jets_folder, backbones=["jet-observables"], similarity=None, probe=None, zero_shot=None)
    outcome = run_suite(suite, reporter=Reporter(quiet=True))
    (problem,) = outcome.problems
    assert problem.startswith("figure throughput could not be drawn: ZeroDivisionError: no such jets")
    assert "missing: figure throughput" in outcome.summary(width=80)
    assert outcome.results.frame["run_id"].notna().all()
    assert "figure throughput could not be drawn" in (outcome.results.folder / "report.html").read_text()


def test_the_throughput_reads_jets_as_the_embedding_does_and_goes_on_without_a_file_of_none(home, jets_folder):
    folder = home / "broken"
    folder.mkdir()
    for path in jets_folder.glob("*.root"):
        jets = uproot.open(path)["tree"].arrays()
        jets["jet_pt"] = np.where(np.arange(len(jets)) == 0, np.float32("nan"), jets["jet_pt"].to_numpy())
        ak.to_parquet(jets, folder / f"{path.stem}.parquet")
    (folder / "notes.root").write_text("not jets")
    card = home / "models/tiny-1/card.toml"
    card.write_text(f"max_constituents = 7\n{card.read_text()}")
    dataset = {"card": "jetclass", "folder": str(folder), "on_invalid": "drop"}
    suite = suite_on(folder, dataset=dataset, backbones=["tiny-1"], similarity=None, probe=None, zero_shot=None)
    outcome = run_suite(suite, reporter=Reporter(quiet=True))
    found = outcome.results.frame.set_index("metric")["value"]
    assert set(found.index) == {"jets_per_s", "flops_per_jet", "peak_memory_mib", "constituents_per_jet"}
    assert (found > 0).all()
    assert found["constituents_per_jet"] <= 7
    assert outcome.results.counts["dropped"].tolist() == [2, 2, 2]
    assert outcome.results.provenance["data"]["files"] == 6
    (problem,) = outcome.problems
    assert problem.startswith(f"set aside with all its entries: {folder / 'notes.root'}: neither a ROOT nor")


def test_a_signal_without_jets_is_named(home, jets_folder):
    with pytest.raises(DataError, match="Tbqq has 0"):
        run_suite(suite_on(jets_folder, probe={"signals": ["Tbqq"]}), reporter=Reporter(quiet=True))


def test_the_export_has_one_row_a_jet_as_wide_as_its_header(shared_home, jets_folder, outcome):
    path = shared_home / "out.csv"
    rows = export_embeddings(suite_on(jets_folder), "tiny-1", output=path, force=False, reporter=Reporter(quiet=True))
    lines = path.read_text().splitlines()
    assert rows == len(lines) - 1 == 144
    first = "source_file,entry_index,truth_label,label_name,jet_sdmass,jet_mass,jet_pt,jet_eta,jet_phi,emb_0,"
    assert lines[0].startswith(first)
    assert {line.count(",") for line in lines} == {9 + 16 - 1}


def test_an_export_in_the_way_is_named_before_any_work(home, jets_folder):
    path = home / "out.csv"
    path.touch()
    with pytest.raises(ConfigError, match="--force"):
        export_embeddings(suite_on(jets_folder), "tiny-1", output=path, force=False, reporter=Reporter(quiet=True))
    assert not (home / "cache/embeddings").exists()


@pytest.mark.slow
def test_a_limit_takes_the_first_entries_of_each_file_and_makes_other_data(home, jets_folder):
    whole = run_suite(suite_on(jets_folder, throughput=None), reporter=Reporter(quiet=True)).results
    dataset = {"card": "jetclass", "folder": str(jets_folder), "limit": 10}
    fewer = run_suite(suite_on(jets_folder, throughput=None, dataset=dataset), reporter=Reporter(quiet=True)).results
    assert fewer.counts["entries"].tolist() == [20, 20, 20]
    assert set(fewer.frame["data_digest"]).isdisjoint(whole.frame["data_digest"])
