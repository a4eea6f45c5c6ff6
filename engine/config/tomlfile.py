"""Strict TOML files: an unknown key, a wrong type or a bad value raises an error that names the file and the place."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.errors import ConfigError

T = TypeVar("T", bound=msgspec.Struct)


def load(path: Path, kind: type[T]) -> T:
    """Read the file `path` as a `kind`. Raises ConfigError that names the file and the place in it."""
    return parse(read_text(path), kind, source=str(path))


def read_text(path: Path) -> str:
    """Read the text of a UTF-8 file. Raises ConfigError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def read_secret(path: Path) -> str:
    """Read a secret from the first line of a file. Raises ConfigError if the line is empty."""
    lines = read_text(path).splitlines()
    if not lines or not lines[0].strip():
        raise ConfigError(f"{path}: the first line is empty")
    return lines[0].strip()


def parse(text: str, kind: type[T], *, source: str) -> T:
    """Read TOML `text` as a `kind`; errors call it `source`. Raises ConfigError, also for TOML's `nan` and `inf`."""
    try:
        table = msgspec.toml.decode(text)
        _require_finite(table, "$")
        return msgspec.convert(table, kind, builtin_types=_TIMES, str_keys=True, dec_hook=_decode)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: the nesting is too deep") from error


def _require_finite(value: Any, place: str) -> None:
    """Raises ValueError that names the place in the style of msgspec's errors."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"Expected a finite number - at `{place}`")
    if isinstance(value, dict):
        for key, one in value.items():
            _require_finite(one, f"{place}.{key}")
    elif isinstance(value, list):
        for row, one in enumerate(value):
            _require_finite(one, f"{place}[{row}]")


def _decode(kind: type[Any], value: Any) -> Any:
    """Convert a value to a type that TOML does not have."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a {kind.__name__}, got {value!r}")


_TIMES = (dt.datetime, dt.date, dt.time)
"""Types that TOML has and JSON does not have."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variables_in(text: str) -> frozenset[str]:
    """Names of all ${NAME} in the text."""
    return frozenset(_VARIABLE.findall(text))


def expand(text: str, variables: Mapping[str, str], *, source: str) -> str:
    """Replace each ${NAME} by the value of that variable. Raises ConfigError if a variable is not set."""

    def value(match: re.Match[str]) -> str:
        try:
            return variables[match[1]]
        except KeyError:
            raise ConfigError(f"{source}: environment variable {match[1]} is not set") from None

    return _VARIABLE.sub(value, text)
