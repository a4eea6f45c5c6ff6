"""`qyran demo`: cameras of a rendered city over real RTSP, watched by the engine as any cameras are."""

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
from engine.tools.demo.controller import SignalProgram, controlling
from engine.tools.demo.rtsp import Playing, serving

HERE = Path(__file__).parent
FOOTAGE = HERE / "footage"
SITES = HERE / "sites"
CITY = HERE / "city.toml"
CAMERAS_A_CORE = 2
"""As measured on two cores; a third of the work is the evidence, for a clip's offenders come with every playing."""

Interruptible = Callable[[Callable[[], None]], AbstractContextManager[None]]
"""Within it, an interruption calls what it was given instead of ending the program."""


def city_config(address: str, state: Path) -> EngineConfig:
    """The city's configuration for the RTSP server at `address`, with its records in `state`."""
    return msgspec.structs.replace(load_config(CITY, {"CITY": address}), state=state.resolve())


def recorded(name: str) -> CameraConfig:
    """A camera of the city that plays the file of its clip. Raises KeyError."""
    cameras = {camera.name: camera for camera in city_config("", Path()).cameras}
    return msgspec.structs.replace(cameras[name], url=str(FOOTAGE / f"{name}.mp4"))


def first(config: EngineConfig, cameras: int) -> EngineConfig:
    """The city with its first cameras alone."""
    return msgspec.structs.replace(config, cameras=config.cameras[:cameras])


def carried(config: EngineConfig, cores: int) -> EngineConfig:
    """The city with as many of its cameras as so many cores carry."""
    return first(config, CAMERAS_A_CORE * cores)


def signing(config: EngineConfig) -> EngineConfig:
    """The configuration with a key to sign with, made beside the records if it is not there."""
    key = config.state / "signing.pem"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        new_key(key)
    evidence = msgspec.structs.replace(config.evidence, signing_key=key)
    return msgspec.structs.replace(config, evidence=evidence)


def show_city(state: Path, seconds: float, cameras: int, console: Console, interruptible: Interruptible) -> None:
    """Serve the clips, run the engine on them for `seconds` (0: until interrupted), and say what came of it.

    `cameras`: how many of the city's; 0: as many as this machine carries.
    """
    console.print("Qyran demo: rendered footage, served over RTSP on loopback, watched as any cameras are.\n")
    junction = Playing("junction.mp4")
    with ExitStack() as stack:
        address = stack.enter_context(serving(FOOTAGE, junction))
        city = city_config(address, state)
        watched = first(city, cameras) if cameras else carried(city, os.cpu_count() or 1)
        engine = stack.enter_context(build(signing(watched)))
        program = SignalProgram.of(FOOTAGE / "junction.truth.json")
        stack.enter_context(controlling(engine.grpc_address, program, junction))
        stack.enter_context(interruptible(engine.stop))
        _say_where(console, address, engine, state)
        _say_which(console, watched, city)
        stack.enter_context(_ending(engine, seconds))
        count = sum(
            len(entries)
            for entries in show(console, ConsoleTable(engine.metrics, engine.camera_manager.watched), engine.run())
        )
    console.print(f"\n{count} new case(s) in {state / 'evidence'}: open a report.ru.html, .kk or .en of one, or try")
    console.print(f"qyran verify --root {state / 'evidence'} --key {state / 'signing.pem.pub'}")


def _say_where(console: Console, address: str, engine: Engine, state: Path) -> None:
    console.print(f"cameras   {address}NAME.mp4")
    console.print(f"gRPC      {engine.grpc_address}   (try: qyran watch {engine.grpc_address})")
    console.print(f"metrics   http://{engine.metrics_address}/metrics")
    console.print(f"evidence  {state / 'evidence'}\n")


def _say_which(console: Console, watched: EngineConfig, city: EngineConfig) -> None:
    count, of = len(watched.cameras), len(city.cameras)
    if count < of:
        console.print(f"{count} of the city's {of} cameras are watched; --cameras {of} watches all.\n")


@contextmanager
def _ending(engine: Engine, seconds: float) -> Iterator[None]:
    """Stops the engine after `seconds`; never for 0."""
    timer = threading.Timer(seconds, engine.stop)
    timer.daemon = True
    if seconds:
        timer.start()
    yield
    timer.cancel()
