"""What goes is what no kept run needs; a second run after it computes nothing."""

import json
import os
import platform
import shutil
import time

import pandas as pd
import pytest
from stored_suite import QUIET, embed_again, suite_on
from typer.testing import CliRunner

from jetassay.cli import app
from jetassay.errors import StoreError
from jetassay.inventory import collecting
from jetassay.inventory.collecting import remove, sort_cache
from jetassay.run import run_suite
from jetassay.tasks.score import typed
from jetassay.tracking.outbox import keep
from jetassay.tracking.record import BackboneRecord, SuiteRecord


def files(cache):
    """All files but the list of digests, which any command may add to."""
    return {path for path in cache.rglob("*") if path.is_file() and path.name != "digests.json"}


def times(cache):
    """When each shard and audit was written."""
    return {path: path.stat().st_mtime_ns for name in ("embeddings", "audits") for path in files(cache / name)}


def gc(**options):
    found = sort_cache(min_age_h=0, reporter=QUIET, **options)
    remove(found.waste)
    return found


@pytest.fixture
def workspace(used, tmp_path, monkeypatch):
    """A workspace without results."""
    monkeypatch.setenv("JETASSAY_WORKSPACE", str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere"


def test_nothing_of_a_kept_run_goes_and_its_second_run_computes_nothing(used):
    cache, suite = used
    before = files(cache)
    found = gc()
    assert found.kept_for == ("mine",)
    assert not found.waste
    assert files(cache) == before
    written = times(cache)
    run_suite(suite, reporter=QUIET)
    assert times(cache) == written
    assert not [*(cache.parent / "workspace" / "begun").iterdir()]  # its results say what was run


def test_what_only_another_suite_needed_goes_and_no_more(used):
    cache, suite = used
    before = files(cache)
    other = suite_on(suite.dataset.card, name="other", backbones=["tiny-2"], robustness=None)
    backbones = embed_again(other)
    added = files(cache) - before
    assert len(added) == backbones
    assert not gc(keep=[other]).waste
    found = gc()
    assert {each.path for each in found.waste} == added
    assert files(cache) == before


def test_without_results_all_shards_and_audits_go_but_no_jets(used, workspace):
    cache, _ = used
    jets = files(cache / "simulated")
    found = gc()
    assert found.needed == 0
    assert files(cache / "simulated") == jets
    assert not files(cache / "embeddings")
    assert not files(cache / "audits")


def test_a_result_that_waits_in_the_outbox_is_a_kept_run(used, workspace, tmp_path):
    cache, suite = used
    folder = tmp_path / "workspace" / "reports" / "mine"
    record = SuiteRecord(
        suite=suite.name,
        suite_id="0",
        frame=typed(pd.read_parquet(folder / "scores.parquet")),
        provenance=json.loads((folder / "provenance.json").read_text()),
        backbones=tuple(BackboneRecord(name=name, role="control") for name in suite.backbones),
        artifacts=(),
        description="",
    )
    keep(record)
    before = files(cache)
    found = gc()
    assert found.kept_for == ("mine",)
    assert not found.waste
    assert files(cache) == before
    assert gc(forget=["mine"]).waste


def test_what_somebody_else_removes_meanwhile_stops_nothing(used, workspace, monkeypatch):
    cache, _ = used
    first, *others = sorted((cache / "embeddings").rglob("*.parquet"))
    listed = collecting.shards

    def and_gone(root):
        for path in listed(root):
            if path == others[0]:
                first.unlink()
            yield path

    monkeypatch.setattr(collecting, "shards", and_gone)
    found = sort_cache(min_age_h=0, reporter=QUIET)
    assert {*others} <= {each.path for each in found.waste}
    others[-1].unlink()
    remove(found.waste)
    assert not files(cache / "embeddings")


def test_young_files_stay_unless_asked_for(used, workspace):
    cache, _ = used
    before = files(cache)
    found = sort_cache(reporter=QUIET)
    assert not found.waste
    assert found.young > 25
    path = next(iter((cache / "embeddings").rglob("*.parquet")))
    old = time.time() - 25 * 3600
    os.utime(path, (old, old))
    assert [each.path for each in sort_cache(reporter=QUIET).waste] == [path]
    assert files(cache) == before


def test_what_cannot_be_told_is_not_guessed(used, workspace):
    cache, _ = used
    before = files(cache)
    about = workspace / "reports" / "lost" / "provenance.json"
    about.parent.mkdir(parents=True)
    about.write_text(json.dumps({"parameters": {"name": "lost"}}))
    with pytest.raises(StoreError, match=r"cannot be told(.|\n)*lost(.|\n)*--forget NAME"):
        gc()
    assert files(cache) == before
    assert gc(forget=["lost"]).waste


def test_a_suite_whose_jets_are_gone_stops_everything(used):
    cache, _ = used
    shutil.rmtree(cache / "simulated")
    with pytest.raises(StoreError, match="mine: some of its jets"):
        gc()


def test_what_killed_processes_left_goes_and_what_live_ones_write_stays(used):
    cache, _ = used
    host = platform.node().replace("-", "_")
    left = cache / "simulated" / f".QCD_000.root-{host}-999999999-0a1b2c3d.partial"
    live = cache / "embeddings" / f".x.parquet-{host}-{os.getpid()}-0a1b2c3d.partial"
    for path in (left, live):
        path.write_bytes(b"half")
    assert [each.path for each in gc().waste] == [left]
    assert live.exists()


def test_links_out_of_the_cache_are_not_followed(used, workspace, tmp_path):
    cache, _ = used
    outside = tmp_path / "outside"
    (cache / "embeddings").rename(outside)
    (cache / "embeddings").symlink_to(outside)
    shard = next(iter(outside.rglob("*.parquet")))
    linked = cache / "audits" / f"{'0' * 32}.json"
    linked.symlink_to(shard)
    before = files(outside)
    found = gc()
    assert found.linked == (cache / "embeddings",)
    assert files(outside) == before
    assert linked.is_symlink()


def test_the_command_shows_first_and_removes_when_told(used, workspace):
    cache, _ = used
    before = files(cache)
    shown = CliRunner().invoke(app, ["gc", "--min-age", "0", "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "could be freed; --delete does it" in shown.stdout
    assert f"kept: nothing for a suite (results in {workspace}, and --keep)" in shown.stdout
    assert files(cache) == before
    refused = CliRunner().invoke(app, ["gc", "--min-age", "0", "--delete", "--quiet"])
    assert refused.exit_code == 1
    assert "is that the right workspace?" in refused.stderr
    assert files(cache) == before
    gone = CliRunner().invoke(app, ["gc", "--min-age", "0", "--delete", "--everything", "--quiet"])
    assert gone.exit_code == 0, gone.output
    assert not files(cache / "embeddings")
