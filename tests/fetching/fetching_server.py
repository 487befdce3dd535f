"""A server on this machine that behaves as badly as asked, and emulates the publishers' listings."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from jetassay.fetching.download import Patience

IMPATIENT = Patience(tries=3, pause_s=0.01, longest_s=0.05, timeout_s=0.5)


@dataclass
class Page:
    """What is served at one path; each misbehaviour in `cuts`, `statuses` and so on is used up by one request."""

    content: bytes = b""
    etag: str | None = None
    ranges: bool = True
    cuts: list = field(default_factory=list)  # bytes of the body after which the connection is closed
    statuses: list = field(default_factory=list)  # answers instead of the file
    redirect: str | None = None
    length: int | None = None  # a wrong Content-Length
    headers: dict = field(default_factory=dict)
    stall_after: int | None = None
    pause_s: float = 0.0  # before each of ten slices
    chunked: bool = False
    range_shift: int = 0


class Server:
    def __init__(self):
        self.pages, self.requests = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                outer.answer(self, outer.pages.get(self.path))

            def log_message(self, *words):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                """Clients that hang up are part of the tests."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, path, content=b"", **ways):
        self.pages[path] = Page(content, **ways)
        return self.url + path

    def paths(self):
        return [path for path, _ in self.requests]

    def answer(self, handler, page):
        if page is None:
            handler.send_error(404)
            return
        if page.statuses:
            handler.send_error(page.statuses.pop(0))
            return
        if page.redirect is not None:
            handler.send_response(302)
            handler.send_header("Location", page.redirect)
            handler.end_headers()
            return
        body, start = page.content, 0
        asked = handler.headers.get("Range")
        condition = handler.headers.get("If-Range")
        if asked and page.ranges and (condition is None or condition == page.etag):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                handler.send_error(416)
                return
            handler.send_response(206)
            first = start + page.range_shift
            handler.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        body = body[start:]
        if page.etag:
            handler.send_header("ETag", page.etag)
        for name, value in page.headers.items():
            handler.send_header(name, value)
        if not page.chunked:
            handler.send_header("Content-Length", str(page.length if page.length is not None else len(body)))
        handler.end_headers()
        cut = page.cuts.pop(0) if page.cuts else None
        self._send(handler, page, body if cut is None else body[:cut])
        handler.close_connection = True

    def _send(self, handler, page, body):
        if page.stall_after is not None:
            handler.wfile.write(body[: page.stall_after])
            handler.wfile.flush()
            page.stall_after = None
            time.sleep(0.8)
            return
        step = max(len(body) // 10, 1) if page.pause_s else max(len(body), 1)
        for k in range(0, len(body), step):
            time.sleep(page.pause_s)
            handler.wfile.write(body[k : k + step])


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def md5(content):
    return hashlib.md5(content).hexdigest()


def git_blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def zenodo_record(server, record, files, **changes):
    """Serve a record's listing and its files, laid out as Zenodo's API does."""
    entries = [
        {"key": name, "size": len(content), "checksum": f"md5:{md5(content)}", "links": {"self": "https://elsewhere/"}}
        for name, content in files.items()
    ]
    server.serve(f"/api/records/{record}", json.dumps({"id": record, "files": entries, **changes}).encode())
    for name, content in files.items():
        server.serve(f"/records/{record}/files/{name}?download=1", content, etag=f'"{md5(content)}"')


def huggingface_set(server, name, files, *, per_page=1000, revision="a" * 40):
    """Serve a data set's listing in pages and its files, as the Hugging Face hub does: small files by git blob."""
    server.serve(f"/api/datasets/{name}/revision/main", json.dumps({"sha": revision}).encode())
    entries = []
    for path, content in files.items():
        entry = {"type": "file", "path": path, "size": len(content), "oid": git_blob(content)}
        if path.endswith(".parquet"):
            entry |= {"oid": "0" * 40, "lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 134}}
        entries.append(entry)
        server.serve(f"/datasets/{name}/resolve/{revision}/{path}", redirect=f"/cdn/{path}")
        server.serve(f"/cdn/{path}", content, etag=f'"{sha256(content)}"')
    entries.append({"type": "directory", "path": "Pythia", "size": 0, "oid": "1" * 40})
    tree = f"/api/datasets/{name}/tree/{revision}?recursive=true"
    for k in range(0, len(entries), per_page):
        following = f"{tree}&cursor={k + per_page}"
        link = {"Link": f'<{server.url}{following}>; rel="next"'} if k + per_page < len(entries) else {}
        here = tree if k == 0 else f"{tree}&cursor={k}"
        server.serve(here, json.dumps(entries[k : k + per_page]).encode(), headers=link)
