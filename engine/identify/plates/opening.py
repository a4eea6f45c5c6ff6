"""The plate reader that the configuration asks for."""

from __future__ import annotations

import structlog

from engine.config import PlatesConfig
from engine.identify.plates.forms import PlateForms
from engine.identify.plates.network import TextNetworks, installed
from engine.identify.plates.reader import TextPlateReader

log = structlog.get_logger()


def open_reader(config: PlatesConfig, forms: PlateForms) -> TextPlateReader | None:
    """None where none is wanted, or none is installed and none required: the log says so.

    Raises ModelError where one is required, or installed and broken.
    """
    if config.reader == "off":
        return None
    if config.reader == "auto" and not installed():
        log.warning("no plate reader is installed (qyran[plates]): an officer identifies every vehicle")
        return None
    return TextPlateReader(TextNetworks(config.threads), forms)
