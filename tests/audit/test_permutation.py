"""Shuffled labels and the order of entries: chance for clean embeddings, caught where something leaks."""

import numpy as np
import pytest
from made_up_jets import changed, make_splits
from scipy import stats

from jetassay.audit.order import judge_order, order_deviations
from jetassay.audit.permutation import (
    LIMIT,
    Draws,
    identities,
    judged,
    shuffle_everywhere,
    shuffle_training,
)
from jetassay.errors import DataError
from jetassay.tasks.least_squares import least_squares_scores
from jetassay.tasks.probe import fit_probe
from jetassay.tasks.samples import JetKeys, Sample, Splits

OPTIONS = {"permutations": 50, "seed": 0}


def with_copies(splits, share):
    """The splits with this share of the test jets replaced by copies of training jets, under keys of their own."""
    train, test = splits.train, splits.test
    copied, original = np.arange(int(share * len(test))), np.random.default_rng(0).permutation(len(train))
    rows = original[: len(copied)]
    embedding, labels = test.embedding.copy(), test.labels.copy()
    embedding[copied], labels[copied] = train.embedding[rows], train.labels[rows]
    columns = {name: column.copy() for name, column in test.columns.items()}
    for name, column in columns.items():
        column[copied] = train.columns[name][rows]
    broken = Sample(embedding, labels, test.names, test.keys, columns=columns)
    return Splits(train, splits.validation, broken)


def trains_on_test_jets(splits, train, test):
    everything = np.concatenate([splits.train.embedding, splits.test.embedding])
    return least_squares_scores(everything, np.concatenate([train, test]), splits.test.embedding)


def test_all_labels_shuffled_have_the_variance_of_a_rank_sum():
    """Against the closed form of Mann and Whitney, which holds without ties."""
    draws = shuffle_everywhere(make_splits(jets=150), **OPTIONS)
    signal = 150  # about: the halves are drawn over both samples together
    assert draws.variance == pytest.approx((300 + 1) / (12 * signal**2), rel=0.02)
    assert draws.auc.var(ddof=1) == pytest.approx(draws.variance.mean(), rel=0.6)


@pytest.mark.parametrize("separation", [0.0, 4.0])
def test_clean_p_values_are_uniform_whatever_the_embedding_separates(separation):
    p_values = {"mean": [], "spread": [], "signs": [], "order": []}
    for seed in range(120):
        splits = make_splits(jets=60, separation=separation, width=8, seed=seed)
        everywhere = shuffle_everywhere(splits, permutations=50, seed=seed)
        p_values["mean"].append(everywhere.p_mean)
        p_values["spread"].append(everywhere.p_spread)
        p_values["signs"].append(shuffle_training(splits, permutations=50, seed=seed).p_mean)
        sds = [sd for _, sd in order_deviations(splits, seed=seed).values()]
        p_values["order"] += list(2 * stats.norm.sf(np.abs(sds)))
    for name, found in p_values.items():
        assert stats.kstest(found, "uniform").pvalue > 1e-3, name


def test_a_probe_that_trains_on_test_jets_is_caught():
    splits = make_splits(jets=500, width=64)
    draws = shuffle_everywhere(splits, **OPTIONS, probe=trains_on_test_jets)
    assert judged(draws, what="all labels").status == "fail"
    assert draws.mean > 0.57


def test_copies_of_training_jets_in_the_test_sample_are_caught():
    clean = make_splits(jets=1000, width=64)
    assert judged(shuffle_everywhere(clean, **OPTIONS), what="all labels").status == "pass"
    found = judged(shuffle_everywhere(with_copies(clean, 0.2), **OPTIONS), what="all labels")
    assert found.status == "fail"
    assert found.numbers["copies"] == 400
    assert "400 of the test jets compared are copies of training jets" in found.meaning


def test_copies_are_found_by_embedding_where_there_are_no_columns():
    splits = with_copies(make_splits(jets=100, columns=False), 0.1)
    train, test = identities(splits)
    assert len(np.intersect1d(train, test)) == 20


def test_jets_that_nothing_tells_apart_are_no_copies():
    splits = changed(make_splits(columns=False), lambda s: {"embedding": np.round(s.embedding / 50)})
    train, test = identities(splits)
    assert not len(np.intersect1d(train, test))


def test_labels_of_test_jets_that_reach_a_probe_by_their_keys_are_caught():
    """A probe that is told the truth elsewhere scores high, whatever it was trained on; one upside down, low."""
    auc = np.full(54, 0.97) + np.random.default_rng(0).normal(0, 0.003, 54)
    assert judged(Draws(auc=auc), what="training labels").status == "fail"
    assert judged(Draws(auc=1 - auc), what="training labels").status == "fail"
    assert judged(Draws(auc=np.ones(50)), what="training labels").status == "fail"
    assert judged(Draws(auc=np.full(50, 0.5)), what="training labels").status == "pass"


