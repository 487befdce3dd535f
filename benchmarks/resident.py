"""Resident memory of this process while it works, by stage: of its own, and of files that are mapped into it."""

import threading
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

from jetassay.errors import JetAssayError

_EVERY_S = 0.02
_LINES = ("VmRSS", "RssAnon", "RssFile", "RssShmem")


def resident():
    """MiB by line of /proc/self/status: VmRSS = RssAnon + RssFile + RssShmem. Raises `JetAssayError` elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise JetAssayError("resident memory is read from /proc/self/status, which only Linux has") from error
    found = dict(line.split(":", 1) for line in lines)
    return {name: int(found[name].split()[0]) / 1024 for name in _LINES}


class Watch:
    """The highest of each since the stage began, looked at every 20 ms: stage -> line -> MiB."""

    def __init__(self):
        self.highest = defaultdict(lambda: dict.fromkeys(_LINES, 0.0))
        self.stage = "start"

    @contextmanager
    def watching(self):
        """Look for as long as the block runs."""
        done = threading.Event()
        watcher = threading.Thread(target=self._look, args=(done,), daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            done.set()
            watcher.join()

    def peak(self, line="VmRSS"):
        """The highest of all stages."""
        return max(each[line] for each in self.highest.values())

    def _look(self, done):
        while not done.wait(_EVERY_S):
            highest = self.highest[self.stage]
            for name, size in resident().items():
                highest[name] = max(highest[name], size)
