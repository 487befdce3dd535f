"""Units of work on processes: the same bits in any order; what cannot be used is set aside and costs no other."""

import asyncio
import random
import re
import signal
import sys
import urllib.request
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from distributed import Security, rpc
from distributed.comm.core import CommClosedError
from rich.console import Console

from jetassay.backbones import trust
from jetassay.backbones.card import Card
from jetassay.backbones.loading import load_backbone
from jetassay.backbones.trust import trusting
from jetassay.embeddings import aside, datasets
from jetassay.embeddings.aside import SetAsideError
from jetassay.embeddings.claims import Claims
from jetassay.embeddings.datasets import fill, plan_embedding
from jetassay.embeddings.scheduling import clusters, driver, launching
from jetassay.embeddings.scheduling.clusters import Cluster, own_device, scheduled
from jetassay.embeddings.scheduling.worker import device_of, forget_backbones, require_versions, versions
from jetassay.embeddings.store import EmbeddingStore
from jetassay.errors import ClusterError, ConfigError, DataError, TrustError
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter

QUIET = Reporter(quiet=True)
OWN = """
import torch

class Sums(torch.nn.Module):
    def forward(self, features, p4, mask):
        return features.masked_fill(~mask[..., None], 0).sum(dim=1), None

def build():
    return Sums()
"""


@pytest.fixture(scope="module")
def crew():
    """Two worker processes for all tests of the module."""
    cluster = Cluster("processes", workers=2, device="cpu", weights=None, reporter=QUIET)
    cluster.client()
    yield cluster
    cluster.close()


@pytest.fixture
def on_crew(crew, monkeypatch):
    """`fill` by the workers."""

    def run(plans):
        with monkeypatch.context() as patched:
            patched.setattr(datasets, "chosen_cluster", lambda: crew)
            return fill(plans)

    return run


@pytest.fixture
def planned(dataset, tmp_path, small):
    """The embeddings of the small dataset by some backbones, not filled."""

    def make(*backbones, of=dataset, store="store"):
        options = {"store": EmbeddingStore(tmp_path / store), "batching": small, "threads": 2}
        return [plan_embedding(each, of, **options) for each in backbones]

    return make


@pytest.fixture
def other_part(small_part):
    return load_backbone(small_part.card.model_copy(update={"name": "part-other", "seed": 2}))


def test_workers_give_the_bits_of_one_process_in_whatever_order_they_work(
    planned, on_crew, small_part, other_part, monkeypatch
):
    here = planned(small_part, other_part)
    assert fill(here) == [None, None]
    in_order = driver._by_range
    for seed in (1, 2):
        shuffle = random.Random(seed).sample
        monkeypatch.setattr(
            driver, "_by_range", lambda places, shuffle=shuffle: shuffle(ranges := in_order(places), len(ranges))
        )
        there = planned(small_part, other_part, store=f"workers-{seed}")
        assert on_crew(there) == [None, None]
        for one, other in zip(here, there, strict=True):
            found, expected = other.load(), one.load()
            assert np.array_equal(found.embedding, expected.embedding)
            assert np.array_equal(found.scores, expected.scores)
            assert np.array_equal(found.jets.columns["multiplicity"], expected.jets.columns["multiplicity"])
            assert found.counts == expected.counts


