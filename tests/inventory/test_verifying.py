"""Damage is found wherever it is, told with those who used it, and never used."""

import json
import platform
import random
import shutil

import pyarrow.parquet as pq
import pytest
from stored_suite import QUIET, embed_again
from typer.testing import CliRunner

from jetassay.cli import app
from jetassay.embeddings.store import DamagedShardError, check_shard
from jetassay.errors import StoreError
from jetassay.inventory.collecting import sort_cache
from jetassay.inventory.planning import TABLES, plan_suite
from jetassay.inventory.verifying import verify
from jetassay.progress import Reporter


def shard_paths(cache):
    return sorted((cache / "embeddings").rglob("*.parquet"))


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 0x55
    path.write_bytes(content)


def last_value(path):
    """Where the values of the last column end."""
    group = pq.read_metadata(path).row_group(0)
    last = group.column(group.num_columns - 1)
    return last.data_page_offset + last.total_compressed_size - 1


def places_of(suite, cache):
    """One shard of each part of the plan, so of every kind."""
    plan = plan_suite(suite, reporter=QUIET)
    return {(part.backbone, part.what): shard_of(cache, part.units[0].key) for part in plan.parts}


def shard_of(cache, key):
    return cache / "embeddings" / key[:2] / f"{key}.parquet"


def names(damaged):
    return [each.split(" (tracked as ")[0] for each in damaged.results]


def test_a_cache_in_order_is_whole_to_the_last_file(used):
    cache, _ = used
    found = verify(reporter=QUIET)
    assert (found.damaged, found.foreign, found.leftovers) == ((), (), ())
    assert found.shards == len(shard_paths(cache)) > 25
    assert found.audits == 2


def test_a_damaged_shard_of_every_kind_is_found_with_the_results_that_used_it(used):
    cache, suite = used
    places = {path for (owner, _), path in places_of(suite, cache).items() if owner != TABLES}
    assert len(places) == 7
    for path in places:
        flip(path, last_value(path))
    found = verify(reporter=QUIET)
    assert {each.path for each in found.damaged} == places
    assert all(names(each) == ["mine"] for each in found.damaged)


def test_damaged_tables_of_jets_are_found_with_the_results_that_used_them(used):
    cache, suite = used
    places = {path for (owner, what), path in places_of(suite, cache).items() if owner == TABLES and "mode" not in what}
    assert len(places) == 3
    for path in places:
        path.write_bytes(path.read_bytes()[:-9])
    found = verify(reporter=QUIET)
    assert {each.path for each in found.damaged} == places
    for each in found.damaged:
        assert names(each) == ["mine"] or each.uncertain[0].startswith("mine: some of its jets, or of their tables")
    assert sum(names(each) == ["mine"] for each in found.damaged) >= 2


@pytest.mark.parametrize("seed", range(3))
def test_random_flipped_bytes_are_found_or_change_nothing(used, seed):
    cache, _ = used
    draw = random.Random(seed)
    found, trials = 0, 40
    for path in draw.choices(shard_paths(cache), k=trials):
        whole = path.read_bytes()
        before = check_shard(path)
        flip(path, draw.randrange(len(whole)))
        try:
            assert check_shard(path) == before  # the checksum over all values and facts still fits
        except DamagedShardError:
            found += 1
        path.write_bytes(whole)
    assert found > trials / 2


def test_results_are_named_by_a_damaged_shard_that_says_nothing_any_more(used):
    cache, suite = used
    path = places_of(suite, cache)["tiny-1", "drop=0.3"]
    path.write_bytes(path.read_bytes()[:100])
    (damaged,) = verify(reporter=QUIET).damaged
    assert damaged.path == path
    assert names(damaged) == ["mine"]


def test_a_foreign_shard_under_the_name_of_another_is_damage_and_is_computed_again(used, capsys):
    cache, suite = used
    places = places_of(suite, cache)
    path, other = places["tiny-1", "embedding"], places["jet-observables", "embedding"]
    values = check_shard(path)
    shutil.copy(other, path)
    (damaged,) = verify(reporter=QUIET).damaged
    assert damaged.path == path
    assert "describes something other" in damaged.reason
    embed_again(suite, reporter=Reporter(quiet=True))
    assert "it is not used, but computed again" in capsys.readouterr().err
    assert check_shard(path).description == values.description
    assert not verify(reporter=QUIET).damaged


