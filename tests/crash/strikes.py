"""What can happen to a process, done from within it at a moment: the process under test knows of none of it."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from moments import Moment, record, strike_at

_PRELOADED = "JETASSAY_CRASH_WORKER"


def send(number: int, process: int | None = None) -> None:
    """A signal to the process itself, or to another one."""
    os.kill(process or os.getpid(), number)


def kill_children() -> None:
    """One of its worker processes is killed; nothing happens where it has none at that moment."""
    for child in psutil.Process().children()[:1]:
        child.kill()


def kill_group(leader: int) -> None:
    """Somebody else's processes are gone."""
    os.killpg(leader, signal.SIGKILL)


def fill_disk(filler: str, left: int) -> None:
    """The disk on which `filler` lies is full but for `left` bytes."""
    free = shutil.disk_usage(Path(filler).parent).free
    with Path(filler).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - left, 1))


def swap(one: str, other: str) -> None:
    """Two files change places, whole, as a copy that is finished by a rename does it."""
    first, second, aside = Path(one), Path(other), Path(f"{one}.aside")
    first.replace(aside)
    second.replace(first)
    aside.replace(second)


def move_clock(seconds: float) -> None:
    """Wall time jumps; the monotonic clocks go on, as on a real machine."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


def arm(root: str, moment: Moment, act: Callable[..., None], given: tuple[object, ...]) -> None:
    """In the process under test, before it begins: `act` is called at `moment`."""

    def strike() -> None:
        if act is not kill_children or psutil.Process().children():
            try:
                (Path(root) / "struck").touch(exist_ok=False)
            except FileExistsError:  # another process was struck at the same moment
                return
        act(*given)

    strike_at(Path(root), moment, strike)


def arm_dask_workers(root: str, moment: Moment, number: int) -> None:
    """In a driver that will have Dask workers of its own: the first of them that comes to `moment` gets a signal."""
    import dask

    os.environ[_PRELOADED] = json.dumps([root, moment.event, moment.delay_s, number])
    dask.config.set({"distributed.worker.preload": ["import strikes; strikes.arm_this_dask_worker()"]})


def arm_this_dask_worker() -> None:
    """In such a worker, before its first job; one that is started in place of one that was struck is left alone."""
    root, event, delay_s, number = json.loads(os.environ[_PRELOADED])
    if not (Path(root) / "struck").exists():
        arm(root, Moment(event, delay_s), send, (number,))


def follow(root: str, path: str) -> Callable[[], None]:
    """In an undisturbed process: its course is noted."""
    return record(Path(root), Path(path))
