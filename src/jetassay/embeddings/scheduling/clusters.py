"""Where units of work are computed: in this process, or by the workers of a Dask cluster, from `--scheduler`."""

import logging
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jetassay.embeddings.scheduling.worker import forget_backbones
from jetassay.embeddings.threads import usable_cores
from jetassay.errors import ClusterError, ConfigError
from jetassay.progress import Reporter

LOCAL, PROCESSES = "local", "processes"
BATCH_SYSTEMS = {"slurm": "SLURMCluster", "htcondor": "HTCondorCluster"}
_ADDRESSES = ("tcp://", "tls://")
_CONNECT_S, _FIRST_WORKER_S = 20, 60
_OURS = {
    "distributed.scheduler.worker-saturation": 1.0,  # a worker that dies takes down no range but the one it works on
    "distributed.scheduler.allowed-failures": 1,
}


class Cluster:
    """A Dask cluster that starts when there is something to compute, and ends with `scheduled`.

    workers: processes; None for one for each usable core, or for each GPU
    device:  where networks run on the workers; plain "cuda" gives each worker of a machine a GPU of its own
    weights: a file to take instead of that of the card, for the one backbone that is embedded
    """

    def __init__(
        self, scheduler: str, *, workers: int | None, device: str, weights: Path | None, reporter: Reporter
    ) -> None:
        self.scheduler, self.device, self.weights = scheduler, device, weights
        self._workers, self._reporter = workers, reporter
        self._client: Any = None
        self._owned: Any = None

    def client(self) -> Any:
        """Dask's client; the first call starts or reaches the cluster. Raises `ClusterError`."""
        if self._client is None:
            with _interrupts_for_main_thread():
                self._client = self._connect() if self.scheduler.startswith(_ADDRESSES) else self._start()
        return self._client

    def keep(self) -> None:
        """Submit again the jobs that a batch system has ended. Raises `ClusterError` where the scheduler is gone."""
        if self._client.status not in ("running", "connecting"):
            raise lost(self.scheduler)
        there = self._client.scheduler_info(n_workers=-1)["workers"]
        if self.scheduler in BATCH_SYSTEMS and len(there) < (self._workers or 0):
            self._owned.scale(self._workers)

    def close(self) -> None:
        """End what was started; a cluster of somebody else goes on, without our backbones in its memory."""
        client, owned, self._client, self._owned = self._client, self._owned, None, None
        if client is not None:
            if owned is None and client.status == "running":
                with suppress(Exception):  # the cluster may be going down itself, and nothing depends on this
                    client.run(forget_backbones, on_error="ignore")
            client.close()
        if owned is not None:
            owned.close()

    def _connect(self) -> Any:
        from distributed import Client

        try:
            client = Client(self.scheduler, timeout=_CONNECT_S, set_as_default=False)
            client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except TimeoutError as error:
            raise ClusterError(
                f"{self.scheduler}: no scheduler answers there within {_CONNECT_S} s, or no worker joins it within "
                f"{_FIRST_WORKER_S} s; start `dask scheduler` and `dask worker`, or choose another --scheduler"
            ) from error
        except (OSError, ValueError) as error:
            raise ClusterError(f"{self.scheduler}: no Dask scheduler can be reached there ({error})") from error
        self._reporter.line(f"cluster: {self.scheduler}, {_crew(client)}, dashboard {client.dashboard_link}")
        return client

    def _start(self) -> Any:
        import dask
        from distributed import Client

        if self.scheduler == PROCESSES:
            with dask.config.set(_OURS):
                self._owned = start_processes(self._workers or _for_each_core_or_gpu(self.device))
        else:
            assert self._workers is not None  # as `scheduled` has checked
            self._owned = submit_workers(self.scheduler, self._workers)
            self._reporter.line(f"cluster: {self._workers} workers asked of {self.scheduler}; waiting for the first")
        client = Client(self._owned, set_as_default=False)
        client.wait_for_workers(1)
        dashboard = f"dashboard {client.dashboard_link}" if find_spec("bokeh") else "no dashboard without bokeh"
        self._reporter.line(f"cluster: {self.scheduler}, {_crew(client)}, {dashboard}")
        return client


_chosen: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


def chosen_cluster() -> Cluster | None:
    """The cluster that computes what the store lacks; None for this process."""
    return _chosen.get()


