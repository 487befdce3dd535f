import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jetassay.training.evaluation import FEWEST_JETS, auc_vs_background, measure

NAMES = ("QCD_b", "QCD_light", "X_bb", "X_cc")


@pytest.fixture
def scored():
    random = np.random.default_rng(3)
    labels = random.integers(0, 4, 800)
    logits = random.normal(size=(800, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(logits)
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32), labels


def test_macro_auc_is_that_of_hand_and_till_as_scikit_learn_computes_it(scored):
    probabilities, labels = scored
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    expected = roc_auc_score(labels, exact, multi_class="ovo")
    assert measure(exact, labels, NAMES).macro_ovo_auc == pytest.approx(expected, abs=1e-12)


def test_background_is_the_sum_of_all_qcd_labels(scored):
    probabilities, labels = scored
    found = auc_vs_background(probabilities, labels, NAMES)
    assert set(found) == {"X_bb", "X_cc"}
    keep = labels != 3
    signal, background = probabilities[keep, 2], probabilities[keep, :2].sum(axis=1)
    assert found["X_bb"] == pytest.approx(roc_auc_score(labels[keep] == 2, signal / (signal + background)), abs=1e-6)


def test_labels_with_few_jets_take_no_part(scored):
    probabilities, labels = scored
    few = np.concatenate([np.flatnonzero(labels == 2)[: FEWEST_JETS - 1], np.flatnonzero(labels != 2)])
    assert set(auc_vs_background(probabilities[few], labels[few], NAMES)) == {"X_cc"}


def test_a_perfect_classifier_reaches_one_everywhere():
    labels = np.repeat(np.arange(4), 30)
    found = measure(np.eye(4, dtype=np.float32)[labels], labels, NAMES)
    assert (found.accuracy, found.macro_ovo_auc, found.mean_auc_vs_background, found.loss) == (1.0, 1.0, 1.0, 0.0)


def test_a_constant_classifier_knows_nothing():
    labels = np.repeat(np.arange(4), 30)
    found = measure(np.full((120, 4), 0.25, np.float32), labels, NAMES)
    assert found.macro_ovo_auc == 0.5
    assert found.mean_auc_vs_background == 0.5
    assert found.loss == pytest.approx(np.log(4))


def test_there_is_no_auc_against_a_background_without_jets():
    labels = np.repeat([2, 3], 30)
    found = measure(np.full((60, 4), 0.25, np.float32), labels, NAMES)
    assert found.auc_vs_background == {}
    assert found.mean_auc_vs_background is None
