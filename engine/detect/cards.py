"""Finds model cards: those shipped in the package by name, others by path."""

from __future__ import annotations

from pathlib import Path

from engine.cards import ModelCard, load_card
from engine.errors import ConfigError

_SHIPPED = Path(__file__).parent / "models"


def shipped() -> list[str]:
    """Names of the model cards that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def find_card(name_or_path: str) -> ModelCard:
    """The card of that name, or in that .toml file. Raises ConfigError that names the file or the choice."""
    if name_or_path.endswith(".toml"):
        return load_card(Path(name_or_path))
    if name_or_path not in shipped():
        raise ConfigError(f"no model card is called {name_or_path!r}; shipped: {', '.join(shipped())}; or give a .toml")
    return load_card(_SHIPPED / f"{name_or_path}.toml")
