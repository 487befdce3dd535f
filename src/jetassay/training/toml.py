"""Plain values as TOML: strings, numbers, booleans, lists and tables. The standard library only reads it."""

import json
from collections.abc import Mapping
from typing import Any


def to_toml(table: Mapping[str, Any]) -> str:
    """A document that `tomllib` reads back as `table`; None is left out, since TOML has no word for it.

    Raises `TypeError` for a value that TOML cannot hold.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], where: tuple[str, ...]) -> list[str]:
    present = {key: value for key, value in table.items() if value is not None}
    plain = [key for key, value in present.items() if not _is_table(value) and not _is_list_of_tables(value)]
    lines = [f"{_key(key)} = {_value(present[key])}" for key in plain]
    for key in (each for each in present if each not in plain):
        value, path = present[key], (*where, _key(key))
        if _is_table(value):
            lines += ["", f"[{'.'.join(path)}]", *_lines(value, path)]
        else:
            for each in value:
                lines += ["", f"[[{'.'.join(path)}]]", *_lines(each, path)]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(_is_table(each) for each in value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"TOML has no form for {value!r}")


def _text(value: str) -> str:
    """A basic string: JSON's form, but for the one control character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
