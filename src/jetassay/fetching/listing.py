"""What a publisher says it has: the names, sizes and hashes of a Zenodo record or a Hugging Face data set."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin

from jetassay.errors import FetchError
from jetassay.fetching.connection import open_url, plainly, read_small, whole_number
from jetassay.fetching.remote import RemoteFile, safe_name
from jetassay.jets.catalogue import Source

_MAX_LISTING = 64 << 20
_MAX_PAGES = 1000
_MAX_SIZE = 1 << 60
_HEX = {"md5": 32, "sha256": 64, "sha1": 40}
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where the publishers are asked; others in tests."""

    zenodo: str = "https://zenodo.org"
    huggingface: str = "https://huggingface.co"


def shown_source(source: Source) -> str:
    """The publisher, for people and for lock files."""
    return f"Zenodo record {source.zenodo}" if source.zenodo else f"Hugging Face data set {source.huggingface}"


def ask_publisher(source: Source, hosts: Hosts) -> tuple[RemoteFile, ...]:
    """Every file that the publisher lists. Raises `FetchError` where it does not answer, or with something odd."""
    files = _zenodo(source, hosts) if source.zenodo else _huggingface(source, hosts)
    if not files:
        raise FetchError(f"{shown_source(source)}: lists no files")
    for file in files:
        safe_name(file.name, where=shown_source(source))
        pinned, listed = source.md5.get(file.name), file.checks.get("md5")
        if pinned is not None and listed is not None and pinned != listed:
            raise FetchError(
                f"{shown_source(source)}: lists {file.name} with md5 {listed}, but it was published with {pinned}; "
                "do not use it before its authors have said why"
            )
    return files


def urls_of(name: str, source: Source, hosts: Hosts, *, revision: str = "main") -> tuple[str, ...]:
    """Where a file is, the publisher first. Addresses in listings are not followed: they could lead anywhere."""
    path = quote(name)
    if source.zenodo:
        record = f"records/{source.zenodo}/files/{path}"
        own = [f"{hosts.zenodo}/{record}?download=1", f"{hosts.zenodo}/api/{record}/content"]
    else:
        own = [f"{hosts.huggingface}/datasets/{source.huggingface}/resolve/{quote(revision)}/{path}"]
    return (*own, *(join(mirror, name) for mirror in source.mirrors))


def join(prefix: str, name: str) -> str:
    """The address of a file below a prefix."""
    return f"{prefix.rstrip('/')}/{quote(name)}"


def ask_sizes(places: Sequence[Sequence[str]], *, plain_http: bool) -> list[int | None]:
    """For each file its size, where the server says it, from the first of its addresses that has it.

    Raises `FetchError` where none has it.
    """
    found: list[int | None] = []
    for urls in places:
        problem: FetchError | None = None
        for url in urls:
            try:
                with open_url(url, plain_http=plain_http) as answer:
                    found.append(whole_number(answer.headers.get("Content-Length")))
                    break
            except FetchError as error:
                problem = problem or error
        else:
            raise problem or FetchError("a file without an address")
    return found


def _zenodo(source: Source, hosts: Hosts) -> tuple[RemoteFile, ...]:
    url = f"{hosts.zenodo}/api/records/{source.zenodo}"
    record = _json(url, read_small(url, limit=_MAX_LISTING)[0])
    files = []
    for each in _entries(url, record.get("files") if isinstance(record, dict) else None):
        kind, _, digest = str(each.get("checksum", "")).partition(":")
        files.append(
            RemoteFile(
                name=str(each.get("key")),
                urls=urls_of(str(each.get("key")), source, hosts),
                size=_whole(url, each.get("size")),
                checks=_checked(url, {kind: digest}),
            )
        )
    return tuple(files)


def _huggingface(source: Source, hosts: Hosts) -> tuple[RemoteFile, ...]:
    """The files at the commit that `main` is now, so that all come from one state."""
    base = f"{hosts.huggingface}/api/datasets/{source.huggingface}"
    url = f"{base}/revision/main"
    about = _json(url, read_small(url, limit=_MAX_LISTING)[0])
    revision = _checked(url, {"sha1": about.get("sha") if isinstance(about, dict) else None})["sha1"]
    files: list[RemoteFile] = []
    page: str | None = f"{base}/tree/{revision}?recursive=true"
    for _ in range(_MAX_PAGES):
        if page is None:
            return tuple(files)
        content, headers = read_small(page, limit=_MAX_LISTING)
        for each in _entries(page, _json(page, content)):
            large, name = each.get("lfs"), str(each.get("path"))
            if each.get("type") != "file" or name.startswith("."):
                continue
            digest = {"sha256": large.get("oid")} if isinstance(large, dict) else {"git_blob": each.get("oid")}
            files.append(
                RemoteFile(
                    name=name,
                    urls=urls_of(name, source, hosts, revision=revision),
                    size=_whole(page, each.get("size")),
                    checks=_checked(page, digest),
                )
            )
        further = _NEXT.search(headers.get("Link") or "")
        page = _same_host(urljoin(page, further[1]), hosts.huggingface) if further else None
    raise FetchError(f"{base}: the listing does not end")


def _same_host(url: str, host: str) -> str:
    if not url.startswith(f"{host}/"):
        raise FetchError(f"{host}: the listing goes on at another host, {url[:120]}; refused")
    return url


def _json(url: str, content: bytes) -> Any:
    with plainly(url):
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise FetchError(f"{url}: no listing, but something else; is there a login page or a proxy?") from error


def _entries(url: str, table: Any) -> list[Mapping[str, Any]]:
    if not isinstance(table, list) or not all(isinstance(each, dict) for each in table):
        raise FetchError(f"{url}: the listing is not laid out as expected")
    return table


def _whole(url: str, size: Any) -> int:
    if not isinstance(size, int) or not 0 <= size <= _MAX_SIZE:
        raise FetchError(f"{url}: lists a file of {str(size)[:80]} bytes")
    return size


def _checked(url: str, checks: Mapping[str, Any]) -> dict[str, str]:
    """Hashes that look like hashes."""
    good: dict[str, str] = {}
    for kind, digest in checks.items():
        length = _HEX.get("sha1" if kind == "git_blob" else kind)
        if length is None or not isinstance(digest, str) or re.fullmatch(f"[0-9a-f]{{{length}}}", digest) is None:
            raise FetchError(f"{url}: lists {kind or 'no hash'} {str(digest)[:80]!r}, which is no hash to compare with")
        good[kind] = digest
    return good
