"""Where units of work are computed: in this process, or by the workers of a Dask cluster, from `--scheduler`."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from jetassay.embeddings.scheduling.launching import BATCH_SYSTEMS, start_processes, submit_workers
from jetassay.embeddings.scheduling.silence import no_log_of_lost_schedulers
from jetassay.embeddings.scheduling.worker import forget_backbones, require_package
from jetassay.embeddings.threads import usable_cores
from jetassay.errors import ClusterError, ConfigError
from jetassay.progress import Reporter

LOCAL, PROCESSES = "local", "processes"
_ADDRESSES = ("tcp://", "tls://")
_CONNECT_S, _FIRST_WORKER_S, _LOOK_S, _WITHOUT_WORKERS_S = 20, 60, 5, 60
_START_ONE = "start `dask scheduler` and `dask worker`, or choose another --scheduler"
_SATURATION = {"distributed.scheduler.worker-saturation": 1.0}
"""A worker that dies takes down no range but the one it works on."""
_FAILURES = {"distributed.scheduler.allowed-failures": 1}
"""Workers that a range may kill before it is tried alone. Elsewhere Dask's 3: there batch systems end workers too."""


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
        self._quiet = ExitStack()
        self._looked = self._seen_working = 0.0

    def client(self) -> Any:
        """Dask's client; the first call starts or reaches the cluster. Raises `ClusterError`."""
        if self._client is None:
            self._quiet.enter_context(no_log_of_lost_schedulers())
            if self.scheduler.startswith(_ADDRESSES):
                self._connect()
            else:
                self._start()
            self._looked = self._seen_working = time.monotonic()
            self._reporter.line(f"cluster: {self.scheduler}, {_crew(self._client)}, {self._dashboard()}")
        return self._client

    def _dashboard(self) -> str:
        """What to say of it. A scheduler of our own has one only with bokeh; of another's this cannot be told."""
        served = "dashboard" in self._client.scheduler_info(n_workers=0)["services"]
        if not served or (self._owned is not None and find_spec("bokeh") is None):
            return "no dashboard (it needs bokeh: pip install 'jetassay[cluster]')"
        return f"dashboard {self._client.dashboard_link}"

    def keep(self) -> None:
        """Now and then, submit again the jobs that a batch system has ended.

        Raises `ClusterError` where the scheduler is gone, or all workers of a cluster that starts no others.
        """
        if self._client.status not in ("running", "connecting"):
            raise lost(self.scheduler)
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        there = self._client.scheduler_info(n_workers=-1)["workers"].values()
        if self.scheduler in BATCH_SYSTEMS:
            if len(there) < (self._workers or 0):
                self._owned.scale(self._workers)
            return
        if any(each["status"] == "running" for each in there):
            self._seen_working = now
        elif now - self._seen_working > _WITHOUT_WORKERS_S:
            paused = "all workers are paused for want of memory" if there else "no worker is left"
            raise ClusterError(
                f"--scheduler {self.scheduler}: {paused}. Whole shards are kept; give it workers, and the same "
                "command goes on from there"
            )

    def close(self) -> None:
        """End what was started; a cluster of somebody else goes on, without our backbones in its memory."""
        client, owned, self._client, self._owned = self._client, self._owned, None, None
        if client is not None:
            if owned is None and client.status == "running":
                with suppress(Exception):  # the cluster may be going down itself, and nothing depends on this
                    client.run(forget_backbones, on_error="ignore")
            client.close()
        if owned is not None:
            try:
                owned.close()
            except Exception as error:  # noqa: BLE001 - Dask stumbles over a job that was refused on the way
                self._reporter.warning(
                    f"{self.scheduler}: Dask did not end in order ({type(error).__name__}); see that no job is left"
                )
        self._quiet.close()

    def _connect(self) -> None:
        from distributed import Client

        try:
            with _interrupts_for_main_thread():
                self._client = Client(self.scheduler, timeout=_CONNECT_S, set_as_default=False)
            self._client.wait_for_workers(1, timeout=_FIRST_WORKER_S)
        except TimeoutError as error:
            raise ClusterError(
                f"{self.scheduler}: no scheduler answers there within {_CONNECT_S} s, or no worker joins it within "
                f"{_FIRST_WORKER_S} s; {_START_ONE}"
            ) from error
        except (OSError, ValueError, TypeError) as error:  # TypeError: tls:// without keys
            raise ClusterError(
                f"{self.scheduler}: no Dask scheduler can be reached there ({error}); {_START_ONE}"
            ) from error
        require_package(self._client, self.scheduler)

    def _start(self) -> None:
        import dask
        from distributed import Client

        with _interrupts_for_main_thread(), dask.config.set(_SATURATION):
            if self.scheduler == PROCESSES:
                with dask.config.set(_FAILURES):
                    self._owned = start_processes(self._workers or _for_each_core_or_gpu(self.device))
            else:
                assert self._workers is not None  # as `scheduled` has checked
                self._owned = submit_workers(self.scheduler, self._workers)
                self._reporter.line(
                    f"cluster: {self._workers} workers asked of {self.scheduler}; waiting for the first"
                )
            self._client = Client(self._owned, set_as_default=False)
        self._client.wait_for_workers(1)  # hours, where the queue is long: outside, so that Ctrl-C ends it


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
    needed = ("dask_jobqueue" if scheduler in BATCH_SYSTEMS else "distributed", "cryptography")
    if scheduler != LOCAL and any(find_spec(each) is None for each in needed):
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
    resource_tracker.ensure_running()  # begun within, it would unblock the signal in the thread that starts the others
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
