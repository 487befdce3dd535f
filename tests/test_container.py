"""The Dockerfile without Docker: what it copies is enough to build the package, and what is built runs as it says."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

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
