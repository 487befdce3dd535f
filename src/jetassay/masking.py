"""Secrets in text: credentials in addresses, and values that are named like one, are replaced wherever text leaves us.

Errors, progress, plans, provenance and tracked runs all go through here, so that a password in `MLFLOW_TRACKING_URI`
or a token in the address of a file is not found in a log.
"""

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_NAMES = r"password|passwd|passphrase|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key"
_IN_QUERY = "sig|signature|auth|session|pwd|key"  # names that mean something else outside of an address
_ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]+):(?P<slashes>/{1,3})(?P<rest>[^\s<>\"']+)", re.IGNORECASE)
_VALUES = (
    re.compile(rf"(?P<name>[\w.-]*(?:{_NAMES})[\w.-]*=[\"']?)[^\s&;,\"'<>)]+", re.IGNORECASE),
    re.compile(rf"(?P<name>[?&;](?:[\w.-]*[_.-])?(?:{_IN_QUERY})=)[^\s&;#\"'<>)]+", re.IGNORECASE),
    re.compile(r"(?P<name>\bauthorization[\"']?\s*[:=]\s*[\"']?(?:\w+\s+)?)[^\s\"']+", re.IGNORECASE),
)
_SECRET_KEY = re.compile(rf"(?:^|[_.-])(?:{_NAMES}|pwd)$", re.IGNORECASE)


def mask(text: str) -> str:
    """`text` without what lets somebody in: `https://user:word@host` becomes `https://***@host`.

    Also values of names such as `token=` and `password=`, signatures in query strings, and authorization headers.
    """
    text = _ADDRESS.sub(_without_user, text)
    for pattern in _VALUES:
        text = pattern.sub(rf"\g<name>{MASK}", text)
    return text


def _without_user(address: re.Match[str]) -> str:
    """An address without user name and password, which may hold slashes and @ where somebody forgot to quote them."""
    rest = address["rest"]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    has_port = address["scheme"].lower() in {"http", "https"} and authority.rpartition(":")[2].isdigit()
    if "@" in authority:
        host = rest[authority.rindex("@") + 1 :]
    elif ":" in authority and not has_port and not authority.startswith("[") and "@" in rest:
        host = rest[rest.index("@") + 1 :]
        host = host[re.split(r"[/?#]", host, maxsplit=1)[0].rfind("@") + 1 :]
    else:
        return address[0]
    return f"{address['scheme']}:{address['slashes']}{MASK}@{host}"


def has_secret(text: str) -> bool:
    """Whether `mask` would change it."""
    return mask(text) != text


def mask_values(content: Any) -> Any:
    """JSON-like content with every text masked, and text under a key such as `api_token` replaced as a whole."""
    if isinstance(content, str):
        return mask(content)
    if isinstance(content, Mapping):
        return {
            key: MASK if isinstance(value, str) and _SECRET_KEY.search(str(key)) else mask_values(value)
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return type(content)(mask_values(each) for each in content)
    return content
