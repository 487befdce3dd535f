"""Probes and similarity on a million jets, and the probe's grid beside scikit-learn's solvers on fewer."""

import os
import time
import tracemalloc
import warnings

import numpy as np
import pytest

from bench_heads import CLASSES, WIDTH, sample
from jetassay.embeddings.threads import one_thread_per_operator, usable_cores
from jetassay.metrics.cka import CHUNK, CrossSums
from jetassay.tasks.logistic_grid import fit_grids
from jetassay.tasks.passes import Labels
from jetassay.tasks.probe import PENALTIES

BASE, COPIES = 10_000, 100
NOISE = 0.05  # of a dimension's spread: copies are near each other, and none is equal
BESIDE = 20_000  # jets of one signal and the background together, beside scikit-learn
PENALTIES_BESIDE = PENALTIES[::2]
SOLVERS = {"newton-cholesky": 100, "lbfgs": 20_000}  # of scikit-learn, and the iterations it may take
MIB = 1 << 20
BACKGROUND, SIGNALS = 0, tuple(range(1, len(CLASSES)))


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    """`BASE` embeddings `COPIES` times with noise, mapped into memory from a file, with their labels."""
    base, stream = sample(5, BASE), np.random.default_rng(7)
    spread = (NOISE * base.embedding.std(axis=0)).astype(np.float32)
    path = tmp_path_factory.mktemp("million") / "embeddings.npy"
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(BASE * COPIES, WIDTH))
    for copy in range(COPIES):
        noise = stream.standard_normal((BASE, WIDTH), dtype=np.float32)
        table[copy * BASE : (copy + 1) * BASE] = base.embedding + noise * spread
    table.flush()
    return Labels(np.load(path, mmap_mode="r", allow_pickle=False), np.tile(base.labels, COPIES))


def timed(run):
    """What `run` gives, and its CPU seconds of all threads."""
    began = time.process_time()
    found = run()
    return found, time.process_time() - began


def bench_nine_probes_of_a_million_jets(benchmark, million):
    run = lambda: fit_grids(million, signals=SIGNALS, background=BACKGROUND, penalties=PENALTIES)  # noqa: E731
    grids, cpu_s = benchmark.pedantic(lambda: timed(run), rounds=1)
    tracemalloc.start()
    fit_grids(million, signals=SIGNALS[:1], background=BACKGROUND, penalties=PENALTIES[:1])
    memory_mib = tracemalloc.get_traced_memory()[1] / MIB
    tracemalloc.stop()
    left = max(fit.gradient_norm for grid in grids.values() for fit in grid.fits)
    passes = max(grid.passes for grid in grids.values())
    note = f"nine signals by eight penalties, {WIDTH}-d, {passes} passes to a gradient of {left:.0e}; {cpu_s:.0f} CPU s"
    benchmark.extra_info.update(
        jets=len(million), threads=usable_cores(), cpu_s=cpu_s, memory_mib=memory_mib, passes=passes, note=note
    )


def bench_cka_of_a_million_jets(benchmark, million):
    turned = million.embedding[:, ::-1]

    def run():
        sums = CrossSums({"first": WIDTH, "second": WIDTH})
        for start in range(0, len(million), CHUNK):
            chunk = slice(start, start + CHUNK)
            sums.add({"first": million.embedding[chunk], "second": turned[chunk]})
        return sums.cka("first", "second")

    with one_thread_per_operator():
        _, cpu_s = benchmark.pedantic(lambda: timed(run), rounds=1)
    note = f"one pair of embeddings, {WIDTH}-d, one pass with jackknife blocks; {cpu_s:.1f} CPU s"
    benchmark.extra_info.update(jets=len(million), threads=1, cpu_s=cpu_s, note=note)


def bench_probe_beside_scikit_learn(benchmark):
    """Four penalties each; ours and each solver's gradient is the largest component of the same objective's."""
    base = sample(6, BESIDE, names=CLASSES[:2])
    train = Labels(base.embedding, base.labels)
    with one_thread_per_operator():
        run = lambda: fit_grids(train, signals=(1,), background=0, penalties=PENALTIES_BESIDE)  # noqa: E731
        run()
        (found, cpu_s) = benchmark.pedantic(lambda: timed(run), rounds=1)
        grid = found[1]
        features = (base.embedding - grid.standardisation.mean) / grid.standardisation.scale
        others = {solver: of_scikit_learn(solver, features, base.labels == 1) for solver in SOLVERS}
    left = max(fit.gradient_norm for fit in grid.fits)
    said = [f"ours {cpu_s:.2f} CPU s to {left:.0e}"]
    said += [f"{name} {seconds / cpu_s:.1f} times that to {norm:.0e}" for name, (seconds, norm) in others.items()]
    ratios = {name: seconds / cpu_s for name, (seconds, _) in others.items()}
    note = f"one signal, {len(PENALTIES_BESIDE)} penalties, {WIDTH}-d: {', '.join(said)}; load {os.getloadavg()[0]:.1f}"
    benchmark.extra_info.update(jets=BESIDE, threads=1, cpu_s=cpu_s, ratios=ratios, note=note)


def of_scikit_learn(solver, features, is_signal):
    """CPU seconds of the grid, each fit from the one before, and the largest gradient that one of them left."""
    from sklearn.linear_model import LogisticRegression

    jets, began, left = len(features), time.process_time(), []
    model = LogisticRegression(class_weight="balanced", solver=solver, max_iter=SOLVERS[solver], warm_start=True)
    points = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged: the gradient says so below
        for penalty in PENALTIES_BESIDE:
            model.set_params(C=1 / (jets * penalty), tol=1e-8 if solver == "lbfgs" else 1e-7)
            model.fit(features, is_signal)
            points.append((penalty, model.coef_[0].copy(), model.intercept_[0]))
    seconds = time.process_time() - began
    weights = np.where(is_signal, 0.5 / is_signal.sum(), 0.5 / (~is_signal).sum())
    for penalty, coefficients, intercept in points:
        slope = weights * (1 / (1 + np.exp(-(features @ coefficients + intercept))) - is_signal)
        left.append(max(np.abs(slope @ features + penalty * coefficients).max(), abs(slope.sum())))
    return seconds, max(left)
