"""One request over HTTPS: few schemes, few redirects, time-outs, and errors that say what happened."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

from jetassay import __version__
from jetassay.errors import FetchError

TIMEOUT_S = 15.0
MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_PARTIAL, _RANGE_REFUSED = 206, 416
_MAX_DIGITS = 19


class UnreachableError(FetchError):
    """Nobody answers: no network, no such host, connection refused or lost, time-out."""


class AnswerError(FetchError):
    """The server answers something else than the file."""

    def __init__(self, message: str, *, status: int = 0, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.status, self.wait_s = status, wait_s

    @property
    def may_pass(self) -> bool:
        """Whether trying again a little later makes sense."""
        return self.status in {408, 425, 429, 500, 502, 503, 504}


@contextmanager
def open_url(
    url: str, *, plain_http: bool = False, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> Iterator[Any]:
    """The answer to a GET, with status 200, 206 or 416; redirects are followed, at most five.

    plain_http: whether unencrypted HTTP is allowed to hosts other than this machine, because the user named one

    A redirect may go to https, and to http only from http. Raises `UnreachableError` and `AnswerError`.
    """
    _check_scheme(url, plain_http=plain_http)
    wanted = {"User-Agent": f"jetassay/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
    place = url
    for _ in range(MAX_REDIRECTS + 1):
        answer = _ask(place, wanted, timeout_s)
        if answer.status not in _REDIRECTS:
            break
        answer.close()
        with plainly(url):
            target = urljoin(place, answer.headers.get("Location", ""))
            schemes = urlsplit(place).scheme, urlsplit(target).scheme
        if schemes[1] != "https" and schemes != ("http", "http"):
            raise AnswerError(f"{url}: refused, because it redirects to {target[:120]!r}")
        place = target
    else:
        raise AnswerError(f"{url}: redirects more than {MAX_REDIRECTS} times")
    with closing(answer):
        if answer.status not in {200, _PARTIAL, _RANGE_REFUSED}:
            raise AnswerError(
                f"{url}: the server answers {answer.status} {answer.reason}",
                status=answer.status,
                wait_s=whole_number(answer.headers.get("Retry-After")),
            )
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise AnswerError(f"{url}: the server sends the file encoded, although asked not to")
        yield answer


def read_small(url: str, *, limit: int, plain_http: bool = False) -> tuple[bytes, Mapping[str, str]]:
    """A short document and its headers. Raises `AnswerError` where it has more than `limit` bytes."""
    with open_url(url, plain_http=plain_http) as answer, plainly(url):
        content: bytes = answer.read(limit + 1)
    if len(content) > limit:
        raise AnswerError(f"{url}: answers more than {limit} bytes where a short listing was expected")
    return content, answer.headers


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


@contextmanager
def plainly(url: str) -> Iterator[None]:
    """Whatever the network does to a request becomes an `UnreachableError`."""
    try:
        yield
    except urllib.error.URLError as error:
        raise UnreachableError(f"{url}: {_text(error.reason)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"{url}: {_text(error)}") from error
    except ValueError as error:  # an address that is none
        raise FetchError(f"{url}: not an address that can be asked: {error}") from error


def _ask(url: str, headers: Mapping[str, str], timeout_s: float) -> Any:
    # Not build_opener: that would also open file: and ftp:, follow redirects, and raise for answers like 416.
    opener = urllib.request.OpenerDirector()
    if not is_loopback(urlsplit(url).hostname):
        opener.add_handler(urllib.request.ProxyHandler())
    for handler in (urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()):
        opener.add_handler(handler)
    with plainly(url):
        request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - checked by the caller
        return opener.open(request, timeout=timeout_s)


def _check_scheme(url: str, *, plain_http: bool) -> None:
    with plainly(url):
        parts = urlsplit(url)
        loopback = is_loopback(parts.hostname)
    if not parts.hostname or parts.scheme not in {"http", "https"} or parts.username is not None:
        raise FetchError(f"{url}: only addresses https://HOST/PATH, without user names, are fetched")
    if parts.scheme == "http" and not (plain_http or loopback):
        raise FetchError(f"{url}: refused, because plain http can be changed on the way; use https")


def whole_number(text: str | None) -> int | None:
    """The number that a header gives; None where it is missing, no number, or too long to be meant."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS else None


def _text(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
