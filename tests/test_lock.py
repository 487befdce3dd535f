"""The lock: every package that the project and its extras need, in a version that fits, each file known by hash."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
_ENTRY = re.compile(r"^(?P<pin>[^\s#][^\\\n]*?) *\\?\n(?P<hashes>(?:    --hash=\S+(?: \\)?\n)*)", re.MULTILINE)


def _locked(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    return [(Requirement(each["pin"]), each["hashes"]) for each in _ENTRY.finditer(text)]


COMMON, CUDA = _locked("requirements.txt"), _locked("requirements-cuda.txt")


def _pins(entries):
    """Name -> version, of what this environment takes."""
    return {
        canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("=="))
        for pin, _ in entries
        if pin.marker is None or pin.marker.evaluate()
    }


def _direct():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    each = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *(one for some in extras for one in some),
    ]
    return [Requirement(one) for one in each]


def _required_by(requirement):
    """What an installed package needs here, with the extras that are asked for."""
    try:
        needs = [Requirement(each) for each in requires(requirement.name) or ()]
    except PackageNotFoundError:
        return []
    extras = ["", *requirement.extras]
    return [each for each in needs if not each.marker or any(each.marker.evaluate({"extra": one}) for one in extras)]


@pytest.mark.parametrize("entries", [COMMON, CUDA], ids=["common", "cuda"])
def test_every_locked_version_is_exact_and_has_hashes_of_its_files(entries):
    assert len(entries) > 10
    for pin, hashes in entries:
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)), pin
        found = re.findall(r"--hash=sha256:[0-9a-f]{64}(?= \\\n|\n)", hashes)
        assert len(found) == hashes.count("--hash") > 0, pin


def test_the_lock_covers_everything_that_pyproject_asks_for_and_what_that_needs():
    pins, seen, problems = _pins(COMMON), set(), []
    waiting = _direct()
    assert len(waiting) > 30
    while waiting:
        each = waiting.pop()
        if str(each) in seen or canonicalize_name(each.name) == "pip":
            continue
        seen.add(str(each))
        version = pins.get(canonicalize_name(each.name), _pins(CUDA).get(canonicalize_name(each.name)))
        if version is None or not each.specifier.contains(version, prereleases=True):
            problems.append(f"{each} is locked at {version}")
        waiting += _required_by(each)
    assert not problems
    assert len(seen) > len(_direct()) + 50  # it went through what they need


def test_no_package_is_locked_twice_for_one_environment():
    for entries in (COMMON, CUDA, [*COMMON, *CUDA]):
        here = [canonicalize_name(pin.name) for pin, _ in entries if pin.marker is None or pin.marker.evaluate()]
        assert len(here) == len(set(here))


def test_torch_is_locked_with_the_files_of_many_platforms_and_without_a_build_tag():
    ((pin, hashes),) = [(pin, hashes) for pin, hashes in COMMON if pin.name == "torch"]
    assert "+" not in str(pin.specifier)
    assert hashes.count("--hash") > 20
