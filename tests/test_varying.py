"""Test jets as other detectors would have seen them: made once, matched to the jets they are, scored in a suite."""

from dataclasses import replace

import numpy as np
import pytest

from jetassay import steps
from jetassay.errors import ConfigError, InterruptedRunError, SimulationError
from jetassay.progress import Reporter
from jetassay.run import run_suite
from jetassay.scoring import sample_of, score_all
from jetassay.suite import Suite
from jetassay.tasks.catalogue import TASKS
from jetassay.varying import embed_variations

QUIET = Reporter(quiet=True)

CARD = """
name = "two-classes"
title = "Two classes, simulated"
schema = "jetclass"
[simulation]
classes = ["QCD", "Hbb"]
jets = 36
files = 3
seed = 11
"""


def suite_on(card, **changes):
    table = {
        "name": "mine",
        "title": "Mine",
        "backbones": ["tiny-1", "jet-observables"],
        "dataset": {"card": str(card)},
        "split": {"train": 1, "validation": 1, "test": 1},
        "probe": {"signals": ["Hbb"]},
        "robustness": {"perturbations": ["drop=0.3", "without=displacement"], "jets": 8},
    }
    return Suite.model_validate(table | changes)


@pytest.fixture(scope="module")
def card(shared_home):
    path = shared_home / "two-classes.toml"
    path.write_text(CARD)
    return path


@pytest.fixture
def varied(card):
    """The suite's splits, embeddings and variations."""

    def run(**changes):
        suite = suite_on(card, **changes)
        backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
        dataset = steps.find_jets(suite.dataset, reporter=QUIET)
        splits = steps.split_jets(suite, dataset)
        embedded = steps.embed_all(suite, backbones, dataset, splits, reporter=QUIET)
        return suite, splits, embedded, embed_variations(suite, backbones, embedded, dataset, splits, reporter=QUIET)

    return run


def test_the_first_test_jets_of_each_class_are_seen_again(varied):
    _, splits, embedded, found = varied()
    for name, variations in found.items():
        nominal = sample_of(embedded[name], splits["test"])
        assert list(variations.by_name) == ["drop=0.3", "without=displacement"]
        for each in variations.by_name.values():
            jets = nominal.take(each.rows)
            assert np.bincount(jets.labels)[:2].tolist() == [8, 8]
            assert jets.keys.first_difference(each.sample.keys) is None
            assert np.array_equal(jets.labels, each.sample.labels)
        assert not np.array_equal(variations.by_name["drop=0.3"].sample.embedding, nominal.take(each.rows).embedding)


def test_a_backbone_without_such_inputs_keeps_its_embedding_to_the_bit(varied):
    _, splits, embedded, found = varied()
    each = found["jet-observables"].by_name["without=displacement"]
    nominal = sample_of(embedded["jet-observables"], splits["test"])
    assert np.array_equal(each.sample.embedding, nominal.embedding[each.rows])
    seen = found["tiny-1"].by_name["without=displacement"]
    assert not np.array_equal(seen.sample.embedding, sample_of(embedded["tiny-1"], splits["test"]).embedding[seen.rows])


def test_without_the_table_nothing_is_made(varied):
    assert varied(robustness=None)[3] == {}


def test_more_jets_than_there_are_means_all(varied):
    _, _, _, found = varied(robustness={"perturbations": ["scale=0.1"], "jets": 10_000})
    assert len(found["tiny-1"].by_name["scale=0.1"].rows) == 24


def test_a_perturbation_of_no_strength_leaves_every_decision(varied):
    suite, splits, embedded, found = varied(robustness={"perturbations": ["drop=0", "smear=0"], "jets": 12})
    scored = score_all(suite, embedded, splits, varied=found, reporter=QUIET)
    flips = [each.value for each in scored.scores if each.metric.endswith("_flips")]
    shifts = [each.value for each in scored.scores if each.metric == "embedding_shift"]
    assert len(flips) == 2 * 2 * 2
    assert max(flips) == 0
    assert max(shifts) < 1e-4


def test_the_other_mode_has_the_same_jets(varied, monkeypatch):
    robustness = {"perturbations": [], "modes": ["ideal"], "jets": 12}
    suite, splits, embedded, found = varied(robustness=robustness)
    for name, variations in found.items():
        assert not variations.problems
        each = variations.by_name["mode=ideal"]
        nominal = sample_of(embedded[name], splits["test"]).take(each.rows)
        assert 12 < len(each.rows) <= 24
        assert len(set(each.rows.tolist())) == len(each.rows)
        assert np.array_equal(nominal.labels, each.sample.labels)
        turn = np.abs(nominal.columns["jet_eta"] - each.sample.columns["jet_eta"])
        assert turn.max() < 0.1
        assert not np.array_equal(nominal.columns["jet_pt"], each.sample.columns["jet_pt"])
        assert variations.notes == (
            f"mode=ideal: {len(each.rows)} of 24 simulated jets are jets of the test sample too.",
        )
    monkeypatch.setattr("jetassay.simulation.sample._run", lambda *_, **__: pytest.fail("simulated again"))
    again = varied(robustness=robustness)[3]
    first, second = (run["tiny-1"].by_name["mode=ideal"].sample.embedding for run in (found, again))
    assert np.array_equal(first, second)
    scored = score_all(suite, embedded, splits, varied=found, reporter=QUIET)
    assert {each.bin for each in scored.scores if each.task == "robustness"} == {"nominal", "mode=ideal"}


