"""Archives that somebody else made: what is refused, and that nothing is written then."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jetassay.errors import FetchError, StoreError
from jetassay.fetching import download as download_module
from jetassay.fetching.archive import Limits, is_archive, survey, unpack

CONTENT = b"jets" * 5000


def tar_of(*members, form=tarfile.GNU_FORMAT):
    """A tar archive of (name or TarInfo, content) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def special(kind, name="odd", **facts):
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in facts.items():
        setattr(info, key, value)
    return info


@pytest.fixture
def try_to_unpack(tmp_path):
    """Unpack bytes; asserts that nothing at all lies anywhere if it is refused."""
    target = tmp_path / "target"

    def run(content, **options):
        path = tmp_path / "a.tar"
        path.write_bytes(content)
        try:
            unpack(path, target, **options)
        except FetchError:
            assert not list(target.rglob("*"))
            assert {each.name for each in tmp_path.iterdir()} <= {"a.tar", "target"}
            raise
        return {each.relative_to(target).as_posix(): each.read_bytes() for each in target.rglob("*") if each.is_file()}

    return run


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_every_kind_of_tar_is_unpacked_as_it_is(try_to_unpack, pack, form):
    noise = random.Random(1).randbytes(70_000)
    long = f"val_5M/{'x' * 90}/HToBB_120.root"
    content = tar_of((special(tarfile.DIRTYPE, "val_5M"), b""), (long, noise), ("./ä b.root", CONTENT), ("c", b""))
    assert try_to_unpack(pack(content)) == {long: noise, "ä b.root": CONTENT, "c": b""}


def test_progress_counts_every_byte(try_to_unpack):
    steps = []
    try_to_unpack(tar_of(("a", CONTENT), ("b", CONTENT)), advance=steps.append)
    assert sum(steps) == 2 * len(CONTENT)


@pytest.mark.parametrize(
    "name", ["../out", "a/../../out", "/etc/out", "//out", "C:/out", "a\\..\\out", "a\nb", "..", "x" * 300, "a/\x07"]
)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_path_outside_of_the_target_is_refused_before_anything_is_written(try_to_unpack, name, form):
    with pytest.raises(FetchError, match="would not stay inside the target folder"):
        try_to_unpack(tar_of(("good.root", CONTENT), (name, b"evil"), form=form))


@pytest.mark.parametrize(
    ("info", "what"),
    [
        (special(tarfile.SYMTYPE, linkname="/etc"), "link"),
        (special(tarfile.LNKTYPE, linkname="good.root"), "link"),
        (special(tarfile.CHRTYPE), "special file"),
        (special(tarfile.BLKTYPE), "special file"),
        (special(tarfile.FIFOTYPE), "special file"),
        (special(b"Z"), "special file"),
    ],
)
def test_links_and_devices_are_refused_before_anything_is_written(try_to_unpack, info, what):
    with pytest.raises(FetchError, match=f"odd is a {what}"):
        try_to_unpack(tar_of(("good.root", CONTENT), (info, b""), ("odd/inside", b"evil")))


def test_a_folder_may_not_leave_either(try_to_unpack):
    with pytest.raises(FetchError, match="would not stay"):
        try_to_unpack(tar_of((special(tarfile.DIRTYPE, "../out"), b"")))


def test_a_sparse_file_is_refused(try_to_unpack):
    info = tarfile.TarInfo("huge")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 60)}
    with pytest.raises(FetchError, match=r"sparse|damaged|more than 20 times"):
        try_to_unpack(tar_of((info, b"1\n0\n1\n".ljust(512, b"\0") + b"x"), form=tarfile.PAX_FORMAT))


def test_a_bomb_is_refused_by_its_headers(try_to_unpack):
    with pytest.raises(FetchError, match="more than 20 times as large"):
        try_to_unpack(gzip.compress(tar_of(("zeros", bytes(40 << 20)))))


def test_a_header_that_is_a_bomb_is_refused(try_to_unpack):
    info = special(tarfile.XHDTYPE, "pax", size=64 << 20)
    header = info.tobuf(tarfile.USTAR_FORMAT)
    with pytest.raises(FetchError, match="a header of 67108864 bytes"):
        try_to_unpack(gzip.compress(header + bytes(64 << 20)))


def test_a_size_that_leads_back_is_refused(try_to_unpack):
    info = special(tarfile.XHDTYPE, "pax", size=512)
    record = b"20 size=-1234567890\n"
    evil = info.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0") + tar_of(("a", b"x"))
    with pytest.raises(FetchError, match="damaged"):
        try_to_unpack(evil)


def test_too_many_members_are_refused(try_to_unpack):
    with pytest.raises(FetchError, match="more than 10 members"):
        try_to_unpack(tar_of(*((f"{k}", b"") for k in range(11))), limits=Limits(members=10))


def test_a_name_that_comes_twice_is_refused(try_to_unpack):
    with pytest.raises(FetchError, match="holds a twice"):
        try_to_unpack(tar_of(("a", b"1"), ("./a", b"2")))


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 20_500, 21_000])
def test_a_truncated_archive_is_an_error(try_to_unpack, cut):
    content = tar_of(("a", CONTENT), ("b", b"2"))
    with pytest.raises(FetchError, match="damaged or not a tar archive"):
        try_to_unpack(content[:cut])


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(try_to_unpack):
    content = bytearray(tar_of(("a", CONTENT), ("b", b"2")))
    content[20_992 + 10] ^= 1
    with pytest.raises(FetchError, match="no member and no end at byte 20992"):
        try_to_unpack(bytes(content))


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>" * 100, b"PK\x03\x04" + bytes(2000), b"\x1f\x8b\x08" * 300]
)
def test_what_is_no_tar_is_an_error(try_to_unpack, content):
    with pytest.raises(FetchError, match="damaged or not a tar archive"):
        try_to_unpack(content)