@contextmanager
def scheduled(
    scheduler: str,
    *,
    workers: int | None = None,
    device: str = "cpu",
    weights: Path | None = None,
    reporter: Reporter,
) -> Iterator[None]:
    """Within, embeddings that the store lacks are computed where `scheduler` says.

    scheduler: local, processes, slurm, htcondor, or the address of a Dask scheduler (tcp://HOST:PORT)
    workers, device, weights: as of `Cluster`

    Raises `ConfigError` for another scheduler, or workers that are missing or have no meaning.
    """
    _require_sense(scheduler, workers)
    if scheduler == LOCAL:
        yield
        return
    cluster = Cluster(scheduler, workers=workers, device=device, weights=weights, reporter=reporter)
    token = _chosen.set(cluster)
    try:
        yield
    finally:
        _chosen.reset(token)
        cluster.close()


def own_device(scheduler: str, device: str) -> str:
    """Where networks of the driver itself run: workers elsewhere may have GPUs that the driver has not."""
    return device if scheduler in (LOCAL, PROCESSES) else "cpu"


def start_processes(workers: int) -> Any:
    """A cluster of processes on this machine with a thread each; its dashboard takes any free port."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,  # embedding has its own bounds; Dask's would pause a worker for ever
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )


def submit_workers(system: str, workers: int) -> Any:
    """Workers as jobs of a batch system, as the user's Dask configuration describes them. Raises `ClusterError`."""
    import dask_jobqueue

    kind = getattr(dask_jobqueue, BATCH_SYSTEMS[system])
    command = kind.job_cls.submit_command
    if shutil.which(command) is None:
        raise ClusterError(f"--scheduler {system}: there is no {command} here; run this where jobs are submitted")
    try:
        cluster = kind(silence_logs=logging.CRITICAL)
    except ValueError as error:
        raise ClusterError(
            f"--scheduler {system}: {' '.join(str(error).split())}. Say so in `jobqueue: {system}:` of a file in "
            "~/.config/dask, which is where jobs are described"
        ) from error

    async def submit() -> None:
        cluster.scale(workers)
        await cluster._correct_state()  # noqa: SLF001 - `scale` alone hides that a job was refused

    try:
        cluster.sync(submit)
    except (RuntimeError, ValueError, OSError) as error:
        cluster.close()
        raise ClusterError(
            f"--scheduler {system}: {command} refuses the job: {' '.join(str(error).split())}"
        ) from error
    return cluster


def lost(scheduler: str) -> ClusterError:
    """What to say where the scheduler of a cluster has gone."""
    return ClusterError(
        f"--scheduler {scheduler}: the Dask scheduler is gone. Shards that are whole are kept; start it again, and the "
        "same command goes on from there"
    )


def _require_sense(scheduler: str, workers: int | None) -> None:
    known = (LOCAL, PROCESSES, *BATCH_SYSTEMS)
    if scheduler not in known and not scheduler.startswith(_ADDRESSES):
        raise ConfigError(f"--scheduler {scheduler}: choose one of {', '.join(known)}, or tcp://HOST:PORT")
    if scheduler.startswith(_ADDRESSES) and not re.fullmatch(r"\w+://\S+:\d+", scheduler):
        raise ConfigError(f"--scheduler {scheduler}: an address has a host and a port, as tcp://HOST:8786")
    if scheduler in BATCH_SYSTEMS and workers is None:
        raise ConfigError(f"--scheduler {scheduler}: say with --workers how many worker processes to ask for")
    if workers is not None and scheduler not in (PROCESSES, *BATCH_SYSTEMS):
        raise ConfigError(f"--scheduler {scheduler}: leave --workers out; it starts no workers")
    needed = {"slurm": "dask_jobqueue", "htcondor": "dask_jobqueue"}.get(scheduler, "distributed")
    if scheduler != LOCAL and find_spec(needed) is None:
        raise ConfigError(f"--scheduler {scheduler} needs Dask: pip install 'jetassay[cluster]'")


def _for_each_core_or_gpu(device: str) -> int:
    if not device.startswith("cuda"):
        return usable_cores()
    import torch

    return max(torch.cuda.device_count(), 1) if device == "cuda" else 1


def _crew(client: Any) -> str:
    threads = client.nthreads()
    return f"{len(threads)} worker{'s' * (len(threads) != 1)} with {sum(threads.values())} threads in all"


@contextmanager
def _interrupts_for_main_thread() -> Iterator[None]:
    """Threads and processes that start within never see Ctrl-C: it stops the driver, and the driver stops them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
