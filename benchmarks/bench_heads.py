"""Heads on frozen embeddings: what each costs."""

import time
from functools import partial

import numpy as np
import pytest

from jetassay.embeddings.threads import one_thread_per_operator
from jetassay.tasks.few_shot import few_shot
from jetassay.tasks.knn import knn
from jetassay.tasks.mlp_probe import mlp_probe
from jetassay.tasks.multiclass import multiclass
from jetassay.tasks.samples import JetKeys, Sample, Splits

WIDTH = 128
CLASSES = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
PER_CLASS = {"train": 1000, "validation": 500, "test": 1000}


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