def test_the_probe_of_the_suite_is_at_chance_on_shuffled_labels():
    def suites_own(splits, train, test):
        scores = np.empty((len(splits.test), train.shape[1]))
        half = len(splits.train) // 2
        for draw in range(train.shape[1]):
            labels = (train[:, draw] > 0).astype(np.int64)
            sample = Sample(splits.train.embedding, labels, ("QCD", "Hbb"), splits.train.keys)
            parts = (sample.take(np.arange(half)), sample.take(np.arange(half, len(sample))))
            scores[:, draw] = fit_probe(*parts, signal="Hbb").logits(splits.test.embedding)
        return scores

    splits = make_splits(jets=200, width=10)
    draws = shuffle_everywhere(splits, permutations=50, seed=1, probe=suites_own)
    assert judged(draws, what="all labels").status == "pass"


def test_an_embedding_that_carries_the_row_order_is_caught():
    splits = make_splits(jets=300)
    noise = np.random.default_rng(5)

    def add(sample):
        embedding = sample.embedding.copy()
        embedding[:, 3] += 0.02 * sample.keys.entries + noise.normal(size=len(sample)).astype(np.float32)
        return {"embedding": embedding}

    clean, broken = (order_deviations(each, seed=0) for each in (splits, changed(splits, add)))
    columns = order_deviations(splits, seed=0, columns=True)
    assert judge_order(clean, columns).status == "pass"
    found = judge_order(broken, columns)
    assert found.status == "fail"
    assert "the embedding knows the entry number" in found.meaning


def test_odd_entries_that_look_different_are_caught():
    odd = changed(
        make_splits(jets=300), lambda s: {"embedding": s.embedding + (s.keys.entries % 2)[:, None].astype(np.float32)}
    )
    row = judge_order(order_deviations(odd, seed=0), {})
    assert (row.status, row.numbers["odd_auc"] > 0.6) == ("fail", True)
    assert "odd entries" in row.meaning


def test_noise_that_repeats_row_by_row_in_every_file_is_caught():
    """Random numbers of one seed for each file: the embedding of row k is the same noise everywhere."""
    noise = np.random.default_rng(1).normal(size=(600, 64)).astype(np.float32)
    broken = changed(make_splits(jets=300, width=64), lambda s: {"embedding": s.embedding + noise})
    assert judge_order(order_deviations(broken, seed=0), {}).status == "fail"


def test_files_that_are_sorted_by_an_observable_are_a_note_and_no_leak():
    def by_pt(sample):
        order = np.argsort(sample.columns["jet_pt"])
        moved = sample.take(order)
        embedding = moved.embedding.copy()
        embedding[:, 0] = moved.columns["jet_pt"] / 100
        return {"embedding": embedding, "labels": moved.labels, "columns": moved.columns}

    splits = changed(make_splits(jets=300), by_pt)
    row = judge_order(order_deviations(splits, seed=0), order_deviations(splits, seed=0, columns=True))
    assert row.status == "note"
    assert "the files are sorted" in row.meaning


def test_order_within_strata_has_the_variance_of_all_reorderings():
    """The exact mean and variance against 4,000 random reorderings within two strata, with ties."""
    from jetassay.audit.order import _stratified

    stream = np.random.default_rng(3)
    stratum = np.repeat([0, 1], [30, 50])
    ranks = stats.rankdata(stream.integers(0, 25, 80) + 20 * stratum)
    marked = np.concatenate([np.arange(30) < 12, np.arange(50) < 25])
    sums = []
    for _ in range(4000):
        shuffled = np.concatenate([stream.permutation(marked[:30]), stream.permutation(marked[30:])])
        sums.append(ranks[shuffled].sum())
    mean, variance = _stratified(ranks, marked, stratum)
    assert np.mean(sums) == pytest.approx(mean, abs=5 * np.sqrt(variance / 4000))
    assert np.var(sums) == pytest.approx(variance, rel=0.1)


def test_too_few_jets_or_none_of_a_signal_are_an_error_that_says_so():
    tiny = make_splits(jets=20)
    with pytest.raises(DataError, match="40 different jets in the train sample; at least 50"):
        shuffle_everywhere(tiny, **OPTIONS)
    alone = make_splits(classes=("QCD",))
    with pytest.raises(DataError, match="no jets but those of QCD"):
        shuffle_training(alone, **OPTIONS)
    scattered = changed(
        tiny,
        lambda s: {
            "keys": JetKeys(
                tuple(f"{len(s)}{k}{s.keys.files[0]}" for k in range(len(s))), np.arange(len(s)), np.arange(len(s))
            )
        },
    )
    with pytest.raises(DataError, match="no 50 jets of one class and file"):
        order_deviations(scattered, seed=0)


def test_the_limit_shares_the_false_alarm_rate_among_all_tests():
    assert pytest.approx(1e-4) == 5 * LIMIT


def test_files_of_which_only_even_entries_were_kept_are_judged_by_what_is_left():
    splits = changed(make_splits(jets=200), lambda s: {"keys": JetKeys(s.keys.files, s.keys.file, 2 * s.keys.entries)})
    found = order_deviations(splits, seed=0)
    assert set(found) == {"late"}
    assert judge_order(found, {}).status == "pass"
