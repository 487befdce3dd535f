"""Records read from TOML: frozen, every unknown key an error, every problem of a file named at once."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from jetassay.errors import ConfigError


class Record(BaseModel):
    """Base of cards, suites and dataset descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=Record)


def read_toml(path: Path) -> dict[str, Any]:
    """The table in `path`. Raises `ConfigError` where the file is missing, unreadable or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def parse_record(table: dict[str, Any], kind: type[R], *, path: Path) -> R:
    """`table` as a `kind`. Raises `ConfigError` naming the file and every wrong or unknown key."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problems = "; ".join(_told(each, kind) for each in error.errors())
        raise ConfigError(f"{path}: {problems}") from error


def _told(problem: ErrorDetails, kind: type[Record]) -> str:
    """Where and what; of an unknown key of the whole record, the one that was meant."""
    place = problem["loc"]
    near: list[str] = []
    if problem["type"] == "extra_forbidden" and len(place) == 1:
        near = get_close_matches(str(place[0]), kind.model_fields, n=1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return f"{'.'.join(str(part) for part in place) or kind.__name__.lower()}: {problem['msg']}{meant}"
