from dataclasses import replace

import numpy as np
import pytest

from jetassay.errors import DataError, LeakageError
from jetassay.tasks.samples import JetKeys, Splits, require_finite, same_jets


def keys(files, file, entries):
    return JetKeys(tuple(files), np.array(file, np.int64), np.array(entries, np.int64))


def test_the_same_jets_are_recognised_whatever_the_order_of_the_file_list():
    first = keys(["a", "b"], [0, 1, 1], [5, 6, 7])
    assert first.first_difference(keys(["b", "a"], [1, 0, 0], [5, 6, 7])) is None
    assert first.first_difference(keys(["a", "b"], [0, 0, 1], [5, 6, 7])) == 1
    assert first.first_difference(keys(["a", "b"], [0, 1, 1], [5, 6, 8])) == 2
    assert first.first_difference(first.take(np.array([0, 1]))) == 2


def test_shared_jets_are_counted_by_file_content_and_entry():
    first = keys(["a", "b"], [0, 0, 1], [1, 2, 1])
    assert first.shared_with(keys(["c", "a"], [0, 1, 1], [1, 2, 3])) == 1
    assert first.shared_with(keys(["c"], [0, 0], [1, 2])) == 0
    assert first.shared_with(keys(["a", "a"], [0, 1], [1, 2])) == 2


def test_jets_are_found_by_file_content_and_entry():
    first = keys(["a", "b"], [0, 0, 1, 1], [7, 2, 2, 1 << 35])
    others = keys(["c", "b", "a"], [1, 2, 0, 2, 1, 1], [2, 2, 2, 7, 3, 1 << 35])
    assert first.find(others).tolist() == [2, 1, -1, 0, -1, 3]
    assert first.find(first).tolist() == [0, 1, 2, 3]
    assert keys(["a"], [], []).find(first).tolist() == [-1] * 4
    assert first.find(keys([], [], [])).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((["a"], [0, 0], [1]), "give each jet one"), ((["a"], [0, 1], [1, 2]), "outside the 1 files")],
)
def test_broken_keys_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        keys(*arguments)


def test_a_jet_in_two_splits_is_a_leak(sample_of):
    train, validation = sample_of("train"), sample_of("validation")
    with pytest.raises(LeakageError, match="400 jets are in both the train and the test sample"):
        Splits(train, validation, sample_of("train", view=3))
    part = sample_of("train").take(np.array([3, 4]))
    with pytest.raises(LeakageError, match="2 jets are in both the train and the validation sample"):
        Splits(train, part, sample_of("test"))


def test_splits_of_different_width_are_refused(sample_of):
    with pytest.raises(DataError, match="the train and test samples differ"):
        Splits(sample_of("train"), sample_of("validation"), sample_of("test", width=3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"embedding": s.embedding.astype(np.float64)}, "expected float32"),
        (lambda s: {"embedding": s.embedding[:, 0]}, "expected float32"),
        (lambda s: {"labels": s.labels[:-1]}, "400 embedded jets, but labels are int64"),
        (lambda s: {"labels": s.labels.astype(np.int32)}, "labels are int32"),
        (lambda s: {"labels": s.labels + 10}, "outside the 10 names"),
        (lambda s: {"keys": s.keys.take(np.arange(3))}, "there are 3 keys"),
    ],
)
def test_a_sample_whose_parts_disagree_is_refused(sample_of, change, message):
    sample = sample_of("train")
    with pytest.raises(DataError, match=message):
        replace(sample, **change(sample))


def test_an_unknown_label_is_named(sample_of):
    with pytest.raises(DataError, match="no label 'Hxx' among QCD, Hbb"):
        sample_of("train").rows("Hxx")


def test_jets_in_another_order_are_not_the_same_jets(sample_of):
    sample = sample_of("test")
    same_jets({"a": sample, "b": sample_of("test", view=1)})
    order = np.arange(len(sample))
    order[[7, 8]] = [8, 7]
    with pytest.raises(DataError, match="they first differ at row 7"):
        same_jets({"a": sample, "b": sample.take(order)})
    with pytest.raises(DataError, match=r"'a' \(400 jets\) and 'b' \(399 jets\).*row 399"):
        same_jets({"a": sample, "b": sample.take(np.arange(399))})
    with pytest.raises(DataError, match="same jets with different labels"):
        same_jets({"a": sample, "b": replace(sample, labels=1 - sample.labels)})


def test_a_jet_with_nan_is_named_by_file_and_entry(sample_of):
    sample = sample_of("train").take(np.arange(50, 60))
    sample.embedding[4, 2] = np.nan
    with pytest.raises(DataError, match=r"here: .* of 1 of 10 jets .* row 4 \(entry 54 of file train\)"):
        require_finite(sample, "here")