def test_a_simulation_that_fails_costs_no_other_score(varied, monkeypatch):
    def fails(*_, **__):
        raise SimulationError("Pythia does not start")

    monkeypatch.setattr("jetassay.varying.open_dataset", fails)
    suite, splits, embedded, found = varied(robustness={"perturbations": ["scale=0.1"], "modes": ["ideal"], "jets": 12})
    assert found["tiny-1"].problems == {"mode=ideal": "Pythia does not start"}
    scored = score_all(suite, embedded, splits, varied=found, reporter=QUIET)
    assert {each.bin for each in scored.scores if each.task == "robustness"} == {"nominal", "scale=0.1"}
    assert any("mode=ideal: Pythia does not start" in each for each in scored.problems)


def test_a_simulation_that_is_stopped_stops_the_run(varied, monkeypatch):
    def stopped(*_, **__):
        raise InterruptedRunError("Simulation stopped; 0 of 3 files are whole.") from KeyboardInterrupt()

    monkeypatch.setattr("jetassay.varying.open_dataset", stopped)
    with pytest.raises(InterruptedRunError, match="0 of 3 files are whole"):
        varied(robustness={"perturbations": [], "modes": ["ideal"], "jets": 12})


def test_the_mode_of_the_jets_themselves_is_refused(varied):
    with pytest.raises(ConfigError, match="mode delphes, in which the suite's jets are simulated anyway"):
        varied(robustness={"perturbations": [], "modes": ["delphes"]})


def test_jets_that_are_read_from_files_have_no_other_mode(varied, jets_folder):
    dataset = {"card": "jetclass", "folder": str(jets_folder)}
    suite, splits, embedded, found = varied(
        dataset=dataset, robustness={"perturbations": ["scale=0.1"], "modes": ["ideal"]}
    )
    assert found["tiny-1"].undefined == {"mode=ideal": "the jets of jetclass are read from files and not simulated"}
    scored = score_all(suite, embedded, splits, varied=found, reporter=QUIET)
    assert not scored.problems
    assert any("mode=ideal" in reason for reason in scored.undefined)


def test_a_suite_shows_it_and_a_second_run_embeds_nothing(card, varied, monkeypatch):
    results = run_suite(suite_on(card), reporter=QUIET).results
    assert "Robustness, version 2" in results.protocol
    rows = results.frame[results.frame["task"] == "robustness"]
    assert set(rows["bin"]) == {"nominal", "drop=0.3", "without=displacement"}
    assert "Robustness against another detector" in (results.folder / "report.html").read_text()
    monkeypatch.setattr("jetassay.embeddings.extraction._forward", lambda *_: pytest.fail("embedded again"))
    suite, splits, embedded, found = varied()
    again = score_all(suite, embedded, splits, varied=found, reporter=QUIET).scores
    values = [each.value for each in again if each.task == "robustness"]
    assert [value for value in values if value is not None] == rows["value"].dropna().tolist()


@pytest.mark.parametrize(
    ("robustness", "message"),
    [
        ({"perturbations": ["drop=2"]}, r"lies in \[0, 1\), not 2"),
        ({"perturbations": ["blur=2"]}, "There is no perturbation 'blur'"),
        ({"perturbations": []}, "name a perturbation or a mode"),
        ({"perturbations": ["drop=0.1", "drop=0.10"]}, "named twice: drop=0.1"),
        ({"modes": ["perfect"]}, "'delphes' or 'ideal'"),
        ({"jets": 0}, "greater than 0"),
    ],
)
def test_a_table_without_sense_is_refused(tmp_path, robustness, message):
    with pytest.raises(ValueError, match=message):
        suite_on(tmp_path / "card.toml", robustness=robustness)


def test_robustness_needs_the_probes(tmp_path):
    with pytest.raises(ValueError, match=r"robustness: made from the probes; add a table \[probe\]"):
        suite_on(tmp_path / "card.toml", probe=None)


def test_a_task_of_a_plug_in_that_takes_perturbed_jets_needs_the_table_too(tmp_path, monkeypatch):
    other = replace(TASKS["robustness"], name="other")
    monkeypatch.setitem(TASKS._makers, "other", lambda: other)
    with pytest.raises(ValueError, match=r"other: made from jets seen otherwise; add a table \[robustness\]"):
        suite_on(tmp_path / "card.toml", robustness=None, tasks={"other": {}})


@pytest.mark.slow
def test_the_more_constituents_are_lost_the_worse_a_trained_backbone_gets(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "two-classes.toml"
    path.write_text(CARD.replace("jets = 36", "jets = 900"))
    losses = [f"drop={probability}" for probability in (0.05, 0.2, 0.4, 0.7)]
    robustness = {"perturbations": [*losses, "without=displacement"], "jets": 300}
    suite = suite_on(path, backbones=["part-mini", "mlp"], robustness=robustness)
    backbones = steps.load_backbones(suite, device="cpu", reporter=QUIET)
    dataset = steps.find_jets(suite.dataset, reporter=QUIET)
    splits = steps.split_jets(suite, dataset)
    embedded = steps.embed_all(suite, backbones, dataset, splits, reporter=QUIET)
    found = embed_variations(suite, backbones, embedded, dataset, splits, reporter=QUIET)
    scored = score_all(suite, embedded, splits, varied=found, reporter=QUIET)
    for name in backbones:
        rows = [each for each in scored.scores if each.backbone == name and each.task == "robustness"]
        aucs = {each.bin: each.value for each in rows if each.metric == "auc"}
        falling = [aucs[each] for each in ("nominal", *losses)]
        assert falling == sorted(falling, reverse=True), name
        shifts = [each.value for each in rows if each.metric == "embedding_shift" and each.bin in losses]
        assert shifts == sorted(shifts), name
    changes = {
        (each.backbone, each.bin): each
        for each in scored.scores
        if each.metric == "auc_change" and each.signal == "Hbb"
    }
    assert changes["part-mini", "drop=0.4"].high < 0
    assert changes["part-mini", "without=displacement"].high < -0.05  # b jets are found by their displaced tracks
