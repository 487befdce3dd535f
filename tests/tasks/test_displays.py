"""The jets that are shown are those that they are said to be, and constituents stand where they were."""

import numpy as np
import pandas as pd
import pytest

from jetassay.tasks.displays import WHY, constituents_table, extreme_jets, extremes_table


def test_the_surest_and_the_most_wrong_jets_are_found():
    logits = np.array([3.0, -2.0, 9.0, -7.0, 0.5, 4.0, 99.0], np.float32)
    signal = np.array([True, True, True, False, False, False, False])
    background = np.array([False, False, False, True, True, True, False])  # the last is of neither
    assert [row for _, row in extreme_jets(logits, signal, background)] == [2, 3, 4, 1, 5]


@pytest.mark.parametrize("rows", [8, 4, 3, 1])
def test_each_backbone_and_signal_gets_its_own_five_jets_however_the_table_is_cut(rows):
    logits = pd.DataFrame(
        {
            "backbone": ["a"] * 4 + ["b"] * 4,
            "jet": np.array([0, 1, 2, 3] * 2, np.int32),
            "Hbb": np.array([5, 1, -1, -4, -5, 1, 1, 4], np.float32),
            "Hcc": np.array([1, 1, 1, 1, np.nan, np.nan, np.nan, np.nan], np.float32),
        }
    )
    blocks = (logits.iloc[start : start + rows] for start in range(0, 8, rows))
    table = extremes_table(blocks, np.array([1, 1, 0, 2]), names=("QCD", "Hbb", "Hcc"), background="QCD")
    found = {key: rows["jet"].tolist() for key, rows in table.groupby(["backbone", "signal"])}
    assert found["a", "Hbb"] == [0, 2, 1, 1, 2]
    assert found["b", "Hbb"] == [1, 2, 1, 0, 2]
    assert ("b", "Hcc") not in found
    assert table["why"].tolist() == list(WHY) * 3


def test_constituents_stand_around_the_axis_of_their_sum():
    pt, eta, phi = np.array([100.0, 50.0, 10.0]), np.array([1.0, 1.0, -2.0]), np.array([3.1, -3.1, 0.5])
    parts = {
        "part_px": pt * np.cos(phi), "part_py": pt * np.sin(phi), "part_pz": pt * np.sinh(eta),
        "part_energy": pt * np.cosh(eta),
        "part_isPhoton": np.array([0, 1, 0]), "part_isMuon": np.array([1, 0, 0]),
        "part_charge": np.array([-1, 0, 1]), "part_d0val": np.array([-0.3, 9.0, 1.0]),
        "part_d0err": np.array([0.1, 1.0, 0.0]),
    }  # fmt: skip
    constituents = {name: np.asarray(each, np.float32) for name, each in parts.items()}
    table = constituents_table(constituents, np.array([0, 2, 3]), [7, 4])
    assert table["jet"].tolist() == [7, 7, 4]
    assert table["pt"].tolist() == pytest.approx([100, 50, 10], rel=1e-5)
    assert table["dphi"].iloc[1] - table["dphi"].iloc[0] == pytest.approx(2 * np.pi - 6.2, abs=1e-4)
    assert (table["dphi"].iloc[:2] * [100, 50]).sum() == pytest.approx(0, abs=0.1)
    assert table.loc[2, ["deta", "dphi"]].abs().max() < 1e-5
    assert table["kind"].tolist() == [5, 3, 0]
    assert table["significance"].iloc[0] == pytest.approx(3)
    assert table["significance"].iloc[1:].isna().all()  # neutral; a track without a measured uncertainty
