"""Fetching as a user does: weights and datasets, from publishers that this machine plays, folders and addresses."""

import gzip
import io
import json
import os
import tarfile
import time

import pytest
from fetching_server import IMPATIENT, git_blob, huggingface_set, md5, sha256, zenodo_record
from rich.console import Console
from typer.testing import CliRunner

from jetassay.backbones.catalogue import backbone_cards
from jetassay.backbones.weights import locate_weights
from jetassay.cli import app
from jetassay.errors import ConfigError, DataError, FetchError, StoreError, UnknownNameError, WeightsError
from jetassay.fetching import download as download_module
from jetassay.fetching.connection import UnreachableError
from jetassay.fetching.fetch import carry_out, plan_fetch
from jetassay.fetching.listing import Hosts
from jetassay.fetching.lock import LOCK_NAME, read_lock
from jetassay.fetching.plan import describe
from jetassay.jets import catalogue
from jetassay.jets.catalogue import Source, dataset_cards, fetched_folder, open_card
from jetassay.progress import Reporter

WEIGHTS = os.urandom(70_000)
SOURCES = {
    "zen": 'zenodo = "77"\nfiles = ["val.tar", "part{0..1}.tar"]',
    "hug": 'huggingface = "group/set"',
    "tab": 'zenodo = "78"',
}


@pytest.fixture
def datasets(tmp_path, monkeypatch):
    """Cards of three published datasets, whose publishers the server plays."""
    folder = tmp_path / "cards"
    folder.mkdir()
    for name, source in SOURCES.items():
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\ntitle = "T"\nschema = "jetclass"\nurl = "https://page"\n[source]\n{source}\n'
        )
    (folder / "sim.toml").write_text(
        'name = "sim"\ntitle = "T"\nschema = "jetclass"\n[simulation]\njets = 1\nfiles = 3\nseed = 1\n'
    )
    monkeypatch.setattr(catalogue, "_FOLDER", folder)
    return folder


@pytest.fixture
def official(home, server):
    """A card whose weights the server has, identified by git blob id."""

    def make(content=WEIGHTS, *, urls=None, extra=""):
        card = (home / "models" / "tiny-1" / "card.toml").read_text().replace("tiny-1", "far")
        card = card.replace('role = "control"', "").replace('untrained_twin_of = "tiny"', "").replace("seed = 1", "")
        urls = urls or [server.serve("/x/model.pt", content, etag='"v"')]
        (home / "models" / "far").mkdir(exist_ok=True)
        (home / "models" / "far" / "card.toml").write_text(
            f'{card}\n[weights]\nurls = {json.dumps(urls)}\ngit_blob = "{git_blob(WEIGHTS)}"\nlicence = "MIT"\n{extra}'
        )
        return home / "cache" / "weights" / "far" / "model.pt"

    return make


@pytest.fixture
def fetch(home, hosts):
    """Plan and carry out; gives the place and what was said."""

    def run(name, **options):
        said = io.StringIO()
        place = carry_out(
            plan_fetch(name, hosts=hosts, **options),
            reporter=Reporter(console=Console(file=said, soft_wrap=True)),
            patience=IMPATIENT,
        )
        return place, said.getvalue()

    return run


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{name}.root")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


TARS = {
    "val.tar": tar_of(HToBB_120=b"1" * 9000),
    "part0.tar": tar_of(HToBB_000=b"2" * 9000, HToCC_000=b"3" * 100),
    "part1.tar": tar_of(HToBB_001=b"4" * 9000),
    "extra.tar": tar_of(extra=b"5"),
}


def files_in(folder):
    return sorted(
        each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file() and each.name[0] != "."
    )


def test_weights_go_where_the_backbone_looks_for_them(official, fetch):
    expected = official()
    with pytest.raises(WeightsError, match="jetassay fetch far"):
        locate_weights(backbone_cards()["far"])
    place, _ = fetch("far")
    assert place == expected == locate_weights(backbone_cards()["far"])
    assert files_in(place.parent) == ["model.pt"]


def test_weights_that_are_there_are_verified_and_not_fetched_again(official, fetch, server):
    official()
    fetch("far")
    server.requests.clear()
    assert "here and verified" in fetch("far")[1]
    assert server.requests == []