def test_workers_run_the_architecture_of_ones_own_that_the_user_lets_run_here(
    planned, on_crew, crew, tmp_path, monkeypatch
):
    (tmp_path / "own_sums.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    crew.client().run(_add_to_path, str(tmp_path))
    card = Card(
        name="own", title="Own", role="floor", architecture="own_sums:build", feature_set="part-kin", embedding_dim=7
    )
    with trusting(True):
        backbone = load_backbone(card)
    assert fill(here := planned(backbone)) == [None]
    assert on_crew(there := planned(backbone, store="workers")) == [None]
    assert np.array_equal(here[0].load().embedding, there[0].load().embedding)
    monkeypatch.setattr(driver, "trusted_files", frozenset)
    crew.client().run(_forget)
    with pytest.raises(TrustError, match=r"own: architecture 'own_sums:build' .*was not run"):
        on_crew(planned(backbone, store="without consent"))


def _add_to_path(folder):
    sys.path.insert(0, folder)


def _forget():
    trust._imported.clear()
    forget_backbones()


def test_what_the_store_has_starts_no_cluster_and_what_it_lacks_is_all_that_is_computed(
    planned, on_crew, small_part, monkeypatch
):
    (plan,) = planned(small_part)
    fill([plan])
    before = {unit: plan.store.path(unit).stat().st_mtime_ns for unit in plan.units}
    plan.store.path(plan.units[1]).unlink()
    on_crew([plan])
    after = {unit: plan.store.path(unit).stat().st_mtime_ns for unit in plan.units}
    assert [unit for unit in plan.units if before[unit] != after[unit]] == [plan.units[1]]
    monkeypatch.setattr(Cluster, "client", lambda _: pytest.fail("a cluster was started for nothing"))
    with scheduled("processes", workers=1, reporter=QUIET):
        fill([plan])


@pytest.fixture(params=["one process", "workers"])
def filled(request, on_crew):
    """`fill`, by either."""
    return fill if request.param == "one process" else on_crew


def test_tables_and_backbones_each_say_what_was_computed(planned, filled, small_part, other_part):
    said = StringIO()
    reporter = Reporter(console=Console(file=said, width=200))
    filled([replace(plan, reporter=reporter) for plan in planned(small_part, other_part)])
    lines = re.findall(r"(table of jets|part-\S+): (\d+ entries) computed in .* s, 0 of 4 shards", said.getvalue())
    assert lines == [(name, "137 entries") for name in ("table of jets", "part-small", "part-other")]


def test_what_another_run_is_at_comes_last_and_is_taken_where_it_is_there_by_then(
    planned, filled, small_part, monkeypatch
):
    (done,) = planned(small_part, store="done")
    fill([done])
    said = StringIO()
    (plan,) = planned(small_part)
    plan = replace(plan, reporter=Reporter(console=Console(file=said, width=200)))
    theirs = [plan.tables[1], plan.units[0], plan.units[2]]

    def take(_, unit):
        if unit in theirs and not plan.store.path(unit).exists():
            plan.store.path(unit).parent.mkdir(parents=True, exist_ok=True)
            plan.store.path(unit).hardlink_to(done.store.path(unit))
            return False
        return True

    monkeypatch.setattr(Claims, "take", take)
    filled([plan])
    everything = (*plan.tables, *plan.units)
    assert [unit for unit in everything if plan.store.path(unit).samefile(done.store.path(unit))] == theirs
    assert "table of jets: 97 entries computed" in said.getvalue()
    assert "part-small: 77 entries computed" in said.getvalue()
    assert re.findall(r"(\d) of 4 shards taken", said.getvalue()) == ["1", "2"]
    assert np.array_equal(plan.load().embedding, done.load().embedding)


def test_a_file_that_cannot_be_read_is_set_aside_and_all_others_are_complete(
    planned, filled, small_part, other_part, write, dataset
):
    def bad(columns):
        columns["part_px"][7] = np.nan

    poisoned = write("Zqq_000.parquet", 60, edit=bad)
    paths = [file.path for file in dataset.files]
    whole = open_dataset("bad", [paths[0], poisoned, *paths[1:]], schema="jetclass")
    plans = planned(small_part, other_part, of=whole)
    with pytest.raises(SetAsideError, match=r"1 file set aside(.|\n)*Zqq_000\.parquet(.|\n)*part_px") as caught:
        filled(plans)
    assert [file.path for file in caught.value.files] == [poisoned]
    for plan, backbone in zip(plans, (small_part, other_part), strict=True):
        lacking = [str(unit) for unit in plan.units if not plan.store.holds(unit)]
        assert f"{poisoned}, entries 0:40" in lacking
        assert all(str(poisoned) in each for each in lacking)
        (alone,) = planned(backbone, of=dataset, store="alone")
        fill([alone])
        (rest,) = planned(backbone, of=dataset)
        assert np.array_equal(rest.load().embedding, alone.load().embedding)


def test_where_many_files_cannot_be_used_the_run_stops(planned, filled, small_part, write, monkeypatch):
    def bad(columns):
        columns["part_px"][0] = np.nan

    monkeypatch.setattr(aside, "MOST_SET_ASIDE", 1)
    names = ("Zqq_000.parquet", "Wqq_000.parquet")
    (plan,) = planned(small_part, of=open_dataset("bad", [write(n, 9, edit=bad) for n in names], schema="jetclass"))
    with pytest.raises(DataError, match="more than 1 files cannot be used"):
        filled([plan])


@pytest.mark.parametrize("error", [OSError("Timed out trying to connect"), CommClosedError()])
def test_a_scheduler_that_is_gone_while_it_is_asked_something_is_a_sentence(
    planned, on_crew, crew, small_part, monkeypatch, error
):
    def gone():
        raise error

    monkeypatch.setattr(crew.client(), "nthreads", gone)
    with pytest.raises(ClusterError, match="the Dask scheduler is gone"):
        on_crew(planned(small_part))


def test_workers_of_other_versions_are_refused_and_both_are_named():
    require_versions(versions())
    with pytest.raises(ClusterError, match=r"torch \S+ instead of 1\.0"):
        require_versions(versions() | {"torch": "1.0"})


def test_every_worker_of_a_machine_has_a_gpu_of_its_own():
    assert [device_of("cuda", worker=name, gpus=2) for name in (0, 1, "SLURMCluster-0-1")] == [
        "cuda:0",
        "cuda:1",
        "cuda:1",
    ]
    assert device_of("cuda:3", worker=1, gpus=8) == "cuda:3"
    assert device_of("cpu", worker=1, gpus=8) == "cpu"
    assert [own_device(where, "cuda") for where in ("local", "processes", "slurm")] == ["cuda", "cuda", "cpu"]


@pytest.mark.parametrize(
    ("scheduler", "workers", "message"),
    [
        ("cloud", None, "choose one of local, processes, slurm, htcondor"),
        ("tcp://nonsense", None, "a host and a port"),
        ("slurm", None, "how many worker processes"),
        ("local", 3, "leave --workers out"),
        ("tcp://127.0.0.1:1", 3, "leave --workers out"),
    ],
)
def test_a_choice_without_sense_is_refused_before_any_work(scheduler, workers, message):
    with pytest.raises(ConfigError, match=message), scheduled(scheduler, workers=workers, reporter=QUIET):
        pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"jetassay\[cluster\]"), scheduled("processes", reporter=QUIET):
        pass


