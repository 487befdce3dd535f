"""Doubles of the files that other publishers made: arrays whose columns are partly observed and partly truth."""

import h5py
import numpy as np
import pandas as pd
import pytest
from constructed_backbones import Clean
from jet_files import CLASSES, audited_jets, made_columns, subject_of

from jetassay.audit.audit import run_check
from jetassay.jets.catalogue import find_dataset_card

PLACES = 40
NEEDS = Clean().feature_set.needs


def padded(name, jets, *, seed):
    """p4 (J, 4, C), zeros in unused places, and (J, C) used ones."""
    lists, counts, _ = made_columns(name, jets, seed=seed)
    used = np.arange(PLACES) < counts[:, None]
    p4 = np.zeros((4, jets, PLACES))
    for place, column in enumerate(("part_px", "part_py", "part_pz", "part_energy")):
        p4[place][used] = lists[column]
    return p4, used


def mixed(jets, seed):
    """Both classes in one file: p4, used and labels (J,)."""
    parts = [padded(name, jets // 2, seed=seed) for name in CLASSES]
    order = np.random.default_rng(seed).permutation(jets)
    p4 = np.concatenate([part[0] for part in parts], axis=1)[:, order]
    return p4, np.concatenate([part[1] for part in parts])[order], np.repeat([0, 1], jets // 2)[order]


def quarkgluon(path, p4, used, labels):
    pt = np.hypot(p4[0], p4[1])
    eta, phi = np.arcsinh(p4[2] / np.where(used, pt, 1)), np.arctan2(p4[1], p4[0])
    table = np.stack([np.where(used, each, 0) for each in (pt, eta, phi, np.full(used.shape, 211))], axis=2)
    np.savez(path.with_suffix(".npz"), X=table, y=labels.astype(np.float64))
    return path.with_suffix(".npz")


def hls4ml(path, p4, used, labels):
    names = [*(f"j1_{each}" for each in ("px", "py", "pz", "e")), "j1_ptrel"]
    of_jets = ["j_mass_mmdt", "j_tau1_b1", "j_tau2_b1", "j_tau3_b1", "j_g", "j_q", "j_w", "j_z", "j_t", "j_undef"]
    rng = np.random.default_rng(1)
    columns = rng.uniform(1, 2, (len(labels), len(of_jets)))
    columns[:, 4:9] = np.stack([labels == 0, labels == 1, *[labels < 0] * 3], axis=1)
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["jetConstituentList"] = np.concatenate([p4.transpose(1, 2, 0), rng.random((*used.shape, 1))], axis=2)
        file["jets"] = columns
        file["particleFeatureNames"] = np.array(names, dtype="S20")
        file["jetFeatureNames"] = np.array(of_jets, dtype="S20")
    return path.with_suffix(".h5")


def toplandscape(path, p4, used, labels):
    pytest.importorskip("tables", reason="pandas writes HDF5 with PyTables")
    names = ("PX", "PY", "PZ", "E")
    columns = {f"{name}_{k}": p4[place][:, k] for k in range(PLACES) for place, name in enumerate(names)}
    frame = pd.DataFrame({**columns, "truthE": np.random.default_rng(0).random(len(labels)), "is_signal_new": labels})
    frame.astype(dict.fromkeys(columns, np.float32)).to_hdf(path.with_suffix(".h5"), key="table", format="table")
    return path.with_suffix(".h5")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("write", "hidden"),
    [
        (quarkgluon, {"y"}),
        (hls4ml, {*(f"jets[j_{each}]" for each in "gqwzt"), "jets[j_undef]", "jetConstituentList[j1_ptrel]"}),
        (toplandscape, {"is_signal_new", "truthE", "index"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_published_files_are_doubled_with_their_truth_shuffled_and_nothing_else(tmp_path, write, hidden):
    paths = [write(tmp_path / f"jets_{number:03d}", *mixed(60, number)) for number in range(3)]
    jets = audited_jets(paths, schema=find_dataset_card(write.__name__).make_schema())
    one = jets.of(needs=NEEDS, max_constituents=128)
    double, copy = jets.double(needs=NEEDS, max_constituents=128)
    assert set(copy.columns) == hidden
    assert (one.truth.labels != double.truth.labels).mean() > 0.2
    for name, values in {**one.jets.constituents, **one.jets.columns}.items():
        np.testing.assert_array_equal({**double.jets.constituents, **double.jets.columns}[name], values)
    (row,) = run_check("taint", subject_of(Clean(), jets))
    assert row.status == "pass"
