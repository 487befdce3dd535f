"""The kinds of faults: how each is done, and how many of it the long and the short form do."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import crews
import strikes
from homes import stock
from observed import computed_twice
from trials import Fault, Trial, last_lines, wait

_GRACE_S = 10.0  # what batch systems give at least, in seconds
_SERVER_S = 90.0
_FULL, _DAY_S = 64 << 20, 86400.0
_TABLES_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One row of the table. way: what its trials start from; long, short: how many; root: whether it must mount."""

    name: str
    fault: Fault
    way: str = "warm"
    long: int
    short: int = 0
    root: bool = False


def kill(trial: Trial) -> None:
    """kill -9 of the main process."""
    trial.strike(strikes.send, int(signal.SIGKILL))


def kill_while_simulating(trial: Trial) -> None:
    """kill -9 of the main process while its workers simulate; they must go too."""
    trial.strike(strikes.send, int(signal.SIGKILL), stages=("simulate",), between=True)


def kill_worker(trial: Trial) -> None:
    """kill -9 of a process that simulates."""
    trial.expect(
        trial.strike(strikes.kill_children, stages=("simulate",), between=True), (0, 1)
    )  # 0 where what it did was done


def terminate(trial: Trial) -> None:
    """SIGTERM, and SIGKILL for what is still there after the grace."""
    moment, trial.outcome.stage = trial.way.course.draw(trial.random)
    given = (str(trial.home.root), moment, strikes.send, (int(signal.SIGTERM),))
    process = trial.run(prepare=strikes.arm, given=given)
    while process.is_alive() and not trial.home.struck.exists():
        time.sleep(0.02)
    code = wait(process, _GRACE_S)
    if code == -99:
        trial.outcome.problems.append(f"still there {_GRACE_S:.0f} s after SIGTERM")
    elif trial.home.struck.exists():
        trial.expect(code, (1, -signal.SIGTERM) if trial.outcome.stage != "track" else (0, 1, -signal.SIGTERM))


def interrupt(trial: Trial) -> None:
    """Ctrl-C."""
    code = trial.strike(strikes.send, int(signal.SIGINT))
    if trial.home.struck.exists():
        trial.expect(code, (130,) if trial.outcome.stage != "track" else (0, 130))


def fill(which: str) -> Fault:
    """The disk of `which` folder is full from some moment on."""

    def fault(trial: Trial) -> None:
        place = trial.home.root / which
        mount(trial, place, "-t", "tmpfs", "-o", f"size={_FULL}", "tmpfs")
        stock(trial.home, trial.ground.stocked)
        filler = place / "filler"
        stages = ("simulate", "embed") if which == "cache" else ("tasks", "track")
        code = trial.strike(strikes.fill_disk, str(filler), trial.random.randrange(30_000), stages=stages)
        filler.unlink(missing_ok=True)
        trial.expect(code, (0, 1))

    return fault


def read_only(trial: Trial) -> None:
    """The cache cannot be written, and holds a part of what is needed, or all of it."""
    if wait(trial.run(log="first")):
        trial.outcome.problems.append(f"the first run failed: {last_lines(trial.said('first'))}")
    shards = sorted((trial.home.cache / "embeddings").rglob("*.parquet"))
    gone = trial.random.sample(shards, trial.random.choice((0, 0, 1, 5)))
    for shard in gone:
        shard.unlink()
    trial.home.struck.touch()
    mount(trial, trial.home.cache, "--bind", str(trial.home.cache))
    _call("mount", "-o", "remount,bind,ro", str(trial.home.cache))
    trial.expect(wait(trial.run()), (1,) if gone else (0,))
    unmount(trial.home.cache)


def twice_at_once(trial: Trial) -> None:
    """Two runs of the same suite over the same cache and workspace: what one is at, the other leaves to it.

    Only what is in flight may be done twice: of the tables of jets one in each run; of the embeddings up to all that
    are read ahead, which may be all of so small a suite, so they are counted and no more.
    """
    first = trial.run(log="log")
    time.sleep(trial.random.random() * trial.random.choice((0.05, 1.0)))
    second = trial.run(log="log2")
    trial.home.struck.touch()
    trial.expect(wait(first), (0,))
    code = wait(second)
    if code:
        trial.outcome.problems.append(f"the second gave {code}: {last_lines(trial.said('log2'))}")
    twice = computed_twice(trial.said("log"), trial.said("log2"))
    trial.outcome.in_flight = sum(twice.values())
    if twice.get("table of jets", 0) > _TABLES_IN_FLIGHT:
        trial.outcome.problems.append(f"{twice['table of jets']} tables of jets were made by both")


