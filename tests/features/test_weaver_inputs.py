"""The same inputs as weaver computes from the published data configurations on the same real jets, to 1e-6."""

import numpy as np
import pytest

from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.containers import Jets
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS

LARGEST = 1e-6
LENGTH = 128

CASES = [
    ("jetclass_mixed_dev.root", "jetclass", "JetClass_kin.yaml", "part-kin"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClass_kin.yaml", "part-kin"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClass_kinpid.yaml", "part-kinpid"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClass_full.yaml", "part-full"),
    ("jetclass2_dev.parquet", "jetclass2", "JetClassII_full.yaml", "sophon"),
    ("jetclass2_vectors.root", "jetclass2", "JetClass_full.yaml", "part-full"),
    ("jetclass2_vectors.root", "jetclass2", "JetClassII_full.yaml", "sophon"),
]


def read_with_us(path, schema, needs):
    chunks = list(read_chunks(path, schema=SCHEMAS[schema], needs=needs, max_constituents=LENGTH))
    assert len(chunks) == 1
    return chunks[0].jets


def weaver_inputs(configuration, *, path=None, table=None):
    """weaver's features (J, F, 128) and vectors (J, 4, 128) of every jet; no jet is selected away."""
    import awkward as ak
    from weaver.utils.data.config import DataConfig
    from weaver.utils.data.fileio import _read_files
    from weaver.utils.dataset import _preprocess

    config = DataConfig.load(str(configuration), load_observers=False, load_reweight_info=False)
    if table is None:
        labels = {name for name in config.test_load_branches if name.startswith("label_")}
        table = _read_files([str(path)], config.test_load_branches - labels)
        for name in labels:
            table = ak.with_field(table, np.ones(len(table)), name)
    config.selection = config.test_time_selection = None
    options = {"training": False, "mode": "test", "reweight": False, "shuffle": False}
    output, _ = _preprocess(table, config, options)
    return output["_pf_features"], output["_pf_vectors"]


def largest_difference(table, rows, multiplicities):
    mask = np.arange(LENGTH) < multiplicities[:, None]
    return np.abs(table.transpose(0, 2, 1)[mask] - rows).max()


@pytest.mark.parametrize(("file", "schema", "configuration", "name"), CASES)
def test_inputs_equal_those_of_weaver(file, schema, configuration, name, real_data):
    path = real_data / file
    features, vectors = weaver_inputs(real_data / "weaver_configs" / configuration, path=path)
    batch = compute_inputs(FEATURE_SETS[name], read_with_us(path, schema, FEATURE_SETS[name].needs))
    assert len(batch) == len(features)
    assert largest_difference(features, batch.features, batch.multiplicities) <= LARGEST
    assert largest_difference(vectors, batch.p4, batch.multiplicities) <= LARGEST


@pytest.fixture
def tops(real_data):
    """Real tops with the columns behind all 17 inputs, brought back from the stored inputs; and those, clipped."""
    stored = np.load(real_data / "jetclass_top_dev.npz")
    mask = stored["mask"][:, 0] > 0
    raw = stored["features"].transpose(0, 2, 1)[mask].astype(float)
    px, py, pz, energy = stored["vectors"].transpose(0, 2, 1)[mask].astype(float).T
    multiplicities = mask.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(multiplicities)])
    displacement = np.arctanh(np.clip(raw[:, [11, 13]], -1 + 1e-16, 1 - 1e-16))
    constituents = {
        "part_px": px, "part_py": py, "part_pz": pz, "part_energy": energy, "part_charge": raw[:, 5],
        "part_isChargedHadron": raw[:, 6], "part_isNeutralHadron": raw[:, 7], "part_isPhoton": raw[:, 8],
        "part_isElectron": raw[:, 9], "part_isMuon": raw[:, 10], "part_d0val": displacement[:, 0],
        "part_d0err": raw[:, 12], "part_dzval": displacement[:, 1], "part_dzerr": raw[:, 14],
        "part_deta": raw[:, 15], "part_dphi": raw[:, 16],
    }  # fmt: skip
    columns = {
        "jet_pt": (np.hypot(px, py) / np.exp(raw[:, 2] / 0.7 - 4.7))[offsets[:-1]],
        "jet_energy": (energy / np.exp(raw[:, 3] / 0.7 - 4.7))[offsets[:-1]],
    }
    jets = Jets(
        {name: values.astype(np.float32) for name, values in constituents.items()},
        offsets,
        {name: values.astype(np.float32) for name, values in columns.items()},
    )
    clipped = raw.copy()
    clipped[:, :5] = np.clip(raw[:, :5], -5, 5)
    return jets, clipped


def test_full_inputs_of_real_tops_equal_the_stored_ones_after_clipping(tops):
    jets, stored = tops
    found = compute_inputs(FEATURE_SETS["part-full"], jets).features
    assert (np.abs(stored).max(axis=0)[:5] == 5).any()
    assert np.abs(found - stored).max() <= LARGEST


def test_full_inputs_of_real_tops_equal_those_of_weaver(tops, real_data):
    import awkward as ak

    jets, _ = tops
    table = ak.Array(
        {name: ak.unflatten(values, jets.multiplicities) for name, values in jets.constituents.items()}
        | dict(jets.columns)
        | {f"label_{name}": np.ones(len(jets)) for name in SCHEMAS["jetclass"].label_names}
    )
    features, vectors = weaver_inputs(real_data / "weaver_configs" / "JetClass_full.yaml", table=table)
    batch = compute_inputs(FEATURE_SETS["part-full"], jets)
    assert largest_difference(features, batch.features, batch.multiplicities) <= LARGEST
    assert largest_difference(vectors, batch.p4, batch.multiplicities) <= LARGEST
