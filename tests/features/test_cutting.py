import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jetassay.features.batch import InputBatch
from jetassay.features.cutting import between, sort_by_length, split_sorted

lengths = st.lists(st.integers(1, 128), max_size=60)


def batch_of(counts):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.arange(offsets[-1], dtype=np.float32)
    return InputBatch(
        features=np.stack([rows, -rows], axis=1),
        p4=np.repeat(rows[:, None], 4, axis=1),
        offsets=offsets,
        jet_features=np.arange(len(counts), dtype=np.float32)[:, None],
    )


@given(lengths, st.integers(1, 400))
def test_batches_hold_every_jet_once_and_stay_under_the_budget_unless_alone(counts, budget):
    ordered, _ = sort_by_length(batch_of(counts))
    ranges = split_sorted(ordered, token_budget=budget)
    assert [jet for first, last in ranges for jet in range(first, last)] == list(range(len(counts)))
    for first, last in ranges:
        longest = ordered.multiplicities[first:last].max()
        assert (last - first) * longest <= budget or last - first == 1


@given(lengths)
def test_sorting_by_length_can_be_undone_and_keeps_equal_jets_in_order(counts):
    batch = batch_of(counts)
    ordered, order = sort_by_length(batch)
    assert (np.diff(ordered.multiplicities) <= 0).all()
    same = np.diff(ordered.multiplicities) == 0
    assert (np.diff(order)[same] > 0).all()
    back = ordered.take(np.argsort(order))
    assert np.array_equal(back.features, batch.features)
    assert np.array_equal(back.offsets, batch.offsets)


@given(lengths.filter(bool), st.data())
def test_a_range_of_jets_equals_the_same_jets_taken_one_by_one(counts, data):
    batch = batch_of(counts)
    first = data.draw(st.integers(0, len(counts)))
    last = data.draw(st.integers(first, len(counts)))
    view, taken = between(batch, first, last), batch.take(np.arange(first, last))
    for name in ("features", "p4", "offsets", "jet_features"):
        assert np.array_equal(getattr(view, name), getattr(taken, name))