def test_wrong_weights_of_the_user_are_left_as_they_are(official, fetch, server):
    place = official()
    place.parent.mkdir(parents=True)
    place.write_bytes(b"mine")
    with pytest.raises(FetchError, match=r"git_blob is .* instead of .* left as it is: move it away"):
        fetch("far")
    assert place.read_bytes() == b"mine"
    assert server.requests == []


def test_wrong_bytes_are_kept_under_a_name_that_says_so(official, fetch):
    place = official(b"evil" + WEIGHTS[4:])
    for k in range(2):
        with pytest.raises(FetchError, match=r"another file than expected: git_blob is .* kept as .*wrong-hash"):
            fetch("far")
        assert files_in(place.parent) == ["model.pt.wrong-hash", "model.pt.wrong-hash-1"][: k + 1]
    assert (place.parent / "model.pt.wrong-hash").read_bytes()[:4] == b"evil"


def test_after_wrong_bytes_the_next_mirror_is_asked(official, fetch, server):
    urls = [server.serve("/a/model.pt", WEIGHTS[::-1]), server.serve("/b/model.pt", WEIGHTS)]
    place, said = fetch("far") if official(urls=urls) else None
    assert place.read_bytes() == WEIGHTS
    assert "trying the next mirror" in said


def test_halves_that_do_not_fit_are_fetched_once_more_from_the_start(official, fetch):
    place = official()
    place.parent.mkdir(parents=True)
    place.with_name("model.pt.part").write_bytes(b"x" * 500)
    _, said = fetch("far")
    assert "do not fit together" in said
    assert place.read_bytes() == WEIGHTS
    assert files_in(place.parent) == ["model.pt"]


def test_without_a_network_the_commands_to_do_it_by_hand_come_within_seconds(official, fetch):
    place = official(urls=["https://nowhere.invalid/m/model.pt", "http://127.0.0.1:1/model.pt"])
    began = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        fetch("far")
    assert time.monotonic() - began < 5
    assert f"curl -fL -C - --create-dirs -o {place} https://nowhere.invalid/m/model.pt" in str(caught.value)
    assert "jetassay fetch far --from PLACE" in str(caught.value)


def test_weights_come_from_a_folder_or_another_address(official, fetch, server, tmp_path):
    place = official(urls=["https://nowhere.invalid/model.pt"])
    (tmp_path / "usb" / "far").mkdir(parents=True)
    (tmp_path / "usb" / "far" / "model.pt").write_bytes(WEIGHTS)
    fetch("far", source=str(tmp_path / "usb"))
    assert place.read_bytes() == WEIGHTS
    place.unlink()
    server.serve("/mirror/far/model.pt", WEIGHTS)
    fetch("far", source=f"{server.url}/mirror")
    assert place.read_bytes() == WEIGHTS
    assert server.paths() == ["/mirror/model.pt", "/mirror/far/model.pt"]


def test_wrong_weights_in_a_folder_are_not_copied(official, fetch, tmp_path):
    place = official()
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb" / "model.pt").write_bytes(b"evil")
    with pytest.raises(FetchError, match="not the file that is expected"):
        fetch("far", source=str(tmp_path / "usb"))
    assert not place.exists()
    assert (tmp_path / "usb" / "model.pt").read_bytes() == b"evil"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tiny-1", {}, "has no weights"),
        ("mlp", {}, "ships with its weights"),
        ("far", {"pattern": "*"}, "--files is for datasets"),
        ("far", {"source": "no/such/folder"}, "neither a folder nor an address"),
        ("sim", {}, "is simulated"),
        ("zen", {"pattern": "nothing*"}, r"there is no file nothing\*; there are .*val.tar"),
        ("zen", {"pattern": "part{3..1}.tar"}, "must rise"),
    ],
)
def test_what_cannot_be_fetched_is_said(official, datasets, server, fetch, name, options, message):
    official()
    zenodo_record(server, "77", TARS)
    with pytest.raises((FetchError, ConfigError), match=message):
        fetch(name, **options)


def test_an_unknown_name_suggests_a_backbone_and_a_dataset(datasets, home):
    with pytest.raises(UnknownNameError, match=r"backbone 'tin-1'.*tiny-1(?s:.*)dataset 'tin-1'"):
        plan_fetch("tin-1")