def test_a_shard_that_is_gone_is_named_with_the_results_that_used_it_and_is_no_damage(used):
    cache, suite = used
    gone = {path for (owner, _), path in places_of(suite, cache).items() if owner == "tiny-1"}
    assert not verify(reporter=QUIET).missing
    for path in gone:
        path.unlink()
    found = verify(reporter=QUIET)
    assert not found.damaged
    ((name, paths),) = found.missing.items()
    assert name.startswith("mine (tracked as ")
    assert {*paths} == gone
    shutil.rmtree(cache / "simulated")
    assert "cannot be told what mine takes: some of its jets" in verify(reporter=QUIET).text()


def test_damaged_jets_are_found_with_the_results_that_used_them_and_nothing_is_removed_meanwhile(used):
    cache, _ = used
    victim, other = sorted((cache / "simulated").rglob("QCD_*.root"))[:2]
    shutil.copy(other, victim)
    found = verify(reporter=QUIET)
    assert [each.path for each in found.damaged] == [victim]
    assert names(found.damaged[0]) == ["mine"]
    assert not found.missing
    with pytest.raises(StoreError, match="mine: some of its jets"):
        sort_cache(min_age_h=0, reporter=QUIET)


@pytest.mark.parametrize("mode", ["delphes", "ideal"])
def test_one_damaged_file_of_jets_hides_nobody_who_used_a_shard_of_another(used, mode):
    cache, suite = used
    path = places_of(suite, cache)["tiny-1", "embedding"]  # of the first file, an Hbb
    what = {"delphes": "embedding", "ideal": "mode=ideal"}[mode]
    parts = plan_suite(suite, reporter=QUIET).parts
    jets = next(part for part in parts if part.backbone == "tiny-1" and part.what == what).units[-1].file.path
    jets.write_bytes(jets.read_bytes()[: jets.stat().st_size // 2])
    flip(path, last_value(path))
    found = verify(reporter=QUIET)
    assert {each.path for each in found.damaged} == {path, jets}
    assert [(names(each), each.uncertain) for each in found.damaged] == [(["mine"], ())] * 2


def test_files_of_others_and_of_killed_processes_are_named_and_are_no_damage(used):
    cache, _ = used
    note = cache / "embeddings" / "note.txt"
    note.write_text("mine")
    host = platform.node().replace("-", "_")
    half = shard_paths(cache)[0].parent / f".half.parquet-{host}-999999999-0a1b2c3d.partial"
    half.write_bytes(b"PAR1")
    found = verify(reporter=QUIET)
    assert found.foreign == (note,)
    assert found.leftovers == (half,)
    assert not found.damaged


def test_a_folder_in_the_place_of_a_shard_or_an_audit_is_named_and_its_shard_is_missing(used):
    cache, _ = used
    shard, audit = shard_paths(cache)[0], next((cache / "audits").glob("*.json"))
    for path in (shard, audit):
        path.unlink()
        path.mkdir()
        (path / "note.txt").write_text("mine")
    found = verify(reporter=QUIET)
    assert set(found.foreign) == {shard, audit}
    assert shard in {path for paths in found.missing.values() for path in paths}
    assert f"not checked: {shard} (a folder where a file goes: move it away)" in found.text()
    assert not found.damaged


def test_an_audit_that_was_edited_is_found_and_made_again(used, capsys):
    cache, suite = used
    path = min((cache / "audits").glob("*.json"))
    kept = json.loads(path.read_text())
    kept["rows"][0]["meaning"] = "all is well"
    path.write_text(json.dumps(kept))
    (damaged,) = verify(reporter=QUIET).damaged
    assert damaged.path == path
    assert names(damaged) == ["mine"]
    embed_again(suite, audit=True, reporter=Reporter(quiet=True))
    assert "it is not used, but made again" in capsys.readouterr().err
    assert "all is well" not in path.read_text()
    assert not verify(reporter=QUIET).damaged


def test_the_command_fails_where_something_is_damaged(used):
    cache, suite = used
    assert CliRunner().invoke(app, ["verify", "--quiet"]).exit_code == 0
    path = places_of(suite, cache)["tiny-1", "embedding"]
    flip(path, last_value(path))
    result = CliRunner().invoke(app, ["verify", "--quiet"])
    assert result.exit_code == 1
    assert f"damaged: {path}" in result.stdout
    assert "results that depended on it: mine (tracked as " in result.stdout
