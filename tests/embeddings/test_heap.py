"""Memory that was freed: kept for the next table, or back with the system. Each in a process started as Dask's are."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a matter of glibc")

FAULTS = """
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): np.ones(1 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
KEPT = """
def resident(): return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
tables = [np.ones(1 << 20) for _ in range(4)]
full = resident()
del tables
kept = full - resident()
give_back()
print(kept, full - resident())
"""


def said(code):
    start = "import resource\nimport numpy as np\nfrom jetassay.embeddings.heap import give_back, keep_freed\n"
    run = subprocess.run(
        [sys.executable, "-c", start + code],
        env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [int(number) for number in run.stdout.split()]


def test_tables_take_the_memory_of_those_before():
    (without,), (with_it,) = said(FAULTS), said("keep_freed()\nnp.ones(1 << 20)\n" + FAULTS)
    assert with_it < without / 10


def test_what_is_kept_goes_back_when_it_is_asked_for():
    kept, back = said("keep_freed()\n" + KEPT)
    assert kept < 8 << 20
    assert back > 24 << 20
