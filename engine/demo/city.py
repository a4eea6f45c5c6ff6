"""`qyran demo`: cameras of a rendered city over real RTSP, watched by the engine as any cameras are."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from engine.build import Engine, build
from engine.config import CameraConfig, EngineConfig, MetricsConfig, PipelineConfig, Region, ServiceConfig
from engine.console import Board, show
from engine.demo.rtsp import looped, serving

HERE = Path(__file__).parent
FOOTAGE = HERE / "footage"
SITES = HERE / "sites"
REGIONS: dict[str, tuple[Region, ...]] = {}
"""By clip; a clip that is not named is looked at whole."""


def city_cameras(address: str) -> tuple[CameraConfig, ...]:
    """A camera for every clip that has a site."""
    return tuple(
        CameraConfig(
            name=site.stem,
            url=looped(address, f"{site.stem}.mp4"),
            site=site,
            regions=REGIONS.get(site.stem, ((0.0, 0.0, 1.0, 1.0),)),
        )
        for site in sorted(SITES.glob("*.toml"))
    )


def show_city(state: Path, seconds: float, console: Console) -> None:
    """Serve the clips, run the engine on them for `seconds` (0: until interrupted), and say what came of it."""
    console.print(
        "Qyran demo: rendered footage, served over RTSP on loopback, watched by the engine as any cameras are."
    )
    with ExitStack() as stack:
        address = stack.enter_context(serving(FOOTAGE))
        engine = stack.enter_context(build(city_config(address, state)))
        console.print(f"cameras  {address}NAME.mp4\ngRPC     {engine.grpc_address}   qyran watch {engine.grpc_address}")
        console.print(f"metrics  http://{engine.metrics_address}/metrics\nevidence {state / 'evidence'}\n")
        stack.enter_context(_ending(engine, seconds))
        count = sum(len(entries) for entries in show(console, Board(engine.metrics, engine.cameras), engine.run()))
    console.print(f"\n{count} case(s) in {state}: look into {state / 'evidence'}.")


def city_config(address: str, state: Path) -> EngineConfig:
    """The engine's configuration for the clips behind `address`; all ports are free ones."""
    return EngineConfig(
        cameras=city_cameras(address),
        state=state.resolve(),
        device_serial="DEMO-0001",
        pipeline=PipelineConfig(),
        service=ServiceConfig(listen="127.0.0.1:0"),
        metrics=MetricsConfig(listen="127.0.0.1:0"),
    )


def _ending(engine: Engine, seconds: float) -> ExitStack:
    """Stops the engine after `seconds`; nothing at all for 0."""
    stack = ExitStack()
    if seconds:
        timer = threading.Timer(seconds, engine.stop)
        timer.start()
        stack.callback(timer.cancel)
    return stack
