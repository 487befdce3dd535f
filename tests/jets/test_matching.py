import numpy as np
import pytest

from jetassay.jets.containers import Jets
from jetassay.jets.matching import match_jets


def jets_of(tracks):
    """Jets whose tracks have these numbers as impact parameters; 0 is a neutral constituent."""
    values = np.concatenate([np.asarray(each, np.float32) for each in tracks])
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in tracks])]).astype(np.int64)
    return Jets({"part_d0val": values, "part_dzval": values / 3}, offsets, {})


def pairs(first, second):
    return list(zip(*(rows.tolist() for rows in match_jets(jets_of(first), jets_of(second))), strict=True))


def test_jets_are_found_by_their_tracks_in_any_order():
    first = [[1, 2, 3, 0], [4, 5, 6], [7, 8, 9, 10]]
    assert pairs(first, [[0, 9, 8, 7], [3, 2, 1], [11, 12]]) == [(0, 1), (2, 0)]
    assert pairs(first, first) == [(0, 0), (1, 1), (2, 2)]


def test_a_track_that_changed_sides_makes_no_pair():
    assert pairs([[1, 2, 3, 4], [5, 6, 7]], [[1, 2, 3], [4, 5, 6, 7]]) == [(0, 0), (1, 1)]
    assert pairs([[1, 2, 3, 4]], [[1, 20, 30, 40]]) == []


def test_each_jet_is_in_one_pair_at_most():
    assert pairs([[1, 2, 3, 4, 5]], [[1, 2, 3], [4, 5]]) == [(0, 0)]


def test_a_jet_that_was_split_into_equal_parts_is_neither_of_them():
    assert pairs([[1, 2, 3, 4, 5, 6]], [[1, 2, 3], [4, 5, 6]]) == []
    assert pairs([[1, 2], [3, 4], [7, 8]], [[1, 2, 3, 4], [7, 8]]) == [(2, 1)]


def test_a_measurement_that_occurs_twice_says_nothing():
    assert pairs([[1, 1, 1], [2, 3]], [[1, 4], [2, 3]]) == [(1, 1)]


def test_jets_without_tracks_are_not_found():
    assert pairs([[0, 0], [1]], [[0, 0], [2]]) == []


@pytest.mark.slow
def test_the_two_modes_of_the_simulation_have_the_same_jets(tmp_path):
    from jetassay.jets.reading import read_chunks
    from jetassay.jets.schema import SCHEMAS
    from jetassay.simulation.recipe import Recipe
    from jetassay.simulation.sample import simulate

    found = []
    for mode in ("delphes", "ideal"):
        recipe = Recipe(classes=("Tbqq",), jets=60, files=1, seed=4242, mode=mode)
        (path,) = simulate(recipe, output=tmp_path / mode, workers=1)
        (chunk,) = read_chunks(path, schema=SCHEMAS["jetclass"], max_constituents=1000)
        found.append(chunk.jets)
    first, second = match_jets(*found)
    assert len(first) > 45
    assert (np.diff(second) > 0).all()
    for name, most in (("jet_eta", 0.1), ("jet_phi", 0.1)):
        turn = found[0].columns[name][first] - found[1].columns[name][second]
        assert np.abs((turn + np.pi) % (2 * np.pi) - np.pi).max() < most
