"""Spreads of a probe's scores, by what varies: against new samples, and of what cannot vary."""

from dataclasses import replace

import numpy as np
import pytest

from jetassay.metrics.intervals import delong_variance
from jetassay.metrics.roc import auc
from jetassay.suite import Suite
from jetassay.tasks.catalogue import STABILITY
from jetassay.tasks.probe import PENALTIES, Probed, fit_probe, probe
from jetassay.tasks.samples import JetKeys, Splits
from jetassay.tasks.stability import resplit, stability


def probed(splits, *signals):
    return Probed(splits, probe(splits, backbone="x", signals=signals or ["Hbb"]).details)


def in_files(splits, count=2):
    """The jets of each sample in `count` files of each class."""

    def dealt(name, sample):
        file = sample.labels * count
        for label in np.unique(sample.labels):
            rows = np.flatnonzero(sample.labels == label)
            file[rows] += np.arange(len(rows)) % count
        digests = tuple(f"{name}-{number}" for number in range(file.max() + 1))
        return replace(sample, keys=JetKeys(digests, file, np.arange(len(sample))))

    return Splits(**{name: dealt(name, sample) for name, sample in splits.by_name().items()})


def test_every_spread_is_given_with_its_counts_and_adds_up(splits_of):
    material = probed(in_files(splits_of(jets=300)))
    outcome = stability(material, backbone="x", halves=4, resplits=3)
    scores = {score.metric: score for score in outcome.scores}
    assert set(scores) == set(STABILITY.metrics)
    assert not outcome.problems
    result = material.probes["Hbb"]
    assert scores["auc_sd_test"].value ** 2 == pytest.approx(
        delong_variance(result.signal_logits, result.background_logits)
    )
    for metric in ("auc", "log_rejection"):
        parts = [scores[f"{metric}_sd_{name}"].value for name in ("test", "train", "total")]
        assert np.hypot(*parts[:2]) == pytest.approx(parts[2])
        for name in ("train", "splits"):
            score = scores[f"{metric}_sd_{name}"]
            assert score.low < score.value < score.high
    assert {score.n_train for score in outcome.scores} == {600}


def test_intervals_of_spreads_are_those_of_normal_samples(splits_of):
    outcome = stability(probed(in_files(splits_of(jets=100))), backbone="x", halves=5, resplits=3)
    (score,) = (each for each in outcome.scores if each.metric == "auc_sd_train")
    stream = np.random.default_rng(0)
    ratios = stream.normal(size=(200_000, 5)).std(axis=1, ddof=1)  # observed over true spread
    low, high = score.value / np.quantile(ratios, [0.84, 0.16])
    assert (score.low, score.high) == (pytest.approx(low, rel=0.02), pytest.approx(high, rel=0.02))


def test_a_half_is_half_of_each_class_of_training_and_of_validation_jets(splits_of, monkeypatch):
    seen = []

    def watched(train, validation, **options):
        seen.append((train, validation, options["penalties"]))
        return fit_probe(train, validation, **options)

    material = probed(in_files(splits_of(jets=50)))
    monkeypatch.setattr("jetassay.tasks.stability.fit_probe", watched)
    stability(material, backbone="x", halves=2, resplits=2)
    chosen = PENALTIES.index(material.probes["Hbb"].probe.penalty)
    for train, validation, penalties in seen[:2]:
        assert penalties == PENALTIES[max(chosen - 1, 0) : chosen + 2]
        for half, whole in ((train, material.splits.train), (validation, material.splits.validation)):
            assert np.bincount(half.labels).tolist() == [25, 25]
            assert half.keys.shared_with(whole.keys) == 50


def test_the_table_holds_every_refit(splits_of):
    outcome = stability(probed(in_files(splits_of(jets=100))), backbone="x", halves=4, resplits=3)
    table = outcome.tables["stability"]
    assert table.groupby("kind").size().to_dict() == {"half": 4, "split": 3}
    assert (table.loc[table["kind"] == "half", "n_train"] == 100).all()
    assert (table.loc[table["kind"] == "split", "n_train"] == 200).all()
    halves = table.loc[table["kind"] == "half", "auc"]
    (score,) = (each for each in outcome.scores if each.metric == "auc_sd_train")
    assert score.value == pytest.approx(halves.std(ddof=1))


