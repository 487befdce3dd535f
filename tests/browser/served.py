"""`mlflow ui` on the store of this environment, for as long as it is looked at."""

import os
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager

from jetassay.tracking.store import resolve_store
from jetassay.tracking.ui import ui_command

START_S = 120


@contextmanager
def served():
    """The address of the pages; as `jetassay ui` serves them, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, environment = ui_command(resolve_store(), port=port)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env={**os.environ, **environment}, **quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + START_S
        while not answers(address):
            assert server.poll() is None, "mlflow ui ended by itself"
            assert time.monotonic() < end, "mlflow ui does not answer"
            time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def answers(address):
    """Whether a server is there yet."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
