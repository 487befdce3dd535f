"""One file from a server that cuts, ignores, redirects, refuses, lies and stalls."""

import io
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from jetassay.errors import FetchError, StoreError
from jetassay.fetching import connection
from jetassay.fetching import download as download_module
from jetassay.fetching.connection import UnreachableError, open_url
from jetassay.fetching.download import Download, part_of
from jetassay.fetching.remote import RemoteFile
from jetassay.progress import Reporter

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def fetch(tmp_path, patience):
    """Fetch some mirrors; gives what arrived, and what was said."""
    target = tmp_path / "file.bin"

    def run(*urls, **facts):
        said = io.StringIO()
        remote = RemoteFile(name="file.bin", urls=urls, **facts)
        reporter = Reporter(console=Console(file=said, soft_wrap=True))
        Download(remote, target, reporter, patience=patience).run()
        return part_of(target).read_bytes(), said.getvalue()

    return run


def test_a_file_arrives_as_it_is(server, fetch):
    assert fetch(server.serve("/a", CONTENT))[0] == CONTENT


def test_a_cut_connection_goes_on_where_it_stopped(server, fetch):
    url = server.serve("/a", CONTENT, etag='"v1"', cuts=[100_000, 50_000])
    arrived, said = fetch(url)
    assert arrived == CONTENT
    asked = [headers.get("Range") for _, headers in server.requests]
    assert asked == [None, "bytes=100000-", "bytes=150000-"]
    assert server.requests[1][1]["If-Range"] == '"v1"'
    assert "ended after 100000 of 512000 bytes" in said


def test_a_later_call_goes_on_too(server, fetch, tmp_path):
    url = server.serve("/a", CONTENT, etag='"v1"', cuts=[1000, 0, 0, 0])
    with pytest.raises(FetchError, match=r"file.bin.part is kept: the same command goes on"):
        fetch(url)
    assert (tmp_path / "file.bin.part").stat().st_size == 1000
    server.requests.clear()
    assert fetch(url)[0] == CONTENT
    assert server.requests[0][1]["Range"] == "bytes=1000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(server, fetch):
    url = server.serve("/a", CONTENT, etag='"v1"', cuts=[1000, 0, 0, 0])
    with pytest.raises(FetchError):
        fetch(url)
    server.serve("/a", CONTENT[::-1], etag='"v2"')
    arrived, said = fetch(url)
    assert arrived == CONTENT[::-1]
    assert "from the start" in said


def test_a_server_that_ignores_ranges_sends_all_again(server, fetch):
    url = server.serve("/a", CONTENT, etag='"v1"', cuts=[1000], ranges=False)
    assert fetch(url)[0] == CONTENT


def test_without_anything_to_compare_halves_are_not_joined(server, fetch):
    url = server.serve("/a", CONTENT, cuts=[1000])
    assert fetch(url)[0] == CONTENT
    assert [headers.get("Range") for _, headers in server.requests] == [None, None]


def test_a_hash_at_the_end_is_enough_to_go_on(server, fetch):
    url = server.serve("/a", CONTENT, cuts=[1000])
    assert fetch(url, checks={"md5": "0" * 32})[0] == CONTENT
    assert [headers.get("Range") for _, headers in server.requests] == [None, "bytes=1000-"]


def test_a_wrong_range_starts_again(server, fetch):
    url = server.serve("/a", CONTENT, etag='"v1"', cuts=[1000], range_shift=7)
    arrived, said = fetch(url)
    assert arrived == CONTENT
    assert "another range" in said


def test_a_part_longer_than_the_file_starts_again(server, fetch, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT * 2)
    assert fetch(server.serve("/a", CONTENT), checks={"md5": "0" * 32})[0] == CONTENT


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_tired_server_is_asked_again(server, fetch, status):
    assert fetch(server.serve("/a", CONTENT, statuses=[status, status]))[0] == CONTENT


def test_a_server_that_stays_tired_is_left(server, fetch):
    with pytest.raises(FetchError, match="503"):
        fetch(server.serve("/a", CONTENT, statuses=[503] * 9))
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_there_is_asked_for_once(server, fetch, status):
    with pytest.raises(FetchError, match=str(status)):
        fetch(server.serve("/a", CONTENT, statuses=[status] * 9))
    assert len(server.requests) == 1


def test_the_next_mirror_is_asked_in_order(server, fetch):
    missing, good = f"{server.url}/none", server.serve("/b", CONTENT)
    arrived, said = fetch("http://127.0.0.1:1/refused", missing, good, f"{server.url}/never")
    assert arrived == CONTENT
    assert server.paths() == ["/none", "/b"]
    assert said.count("trying the next mirror") == 2


def test_another_mirror_goes_on_with_the_part_of_the_first(server, fetch):
    first = server.serve("/a", CONTENT, etag='"v"', cuts=[1000, 0, 0, 0])
    second = server.serve("/b", CONTENT, etag='"v"')
    assert fetch(first, second)[0] == CONTENT
    assert server.requests[-1][1]["Range"] == "bytes=1000-"


