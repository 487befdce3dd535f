"""Heads on frozen embeddings: what each costs, and the linear probe on a million training jets."""

import time
import tracemalloc
from functools import partial

import numpy as np
import pytest

from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.tasks.few_shot import few_shot
from jetassay.tasks.knn import knn
from jetassay.tasks.mlp_probe import mlp_probe
from jetassay.tasks.multiclass import multiclass
from jetassay.tasks.probe import fit_probe
from jetassay.tasks.samples import JetKeys, Sample, Splits

WIDTH = 128
CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
PER_CLASS = {"train": 1000, "validation": 500, "test": 1000}
BASE, COPIES = 10_000, 100
NOISE = 0.05  # of a dimension's spread: copies are near each other, and none is equal
MIB = 1 << 20


def sample(seed, jets, *, names=CLASSES):
    """Classes shifted by half a standard deviation each way, with spreads three orders of magnitude apart."""
    labels = np.arange(jets) % len(names)
    scales = np.logspace(-3, 0, WIDTH)
    mixing = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)) * scales[:, None]
    shifts = 0.5 * np.random.default_rng(1).normal(size=(len(names), WIDTH))
    latent = np.random.default_rng(seed).normal(size=(jets, WIDTH)) + shifts[labels]
    keys = JetKeys((f"{seed:064d}",), np.zeros(jets, np.int64), np.arange(jets))
    return Sample((latent @ mixing).astype(np.float32), labels, names, keys)


@pytest.fixture(scope="module")
def splits():
    """As the default suite has them."""
    return Splits(
        **{name: sample(seed, len(CLASSES) * jets) for seed, (name, jets) in enumerate(PER_CLASS.items(), start=2)}
    )


@pytest.fixture
def once(benchmark):
    """Time one call on one thread, for what takes seconds, and note its time on the processor; gives its result."""

    def time_it(run, **about):
        with one_thread_per_operator():
            began = time.process_time()
            result = benchmark.pedantic(run, rounds=1)
            benchmark.extra_info.update(threads=1, cpu_s=time.process_time() - began, **about)
        return result

    return time_it


@pytest.mark.parametrize("task", [knn, mlp_probe], ids=["knn", "mlp-probe"])
def bench_head(measure, splits, task):
    jets = 2 * sum(PER_CLASS.values())
    note = f"one signal against QCD, {WIDTH}-d, with intervals"
    measure(partial(task, splits, backbone="made-up", signals=["Hbb"]), jets=jets, note=note)


def bench_multiclass(once, splits):
    jets = len(CLASSES) * sum(PER_CLASS.values())
    once(partial(multiclass, splits, backbone="made-up"), jets=jets, note=f"ten classes, {WIDTH}-d, eight penalties")


def bench_few_shot(once, splits):
    jets = 2 * sum(PER_CLASS.values())
    run = partial(few_shot, {"made-up": splits}, signals=["Hbb"])
    once(run, jets=jets, note=f"one signal, {WIDTH}-d, ten draws of 10 to 500, and all")


def bench_probe_of_a_million_jets(once, benchmark):
    """Embeddings of `BASE` jets, `COPIES` times with noise: the grid of penalties on 10^6 jets, in memory."""
    base, validation = (sample(seed, BASE, names=CLASSES[:2]) for seed in (5, 6))
    jets = BASE * COPIES
    embedding = np.tile(base.embedding, (COPIES, 1))
    spread, stream = NOISE * base.embedding.std(axis=0), np.random.default_rng(7)
    for copy in range(COPIES):
        noise = stream.standard_normal((BASE, WIDTH), dtype=np.float32)
        embedding[copy * BASE : (copy + 1) * BASE] += noise * spread
    keys = JetKeys(("0" * 64,), np.zeros(jets, np.int64), np.arange(jets))
    train = Sample(embedding, np.tile(base.labels, COPIES), base.names, keys)
    tracemalloc.start()
    fitted = once(partial(fit_probe, train, validation, signal="Hbb"), jets=jets)
    memory_mib = tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    assert fitted.n_train == jets
    own = embedding.nbytes / MIB
    note = f"one signal against QCD, {WIDTH}-d, eight penalties; {memory_mib:.0f} MiB beside the embeddings' {own:.0f}"
    benchmark.extra_info.update(memory_mib=memory_mib, note=note)
