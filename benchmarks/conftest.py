"""The jets that everything is timed on, the one place that takes time, and what the JSON says beside the timings."""

import os
import time
from functools import partial

import numpy as np
import pytest
import uproot

from jetassay.embeddings.threads import one_thread_per_operator, usable_cores
from jetassay.jets.reading import read_chunks
from jetassay.jets.schema import SCHEMAS
from jetassay.progress import Reporter
from jetassay.simulation.writing import AUX_PREFIX, PART_PREFIX, TREE, JetTable, join, write
from jetassay.throughput import JETS_PER_CLASS, benchmark_files, measurable_cards
from jetassay.tracking.provenance import git_facts

REPEATS = 10  # a file of the simulated jets over and over, long enough that opening it does not count
BUDGET_S = 1.0  # of the rounds of one benchmark
ROUND_S = 0.02  # what takes less is done more than once a round
FEWEST_ROUNDS, MOST_ROUNDS = 3, 30
WARM_UP_ROUNDS = 2  # the last of them says how many rounds fit


@pytest.fixture(scope="session")
def jets_file(tmp_path_factory):
    """A ROOT file with the simulated jets of all classes, `REPEATS` times: entries 0:`all_jets` are each jet once."""
    paths = benchmark_files(reporter=Reporter(quiet=True))
    path = tmp_path_factory.mktemp("jets") / "repeated_000.root"
    write(path, join([table_of(each) for each in paths] * REPEATS), facts={})
    return path


@pytest.fixture(scope="session")
def read(jets_file):
    """Read that file, as `read_chunks` does."""
    return partial(read_chunks, jets_file, schema=SCHEMAS["jetclass"])


@pytest.fixture(scope="session")
def all_jets():
    """How many different jets there are."""
    from jetassay.jets.classes import CLASS_NAMES

    return JETS_PER_CLASS * len(CLASS_NAMES)


def table_of(path):
    """The columns of a simulated file."""
    with uproot.open(path) as file:
        arrays = file[TREE].arrays(library="np")
    counts = arrays.pop(f"n{PART_PREFIX.rstrip('_')}").astype(np.int64)
    ragged = {name.removeprefix(PART_PREFIX): name for name in arrays if name.startswith(PART_PREFIX)}
    columns = {short: np.concatenate(arrays.pop(name)) for short, name in ragged.items()}
    flat = {name: values for name, values in arrays.items() if not name.startswith(AUX_PREFIX)}
    return JetTable(flat, {PART_PREFIX: (counts, columns)})


@pytest.fixture
def measure(benchmark):
    """Time a function that works on `jets` jets, on one thread, and note what it is of; see `jetassay.throughput`."""

    def time_it(run, *, jets, **about):
        benchmark.extra_info.update(jets=jets, threads=1, **about)
        with one_thread_per_operator():
            for _ in range(WARM_UP_ROUNDS):
                began = time.perf_counter()
                run()
                once = time.perf_counter() - began
            iterations = max(1, int(ROUND_S / once))
            rounds = min(max(int(BUDGET_S / (iterations * once)), FEWEST_ROUNDS), MOST_ROUNDS)
            benchmark.pedantic(run, rounds=rounds, iterations=iterations)

    return time_it


LOAD_BEFORE = pytest.StashKey[float]()
FAILED = pytest.StashKey[dict[str, str]]()
CARDS = pytest.StashKey[tuple]()


def pytest_configure(config):
    config.stash[LOAD_BEFORE] = os.getloadavg()[0]
    config.stash[FAILED] = {}
    config.stash[CARDS] = measurable_cards()


def pytest_generate_tests(metafunc):
    if "backbone" in metafunc.fixturenames:
        cards, _ = metafunc.config.stash[CARDS]
        metafunc.parametrize("backbone", cards.values(), ids=cards.keys(), indirect=True, scope="module")


def pytest_exception_interact(node, call):
    node.config.stash[FAILED][node.name] = f"{call.excinfo.typename}: {call.excinfo.value}"


def pytest_benchmark_update_machine_info(config, machine_info):
    import torch

    del machine_info["node"]  # a host's name is nobody's business
    machine_info.update(
        torch=str(torch.__version__),
        numpy=np.__version__,
        usable_cores=usable_cores(),
        threads=1,
        load_before=config.stash[LOAD_BEFORE],
        load_after=os.getloadavg()[0],
    )


def pytest_benchmark_update_commit_info(commit_info):
    facts = git_facts()
    commit_info.clear()
    commit_info.update(id=facts["commit"], dirty=facts["dirty"], note=facts["note"])


def pytest_benchmark_update_json(config, output_json):
    for each in output_json["benchmarks"]:
        each["extra_info"]["jets_per_s"] = each["extra_info"]["jets"] / each["stats"]["median"]
    output_json["skipped"] = config.stash[CARDS][1]
    output_json["failed"] = config.stash[FAILED]