def test_a_file_of_the_user_is_never_overwritten(tmp_path):
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    archive.write_bytes(tar_of(("a", CONTENT), ("b", b"2")))
    target.mkdir()
    (target / "a").write_bytes(CONTENT)
    (target / "b").write_bytes(b"mine")
    with pytest.raises(FetchError, match="in the way of another file"):
        unpack(archive, target)
    assert (target / "b").read_bytes() == b"mine"
    (target / "b").unlink()
    assert [each.name for each in unpack(archive, target)] == ["a", "b"]
    assert sorted(each.name for each in target.iterdir()) == ["a", "b"]


def test_links_that_are_there_already_are_not_followed_out(tmp_path):
    archive, target, elsewhere = tmp_path / "a.tar", tmp_path / "target", tmp_path / "elsewhere"
    archive.write_bytes(tar_of(("sub/deep/a", CONTENT)))
    target.mkdir()
    elsewhere.mkdir()
    (target / "sub").symlink_to(elsewhere)
    with pytest.raises(FetchError, match="leads out of"):
        unpack(archive, target)
    assert not list(elsewhere.iterdir())
    (target / "sub").unlink()
    (target / "sub" / "deep").mkdir(parents=True)
    (target / "sub" / "deep" / "a").symlink_to(elsewhere / "a")
    with pytest.raises(FetchError, match="in the way"):
        unpack(archive, target)
    assert not list(elsewhere.iterdir())


def test_a_file_where_a_folder_belongs_is_a_plain_error(tmp_path):
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    archive.write_bytes(tar_of(("sub/a", CONTENT)))
    target.mkdir()
    (target / "sub").write_bytes(b"mine")
    with pytest.raises(FetchError, match="cannot be unpacked there"):
        unpack(archive, target)


def test_a_disk_that_is_too_small_is_known_before_the_first_byte(tmp_path, monkeypatch):
    archive = tmp_path / "a.tar"
    archive.write_bytes(tar_of(("a", CONTENT)))
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000))
    with pytest.raises(StoreError, match=r"needs 20.0 kB, but only 10.0 kB"):
        unpack(archive, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_an_interrupt_leaves_only_whole_files(tmp_path):
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    archive.write_bytes(tar_of(("a", CONTENT), ("b", CONTENT)))
    seen = []

    def stop(amount):
        seen.append(amount)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, target, advance=stop)
    assert [each.name for each in target.iterdir()] == ["a"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    archive.write_bytes(tar_of(("sub/a", CONTENT)))
    (target / "sub").mkdir(parents=True)
    (target / "sub" / f".{'0a' * 16}.unpacking").write_bytes(b"half")
    (target / ".mine.unpacking").write_bytes(b"mine")
    unpack(archive, target)
    assert sorted(each.name for each in target.rglob("*") if each.is_file()) == [".mine.unpacking", "a"]


def test_archives_are_known_by_name():
    assert is_archive("a.tar")
    assert is_archive("a.tar.gz")
    assert not is_archive("a.parquet")


NAMES = st.one_of(st.text(max_size=20), st.sampled_from(["..", "../x", "/x", "a/../../x", "a", "a/b", "./a", "a//b"]))
KINDS = st.sampled_from([tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])


@given(
    members=st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=700)), max_size=5),
    form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    flips=st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 1 << 30),
    cut=st.booleans(),
    pack=st.booleans(),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_archive_holds_nothing_leaves_the_target(tmp_path_factory, members, form, flips, end, cut, pack):
    good = []
    for name, kind, content in members:
        info = special(kind, name, linkname="../x" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "")
        good.append((info, content))
    try:
        content = bytearray(tar_of(*good, form=form))
    except (ValueError, UnicodeError):
        return
    for place, value in flips:
        content[place % len(content)] = value
    if cut:
        del content[end % len(content) :]
    root = tmp_path_factory.mktemp("fuzz")
    (root / "a.tar").write_bytes(gzip.compress(content) if pack else bytes(content))
    before = survey_or_none(root / "a.tar")
    try:
        written = unpack(root / "a.tar", root / "target")
    except FetchError:
        written = ()
    assert {each.name for each in root.iterdir()} <= {"a.tar", "target"}
    files = {each.relative_to(root / "target").as_posix() for each in (root / "target").rglob("*") if each.is_file()}
    assert not any(each.is_symlink() for each in (root / "target").rglob("*"))
    assert files <= {each.name for each in before or ()}
    assert not written or files == {each.name for each in written}


def survey_or_none(path):
    try:
        return survey(path)
    except FetchError:
        return None


@given(content=st.binary(max_size=3000), magic=st.sampled_from([b"", b"\x1f\x8b\x08\x00", b"BZh9", b"\xfd7zXZ\x00"]))
@settings(max_examples=150)
def test_any_bytes_are_an_archive_or_a_plain_error(tmp_path_factory, content, magic):
    path = tmp_path_factory.mktemp("fuzz") / "a.tar"
    path.write_bytes(magic + content)
    survey_or_none(path)