def replace_file(trial: Trial) -> None:
    """Two files of the dataset change places while the suite reads them, and are as before when it is run again."""
    data = trial.home.root / "data"
    pair = str(data / "Hbb_001.root"), str(data / "QCD_001.root")
    code = trial.strike(strikes.swap, *pair, stages=("simulate", "embed"))
    if trial.home.struck.exists():
        strikes.swap(*pair)
        trial.expect(code, (0, 1))


def move_clock(trial: Trial) -> None:
    """The clock is set by a day, to and fro."""
    code = trial.strike(strikes.move_clock, trial.random.choice((-_DAY_S, _DAY_S)))
    trial.expect(code, (0,))


def lose_server(trial: Trial) -> None:
    """The tracking server is killed; when it is back, `jetassay sync` sends what waits."""
    trial.database = trial.home.root / "server.db"
    trial.server, server = serve(trial)
    code = trial.strike(strikes.kill_group, server.pid, stages=("embed", "tasks", "track"))
    server.kill()
    server.wait()
    if not trial.home.struck.exists():
        return
    trial.expect(code, (0, 1))
    trial.server, _ = serve(trial)
    if wait(trial.run("sync", log="sync")):
        trial.outcome.problems.append(f"sync failed: {last_lines(trial.said('sync'))}")


KINDS = (
    Kind(name="kill -9, jets and store are there", fault=kill, long=26, short=3),
    Kind(name="kill -9, from nothing", fault=kill, way="cold", long=6, short=1),
    Kind(name="kill -9 while it simulates", fault=kill_while_simulating, way="cold", long=5),
    Kind(name="kill -9 of a simulating process", fault=kill_worker, way="cold", long=3),
    Kind(name="kill -9 of a Dask worker", fault=crews.kill_worker, way="crew", long=4),
    Kind(name="kill -9 of a Dask worker it started", fault=crews.kill_own_worker, way="crew", long=2),
    Kind(name="kill -9 of the Dask scheduler", fault=crews.kill_scheduler, way="crew", long=4, short=1),
    Kind(name="stopped, with Dask workers", fault=crews.stop_driver, way="driver", long=3),
    Kind(name="SIGTERM", fault=terminate, long=5, short=1),
    Kind(name="Ctrl-C", fault=interrupt, long=4, short=1),
    Kind(name="disk of the cache full", fault=fill("cache"), long=3, short=1, root=True),
    Kind(name="disk of the workspace full", fault=fill("workspace"), long=3, short=1, root=True),
    Kind(name="cache read-only", fault=read_only, long=3, root=True),
    Kind(name="two runs at once", fault=twice_at_once, long=3, short=1),
    Kind(name="tracking server gone", fault=lose_server, long=3),
    Kind(name="a file changes", fault=replace_file, way="data", long=3, short=1),
    Kind(name="the clock jumps", fault=move_clock, long=3),
)


def can_mount() -> bool:
    """Whether file systems can be mounted here: for a disk that is full, or read-only."""
    return os.geteuid() == 0 and _call("mount", "--version", check=False) == 0


def mount(trial: Trial, place: Path, *arguments: str) -> None:
    """Mount at `place` until the trial ends."""
    place.mkdir(parents=True, exist_ok=True)
    _call("mount", *arguments, str(place))
    trial.done.append(lambda: unmount(place))


def unmount(place: Path) -> None:
    """Nothing where nothing is mounted."""
    while os.path.ismount(place) or _is_bound(place):
        _call("umount", "--lazy", str(place))


def _is_bound(place: Path) -> bool:
    return any(line.split()[4] == str(place) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _call(*command: str, check: bool = True) -> int:
    return subprocess.run(command, check=check, capture_output=True).returncode


def serve(trial: Trial) -> tuple[str, subprocess.Popen[bytes]]:
    """A tracking server on this machine; its address and its process, which leads a group. Gone when the trial ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = trial.home.root
    with (root / "log-server").open("ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
             "--backend-store-uri", f"sqlite:///{trial.database}", "--artifacts-destination", str(root / "served")],
            stdout=log, stderr=log, start_new_session=True, cwd=root,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "TMPDIR": str(root)},
        )  # fmt: skip

    def stop() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()

    trial.done.append(stop)
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + _SERVER_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
            continue
        return address, server
    raise RuntimeError(f"the tracking server did not start: {last_lines((root / 'log-server').read_text())}")
