"""The suite of `stored_suite`, run once on a few simulated jets."""

import shutil

import pytest
from stored_suite import CARD, QUIET, suite_on

from jetassay.run import run_suite


@pytest.fixture(scope="session")
def finished(home_maker, tmp_path_factory):
    """The home in which the suite was run, and the suite."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        home_maker(root, monkeypatch)
        card = root / "two-classes.toml"
        card.write_text(CARD)
        suite = suite_on(card)
        outcome = run_suite(suite, reporter=QUIET)
    assert all(problem.startswith("layers, ") for problem in outcome.problems)  # too few jets to compare layers on
    return root, suite


@pytest.fixture
def used(finished, tmp_path, monkeypatch):
    """A copy of its cache that a test may damage, and the suite."""
    root, suite = finished
    for name in ("cache", "workspace"):
        shutil.copytree(root / name, tmp_path / name)
        monkeypatch.setenv(f"JETASSAY_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("JETASSAY_MODELS", str(root / "models"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "cache", suite
