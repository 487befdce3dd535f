from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jetassay.errors import DataError
from jetassay.jets.containers import Chunk, Jets, Origin, Truth, ragged_rows
from jetassay.jets.ordering import by_falling_pt, hardest

lengths = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def jets_of(counts):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.arange(offsets[-1], dtype=np.float32)
    return Jets({"part_px": rows, "part_py": -rows}, offsets, {"jet_pt": np.arange(len(counts), dtype=np.float32)})


def as_lists(jets):
    rows = np.split(jets.constituents["part_px"], jets.offsets[1:-1])
    return [(row.tolist(), pt) for row, pt in zip(rows, jets.columns["jet_pt"].tolist(), strict=True)]


@given(lengths, st.data())
def test_taking_jets_gathers_whole_jets_in_the_order_asked_for(counts, data):
    jets = jets_of(counts)
    order = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=20))
    taken = jets.take(np.array(order, dtype=np.int64))
    original = as_lists(jets)
    assert len(taken) == len(order)
    if order:
        assert as_lists(taken) == [original[j] for j in order]
        np.testing.assert_array_equal(taken.multiplicities, np.array(counts)[order])


@given(lengths, st.data())
def test_taking_twice_is_taking_the_composition(counts, data):
    jets = jets_of(counts)
    first = np.array(data.draw(st.permutations(range(len(counts)))), dtype=np.int64)
    second = np.array(data.draw(st.permutations(range(len(counts)))), dtype=np.int64)
    assert as_lists(jets.take(first).take(second)) == as_lists(jets.take(first[second]))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.data())
def test_ragged_rows_are_the_rows_of_each_list_in_turn_empty_ones_too(counts, data):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    order = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=20))
    rows, new_offsets = ragged_rows(offsets, np.array(order, dtype=np.int64))
    assert rows.tolist() == [row for j in order for row in range(offsets[j], offsets[j + 1])]
    assert new_offsets.tolist() == np.concatenate([[0], np.cumsum([counts[j] for j in order])]).tolist()


@given(lengths, st.data())
def test_sorting_puts_each_jet_by_falling_pt_and_leaves_sorted_jets_alone(counts, data):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    pt = np.array(data.draw(st.lists(st.integers(1, 5), min_size=sum(counts), max_size=sum(counts))), np.float32)
    expected = [
        row
        for low, high in pairwise(offsets)
        for row in sorted(range(low, high), key=lambda row: -pt[row])  # stable, as ours must be
    ]
    rows = by_falling_pt(pt, np.zeros_like(pt), offsets)
    assert (list(range(len(pt))) if rows is None else rows.tolist()) == expected
    assert (rows is None) == (expected == list(range(len(pt))))


def test_rounding_in_px_and_py_does_not_reorder_a_jet():
    pt = np.array([50.0, 20.0, 20.0001, 3.0], np.float32)
    assert by_falling_pt(pt, np.zeros_like(pt), np.array([0, 4])) is None


@given(lengths, st.integers(1, 7))
def test_cutting_keeps_the_first_constituents_of_each_jet(counts, most):
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    cut = hardest(offsets, most)
    if max(counts) <= most:
        assert cut is None
        return
    rows, new_offsets = cut
    assert rows.tolist() == [low + k for low, n in zip(offsets, counts, strict=False) for k in range(min(n, most))]
    assert np.diff(new_offsets).tolist() == [min(n, most) for n in counts]


@pytest.mark.parametrize(
    ("offsets", "columns", "what"),
    [
        ([0, 2, 2, 4], [0, 0, 0], "jet 1 has no constituents"),
        ([1, 4], [0], "starting at 0"),
        ([0, 3], [0], r"expected float32 \(3,\)"),
        ([0, 4], [0, 0], r"jet_pt: expected float32 \(1,\)"),
    ],
)
def test_jets_whose_shapes_disagree_cannot_be_made(offsets, columns, what):
    with pytest.raises(DataError, match=what):
        Jets({"part_px": np.zeros(4, np.float32)}, np.array(offsets), {"jet_pt": np.array(columns, np.float32)})


def test_columns_of_jets_cannot_be_replaced():
    jets = jets_of([1, 2])
    with pytest.raises(TypeError):
        jets.columns["label_QCD"] = np.zeros(2, np.float32)


def test_a_chunk_that_lost_a_jet_without_a_rule_cannot_be_made():
    jets = jets_of([1, 2])
    truth, origin = Truth(np.zeros(2, np.int64), ("QCD",), {}), Origin("a.root", np.arange(2))
    Chunk(jets, truth, origin, 3, {"non_finite": 1}, 0, 0)
    with pytest.raises(DataError, match=r"a.root: 4 entries became 2 jets, 2 labels and 1 dropped"):
        Chunk(jets, truth, origin, 4, {"non_finite": 1}, 0, 0)


def test_truth_is_taken_together_with_its_columns():
    truth = Truth(np.array([0, 1, 1]), ("QCD", "Hbb"), {"aux_genpart_pt": np.array([5.0, 6.0, 7.0])})
    taken = truth.take(np.array([2, 0]))
    assert taken.labels.tolist() == [1, 0]
    assert taken.columns["aux_genpart_pt"].tolist() == [7.0, 5.0]
