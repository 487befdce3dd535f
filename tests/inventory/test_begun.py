"""What a run has made by now stays, though it has no results yet."""

import json
import shutil
from pathlib import Path

import pytest
from stored_suite import QUIET

from jetassay.begun import note_begun
from jetassay.embeddings.datasets import default_store
from jetassay.errors import InterruptedRunError, StoreError
from jetassay.inventory.collecting import remove, sort_cache
from jetassay.inventory.planning import TABLES, plan_suite
from jetassay.inventory.verifying import verify
from jetassay.run import run_suite
from jetassay.steps import find_jets, split_jets

LABEL = "mine (begun and not finished)"


def gc(**options):
    return sort_cache(min_age_h=0, reporter=QUIET, **options)


@pytest.fixture
def workspace(used, tmp_path):
    """A workspace in which nothing was run to its end."""
    shutil.rmtree(tmp_path / "workspace" / "reports")
    return tmp_path / "workspace"


@pytest.fixture
def begun(used, workspace):
    """The suite, begun."""
    _, suite = used
    jets = find_jets(suite.dataset, reporter=QUIET)
    note_begun(suite, jets, split_jets(suite, jets))
    return suite


def test_a_run_that_was_stopped_keeps_all_that_it_made_until_it_is_forgotten(used, workspace, monkeypatch):
    _, suite = used

    def stop(*_args, **_kwargs):
        raise InterruptedRunError("stopped")

    monkeypatch.setattr("jetassay.run.show_jets", stop)  # after the audits
    with pytest.raises(InterruptedRunError):
        run_suite(suite, reporter=QUIET)
    found = gc()
    assert found.kept_for == (LABEL,)
    assert not found.waste
    verified = verify(reporter=QUIET)
    assert not verified.missing
    assert not verified.unknown
    (word,) = (workspace / "begun").iterdir()
    forgotten = gc(forget=["mine"]).waste
    assert forgotten[0].path == word
    assert len(forgotten) == 1 + found.needed
    remove(forgotten)
    assert gc().kept_for == ()


def test_before_a_run_comes_to_jets_seen_otherwise_it_stops_nothing_but_with_damaged_tables_it_does(begun, workspace):
    tables = [part for part in plan_suite(begun, reporter=QUIET).parts if part.backbone == TABLES]
    first, second = (default_store().path(unit) for unit in tables[0].units[:2])
    whole = first.read_bytes()
    first.write_bytes(whole[:-9])
    with pytest.raises(StoreError, match=r"cannot be told(.|\n)*mine \(begun and not finished\): some of its jets"):
        gc()
    first.write_bytes(whole)
    second.unlink()
    found = gc()
    assert found.kept_for == (LABEL,)
    assert not found.waste


def test_one_file_says_how_a_suite_was_begun_however_often_and_git_does_not_see_it(begun, workspace):
    other = begun.on(limit=5)
    for suite in (begun, begun, other):
        jets = find_jets(suite.dataset, reporter=QUIET)
        note_begun(suite, jets, split_jets(suite, jets))
    files = [json.loads(path.read_text()) for path in (workspace / "begun").iterdir()]
    assert sorted(str(each["parameters"]["dataset"]["limit"]) for each in files) == ["5", "None"]
    ignored = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert {"/begun/", "/outbox/"} <= {*ignored}
