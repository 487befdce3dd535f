"""Results are told what they took from what they say of themselves, wherever that is read; or not at all."""

import json
import shutil

import pytest
from stored_suite import QUIET
from typer.testing import CliRunner

from jetassay.cli import app
from jetassay.embeddings.datasets import default_store
from jetassay.errors import StoreError
from jetassay.inventory.collecting import sort_cache
from jetassay.inventory.planning import plan_suite
from jetassay.steps import find_jets
from jetassay.suite import DatasetChoice


def gc(**options):
    return sort_cache(min_age_h=0, reporter=QUIET, **options)


def of_another_mode(suite):
    """Shards of the suite's jets in another detector mode."""
    parts = plan_suite(suite, reporter=QUIET).parts
    return {default_store().path(unit) for part in parts if part.what == "mode=ideal" for unit in part.units}


@pytest.fixture
def results(used, tmp_path):
    """The folder with the results of the suite."""
    return tmp_path / "workspace" / "reports" / "mine"


@pytest.fixture
def moved(used, results, tmp_path, monkeypatch):
    """The same results, as if the jets had been read from the folder `a`; the files in `b` have others."""
    _, suite = used
    jets = find_jets(suite.dataset, reporter=QUIET).files
    for name, order in (("a", jets), ("b", jets[::-1])):
        (tmp_path / name / "jets").mkdir(parents=True)
        for file, content in zip(jets, order, strict=True):
            shutil.copy(content.path, tmp_path / name / "jets" / file.name)
    card = tmp_path / "two-classes.toml"
    card.write_text('name = "two-classes"\ntitle = "Read"\nschema = "jetclass"\nfolder_variable = "MY_JETS"\n')
    monkeypatch.chdir(tmp_path / "a")

    def read_from(folder):
        about = json.loads((results / "provenance.json").read_text())
        read = DatasetChoice(card=str(card), folder=folder).model_dump(mode="json")
        about["parameters"]["dataset"] = read
        (results / "provenance.json").write_text(json.dumps(about))

    return read_from


def test_a_suite_on_a_relative_folder_is_the_same_suite_from_another_one(used, moved, tmp_path, monkeypatch):
    moved("jets")
    monkeypatch.chdir(tmp_path / "b")
    found = gc()
    assert found.kept_for == ("mine",)
    assert {each.path for each in found.waste} == of_another_mode(used[1])  # such jets are simulated or there are none


@pytest.mark.parametrize("how", ["variable", "content", "older"])
def test_where_other_jets_lie_now_it_cannot_be_told_what_a_run_took(moved, how, results, tmp_path, monkeypatch):
    if how == "variable":
        moved(None)
        monkeypatch.setenv("MY_JETS", str(tmp_path / "b/jets"))
    elif how == "content":
        moved("jets")
        (tmp_path / "a/jets").rename(tmp_path / "a/other")
        (tmp_path / "b/jets").rename(tmp_path / "a/jets")
    else:  # written when a folder was kept as it was said
        moved("jets")
        about = (results / "provenance.json").read_text()
        (results / "provenance.json").write_text(about.replace(str(tmp_path / "a/jets"), "jets"))
        monkeypatch.chdir(tmp_path / "b")
    with pytest.raises(StoreError, match=r"cannot be told(.|\n)*mine: .*/jets holds other jets than those"):
        gc()


def test_scores_that_lost_their_provenance_stop_everything(used, results):
    (results / "provenance.json").rename(results.parent / "provenance.json")
    with pytest.raises(StoreError, match=r"cannot be told(.|\n)*mine: .*provenance.json: cannot be read"):
        gc()
    assert gc(forget=["mine"]).waste
    (results / "provenance.json").write_text("[" * 100_000)
    with pytest.raises(StoreError, match=r"mine: .*provenance.json: cannot be read"):
        gc()


def test_a_suite_to_forget_that_is_not_there_is_an_error_that_names_those_that_are(used):
    result = CliRunner().invoke(app, ["gc", "--forget", "mien", "--min-age", "0", "--delete"])
    assert result.exit_code == 1
    assert "no results of mien to forget" in result.stderr
    assert result.stderr.rstrip().endswith("there are results of: mine")
