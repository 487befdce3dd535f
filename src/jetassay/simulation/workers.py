"""Several worker processes and one stream of their messages."""

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from jetassay.errors import SimulationError

_PATIENCE_S = 5.0
_LINES_OF_A_CRASH = 5


class Workers:
    """Give each task to the next idle process; a context manager that leaves no process behind.

    count: processes, at most one per task
    """

    def __init__(self, tasks: Sequence[Mapping[str, Any]], *, count: int) -> None:
        self._pending = deque(enumerate(tasks))
        self._messages: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        self._unfinished = len(tasks)
        self._running: list[tuple[subprocess.Popen[str], threading.Thread]] = []
        self._count = min(count, len(tasks))

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                self._start()
        except BaseException:
            self._stop(at_once=True)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(at_once=kind is not None)

    def _start(self) -> None:
        complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed by the thread that reads it
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jetassay.simulation.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,  # so that Ctrl-C reaches the parent alone, which ends its workers
        )
        thread = threading.Thread(target=self._drive, args=(process, complaints), daemon=True)
        self._running.append((process, thread))
        thread.start()

    def _stop(self, *, at_once: bool) -> None:
        self._pending.clear()
        for process, _ in self._running:
            if at_once:
                process.terminate()
        for process, thread in self._running:
            try:
                process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if thread.is_alive():
                thread.join()

    def messages(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number of the task and message, until every task is done. Raises `SimulationError` when one fails."""
        while self._unfinished:
            task, message = self._messages.get()
            if "error" in message:
                raise SimulationError(message["error"])
            self._unfinished -= "done" in message
            yield task, message

    def _drive(self, process: subprocess.Popen[str], complaints: IO[str]) -> None:
        """Runs in a thread: feed one process and pass its messages on."""
        assert process.stdin is not None
        assert process.stdout is not None
        # Closing the input of a process that died flushes into a broken pipe.
        with complaints, process.stdout, contextlib.suppress(BrokenPipeError), process.stdin:
            while self._pending:
                try:
                    number, task = self._pending.popleft()
                except IndexError:
                    return
                if not self._one_task(process, number, task):
                    complaints.seek(0)
                    last = " / ".join(complaints.read().splitlines()[-_LINES_OF_A_CRASH:])
                    self._messages.put((number, {"error": f"A process that simulates jets died: {last}"}))
                    return

    def _one_task(self, process: subprocess.Popen[str], number: int, task: Mapping[str, Any]) -> bool:
        """Whether the process lived to the end of the task."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(dict(task)) + "\n")
            process.stdin.flush()
        except BrokenPipeError:
            return False
        for line in process.stdout:
            message = json.loads(line)
            self._messages.put((number, message))
            if "jets" not in message:
                return True
        return False
