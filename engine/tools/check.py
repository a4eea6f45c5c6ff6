"""Checks of a configuration: its files are valid and consistent, its cameras answer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.app.identification import check_identification
from engine.app.stage_set import examine, size_warnings
from engine.config import CameraConfig, EngineConfig, load_config
from engine.deliver import open_channel
from engine.detect.cards import find_card
from engine.errors import SourceError
from engine.evidence import load_signing_key
from engine.ingest import Probe, probe
from engine.rules import load_catalogue, load_site
from engine.rules.standing import StandingRule
from engine.site import Site

_PARALLEL = 32
"""Cameras that are probed at the same time."""
LAMPS_FPS = 5.0
"""Lowest rate that distinguishes flashing from changing: two frames or more in each state of a 1 Hz flash."""


def check_engine(path: Path, console: Console, *, offline: bool = False) -> bool:
    """Check and print the findings; returns False if a camera fails. Raises ConfigError for an invalid file."""
    config = load_config(path)
    sites = [load_site(camera.site) for camera in config.cameras]
    warnings = check_files(config, sites)
    console.print(f"{path}: {len(config.cameras)} camera(s), catalogue and sites are valid")
    if not offline:
        results = probe_all(config)
        console.print(_table(config, results))
        warnings += picture_warnings(config, sites, results)
    for warning in warnings:
        console.print(f"[yellow]warning:[/] {warning}", highlight=False)
    return offline or not any(isinstance(result, SourceError) for result in results)


def check_files(config: EngineConfig, sites: Sequence[Site]) -> list[str]:
    """Load every file that the configuration names besides the sites; returns warnings. Raises ConfigError."""
    catalogue = load_catalogue(config.catalogue, config.review)
    find_card(config.detector.card)
    if config.evidence.signing_key:
        load_signing_key(config.evidence.signing_key)
    check_identification(config, {c.name: site for c, site in zip(config.cameras, sites, strict=True)}, catalogue)
    for recipient in config.recipients:
        open_channel(recipient).close()
    return [
        f"camera {camera.name}: {warning}"
        for camera, site in zip(config.cameras, sites, strict=True)
        for warning in [*examine(site, catalogue), *_warn_low_rate(camera, site), *_warn_short_recording(site, config)]
    ]


def _warn_short_recording(site: Site, config: EngineConfig) -> list[str]:
    """Stop rules whose dwell is longer than the recording is kept."""
    keep_s, before_s = config.evidence.keep_s, config.evidence.before_s
    return [
        f"rule {rule.name}: the recording of the halt is deleted before the dwell of {rule.dwell_s:g} s ends, so its "
        f"cases go to an officer; evidence.keep_s is {keep_s:g}, it should be above {rule.dwell_s + before_s:g}"
        for rule in site.rules
        if isinstance(rule, StandingRule) and rule.dwell_s + before_s >= keep_s
    ]


def _warn_low_rate(camera: CameraConfig, site: Site) -> list[str]:
    """A camera whose `detect_fps` is too low for its signal lamps."""
    if not site.lamps or camera.detect_fps >= LAMPS_FPS:
        return []
    return [f"detect_fps {camera.detect_fps:g} is too low to read its signal lamps; at least {LAMPS_FPS:g} is needed"]


def probe_all(config: EngineConfig) -> list[Probe | SourceError]:
    """Connect to every camera, up to 32 at once; returns a Probe or the error for each, in their order."""
    with ThreadPoolExecutor(min(_PARALLEL, len(config.cameras))) as pool:
        return list(pool.map(_try, config.cameras))


def picture_warnings(config: EngineConfig, sites: Sequence[Site], results: Sequence[Probe | SourceError]) -> list[str]:
    """Warnings for cameras whose picture size differs from their site's."""
    return [
        f"camera {camera.name}: {warning}"
        for camera, site, result in zip(config.cameras, sites, results, strict=True)
        if isinstance(result, Probe)
        for warning in size_warnings(site, result)
    ]


def _try(camera: CameraConfig) -> Probe | SourceError:
    try:
        return probe(camera)
    except SourceError as error:
        return error


def _table(config: EngineConfig, results: list[Probe | SourceError]) -> Table:
    table = Table()
    for column in ("camera", "codec", "size", "fps", "GOP s", "Mbit/s", "clock"):
        table.add_column(column)
    for camera, result in zip(config.cameras, results, strict=True):
        if isinstance(result, SourceError):
            table.add_row(camera.name, f"[red]{result.reason}[/]", str(result))
        else:
            table.add_row(camera.name, *_cells(result))
    return table


def _cells(found: Probe) -> tuple[str, ...]:
    return (
        found.codec + (" (B-frames)" if found.b_frames else ""),
        f"{found.width_px}x{found.height_px}",
        f"{found.fps:.2f}" + (" (varies)" if found.variable_rate else ""),
        "-" if found.gop_s is None else f"{found.gop_s:.1f}",
        f"{found.bitrate_bps / 1e6:.2f}",
        found.clock.name.lower(),
    )
