"""Make the lock again: every package that pyproject.toml and its extras need, for every platform, with hashes.

    python .ci/lock.py            keep every version that still fits
    python .ci/lock.py --upgrade  take the newest versions that fit
    python .ci/lock.py --check    change nothing; fail where the lock does not fit pyproject.toml

Needs uv (`pip install uv`), which asks the package index for the hashes of all files of a version, so that the lock
serves other platforms too. What only the CUDA build of torch needs goes to a file of its own. Of torch's CPU build
only the file for this interpreter and platform can be hashed, and only where pip is set up to find it.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK, CUDA = ROOT / "requirements.txt", ROOT / "requirements-cuda.txt"
BUILD = "hatchling>=1.26\neditables>=0.5\n"  # for the editable install, which is then made without build isolation
_ONLY_CUDA = re.compile(r"(nvidia|cuda)-|triton==")
_TORCH = re.compile(r"^torch==(\S+)[^\n]*\n(?:    --hash=\S+(?: \\)?\n)+", re.MULTILINE)
_ABOUT = """\
# {what}, pinned for every platform, with the hashes of all files of each version.
# Made by .ci/lock.py from pyproject.toml; `make setup` installs it with --require-hashes.
"""


def compile_lock(earlier: str, *arguments: str) -> str:
    """What uv resolves, as requirements with hashes; versions of the earlier lock are kept where they fit."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "lock.txt"
        output.write_text(earlier, encoding="utf-8")
        command = ["uv", "pip", "compile", "pyproject.toml", "-", "--all-extras", "--universal"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
        command += ["--no-emit-package", "pip", "--output-file", str(output), *arguments]
        subprocess.run(command, input=BUILD, text=True, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return output.read_text(encoding="utf-8")


def cpu_build_hashes(version: str) -> set[str]:
    """The hash of torch's CPU build for this interpreter, where pip takes that one; else none."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--quiet"]
    command += ["--report", "-", f"torch=={version}"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (found,) = report["install"]
    is_cpu_build = found["metadata"]["version"].endswith("+cpu")
    return {found["download_info"]["archive_info"]["hashes"]["sha256"]} if is_cpu_build else set()


def with_cpu_build(lock: str, earlier: str) -> str:
    """The lock with the hashes of torch's CPU builds: those known for the same version, and this platform's."""
    entry = _TORCH.search(lock)
    assert entry is not None
    known = _TORCH.search(earlier)
    hashes = set(re.findall(r"sha256:(\w+)", entry[0])) | cpu_build_hashes(entry[1])
    if known is not None and known[1] == entry[1]:
        hashes |= set(re.findall(r"sha256:(\w+)", known[0]))
    lines = [entry[0].splitlines()[0], *(f"    --hash=sha256:{each} \\" for each in sorted(hashes))]
    return lock.replace(entry[0], "\n".join(lines).removesuffix(" \\") + "\n")


def split_lock(lock: str) -> tuple[str, str]:
    """What every installation takes, and what only torch's CUDA build needs besides."""
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]
    common = "".join(each for each in entries if not _ONLY_CUDA.match(each))
    return common, "".join(each for each in entries if _ONLY_CUDA.match(each))


def main(arguments: list[str]) -> int:
    """Write both files, or with --check compare them."""
    if shutil.which("uv") is None:
        print("the lock is resolved by uv, which is not installed here: pip install uv")
        return 1
    earlier = "".join(path.read_text(encoding="utf-8") for path in (LOCK, CUDA) if path.exists())
    earlier = re.sub(r"^#.*\n", "", earlier, flags=re.MULTILINE)
    passed_on = [each for each in arguments if each == "--upgrade"]
    common, cuda = split_lock(with_cpu_build(compile_lock(earlier, *passed_on), earlier))
    contents = {
        LOCK: _ABOUT.format(what="Every package of the environment") + common,
        CUDA: _ABOUT.format(what="What torch's CUDA build needs besides") + cuda,
    }
    stale = [path for path, content in contents.items() if not path.exists() or path.read_text("utf-8") != content]
    if "--check" in arguments:
        print("\n".join(f"{path.name} does not fit pyproject.toml: make lock" for path in stale) or "the lock fits")
        return bool(stale)
    for path in stale:
        path.write_text(contents[path], encoding="utf-8")
    print("written: " + (", ".join(path.name for path in stale) or "nothing, the lock fits already"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
