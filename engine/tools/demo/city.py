"""`qyran demo`: cameras of a rendered city over real RTSP, watched by the engine like any other cameras."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec
from rich.console import Console

from engine.app.engine import Engine, build
from engine.config import CameraConfig, EngineConfig, load_config
from engine.evidence import new_key
from engine.tools.console import ConsoleTable, show
from engine.tools.demo.controller import SignalProgram, report_signals
from engine.tools.demo.rtsp import ClipClock, serve_folder

HERE = Path(__file__).parent
FOOTAGE = HERE / "footage"
SITES = HERE / "sites"
CITY = HERE / "city.toml"
CAMERAS_PER_CORE = 2
"""Measured on two cores. A third of the work is evidence, because every loop of a clip repeats its violations."""

Interruptible = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Context in which an interruption calls the given function instead of ending the program."""


def city_config(address: str, state: Path) -> EngineConfig:
    """The city's configuration for the RTSP server at `address`, with its ledger and evidence in `state`."""
    return msgspec.structs.replace(load_config(CITY, {"CITY": address}), state=state.resolve())


def file_camera(name: str) -> CameraConfig:
    """A camera of the city that reads its clip from the file, not over RTSP. Raises KeyError."""
    cameras = {camera.name: camera for camera in city_config("", Path()).cameras}
    return msgspec.structs.replace(cameras[name], url=str(FOOTAGE / f"{name}.mp4"))


def limit_cameras(config: EngineConfig, cameras: int) -> EngineConfig:
    """The configuration with only its first cameras."""
    return msgspec.structs.replace(config, cameras=config.cameras[:cameras])


def fit_to_cores(config: EngineConfig, cores: int) -> EngineConfig:
    """The configuration with as many cameras as `cores` cores can watch."""
    return limit_cameras(config, CAMERAS_PER_CORE * cores)


def add_signing_key(config: EngineConfig) -> EngineConfig:
    """The configuration with a signing key in its state folder; makes the key if it does not exist."""
    key = config.state / "signing.pem"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        new_key(key)
    evidence = msgspec.structs.replace(config.evidence, signing_key=key)
    return msgspec.structs.replace(config, evidence=evidence)


def show_city(state: Path, seconds: float, cameras: int, console: Console, interruptible: Interruptible) -> None:
    """Serve the clips, run the engine on them for `seconds` (0: until interrupted) and print a summary.

    `cameras` is the number of cameras to watch; 0 means as many as this machine can.
    """
    console.print("Qyran demo: rendered footage, served over RTSP on loopback, watched like any other cameras.\n")
    junction = ClipClock("junction.mp4")
    with ExitStack() as stack:
        address = stack.enter_context(serve_folder(FOOTAGE, junction))
        city = city_config(address, state)
        watched = limit_cameras(city, cameras) if cameras else fit_to_cores(city, os.cpu_count() or 1)
        engine = stack.enter_context(build(add_signing_key(watched)))
        program = SignalProgram.load(FOOTAGE / "junction.truth.json")
        stack.enter_context(report_signals(engine.grpc_address, program, junction))
        stack.enter_context(interruptible(engine.stop))
        _print_addresses(console, address, engine, state)
        _print_watched(console, watched, city)
        stack.enter_context(_stop_after(engine, seconds))
        count = sum(
            len(entries)
            for entries in show(console, ConsoleTable(engine.metrics, engine.camera_manager.watched), engine.run())
        )
    console.print(
        f"\n{count} new case(s) in {state / 'evidence'}: open report.en.html (or .ru, .kk) in a case's folder, or try"
    )
    console.print(f"qyran verify --root {state / 'evidence'} --key {state / 'signing.pem.pub'}")


def _print_addresses(console: Console, address: str, engine: Engine, state: Path) -> None:
    console.print(f"cameras   {address}NAME.mp4")
    console.print(f"gRPC      {engine.grpc_address}   (try: qyran watch {engine.grpc_address})")
    console.print(f"metrics   http://{engine.metrics_address}/metrics")
    console.print(f"evidence  {state / 'evidence'}\n")


def _print_watched(console: Console, watched: EngineConfig, city: EngineConfig) -> None:
    count, of = len(watched.cameras), len(city.cameras)
    if count < of:
        console.print(f"{count} of the city's {of} cameras are watched; --cameras {of} watches all.\n")


@contextmanager
def _stop_after(engine: Engine, seconds: float) -> Iterator[None]:
    """Stop the engine after `seconds`; 0 means never."""
    timer = threading.Timer(seconds, engine.stop)
    timer.daemon = True
    if seconds:
        timer.start()
    yield
    timer.cancel()
