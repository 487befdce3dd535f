import subprocess
import sys

import pytest

from jetassay.errors import ConfigError, SimulationError
from jetassay.simulation import Recipe, default_output, recipe, simulate

GOOD = {"classes": ("Hbb", "QCD"), "jets": 10, "files": 3, "seed": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ("Hbb", "Hxx")}, "no class 'Hxx'"),
        ({"classes": ()}, "no class is named"),
        ({"classes": ("Hbb", "Hbb")}, "named twice"),
        ({"classes": ("Res2P",)}, "no class 'Res2P'"),
        ({"kind": "jetclass2"}, "no class 'Hbb'"),
        ({"kind": "jetclass3"}, "no kind 'jetclass3'"),
        ({"mode": "real"}, "no mode 'real'"),
        ({"jets": 0}, "0 jets"),
        ({"jets": 2}, "2 jets of each class in 3 files"),
        ({"files": 0}, "0 files"),
        ({"seed": -1}, "must not be negative"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Recipe(**{**GOOD, **change})


def test_jets_are_spread_evenly_and_none_is_lost():
    shards = list(Recipe(**GOOD).shards())
    assert [jets for _, _, jets in shards] == [4, 3, 3, 4, 3, 3]


@pytest.mark.parametrize("change", [{"classes": ("Hbb",)}, {"jets": 11}, {"files": 2}, {"seed": 1}, {"mode": "ideal"}])
def test_the_digest_depends_on_every_field(change):
    assert Recipe(**{**GOOD, **change}).digest() != Recipe(**GOOD).digest()


def test_the_digest_depends_on_the_version_of_the_simulation(monkeypatch):
    before = Recipe(**GOOD).digest()
    monkeypatch.setattr(recipe, "SIMULATION_VERSION", -1)
    assert Recipe(**GOOD).digest() != before


def test_each_recipe_has_its_own_folder_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JETASSAY_CACHE", str(tmp_path))
    folder = default_output(Recipe(**GOOD))
    assert folder.parent == tmp_path / "simulated"
    assert Recipe(**GOOD).digest().startswith(folder.name)


def test_a_missing_generator_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(recipe.util, "find_spec", lambda name: None)
    with pytest.raises(SimulationError, match=r"pip install 'jetassay\[simulation\]'"):
        simulate(Recipe(**GOOD), output=tmp_path)


def test_importing_the_stage_imports_no_generator():
    code = (
        "import sys, jetassay.simulation\n"
        "heavy = {'pythia8mc', 'fastjet', 'numba', 'awkward', 'uproot', 'torch'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
