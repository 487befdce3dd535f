"""From a ROOT file to the inputs of ParT: ours, and weaver-core's loader with the same recipe."""

from pathlib import Path

import numpy as np
import torch
from benchmarks.conftest import table_of

from jetassay.errors import JetAssayError
from jetassay.features.batch import InputBatch
from jetassay.features.inputs import compute_inputs
from jetassay.features.sets import FEATURE_SETS
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter
from jetassay.simulation.writing import join, write
from jetassay.throughput import benchmark_files

REPEATS = 30  # of the simulated jets in the file, so that opening it does not count
BATCH = 512  # weaver's own for inference
TOLERANCE = 1e-6
PUBLISHED, LEAN = (Path(__file__).with_name(f"jetclass_full{name}.yaml") for name in ("", "_lean"))


def write_jets(path, *, repeats=None):
    """A ROOT file with the simulated jets of all classes over and over. Returns how many there are."""
    tables = [table_of(each) for each in benchmark_files(reporter=Reporter(quiet=True))]
    repeats = repeats or REPEATS
    write(path, join(tables * repeats), facts={})
    return repeats * sum(len(table) for table in tables)


def load_with_us(path):
    """Flat inputs of all jets, chunk by chunk, as extraction makes them."""
    features = FEATURE_SETS["part-full"]
    chunks = read_chunks(path, schema=SCHEMAS["jetclass"], needs=features.needs, max_constituents=128)
    return [compute_inputs(features, chunk.jets) for chunk in chunks]


def load_with_weaver(path, configuration):
    """Padded inputs in batches after a data configuration, as `weaver --predict` makes them in one process."""
    from weaver.utils.dataset import SimpleIterDataset

    dataset = SimpleIterDataset(
        {"_": [str(path)]}, str(configuration), for_training=False, fetch_by_files=True, fetch_step=1, async_load=False,
        name="test",
    )  # fmt: skip
    return [inputs for inputs, _, _ in torch.utils.data.DataLoader(dataset, batch_size=BATCH)]


def check_equal(path, configuration):
    """Raises `JetAssayError` where the inputs of a jet are not the same from both."""
    ours, theirs = InputBatch.join(load_with_us(path)), load_with_weaver(path, configuration)
    mask = torch.cat([each["pf_mask"] for each in theirs])[:, 0].numpy() > 0
    for name, found in (("pf_features", ours.features), ("pf_vectors", ours.p4)):
        expected = torch.cat([each[name] for each in theirs]).numpy().transpose(0, 2, 1)[mask]
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
            raise JetAssayError(
                f"{name} of the same jets differ between weaver's loader and ours by more than {TOLERANCE:.0e}; "
                "nothing was timed. Run tests/features/test_weaver_inputs.py, which says where"
            )
    print(f"reading: inputs of {len(ours)} jets equal weaver's to {TOLERANCE:.0e}", flush=True)
