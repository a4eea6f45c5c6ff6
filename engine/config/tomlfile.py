"""Strict TOML files: an unknown key, a wrong type or a bad value is an error that names the file and the place."""

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
    """Read `path` as a `kind`; raises ConfigError naming the file and the place in it."""
    return parse(read_text(path), kind, source=str(path))


def read_text(path: Path) -> str:
    """The file's text; raises ConfigError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def read_secret(path: Path) -> str:
    """The first line of a file that holds one secret; raises ConfigError where there is none."""
    lines = read_text(path).splitlines()
    if not lines or not lines[0].strip():
        raise ConfigError(f"{path}: is empty")
    return lines[0].strip()


def parse(text: str, kind: type[T], *, source: str) -> T:
    """Read `text` as a `kind`; `source` is what an error calls it. TOML's `nan` and `inf` are no numbers to us."""
    try:
        table = msgspec.toml.decode(text)
        _require_finite(table, "$")
        return msgspec.convert(table, kind, builtin_types=_TIMES, str_keys=True, dec_hook=_decode)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: is nested too deeply") from error


def _require_finite(value: Any, place: str) -> None:
    """Raises ValueError that names the place, as msgspec's errors do."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"Expected a finite number - at `{place}`")
    if isinstance(value, dict):
        for key, one in value.items():
            _require_finite(one, f"{place}.{key}")
    elif isinstance(value, list):
        for row, one in enumerate(value):
            _require_finite(one, f"{place}[{row}]")


def _decode(kind: type[Any], value: Any) -> Any:
    """The types that TOML does not have."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a {kind.__name__}, got {value!r}")


_TIMES = (dt.datetime, dt.date, dt.time)
"""What TOML has and JSON has not."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variables_in(text: str) -> frozenset[str]:
    """The names of all ${NAME}s."""
    return frozenset(_VARIABLE.findall(text))


def expand(text: str, variables: Mapping[str, str], *, source: str) -> str:
    """Replace every ${NAME} by the variable's value, so that secrets stay out of files."""

    def value(match: re.Match[str]) -> str:
        try:
            return variables[match[1]]
        except KeyError:
            raise ConfigError(f"{source}: environment variable {match[1]} is not set") from None

    return _VARIABLE.sub(value, text)