def test_who_has_not_the_key_of_our_workers_gives_them_no_work(crew):
    """Another account of the machine can reach the ports."""
    address = crew.client().scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    addresses = [address, *crew.client().scheduler_info(n_workers=-1)["workers"]]
    for each in addresses:
        for scheme, keys in (("tls", Security.temporary()), ("tcp", Security())):
            with pytest.raises(OSError, match=r"imed out|before comm was established"):
                asyncio.run(_greet(each.replace("tls", scheme), keys))
    assert crew.client().submit(int, "7").result() == 7


async def _greet(address, keys):
    """What every node of Dask answers to who may talk with it."""
    async with rpc(address, connection_args=keys.get_connection_args("client"), timeout=1) as node:
        return await node.identity()


def test_our_own_workers_have_a_dashboard_and_its_address_is_said():
    pytest.importorskip("bokeh", reason="the dashboard needs bokeh: make setup")
    written = StringIO()
    reporter = Reporter(console=Console(file=written, width=200))
    cluster = Cluster("processes", workers=1, device="cpu", weights=None, reporter=reporter)
    try:
        link = cluster.client().dashboard_link
        with urllib.request.urlopen(link, timeout=20) as page:
            assert b"Dask" in page.read()
    finally:
        cluster.close()
    assert re.search(
        r"cluster: processes, 1 worker with 1 threads in all, dashboard http://127\.0\.0\.1:\d+/status",
        written.getvalue(),
    )


@pytest.mark.parametrize("system", ["slurm", "htcondor"])
def test_a_machine_without_the_batch_system_is_told_apart(system, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ClusterError, match="run this where jobs are submitted"):
        launching.submit_workers(system, 1)


def test_ctrl_c_stays_ours_where_jobs_are_submitted(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "dask_jobqueue"]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    assert hasattr(launching._jobqueue(), "SLURMCluster")
    assert signal.getsignal(signal.SIGINT) is before
