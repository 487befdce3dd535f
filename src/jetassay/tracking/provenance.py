"""What a number depends on besides jets and weights: code, versions, machine, threads, time and memory.

Plain facts, ready for JSON, without user name, host name or path. Nothing here needs mlflow or torch.
"""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from jetassay.masking import mask_values
from jetassay.places import project_root

PROVENANCE_VERSION = 1
PACKAGES = (
    "jetassay", "torch", "numpy", "scipy", "scikit-learn", "awkward", "uproot", "pandas", "pyarrow", "mlflow",
    "pythia8mc", "fastjet",
)  # fmt: skip
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MIB = 2**20


def collect_provenance(
    *,
    parameters: Mapping[str, Any],
    data: Mapping[str, Any],
    weights: Mapping[str, str | None],
    seed: int | None,
    threads: int | None = None,
    timing_s: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """All that a tracked run carries, as a dictionary that JSON can hold.

    parameters: what was asked for: the suite's settings
    data: name and full digest of the dataset, and what else identifies the jets
    weights: sha256 of each backbone's weights; None for those without weights
    threads: threads that the numbers were computed with; None where nothing set them
    timing_s: seconds of wall time by stage

    Peak memory is that of the process so far, so call this last.
    """
    return {
        "provenance_version": PROVENANCE_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": mask_values(parameters),
        "data": mask_values(data),
        "weights": dict(weights),
        "seed": seed,
        "git": git_facts(),
        "versions": version_facts(),
        "machine": machine_facts(),
        "threads": thread_facts(threads),
        "timing_s": {stage: round(float(spent), 3) for stage, spent in (timing_s or {}).items()},
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }


def git_facts(root: Path | None = None) -> dict[str, Any]:
    """`commit` (40 hex digits or None), `dirty` (True, False or None), and `note`, why there is no commit.

    A folder counts only if git tracks its `pyproject.toml`: an installed package may lie inside a checkout of
    something else. Dirty means that git knows a changed, added or missing file; ignored files do not count.
    """
    where = root or project_root()
    program = shutil.which("git")
    if program is None:
        return {"commit": None, "dirty": None, "note": "git is not installed"}
    if _git(program, where, "ls-files", "--error-unmatch", "pyproject.toml") is None:
        return {"commit": None, "dirty": None, "note": "not a git checkout"}
    commit = _git(program, where, "rev-parse", "HEAD")
    status = _git(program, where, "status", "--porcelain", "--", ".")
    if commit is None or status is None:
        return {"commit": None, "dirty": None, "note": "a git checkout without a commit, or one that git cannot read"}
    return {"commit": commit, "dirty": bool(status), "note": None}


def _git(program: str, where: Path, *arguments: str) -> str | None:
    """Standard output of a git command, or None where it failed."""
    # GIT_DIR and the like, which git sets while it runs a hook, would point at another repository
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            [program, "-C", str(where), *arguments], capture_output=True, text=True, timeout=30, check=True, env=clean
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError):
        return None
    return done.stdout.strip()


def version_facts() -> dict[str, str | None]:
    """Versions of Python and of the packages that numbers depend on; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def machine_facts() -> dict[str, Any]:
    """Processor, cores, memory in GiB and operating system. No host name and no user name."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _processor(),
        "cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(logical=True),
        "usable_cores": usable,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
    }


def _processor() -> str:
    """The processor's model as the operating system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def thread_facts(threads: int | None) -> dict[str, Any]:
    """The thread count that was asked for, torch's own where torch is loaded, and the variables that set it."""
    torch = sys.modules.get("torch")
    return {
        "used": threads,
        "torch": torch.get_num_threads() if torch is not None else None,
        **{name: os.environ.get(name) for name in _THREAD_VARIABLES},
    }


def peak_memory_mib() -> float:
    """Largest resident memory that this process or one of its finished children ever had, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB on Linux
    return max(_own_peak(unit), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit) / _MIB


def _own_peak(unit: int) -> int:
    """In bytes. Linux lets a process start with the ru_maxrss of its parent, so its own mark is read where it is."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
