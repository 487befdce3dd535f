"""Workers that die and files that nobody can use, as `jetassay run` meets them."""

import re
import shutil

import awkward as ak
import numpy as np
import pandas as pd
import psutil
import pytest
import uproot
from places_of_runs import finish, wait_until

pytestmark = pytest.mark.slow
TWO = ("--scheduler", "processes", "--workers", "2")


def counted(place):
    return int(pd.read_csv(place.root / "workspace/reports/tiny/counts.csv")["jets"].sum())


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(place, undisturbed):
    process = place.start(*TWO, seconds=0.3)

    def worker():
        return [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]

    wait_until(lambda: place.shards() >= 2)
    worker()[0].kill()
    code, said = finish(process)
    assert code == 0, said
    assert place.results() == undisturbed
    assert not place.left_over()


def test_a_range_that_kills_once_is_done_by_another(place, undisturbed, spare):
    code, said = place.run(*TWO, kill_once=[spare], marks=str(place.root))
    assert code == 0, said
    assert (place.root / spare).exists()
    assert place.results() == undisturbed


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("kill", "the processes that worked on it died"), ("raise", "RuntimeError: this file upsets the worker")],
)
def test_a_file_that_no_worker_survives_is_set_aside_and_the_suite_goes_on(place, undisturbed, spare, deed, reason):
    code, said = place.run(*TWO, **{deed: [spare]})
    assert code == 1
    assert re.search(rf"missing: set aside with its \d+ entries: {re.escape(f'{place.data / spare}: {reason}')}", said)
    assert "goes on without 1 of 8 files" in said
    assert counted(place) == 7 * 24
    assert place.shards() == 7 * 3
    assert place.run(*TWO)[0] == 0  # nobody is killed this time
    assert place.results() == undisturbed
    assert not place.left_over()


def break_a_jet(path):
    """Write a file of jets again, one momentum of which is no number."""
    with uproot.open(path) as file:
        columns = file["tree"].arrays()
    px = ak.to_numpy(ak.flatten(columns["part_px"])).copy()
    px[7] = np.nan
    columns["part_px"] = ak.unflatten(px, ak.num(columns["part_px"]))
    kept = {name: columns[name] for name in columns.fields if not name.startswith("n")}  # no counters: uproot adds them
    path.unlink()
    with uproot.recreate(path) as file:
        file.mktree("tree", {name: column.type.content for name, column in kept.items()})
        file["tree"].extend(kept)


def test_a_file_that_is_cut_short_and_one_with_a_broken_jet_are_set_aside_alike_by_one_process_and_by_many(
    make_place, many_jets, spare, tmp_path
):
    data = shutil.copytree(many_jets, tmp_path / "data")
    (data / "cut_000.root").write_bytes((data / spare).read_bytes()[:2000])
    break_a_jet(data / spare)
    found = []
    for where in (("--scheduler", "local"), TWO):
        place = make_place(data)
        code, said = place.run(*where)
        assert code == 1
        assert f"missing: set aside with its 24 entries: {data / spare}" in said
        assert "part_px" in said
        assert f"missing: set aside with all its entries: {data / 'cut_000.root'}: truncated or damaged" in said
        assert counted(place) == 7 * 24
        found.append(place.results())
    assert found[0] == found[1]
