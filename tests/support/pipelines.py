"""The stages of a configuration, opened as a test needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from engine.app.stage_set import open_stages
from engine.config import EngineConfig
from engine.ledger import SqlLedger
from engine.metrics import Metrics
from engine.pipeline.loop import Stages
from engine.rules import load_site


@contextmanager
def opened(config: EngineConfig, metrics: Metrics, ledger: SqlLedger | None = None) -> Iterator[Stages]:
    """The stages with the sites of the configuration and, by default, the ledger in its state folder."""
    sites = [load_site(camera.site) for camera in config.cameras]
    with closing(ledger or SqlLedger(config.ledger_at)) as own, open_stages(config, sites, own, metrics) as stages:
        yield stages