def test_one_seed_gives_the_same_spreads_to_the_bit(splits_of):
    material = probed(in_files(splits_of(jets=60)))
    runs = [stability(material, backbone="x", halves=2, resplits=2, seed=seed).scores for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_new_splits_hold_the_same_jets_with_as_many_files_of_each_class_in_each(splits_of):
    before = in_files(splits_of(jets=40, classes=("QCD", "Hbb", "Hcc")), count=4)
    after = resplit(before, seed=0, draw=0)
    assert Splits(**after.by_name())  # no jet is in two of them
    for name, sample in before.by_name().items():
        assert np.bincount(after.by_name()[name].labels).tolist() == np.bincount(sample.labels).tolist()
    first, second = (resplit(before, seed=0, draw=draw).test for draw in (0, 1))
    assert first.keys.first_difference(second.keys) is not None

    def everything(splits):
        rows = np.concatenate([each.embedding for each in splits.by_name().values()])
        return rows[np.lexsort(rows.T)]

    assert np.array_equal(everything(before), everything(after))


def test_jets_stay_with_the_files_they_came_in(splits_of):
    after = resplit(in_files(splits_of(jets=40)), seed=3, draw=1)
    files = [{sample.keys.files[number] for number in sample.keys.file} for sample in after.by_name().values()]
    assert not files[0] & files[1]
    assert not files[0] & files[2]
    assert not files[1] & files[2]


def test_a_rejection_without_survivors_has_no_spread_and_the_auc_keeps_its_own(splits_of):
    def apart(sample):
        return replace(sample, embedding=np.float32(sample.embedding + 1000 * (sample.labels > 0)[:, None]))

    splits = in_files(Splits(**{name: apart(each) for name, each in splits_of(jets=30).by_name().items()}))
    outcome = stability(probed(splits), backbone="x", halves=2, resplits=2)
    assert {score.metric for score in outcome.scores} == {f"auc_sd_{n}" for n in ("test", "train", "total", "splits")}
    assert outcome.undefined["Hbb rejection"] == "no background jet survives, so it has a limit and no spread"
    assert not outcome.problems


def test_refits_that_all_give_one_number_have_no_spread_and_not_one_of_zero(splits_of):
    def apart(sample):
        return replace(sample, embedding=np.float32(sample.embedding + 1000 * (sample.labels > 0)[:, None]))

    splits = in_files(Splits(**{name: apart(each) for name, each in splits_of(jets=30).by_name().items()}))
    outcome = stability(probed(splits), backbone="x", halves=3, resplits=2)
    assert {(each.value, each.low, each.high, each.interval) for each in outcome.scores} == {
        (None, None, None, "undefined")
    }
    reasons = {name: why for name, why in outcome.undefined.items() if name != "Hbb rejection"}
    assert reasons == {
        "Hbb, auc_sd_test": "every resample of the test jets gives the same number",
        "Hbb, auc_sd_train": "every half of the training jets gives the same number",
        "Hbb, auc_sd_total": "a part of it has no number",
        "Hbb, auc_sd_splits": "every split of the files gives the same number",
    }


def test_equal_survivors_in_all_halves_leave_the_spread_of_the_test_jets(splits_of):
    """One background jet of the test sample is far out on the side of the signal: it alone survives every probe."""

    def apart(sample, lost=()):
        away = sample.labels > 0
        away[sample.rows("QCD")[list(lost)]] = True
        return replace(sample, embedding=np.float32(sample.embedding + 100 * away[:, None]))

    samples = in_files(splits_of(jets=60)).by_name()
    splits = Splits(*(apart(sample, lost=[0] if name == "test" else []) for name, sample in samples.items()))
    outcome = stability(probed(splits), backbone="x", halves=4, resplits=2)
    found = {score.metric: score for score in outcome.scores}
    halves = outcome.tables["stability"].query("kind == 'half'")["log_rejection"]
    assert halves.nunique() == 1
    assert found["log_rejection_sd_test"].value > 0.3
    assert (found["log_rejection_sd_train"].value, found["log_rejection_sd_train"].low) == (None, None)
    assert found["log_rejection_sd_total"].value is None
    assert "every half of the training jets" in outcome.undefined["Hbb, log_rejection_sd_train"]


def test_a_new_split_without_a_class_is_named_and_never_fitted(splits_of):
    """Files of which some hold both classes and some the background alone, all of one kind by majority."""

    def mixed(name, sample):
        signal, background = sample.rows("Hbb"), sample.rows("QCD")
        file = np.zeros(len(sample), np.int64)
        file[background[30:]] = 1
        kept = np.sort(np.concatenate([signal[:20], background]))
        keys = JetKeys((f"{name}-both", f"{name}-background"), file, np.arange(len(sample)))
        return replace(sample, keys=keys).take(kept)

    splits = Splits(**{name: mixed(name, sample) for name, sample in splits_of(jets=60).by_name().items()})
    outcome = stability(probed(splits), backbone="x", halves=2, resplits=6)
    assert "files dealt anew" in outcome.problems["Hbb"]
    assert "0 jets of Hbb; at least 2 are needed" in outcome.problems["Hbb"]
    assert not outcome.scores


def test_a_working_point_beyond_the_sample_costs_only_the_spread_of_the_rejection(splits_of):
    material = probed(in_files(splits_of(jets=100, classes=("QCD", "Tbl"))), "Tbl")
    outcome = stability(material, backbone="x", halves=2, resplits=2)
    assert "does not resolve the working point" in outcome.problems["Tbl"]
    assert {score.metric for score in outcome.scores} == {f"auc_sd_{n}" for n in ("test", "train", "total", "splits")}


def test_a_probe_that_cannot_be_fitted_again_costs_no_other_signal(splits_of):
    splits = in_files(splits_of(jets=60, classes=("QCD", "Hbb", "Hcc")))
    material = probed(splits, "Hbb", "Hcc")
    flat = splits.train.embedding.copy()
    flat[np.isin(splits.train.labels, [0, 2])] = 0
    broken = Probed(Splits(replace(splits.train, embedding=flat), splits.validation, splits.test), material.probes)
    outcome = stability(broken, backbone="x", halves=2, resplits=2)
    assert set(outcome.problems) == {"Hcc"}
    assert "the embedding is the same for all" in outcome.problems["Hcc"]
    assert set(outcome.details) == {"Hbb"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jets", "width", "test_jets", "largest"), [(200, 12, 200, 1.5), (300, 60, 300, 1.5), (300, 60, 3000, 2.6)]
)
def test_halves_of_one_training_sample_scatter_as_new_samples_do(sample_of, jets, width, test_jets, largest):
    """The same test jets scored by probes of 60 independent training samples, against the estimate of 20 of them."""
    options = {"width": width, "separation": 1.5}
    test = sample_of("test", jets=test_jets, **options)
    values, estimates = {"auc": [], "log_rejection": []}, {"auc": [], "log_rejection": []}
    for seed in range(60):
        train, validation = (sample_of(f"{name}{seed}", jets=jets, **options) for name in ("train", "validation"))
        material = probed(Splits(train, validation, test))
        result = material.probes["Hbb"]
        values["auc"].append(auc(result.signal_logits, result.background_logits))
        (cut,) = (each for each in result.cuts if each.requested == 0.5)
        values["log_rejection"].append(np.log(test_jets / (cut.n_survivors + 0.5)))
        if seed < 20:
            scores = stability(material, backbone="x", halves=10, resplits=2, seed=seed).scores
            for metric, found in estimates.items():
                found += [score.value**2 for score in scores if score.metric == f"{metric}_sd_train"]
    ratios = {metric: np.sqrt(np.mean(estimates[metric])) / np.std(values[metric], ddof=1) for metric in values}
    assert 0.9 < ratios["auc"] < largest  # near its best the AUC falls with the square of what training misses
    assert 0.7 < ratios["log_rejection"] < 1.6


def test_no_probe_is_said_of_stability_too(splits_of):
    outcome = stability(Probed(splits_of(jets=10), {}), backbone="x")
    assert (outcome.scores, outcome.undefined) == ((), {"probes": "there are none to fit again"})


def test_a_suite_that_asks_for_stability_needs_the_probe():
    table = {"name": "mine", "title": "Mine", "backbones": ["mlp"], "dataset": {"card": "jetclass"}}
    table |= {"split": {"train": 1, "validation": 1, "test": 1}, "stability": {"halves": 4}}
    with pytest.raises(ValueError, match="stability: made from the probes"):
        Suite.model_validate(table)
    assert Suite.model_validate(table | {"probe": {}}).chosen["stability"] == {"halves": 4, "resplits": 4, "seed": 0}


def test_jets_in_files_are_dealt_as_jets_in_memory(splits_of, monkeypatch, tmp_path):
    before = in_files(splits_of(jets=40))
    expected = resplit(before, seed=0, draw=0)
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path))
    for name in ("SMALL", "_CHUNK"):
        monkeypatch.setattr(f"jetassay.embeddings.scratch.{name}", 100)
    monkeypatch.setattr("jetassay.tasks.stability._CHUNK", 30)
    found = resplit(before, seed=0, draw=0)
    assert not found.test.embedding.flags.writeable
    for name, sample in found.by_name().items():
        assert np.array_equal(sample.embedding, expected.by_name()[name].embedding)
        assert np.array_equal(sample.labels, expected.by_name()[name].labels)
