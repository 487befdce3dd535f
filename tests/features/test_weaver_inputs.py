"""The same inputs as weaver computes from the published data configurations on the same real jets, to 1e-6."""

import numpy as np
import pytest

from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
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


@pytest.mark.parametrize(("file", "schema", "configuration", "name"), CASES)
def test_inputs_equal_those_of_weaver(file, schema, configuration, name, real_data, weaver):
    path = real_data / file
    features, vectors = weaver.inputs(real_data / "weaver_configs" / configuration, path=path)
    batch = compute_inputs(FEATURE_SETS[name], read_with_us(path, schema, FEATURE_SETS[name].needs))
    assert len(batch) == len(features)
    assert weaver.largest_difference(features, batch.features, batch.multiplicities) <= LARGEST
    assert weaver.largest_difference(vectors, batch.p4, batch.multiplicities) <= LARGEST


def test_full_inputs_of_real_tops_equal_the_stored_ones_after_clipping(tops):
    jets, stored = tops
    found = compute_inputs(FEATURE_SETS["part-full"], jets).features
    assert (np.abs(stored).max(axis=0)[:5] == 5).any()
    assert np.abs(found - stored).max() <= LARGEST


def test_full_inputs_of_real_tops_equal_those_of_weaver(tops, real_data, weaver):
    jets, _ = tops
    features, vectors = weaver.inputs(real_data / "weaver_configs" / "JetClass_full.yaml", table=weaver.table(jets))
    batch = compute_inputs(FEATURE_SETS["part-full"], jets)
    assert weaver.largest_difference(features, batch.features, batch.multiplicities) <= LARGEST
    assert weaver.largest_difference(vectors, batch.p4, batch.multiplicities) <= LARGEST