def test_a_dataset_is_fetched_verified_unpacked_and_found(datasets, server, fetch, home):
    zenodo_record(server, "77", TARS)
    folder, _ = fetch("zen")
    assert folder == home / "cache" / "datasets" / "zen"
    names = ["HToBB_000.root", "HToBB_001.root", "HToBB_120.root", "HToCC_000.root", LOCK_NAME]
    assert files_in(folder) == names
    lock = read_lock(folder)
    assert lock.origin == "Zenodo record 77"
    assert lock.files["part0.tar"].members == {"HToBB_000.root": 9000, "HToCC_000.root": 100}
    assert lock.files["part0.tar"].checks["sha256"] == sha256(TARS["part0.tar"])
    server.requests.clear()
    _, said = fetch("zen")
    assert said.count("unpacked already") == 3
    assert server.requests == []


def test_one_file_that_vanished_is_fetched_again(datasets, server, fetch):
    zenodo_record(server, "77", TARS)
    folder, _ = fetch("zen")
    (folder / "HToBB_001.root").unlink()
    server.requests.clear()
    fetch("zen")
    assert (folder / "HToBB_001.root").read_bytes() == b"4" * 9000
    assert server.paths() == ["/records/77/files/part1.tar?download=1"]


def test_files_are_chosen_by_pattern(datasets, server, fetch, tmp_path):
    zenodo_record(server, "77", TARS)
    folder, _ = fetch("zen", pattern="extra*, part{1..1}.tar", output=tmp_path / "here")
    assert files_in(folder) == ["HToBB_001.root", "extra.root", LOCK_NAME]


def test_the_lock_remembers_what_the_publisher_said_first(datasets, server, fetch):
    zenodo_record(server, "77", TARS)
    folder, _ = fetch("zen", pattern="val.tar")
    zenodo_record(server, "77", {**TARS, "part0.tar": tar_of(HToBB_000=b"other" * 9)})
    with pytest.raises(FetchError, match=r"instead of|md5 is"):
        fetch("zen", pattern="part0.tar")
    assert "/api/records/77" not in server.paths()[3:]
    assert not (folder / "HToBB_000.root").exists()


def test_a_listing_that_contradicts_the_published_hash_is_refused(datasets, server, fetch):
    with (datasets / "zen.toml").open("a") as card:
        card.write(f'[source.md5]\n"val.tar" = "{"0" * 32}"\n')
    zenodo_record(server, "77", TARS)
    with pytest.raises(FetchError, match="do not use it before its authors have said why"):
        fetch("zen")


def test_a_dataset_in_pages_comes_from_one_commit(datasets, server, fetch):
    files = {f"Pythia/Res2P_{k:04d}.parquet": os.urandom(3000) for k in range(5)}
    huggingface_set(server, "group/set", {**files, "README.md": b"about", ".gitattributes": b"x"}, per_page=2)
    folder, _ = fetch("hug")
    assert files_in(folder) == [*files, "README.md", LOCK_NAME]
    assert all((folder / name).read_bytes() == content for name, content in files.items())
    assert all("a" * 40 in url for url in read_lock(folder).files["README.md"].urls)


def test_a_listing_does_not_go_on_at_another_host(datasets, server, fetch):
    huggingface_set(server, "group/set", {"a.parquet": b"x"})
    tree = f"/api/datasets/group/set/tree/{'a' * 40}?recursive=true"
    server.pages[tree].headers = {"Link": '<https://evil.invalid/more>; rel="next"'}
    with pytest.raises(FetchError, match="goes on at another host"):
        fetch("hug")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "no listing, but something else"),
        (b"[" * 100_000, "no listing"),
        (b"{}", "not laid out as expected"),
        (b'{"files": [3]}', "not laid out as expected"),
        (b'{"files": []}', "lists no files"),
        (b'{"files": [{"key": "a", "size": -1, "checksum": "md5:x"}]}', "a file of -1 bytes|no hash"),
        (b'{"files": [{"key": "a", "size": 1%s, "checksum": "md5:x"}]}' % (b"0" * 400), "a file of 10000"),
        (b'{"files": [{"key": "a", "size": 1}]}', "no hash"),
        (b'{"files": [{"key": "../a", "size": 1, "checksum": "md5:%s"}]}' % (b"0" * 32), "would not stay inside"),
        (b'{"files": [{"key": "/a", "size": 1, "checksum": "md5:%s"}]}' % (b"0" * 32), "would not stay inside"),
    ],
)
def test_an_odd_listing_is_a_plain_error(datasets, server, fetch, home, answer, message):
    server.serve("/api/records/77", answer)
    with pytest.raises(FetchError, match=message):
        fetch("zen")
    assert not (home / "cache" / "datasets").exists()


