"""The Dockerfile without Docker: what it copies is enough to build the package, and what is built runs as it says."""

import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINES = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def instructions(name):
    return [line.split(maxsplit=1)[1] for line in LINES if line.startswith(f"{name} ")]


def copied():
    """What the first stage takes of this folder, and where it puts it."""
    for line in instructions("COPY"):
        *sources, place = line.split()
        if not sources[0].startswith("--from"):
            yield from ((source, place if len(sources) == 1 and place != "./" else f"./{source}") for source in sources)


def variables():
    """ENV of both stages, the later one last."""
    return dict(pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))


def test_all_that_is_copied_is_there_and_reaches_the_build():
    rules = (ROOT / ".dockerignore").read_text().split()
    allowed = [rule[1:] for rule in rules if rule.startswith("!")]
    names = [source for source, _ in copied()]
    assert "requirements.txt" in names
    assert all((ROOT / name).exists() for name in names)
    assert [name for name in names if not any(fnmatch(name, rule) for rule in allowed)] == []
    assert rules[0] == "*"


def test_no_secret_can_be_baked_in_and_the_image_does_not_run_as_root():
    names = [*variables(), *(line.split("=")[0] for line in instructions("ARG"))]
    assert [name for name in names if re.search("PASSWORD|TOKEN|SECRET|KEY", name)] == []
    assert instructions("USER") == ["1000"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.slow
def test_the_package_builds_from_what_is_copied_and_runs_with_the_image_s_variables(tmp_path):
    context = tmp_path / "build"
    context.mkdir()
    for source, place in copied():
        there = context / place
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, there)
    (install,) = [line for line in instructions("RUN") if "--no-build-isolation" in line]
    command = shlex.split(install.partition("&&")[0])
    assert command[:3] == ["pip", "install", "--no-deps"]
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", *command, "--no-index", "--target", str(target)], cwd=context, check=True,
        capture_output=True,
    )  # fmt: skip
    folders = {name: tmp_path / name for name in ("cache", "work")}
    for folder in folders.values():
        folder.mkdir(mode=0o1777)
    environment = {
        **variables(), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(target),
        "JETASSAY_CACHE": str(folders["cache"]), "JETASSAY_WORKSPACE": str(folders["work"]),
    }  # fmt: skip
    assert instructions("ENTRYPOINT") == ['["jetassay"]']
    done = subprocess.run(
        [sys.executable, "-m", "jetassay.cli", "list", "suites"], env=environment, cwd=folders["work"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in (ROOT / "suites").glob("*.toml")} <= set(done.stdout.split())
    where = subprocess.run(
        [sys.executable, "-c", "import jetassay; print(jetassay.__file__)"], env=environment, cwd=folders["work"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(target))
