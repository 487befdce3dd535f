"""Content: what was put into an embedding is found there, and what was not is not."""

from dataclasses import replace

import numpy as np
import pytest
from observed_jets import observed
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from jetassay.errors import DataError
from jetassay.tasks.catalogue import TASKS
from jetassay.tasks.choices import ContentChoice
from jetassay.tasks.content import ALL_JETS, OBSERVABLES, content
from jetassay.tasks.samples import Splits


@pytest.fixture
def splits(splits_of):
    return observed(splits_of(jets=400, separation=2.0))


def edited(splits, edit):
    """The same jets with other columns."""
    return Splits(**{name: replace(each, columns=edit(dict(each.columns))) for name, each in splits.by_name().items()})


def score(outcome, where, metric="r2"):
    return next(each for each in outcome.scores if each.bin == where and each.metric == metric)


def test_what_lies_in_the_embedding_is_found_and_what_does_not_is_not(splits):
    outcome = content(splits, backbone="mine")
    for where in ("all jets", "QCD alone"):
        assert score(outcome, f"soft-drop mass, {where}").value > 0.999
        assert score(outcome, f"multiplicity, {where}").value > 0.95
        for unknown in ("log pT", "mass", "tau21", "tau32"):
            assert abs(score(outcome, f"{unknown}, {where}").value) < 0.1
    assert {each.metric for each in outcome.scores} == set(TASKS["content"].metrics)
    assert len(outcome.scores) == 2 * 2 * len(OBSERVABLES)
    assert not outcome.problems
    assert not outcome.undefined


def test_r2_is_that_of_scikit_learns_ridge_at_the_chosen_penalty(splits):
    outcome = content(splits, backbone="mine", observables=("displaced tracks",))
    found = outcome.details["displaced tracks, all jets"]
    scaler = StandardScaler().fit(splits.train.embedding.astype(np.float64))
    train, test = (scaler.transform(each.embedding) for each in (splits.train, splits.test))
    model = Ridge(alpha=len(train) * found.penalty).fit(train, splits.train.columns["n_displaced"])
    assert found.r2 == pytest.approx(model.score(test, splits.test.columns["n_displaced"]), abs=1e-6)
    assert score(outcome, "displaced tracks, all jets").n_train == 800


def test_the_floor_is_near_zero_even_where_the_observable_is_known(splits):
    outcome = content(splits, backbone="mine")
    for observable in OBSERVABLES:
        floor = score(outcome, f"{observable}, all jets", "r2_permuted")
        assert abs(floor.value) < 0.05
        assert floor.low <= floor.high


def test_within_the_background_only_its_jets_count(splits):
    outcome = content(splits, backbone="mine")
    whole, within = score(outcome, "tau21, all jets"), score(outcome, "tau21, QCD alone")
    assert (whole.n_signal, whole.n_background, whole.n_train, whole.background) == (400, 400, 800, None)
    assert (within.n_signal, within.n_background, within.n_train, within.background) == (0, 400, 400, "QCD")


def test_an_observable_known_through_the_class_alone_is_not_known_within_one(splits):
    stream = np.random.default_rng(3)

    def by_class(sample):
        column = 100.0 * sample.labels + stream.normal(size=len(sample))
        return replace(sample, columns={**sample.columns, "jet_mass": column.astype(np.float32)})

    outcome = content(Splits(**{name: by_class(each) for name, each in splits.by_name().items()}), backbone="mine")
    assert score(outcome, "mass, all jets").value > 0.4
    assert score(outcome, "mass, QCD alone").value < 0.1


def test_missing_columns_and_those_that_do_not_vary_are_named(splits):
    def edit(columns):
        del columns["n_displaced"], columns["jet_tau1"]
        return columns | {"multiplicity": np.full_like(columns["multiplicity"], 7)}

    outcome = content(edited(splits, edit), backbone="mine")
    assert outcome.undefined == {
        "tau21": "the dataset has no column jet_tau1",
        "displaced tracks": "the dataset has no column n_displaced",
        "multiplicity, all jets": "it is the same for all jets",
        "multiplicity, QCD alone": "it is the same for all jets",
    }
    assert not outcome.problems
    assert score(outcome, "tau32, all jets").value is not None


def test_an_observable_that_is_not_finite_is_a_problem_and_costs_no_other(splits):
    outcome = content(edited(splits, lambda columns: columns | {"jet_pt": 0 * columns["jet_pt"]}), backbone="mine")
    assert outcome.problems == {"log pT": "of 800 train jets it is not finite, the first is row 0"}
    assert score(outcome, "soft-drop mass, all jets").value > 0.999


def test_one_class_only_and_too_few_jets_are_said(splits):
    signal = Splits(**{name: each.take(each.rows("Hbb")) for name, each in splits.by_name().items()})
    outcome = content(signal, backbone="mine")
    assert "0 train jets" in outcome.undefined["QCD alone"]
    assert score(outcome, "soft-drop mass, all jets").value > 0.999
    few = Splits(**{name: each.take(np.arange(5)) for name, each in splits.by_name().items()})
    assert set(content(few, backbone="mine").undefined) == {"all jets", "QCD alone"}


def test_a_background_that_is_no_label_is_said(splits):
    outcome = content(splits, backbone="mine", background="gluon")
    assert outcome.undefined == {"gluon alone": "the jets have no label gluon; name their background in [content]"}
    assert score(outcome, "soft-drop mass, all jets").n_background == 0


def test_an_embedding_that_collapses_within_the_background_keeps_the_rest(splits):
    def collapsed(sample):
        embedding = sample.embedding.copy()
        embedding[sample.rows("QCD")] = 1
        return replace(sample, embedding=embedding)

    outcome = content(Splits(**{name: collapsed(each) for name, each in splits.by_name().items()}), backbone="mine")
    assert set(outcome.problems) == {"QCD alone"}
    assert score(outcome, "soft-drop mass, all jets").value is not None


def test_a_suite_may_name_every_observable_and_no_other():
    assert ContentChoice(observables=tuple(OBSERVABLES)).observables == tuple(OBSERVABLES)
    with pytest.raises(ValueError, match="observables"):
        ContentChoice(observables=("colour",))


def test_nan_constant_embeddings_and_unknown_observables_are_named(splits):
    broken = splits.test.embedding.copy()
    broken[3, 2] = np.nan
    with pytest.raises(DataError, match=r"content of 'mine', test sample: .* NaN"):
        content(replace(splits, test=replace(splits.test, embedding=broken)), backbone="mine")
    flat = {name: replace(each, embedding=0 * each.embedding) for name, each in splits.by_name().items()}
    outcome = content(Splits(**flat), backbone="mine")
    assert outcome.scores == ()
    assert "same for all 800 training jets" in outcome.problems["all jets"]
    with pytest.raises(DataError, match="no observable 'colour'"):
        content(splits, backbone="mine", observables=("colour",))


def test_of_many_jets_some_are_taken_and_counted(splits, monkeypatch):
    monkeypatch.setattr("jetassay.tasks.content.MOST_JETS", 150)
    outcome = content(splits, backbone="x", observables=["soft-drop mass"])
    whole, alone = (
        {(each.n_signal + each.n_background, each.n_train) for each in outcome.scores if where in str(each.bin)}
        for where in (ALL_JETS, "QCD alone")
    )
    assert whole == alone == {(150, 150)}
    assert outcome.details[f"soft-drop mass, {ALL_JETS}"].r2 > 0.99
