"""A few simulated jets, and places in which a suite of seconds runs over them."""

import contextlib
import os
import shutil
import signal
import sys

import pytest
from places_of_runs import HERE, SOURCE, SUITE, Place

from jetassay.jets.dataset import open_dataset, split_files
from jetassay.simulation.recipe import Recipe
from jetassay.simulation.sample import simulate


@pytest.fixture(scope="session")
def many_jets(tmp_path_factory):
    """Four files of 24 simulated jets each of QCD and Hbb."""
    folder = tmp_path_factory.mktemp("many-jets")
    simulate(Recipe(classes=("QCD", "Hbb"), jets=96, files=4, seed=11), output=folder, workers=1)
    return folder


@pytest.fixture(scope="session")
def spare(many_jets):
    """The name of a file of the training split: a suite can do without."""
    files = split_files(open_dataset("d", many_jets, schema="jetclass"), seed=1, train=2, validation=1, test=1)
    return files["train"][0].path.name


@pytest.fixture(scope="session")
def make_place(home_maker, many_jets, tmp_path_factory):
    """A new place; options: those of the suite's data."""

    def make(data=many_jets):
        root = tmp_path_factory.mktemp("place")
        with pytest.MonkeyPatch.context() as patched:
            home_maker(root, patched)
        (root / "tiny.toml").write_text(SUITE.format(folder=data))
        return Place(root, data)

    return make


@pytest.fixture
def place(make_place):
    made = make_place()
    yield made
    shutil.rmtree(made.root)


@pytest.fixture(scope="session")
def undisturbed(make_place):
    """What one process gives, without Dask."""
    made = make_place()
    code, said = made.run("--quiet")
    assert code == 0, said
    return made.results()


@pytest.fixture
def batch(place):
    """The stand-ins in a PATH, and the folder in which they keep their jobs."""
    commands = place.root / "bin"
    commands.mkdir()
    for name in ("sbatch", "scancel", "condor_submit", "condor_rm"):
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "batch_stand_ins.py"} {name} "$@"\n')
        (commands / name).chmod(0o755)
    (commands / "jetassay").write_text(f'#!/bin/sh\nPYTHONPATH={SOURCE} exec {sys.executable} -m jetassay.cli "$@"\n')
    (commands / "jetassay").chmod(0o755)
    yield {"PATH": f"{commands}:{os.environ['PATH']}", "BATCH_STATE": str(place.root / "jobs")}
    for path in (place.root / "jobs").glob("*/pid"):
        if not (path.parent / "code").exists():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text()), signal.SIGKILL)
