"""Jets in a DataFrame are read, checked, sorted and cut as those of files are."""

import numpy as np
import pandas as pd
import pytest

from jetassay.errors import DataError
from jetassay.jets.frames import FrameSource
from jetassay.jets.reading import read_opened
from jetassay.jets.schema import CORE, SCHEMAS

NEEDS = (*CORE, "jet_pt")


def frame_of(*multiplicities, **changes):
    rng = np.random.default_rng(0)
    columns = {name: [np.sort(rng.uniform(1, 9, n))[::-1] for n in multiplicities] for name in CORE}
    columns["part_energy"] = [each + 50 for each in columns["part_energy"]]
    columns["jet_pt"] = np.arange(500.0, 500.0 + len(multiplicities))
    return pd.DataFrame({**columns, **changes})


def jets_of(frame, **options):
    (chunk,) = read_opened(FrameSource(frame), schema=SCHEMAS["jetclass"], needs=NEEDS, **options)
    return chunk.jets


def test_rows_become_jets_in_order_whatever_the_index():
    frame = frame_of(3, 1, 4)
    frame.index = [7, 7, 2]
    jets = jets_of(frame)
    assert list(jets.multiplicities) == [3, 1, 4]
    np.testing.assert_array_equal(jets.columns["jet_pt"], [500, 501, 502])
    np.testing.assert_allclose(jets.constituents["part_px"], np.concatenate(list(frame["part_px"])), rtol=1e-6)


def test_lists_of_whole_numbers_do_as_well_as_arrays():
    frame = frame_of(2)
    frame["part_px"] = [[40, 30]]
    np.testing.assert_array_equal(jets_of(frame).constituents["part_px"], [40, 30])


def test_constituents_are_put_by_falling_pt_and_cut():
    frame = frame_of(2)
    frame["part_px"], frame["part_py"] = [[3.0, 40.0]], [[0.0, 0.0]]
    np.testing.assert_array_equal(jets_of(frame).constituents["part_px"], [40, 3])
    np.testing.assert_array_equal(jets_of(frame, max_constituents=1).constituents["part_px"], [40])


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("part_px", [1.0], "part_py, entry 1: its list is not as long"),
        ("part_px", [1.0, np.nan], "part_px, entry 1: NaN or infinity"),
        ("part_px", [[1.0, 2.0]], "part_px, entry 1: one list a jet"),
        ("part_px", ["a", "b"], "part_px, entry 1: not a list of numbers"),
        ("part_px", None, "part_px, entry 1: one list a jet"),
        ("part_energy", [1.0, -1.0], "part_energy, entry 1: a constituent has energy <= 0"),
        ("jet_pt", 0.0, "jet_pt, entry 1: the value is not positive"),
    ],
)
def test_a_jet_that_cannot_be_used_is_named_by_column_and_row(column, cell, message):
    frame = frame_of(2, 2)
    frame[column] = [frame[column][0], cell]
    with pytest.raises(DataError, match=message):
        jets_of(frame)


def test_missing_columns_columns_of_another_kind_and_double_ones_are_named():
    frame = frame_of(2)
    with pytest.raises(DataError, match="part_pz"):
        jets_of(frame.drop(columns="part_pz"))
    with pytest.raises(DataError, match="part_px must hold a list"):
        jets_of(frame.assign(part_px="text"))
    with pytest.raises(DataError, match="jet_pt stands in it more than once"):
        FrameSource(pd.concat([frame, frame[["jet_pt"]]], axis=1))


def test_an_empty_frame_has_no_jets():
    assert FrameSource(frame_of(2)[:0]).n_entries == 0