def test_redirects_are_followed_to_the_end_and_asked_anew_after_a_cut(server, fetch):
    for k in range(5):
        server.serve(f"/{k}", redirect=f"/{k + 1}")
    server.serve("/5", CONTENT, etag='"v"', cuts=[1000])
    assert fetch(f"{server.url}/0")[0] == CONTENT
    assert server.paths() == [f"/{k}" for k in range(6)] * 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/a", "redirects more than 5 times"),
        ("file:///etc/passwd", "refused, because it redirects to 'file:///etc/passwd'"),
        ("ftp://127.0.0.1/a", "refused, because it redirects"),
        ("http://[bad/", "not an address that can be asked"),
        ("data:text/plain,hello", "refused, because it redirects"),
    ],
)
def test_a_redirect_that_leads_astray_is_refused(server, fetch, tmp_path, target, message):
    with pytest.raises(FetchError, match=message):
        fetch(server.serve("/a", redirect=target))
    assert not (tmp_path / "file.bin.part").exists()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://host/a", "http://example.org/a", "https://me:secret@example.org/a", "https:///a"],
)
def test_only_encrypted_addresses_are_fetched(fetch, url):
    with pytest.raises(FetchError, match=r"only addresses https|refused, because plain http"):
        fetch(url)


def test_a_size_that_is_not_the_listed_one_is_refused_before_a_byte_is_written(server, fetch, tmp_path):
    with pytest.raises(FetchError, match="512000 bytes instead of 512001"):
        fetch(server.serve("/a", CONTENT), size=512_001)
    assert not (tmp_path / "file.bin.part").exists()


def test_a_length_that_promises_too_much_ends_with_what_came(server, fetch, tmp_path):
    with pytest.raises(FetchError, match="ended after 512000 of 600000 bytes"):
        fetch(server.serve("/a", CONTENT, etag='"v"', length=600_000, ranges=False))
    assert (tmp_path / "file.bin.part").exists()


def test_more_bytes_than_listed_are_not_taken(server, fetch, tmp_path):
    with pytest.raises(FetchError, match="more than the 1000 bytes"):
        fetch(server.serve("/a", CONTENT, chunked=True), size=1000)
    assert not (tmp_path / "file.bin.part").exists() or (tmp_path / "file.bin.part").stat().st_size <= 1000


def test_a_login_page_is_not_taken_for_the_file(server, fetch):
    with pytest.raises(FetchError, match="a web page instead of the file"):
        fetch(server.serve("/a", b"<html>", headers={"Content-Type": "text/html; charset=utf-8"}))


def test_a_slow_server_is_waited_for(server, fetch):
    assert fetch(server.serve("/a", CONTENT, pause_s=0.03))[0] == CONTENT


def test_a_stalled_server_is_asked_again(server, fetch):
    arrived, said = fetch(server.serve("/b", CONTENT, etag='"v"', stall_after=1000))
    assert arrived == CONTENT
    assert "no answer in time" in said


def test_no_network_is_known_within_seconds(fetch):
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="no mirror gave the file"):
        fetch("https://nowhere.invalid/a", "http://127.0.0.1:1/a")
    assert time.monotonic() - began < 5


def test_a_full_disk_is_known_before_the_first_byte(server, fetch, monkeypatch, tmp_path):
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StoreError, match=r"needs 512.0 kB, but only 1.0 kB are free"):
        fetch(server.serve("/a", CONTENT))
    assert not (tmp_path / "file.bin.part").exists()


def test_an_empty_file_is_a_file_too(server, fetch):
    assert fetch(server.serve("/a", b""), size=0)[0] == b""


def test_ctrl_c_keeps_what_came_and_says_so(server, tmp_path):
    url = server.serve("/a", CONTENT, etag='"v"', pause_s=0.2)
    code = (
        "from pathlib import Path; from jetassay.progress import Reporter\n"
        "from jetassay.fetching.download import Download; from jetassay.fetching.remote import RemoteFile\n"
        f"Download(RemoteFile(name='f', urls=({url!r},)), Path({str(tmp_path / 'f')!r}), Reporter(quiet=True)).run()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    part = tmp_path / "f.part"
    deadline = time.monotonic() + 20
    while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(2)
    said = process.communicate(timeout=20)[1]
    assert 0 < part.stat().st_size < len(CONTENT)
    assert "f.part is kept" in said


def test_an_encoded_answer_is_refused(server, fetch):
    with pytest.raises(FetchError, match="encoded"):
        fetch(server.serve("/a", CONTENT, headers={"Content-Encoding": "gzip"}))


def test_an_address_may_be_nonsense(fetch):
    for url in ("https://[bad/a", "https://host:port/a", "http://127.0.0.1:1/a b\r\nX: y"):
        with pytest.raises(FetchError):
            fetch(url)


def test_plain_http_elsewhere_is_asked_only_where_the_user_named_it():
    with pytest.raises(UnreachableError), open_url("http://nowhere.invalid/a", plain_http=True):
        pass


def test_a_redirect_does_not_leave_encryption(monkeypatch):
    answer = SimpleNamespace(status=302, headers={"Location": "http://127.0.0.1/a"}, close=lambda: None)
    monkeypatch.setattr(connection, "_ask", lambda *_: answer)
    with (
        pytest.raises(FetchError, match=r"refused, because it redirects to 'http://127.0.0.1/a'"),
        open_url("https://a/b"),
    ):
        pass


@pytest.mark.parametrize(("text", "number"), [("²", None), ("9" * 5000, None), ("-1", None), ("1e3", None), ("12", 12)])
def test_odd_numbers_in_headers_are_no_numbers(text, number):
    assert connection.whole_number(text) == number
