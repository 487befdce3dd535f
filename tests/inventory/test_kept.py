"""Results are told what they took from what they say of themselves, wherever that is read; or not at all."""

import json
import os
import shutil
from dataclasses import replace

import pytest
from stored_suite import QUIET, suite_on
from typer.testing import CliRunner

from jetassay.auditing import audit_all
from jetassay.bookkeeping import Clock, provenance_of
from jetassay.cli import app
from jetassay.embeddings.datasets import default_store
from jetassay.embeddings.store import outline
from jetassay.errors import StoreError
from jetassay.inventory.collecting import remove, sort_cache
from jetassay.inventory.costs import look_up_all
from jetassay.inventory.kept import last_taken
from jetassay.inventory.planning import plan_suite
from jetassay.inventory.rendering import render_plan
from jetassay.inventory.verifying import verify
from jetassay.steps import embed_usable, find_jets, load_backbones, split_jets
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
    assert "nothing of mien to forget" in result.stderr
    assert result.stderr.rstrip().endswith("runs begun of: mine")


@pytest.fixture
def lame(request, used, tmp_path):
    """Results of a suite that went on without a file, in the workspace alone, and that file.

    The parameter, if there is one, is "cut short": where it could not even be opened.
    """
    _, suite = used
    shutil.rmtree(tmp_path / "workspace" / "reports")
    files = find_jets(suite.dataset, reporter=QUIET).files
    folder = tmp_path / "jets"
    folder.mkdir()
    for file in files:
        shutil.copy(file.path, folder / file.name)
    choice = DatasetChoice(card=suite.dataset.card, folder=folder)
    suite = suite_on("", name="lame", backbones=["jet-observables"], dataset=choice, **NO_MORE_THAN_AN_AUDIT)
    backbones = load_backbones(suite, device="cpu", reporter=QUIET)
    jets = find_jets(suite.dataset, reporter=QUIET)
    victim = split_jets(suite, jets)["test"][0]
    unit = next(unit for unit in plan_suite(suite, reporter=QUIET).parts[1].units if unit.file == victim)
    default_store().path(unit).unlink()
    if getattr(request, "param", "") == "cut short":
        victim.path.write_bytes(victim.path.read_bytes()[:-999])
        jets = find_jets(suite.dataset, set_aside=True, reporter=QUIET)
    os.utime(victim.path, ns=(0, 0))  # changed since it was opened
    usable = embed_usable(suite, backbones, jets, split_jets(suite, jets), reporter=QUIET)
    assert victim.name not in {file.name for file in usable.dataset.files}
    audit_all(suite, backbones, dataset=usable.dataset, splits=usable.splits, embedded=usable.embedded, reporter=QUIET)
    about = provenance_of(suite, usable.dataset, backbones, usable.embedded, clock=Clock(), device="cpu")
    results = tmp_path / "workspace" / "reports" / "lame"
    results.mkdir(parents=True)
    (results / "provenance.json").write_text(json.dumps(about))
    return suite, victim


NO_MORE_THAN_AN_AUDIT = dict.fromkeys(("probe", "layers", "robustness"))


@pytest.mark.parametrize(("lame", "where"), [("", "outbox"), ("cut short", "reports")], indirect=["lame"])
def test_a_run_that_went_on_without_a_file_keeps_what_it_took_and_lacks_nothing_that_it_did_not(lame, where, tmp_path):
    _, victim = lame
    if where == "outbox":
        about = json.loads((tmp_path / "workspace/reports/lame/provenance.json").read_text())
        shutil.rmtree(tmp_path / "workspace/reports")
        (tmp_path / "workspace/outbox/lame-0123456789ab").mkdir(parents=True)
        (tmp_path / "workspace/outbox/lame-0123456789ab/record.json").write_text(json.dumps({"provenance": about}))
    found = gc()
    remove(found.waste)
    assert found.kept_for == ("lame",)
    (audit,) = (tmp_path / "cache/audits").glob("*.json")
    tables = {of_table(path) for path in (tmp_path / "cache/embeddings").rglob("*.parquet")}
    assert (victim.digest in tables) == (where == "outbox")  # a file that can be opened is tried again
    audit.write_text(audit.read_text().replace("jet-observables", "jet-observable"))
    verified = verify(reporter=QUIET)
    assert not verified.missing
    assert [(each.path, each.results[0][:4], each.uncertain) for each in verified.damaged] == [(audit, "lame", ())]


def of_table(path):
    """Digest of the file that a table of jets is of; None for what a backbone gave."""
    about = outline(path).description
    return about["file"] if "card" not in about else None


def test_a_plan_is_without_the_files_that_the_last_run_went_on_without_and_names_them(lame):
    suite, victim = lame
    taken = last_taken(suite)
    plan = plan_suite(suite, taken=taken, reporter=QUIET)
    text = render_plan(plan, look_up_all(plan), format="table", width=120)
    assert "lame: 10 of 10 units are there" in text
    assert "audit: findings on 1 of 1 backbones are there" in text
    assert f"not in the plan: {victim.name}; the last run went on without, and the next one tries" in text
    assert last_taken(suite.on(limit=5)) is None
    other = plan_suite(suite, taken=replace(taken, digest="of other jets"), reporter=QUIET)
    assert not other.aside
    assert len(other.jets.dataset.files) == len(plan.jets.dataset.files) + 1
