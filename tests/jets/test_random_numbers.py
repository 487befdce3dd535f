import numpy as np
import pytest
from scipy import stats

from jetassay.jets.random_numbers import philox, uniform_of_constituents

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, expected):
    counters = np.array(counter, np.uint64)[:, None]
    assert philox(counters, np.array(key, np.uint64))[:, 0].tolist() == expected


def numbers(purpose="a", entries=range(2000), each=20):
    entries = np.array(entries, np.int64)
    offsets = np.arange(len(entries) + 1, dtype=np.int64) * each
    return uniform_of_constituents(purpose=purpose, entries=entries, offsets=offsets).reshape(len(entries), each)


def test_numbers_are_uniform_and_those_of_neighbours_unrelated():
    drawn = numbers()
    assert 0 < drawn.min() < drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 0.001
    for first, second in ((drawn[:, :-1], drawn[:, 1:]), (drawn[:-1], drawn[1:]), (drawn, numbers("b"))):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(first.size)


def test_a_number_belongs_to_its_entry_and_place_alone():
    drawn = numbers()
    order = np.random.default_rng(0).permutation(2000)[:77]
    assert np.array_equal(numbers(entries=order), drawn[order])
    assert np.array_equal(numbers(each=7), drawn[:, :7])


def test_entries_beyond_four_billion_have_numbers_of_their_own():
    assert not np.array_equal(numbers(entries=[5]), numbers(entries=[5 + (1 << 32)]))
