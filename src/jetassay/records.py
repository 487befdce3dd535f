"""Records read from TOML: frozen, every unknown key an error, every problem of a file named at once."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

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
        problems = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or kind.__name__.lower()}: {each['msg']}"
            for each in error.errors()
        )
        raise ConfigError(f"{path}: {problems}") from error
