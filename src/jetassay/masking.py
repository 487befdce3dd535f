"""Secrets in text: credentials in addresses, and values that are named like one, are replaced wherever text leaves us.

Errors, progress, answers, plans, provenance, reports and tracked runs all go through here, so that a password in
`MLFLOW_TRACKING_URI` or a token in the address of a file is not found in a log. A secret is known by where it stands
(before the @ of an address), by its name (`password: x`), or by its own looks (a private key); nothing else is touched.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_SURE = (  # names that nothing but a secret has
    r"password|(?<!/)passwd|passphrase|(?<![a-z])pwd|(?<![a-z])jwt"
    r"|(?:api|access|account|private|secret|shared|signing|encryption)[ _-]?key"
    r"|(?:api|access|auth|refresh|bearer|security|session|tracking)[ _-]?token"
    r"|[a-z0-9][_-](?:secret|(?<!class.)(?<!cls.)token)|(?-i:[a-z](?:Secret|Token))"
)
_IN_PROSE = r"(?<!class.)(?<!cls.)(?:secret|token|credentials?)"  # a colon may begin an explanation of such a word
_IN_QUERY = r"(?:sig|signature|auth|session|key|code|ticket)"  # which mean something else outside of an address
_HEADERS = r"(?:authorization|cookie)"  # with words and blanks in their values

_QUOTED = r"""(?P<quote>\\*["'])(?:(?!(?P=quote))(?:\\.|[^\\\n]))*"""
# To the blank, bracket or next name behind it; neither a mask again, nor the punctuation at its end.
_WORD = r"""(?!\*{3}(?:\W|$))[^\s"'<>]+?(?=[,;:.)\]}]{0,9}(?:[\s"'<>]|$)|[,;][\w.-]+\s*[=:])"""
_IN_ADDRESS = r"""(?:(?!%26)[^\s&#"'<>)])+"""
_MIXED = r"(?=\S{6})(?=\S{0,99}\d)(?=\S{0,99}[a-z])" + _WORD  # letters and digits
_QUERY_NAME = rf"(?:[\w.-]*[_.-])?(?:{_SURE}|{_IN_PROSE}|{_IN_QUERY})"
_QUOTED_USER = r"(?:(?!%(?:25)*2F)[^\s&/?#\"'])+(?=%(?:25)*40)"  # of https%3A%2F%2Fme%3Aword%40host
_PRIVATE_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----|[\s\S]*)"
_OF_A_SERVICE = r"\b(?:gh[opsur]_|github_pat_|glpat-|hf_|dapi)[\w-]{20,}"
_IS = r"\s*(?:=>?|:)\s*"  # between name and value
_PAIR = r"""\d*(?P<of>\\*["'])"""  # the end of a name in quotes

_NAMED = ("pass", "pwd", "jwt", "key", "token", "secret", "credential")  # one is in each of the names above
_ADDRESS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]+):(?P<slashes>/{1,3})(?P<rest>[^\s<>\"']+)", re.IGNORECASE)
_VALUES = tuple(
    (signs, re.compile(rf"(?P<name>{name})(?:{value})", re.IGNORECASE))
    for signs, name, value in (  # signs: the pattern is tried on text that has one of them, for most text has none
        (("%",), r"%(?:25)*3A(?:%(?:25)*2F){2}", _QUOTED_USER),
        (tuple("?&;%"), rf"(?:[?&;]|%3F|%26){_QUERY_NAME}(?:=|%3D)", _IN_ADDRESS),
        (("authorization", "cookie"), rf"{_HEADERS}(?:{_PAIR})?{_IS}", rf"{_QUOTED}|[^\r\n]+"),
        (_NAMED, rf"(?:{_SURE}|{_IN_PROSE}){_PAIR}{_IS}", rf"{_QUOTED}|(?!null\b|true\b|false\b){_WORD}"),
        (_NAMED, rf"(?:{_SURE})\d*{_IS}", rf"{_QUOTED}|{_WORD}"),
        (_NAMED, rf"{_IN_PROSE}\d*{_IS}", rf"{_QUOTED}|(?<==){_WORD}|{_MIXED}"),
        (_NAMED, rf"(?<![\w-])--?(?:[a-z-]{{1,40}}-)?(?:{_SURE}|{_IN_PROSE})\s+", rf"{_QUOTED}|(?!-){_WORD}"),
        (("bearer",), r"\bbearer\s+", rf"(?!tokens?\b|auth|of\b){_WORD}"),
        (("basic",), r"(?-i:\bBasic) ", r"(?=\S*[\d=])[a-z0-9+/_-]{6,}=*"),
        (("private key",), "", _PRIVATE_KEY),
        (("eyj",), "", r"(?-i:\beyJ)[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # a signed token
        (("gh", "hf_", "glpat-", "dapi"), "", _OF_A_SERVICE),
    )
)
_SECRET_KEY = re.compile(rf"(?:{_SURE}|{_IN_PROSE}|{_HEADERS})\d*$", re.IGNORECASE)


def mask(text: str) -> str:
    """`text` without what lets somebody in: `https://user:word@host` becomes `https://***@host`.

    Also values of names such as `token=` and `password:`, signatures in query strings, authorization headers, cookies.
    """
    if "@" in text:
        text = _ADDRESS.sub(_without_user, text)
    lowered = text.lower()
    for signs, pattern in _VALUES:
        if any(sign in lowered for sign in signs):
            text = pattern.sub(_without_value, text)
    return text


def _without_value(found: re.Match[str]) -> str:
    """The name, and the quote that the value begins with."""
    return f"{found['name']}{found.groupdict().get('quote') or ''}{MASK}"


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


def mask_values(content: Any, *, secret: bool = False) -> Any:
    """JSON-like content with every text masked, and text under a key such as `api_token` replaced as a whole.

    secret: whether it stands under such a key
    """
    if isinstance(content, str):
        return MASK if secret else mask(content)
    if isinstance(content, Mapping):
        return {
            mask(key) if isinstance(key, str) else key: mask_values(
                value, secret=secret or _SECRET_KEY.search(str(key)) is not None
            )
            for key, value in content.items()
        }
    if isinstance(content, list | tuple):
        return type(content)(mask_values(each, secret=secret) for each in content)
    return content


def masked_json(content: Any) -> str:
    """`mask_values` as the text of a JSON file; what JSON does not know, such as a path, as its own text."""
    return json.dumps(mask_values(content), indent=1, default=lambda each: mask(str(each))) + "\n"
