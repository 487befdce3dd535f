"""A plan is what a run then does: every unit, no other, and nothing is computed to know it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from stored_suite import CARD, QUIET, suite_on
from typer.testing import CliRunner

from jetassay.cli import app
from jetassay.errors import StoreError
from jetassay.inventory.costs import look_up_all, time_of_workers
from jetassay.inventory.planning import TABLES, plan_suite
from jetassay.inventory.rendering import render_plan, size_text
from jetassay.jets import digests
from jetassay.progress import Reporter
from jetassay.steps import load_backbones


def keys(plan):
    return {unit.key for part in plan.parts for unit in part.units}


def test_the_planned_units_are_the_shards_that_a_run_wrote_no_more_and_no_fewer(used):
    cache, suite = used
    plan = plan_suite(suite, reporter=QUIET)
    assert plan.known
    assert keys(plan) == {path.stem for path in (cache / "embeddings").rglob("*.parquet")}
    assert sorted(plan.audits) == sorted((cache / "audits").glob("*.json"))
    whats = {part.what for part in plan.parts if part.backbone == "tiny-1"}
    assert whats == {"embedding", "all layers", "drop=0.3", "mode=ideal"}


def test_after_a_run_nothing_is_left_to_do(used):
    plan = plan_suite(used[1], reporter=QUIET)
    assert all(each.there for _, units in look_up_all(plan) for each in units)
    text = render_plan(plan, look_up_all(plan), format="table", width=120)
    (total,) = [line.split() for line in text.splitlines() if line.startswith("in all")]
    files, units, there, entries, to_do = total[2:7]
    assert (files, units, to_do) == ("6", there, "0")
    assert int(entries) > 72
    assert "audit: findings on 2 of 2 backbones are there" in text


def test_bytes_of_what_is_there_are_those_on_disk(used):
    cache, suite = used
    units = json.loads(render_plan(*planned(suite), format="json", width=80))["units"]
    on_disk = sum(path.stat().st_size for path in (cache / "embeddings").rglob("*.parquet"))
    once = {unit["key"]: unit["bytes"] for unit in units}
    assert sum(once.values()) == on_disk


def ranges(plan):
    return [
        (part.backbone, part.what, unit.file.name, unit.start, unit.stop) for part in plan.parts for unit in part.units
    ]


def planned(suite):
    plan = plan_suite(suite, reporter=QUIET)
    return plan, look_up_all(plan)


def test_what_is_missing_is_estimated_from_other_shards_of_the_same_weights(used):
    cache, suite = used
    plan = plan_suite(suite, reporter=QUIET)
    unit = next(part for part in plan.parts if part.what == "embedding").units[0]
    gone = cache / "embeddings" / unit.key[:2] / f"{unit.key}.parquet"
    size = gone.stat().st_size
    gone.unlink()
    (missing,) = [each for _, units in look_up_all(plan) for each in units if not each.there]
    assert missing.key == unit.key
    assert missing.measured
    assert missing.size == pytest.approx(size, rel=0.7)
    assert missing.seconds is not None
    assert missing.seconds > 0


def test_time_on_workers_is_that_of_the_one_who_works_longest_and_one_worker_takes_all_of_the_cpu_time(used):
    _, suite = used
    costed = [
        (part, [replace(each, there=False, seconds=9.0, cpu_seconds=3.0) for each in units])
        for part, units in planned(suite)[1]
        if part.what in ("all splits", "embedding")
    ]
    units = sum(len(each) for _, each in costed)
    files = len(costed[0][1])  # a range of each, and all that is made of it goes to one worker
    assert time_of_workers(costed, workers=1) == (3.0 * units, True)
    assert time_of_workers(costed, workers=4) == (3.0 * units / files * -(-files // 4), True)
    assert time_of_workers(costed, workers=100) == (3.0 * units / files, True)
    part, first = costed[0]
    unknown = [(part, [replace(first[0], cpu_seconds=None), *first[1:]]), *costed[1:]]
    assert time_of_workers(unknown, workers=1) == (3.0 * (units - 1), False)
    plan = planned(suite)[0]
    text = render_plan(plan, unknown, format="table", width=120, workers=1)
    assert f"1 worker process of one thread each: > {3 * (units - 1):.1f} s" in text
    assert json.loads(render_plan(plan, costed, format="json", width=80, workers=100))["workers"] == {
        "count": 100,
        "seconds": 3.0 * units / files,
        "complete": True,
    }


def test_jets_that_are_not_simulated_yet_are_planned_from_the_recipe_and_stay_unsimulated(home):
    card = home / "two-classes.toml"
    card.write_text(CARD)
    plan, costed = planned(suite_on(card))
    assert not (home / "cache/simulated").exists()
    assert not (home / "cache/embeddings").exists()
    assert not plan.known
    tables = next(part for part in plan.parts if part.backbone == TABLES)
    assert sum(len(unit) for unit in tables.units) == 72
    assert not any(each.there or each.key for _, units in costed for each in units)
    text = render_plan(plan, costed, format="table", width=120)
    assert "72 entries in 6 files, of which 6 are not simulated yet" in text
    assert "embedding *" in text
    assert all(len(line) <= 120 for line in text.splitlines()[2:])


def test_before_the_first_run_the_plan_names_no_fewer_bytes_than_the_run_then_writes(used):
    cache, suite = used
    after = planned(suite)[1]
    for path in (cache / "embeddings").rglob("*.parquet"):
        path.unlink()
    before = planned(suite)[1]
    assert not any(each.measured for _, units in before for each in units)
    for (part, limits), (_, written) in zip(before, after, strict=True):
        sizes = [(each.unit.file.name, each.unit.start, each.size) for each in written]
        for (name, start, size), limit in zip(sizes, limits, strict=True):
            assert (name, start) == (limit.unit.file.name, limit.unit.start)
            assert size < limit.size < size + 6000 + 100 * len(limit.unit), (part.backbone, size, limit.size)


def test_disk_that_does_not_suffice_is_said_and_so_is_what_scoring_takes(used, monkeypatch):
    plan, costed = planned(used[1])
    jets = sum(len(each.unit) for part, units in costed if part.what == "all splits" for each in units)
    backbones = load_backbones(used[1], device="cpu", reporter=QUIET).values()
    widths = [each.card.embedding_dim + len(each.labels) for each in backbones]
    scoring = jets * (4 * sum(widths) + 24 + 4 * 16)
    for free, fits in ((scoring, True), (scoring - 1, False)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        text = render_plan(plan, costed, format="table", width=120)
        assert f"scoring takes < {size_text(scoring)} of it besides" in text
        assert ("warning: that does not fit" in text) is not fits
    disk = json.loads(render_plan(plan, costed, format="json", width=80))["disk"]
    assert disk == {"free": scoring - 1, "to_write": 0, "scoring": scoring}


def test_where_the_cache_can_only_be_read_a_plan_hashes_its_files_and_goes_on(used, monkeypatch, capsys):
    def refuse(store, kept):
        raise StoreError(f"{store}: cannot be written: Read-only file system")

    (used[0] / "digests.json").unlink(missing_ok=True)
    monkeypatch.setattr(digests, "_SETTLED_NS", 0)  # the files of the test are young, and count all the same
    monkeypatch.setattr(digests, "_save", refuse)
    plan = plan_suite(used[1], reporter=Reporter(quiet=True))
    assert all(each.there for _, units in look_up_all(plan) for each in units)
    assert "hashes of the files of jets are not kept" in capsys.readouterr().err


def test_a_plan_of_jets_that_are_there_embeds_none(used, monkeypatch):
    from jetassay.embeddings import datasets

    def forbidden(*_args, **_kwargs):
        raise AssertionError("something was computed")

    for name in ("embed_together", "tabulate"):
        monkeypatch.setattr(datasets, name, forbidden)
    cache, suite = used
    exact = ranges(plan_suite(suite, reporter=QUIET))
    for path in (cache / "embeddings").rglob("*.parquet"):
        path.unlink()
    plan, costed = planned(suite)
    assert ranges(plan) == exact  # files named by their class, and no jet dropped: a good guess
    assert not plan.known  # the tables that say which jets are seen otherwise are gone
    assert not any(each.there for _, units in costed for each in units)
    assert not list((cache / "embeddings").rglob("*.parquet"))


def test_the_command_prints_one_line_a_unit_as_csv(used, tmp_path):
    _, suite = used
    path = tmp_path / "mine.toml"
    path.write_text(
        f'name = "mine"\ntitle = "Mine"\nbackbones = ["tiny-1"]\ndataset = {{card = "{suite.dataset.card}"}}\n'
        "split = {train = 1, validation = 1, test = 1}\n[probe]\nsignals = ['Hbb']\n"
    )
    result = CliRunner().invoke(app, ["plan", str(path), "--format", "csv", "--quiet"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("backbone,what,file,start,stop,known,there,key,bytes")
    assert len(lines) == 1 + 2 * 6
    assert all(",True,True," in line for line in lines[1:])