def test_without_a_network_a_dataset_says_what_to_do_by_hand(datasets, home):
    began = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        plan_fetch("zen", hosts=Hosts("https://nowhere.invalid", "https://nowhere.invalid"))
    assert time.monotonic() - began < 5
    assert "https://nowhere.invalid/records/77/files/part1.tar" in str(caught.value)
    assert "jetassay fetch zen --from PLACE" in str(caught.value)


def test_archives_of_a_folder_are_unpacked_from_where_they_lie(datasets, fetch, tmp_path, server):
    store = tmp_path / "store"
    store.mkdir()
    for name, content in TARS.items():
        (store / name).write_bytes(content)
    folder, said = fetch("zen", source=str(store))
    assert files_in(folder) == ["HToBB_000.root", "HToBB_001.root", "HToBB_120.root", "HToCC_000.root", LOCK_NAME]
    assert files_in(store) == sorted(TARS)
    assert "nobody said what its hash is" in said
    assert read_lock(folder).listed is None
    assert server.requests == []
    zenodo_record(server, "77", TARS)  # later, with a network: what is here is compared with what is listed
    assert fetch("zen")[1].count("unpacked already") == 3
    assert server.paths() == ["/api/records/77"]


def test_what_came_from_a_folder_is_compared_with_the_listing_later(datasets, fetch, tmp_path, server):
    store = tmp_path / "store"
    store.mkdir()
    (store / "val.tar").write_bytes(tar_of(odd=b"another"))
    fetch("zen", source=str(store), pattern="val.tar")
    zenodo_record(server, "77", TARS)
    with pytest.raises(FetchError, match="was replaced or came from elsewhere"):
        fetch("zen")


def test_another_address_needs_names_and_gives_sizes(datasets, server, fetch, hosts):
    with pytest.raises(FetchError, match="an address cannot be asked which files it has"):
        fetch("hug", source=server.url)
    for k in range(2):
        server.serve(f"/m/Res2P_{k:04d}.parquet", b"x" * 100)
    plan = plan_fetch("hug", source=f"{server.url}/m", pattern="Res2P_{0000..0001}.parquet", hosts=hosts)
    assert [file.size for file in plan.files] == [100, 100]
    folder, _ = fetch("hug", source=f"{server.url}/m", pattern="Res2P_{0000..0001}.parquet")
    assert files_in(folder) == ["Res2P_0000.parquet", "Res2P_0001.parquet", LOCK_NAME]
    with pytest.raises(FetchError, match="404"):
        fetch("hug", source=f"{server.url}/m", pattern="Res2P_{0001..0002}.parquet")


def test_patterns_at_an_address_choose_among_names_that_the_card_knows(datasets, server, fetch, hosts):
    for name, content in TARS.items():
        server.serve(f"/m/{name}", content)
    plan = plan_fetch("zen", source=f"{server.url}/m", pattern="part*, extra.tar", hosts=hosts)
    assert [file.name for file in plan.files] == ["part0.tar", "part1.tar", "extra.tar"]
    with pytest.raises(FetchError, match=r"there is no file Res\*; there are val.tar"):
        plan_fetch("zen", source=f"{server.url}/m", pattern="Res*", hosts=hosts)


def test_a_dry_run_says_names_sizes_and_place_and_writes_nothing(datasets, server, hosts, home):
    zenodo_record(server, "77", TARS)
    text = describe(plan_fetch("zen", hosts=hosts))
    assert "part0.tar" in text
    assert "20.5 kB" in text
    assert f"zen: 3 files, 61.4 kB; to {home}/cache/datasets/zen" in text
    assert not (home / "cache" / "datasets").exists()


def test_a_disk_that_is_too_small_is_known_before_anything_is_fetched(datasets, server, fetch, monkeypatch):
    zenodo_record(server, "77", TARS)
    usage = type("Usage", (), {"free": 50_000})
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match=r"zen needs 81.9 kB, but only 50.0 kB are free"):
        fetch("zen")
    assert server.paths() == ["/api/records/77"]


def test_an_evil_archive_is_refused_although_its_hash_is_right(datasets, server, fetch):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../evil.root"))
    zenodo_record(server, "77", {**TARS, "val.tar": out.getvalue()})
    with pytest.raises(FetchError, match="would not stay inside"):
        fetch("zen", pattern="val.tar")


def test_an_archive_that_the_user_put_there_stays(datasets, server, fetch):
    zenodo_record(server, "77", TARS)
    folder, _ = fetch("zen", pattern="extra.tar")
    (folder / "val.tar").write_bytes(TARS["val.tar"])
    fetch("zen", pattern="val.tar")
    assert (folder / "val.tar").exists()
    assert (folder / "HToBB_120.root").exists()


def test_a_damaged_lock_is_named_and_kept(datasets, server, fetch):
    zenodo_record(server, "77", TARS)
    folder, _ = fetch("zen", pattern="val.tar")
    for text in ("{", '{"version": 1, "files": {"../x": {}}, "dataset": "zen", "origin": ""}', '{"what": 1}'):
        (folder / LOCK_NAME).write_text(text)
        with pytest.raises(FetchError, match=r"fetched\.lock\.json"):
            fetch("zen")
        assert (folder / LOCK_NAME).read_text() == text


def test_two_datasets_do_not_share_a_folder(datasets, server, fetch, tmp_path):
    zenodo_record(server, "77", TARS)
    zenodo_record(server, "78", {"train.h5": b"x"})
    fetch("zen", pattern="val.tar", output=tmp_path / "d")
    with pytest.raises(FetchError, match="holds files of zen"):
        fetch("tab", output=tmp_path / "d")


def test_a_plain_file_that_changed_since_it_was_verified_is_noticed(datasets, server, fetch):
    zenodo_record(server, "78", {"train.h5": b"x" * 1000})
    folder, _ = fetch("tab")
    assert "unchanged since it was verified" in fetch("tab")[1]
    (folder / "train.h5").write_bytes(b"y" * 1000)
    with pytest.raises(FetchError, match="left as it is"):
        fetch("tab")
    assert (folder / "train.h5").read_bytes() == b"y" * 1000


def test_what_was_fetched_is_where_suites_look(home, monkeypatch):
    card = dataset_cards()["jetclass"]
    monkeypatch.setenv("DATADIR_JetClass", "")
    with pytest.raises(DataError, match="`jetassay fetch jetclass`"):
        open_card(card)
    folder = home / "cache" / "datasets" / "jetclass"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=f"{folder}: holds no"):
        open_card(card)
    monkeypatch.setenv("DATADIR_JetClass", str(home / "mine"))
    assert fetched_folder(card) == home / "mine"


def test_the_published_datasets_name_their_sources():
    cards = dataset_cards()
    found = {name: cards[name].source for name in ("jetclass", "jetclass2", "toplandscape", "quarkgluon")}
    assert found["jetclass"].zenodo == "6619768"
    assert found["jetclass2"].huggingface == "jet-universe/jetclass2"
    assert found["toplandscape"].zenodo == "2603256"
    assert found["quarkgluon"].zenodo == "3164691"


def test_a_source_has_one_publisher():
    with pytest.raises(ValueError, match="either a `zenodo` record or a `huggingface` data set"):
        Source()


def test_the_command_line_fetches_and_plans(official, home, server):
    place = official()
    plan = CliRunner().invoke(app, ["fetch", "far", "--dry-run"])
    assert plan.exit_code == 0
    assert "model.pt" in plan.stdout
    assert not place.exists()
    done = CliRunner().invoke(app, ["fetch", "far"])
    assert done.exit_code == 0
    assert done.stdout.strip() == str(place)


def test_the_command_line_says_plainly_what_failed(official):
    official(b"evil")
    result = CliRunner().invoke(app, ["fetch", "far"], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: far") or "error: " in result.stderr
    assert "Traceback" not in result.output


def test_compressed_archives_are_unpacked_too(datasets, server, fetch):
    zenodo_record(server, "78", {"jets.tar.gz": gzip.compress(TARS["part0.tar"])})
    folder, _ = fetch("tab")
    assert (folder / "HToCC_000.root").read_bytes() == b"3" * 100
    assert md5(TARS["val.tar"]) != md5(TARS["part0.tar"])
