"""What the commands share: common arguments, consoles, the ledger of a configuration, and the handling of signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from engine.config import EngineConfig
    from engine.ledger import SqlLedger

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration file of the engine (TOML).")]
LogLevel = Annotated[str, typer.Option("--log-level", help="Lowest level to log: debug, info, warning or error.")]
TABLE_WIDTH = 140
"""Columns of a table when the output is not a terminal."""


def table_console() -> Console:
    """Console for tables."""
    console = Console()
    return console if console.is_terminal else Console(width=TABLE_WIDTH)


def plain_console(*, stderr: bool = False) -> Console:
    """Console for sentences: it neither wraps lines nor highlights words."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@contextmanager
def open_ledger(config_path: Path) -> Iterator[tuple[EngineConfig, SqlLedger]]:
    """Load a configuration, without the cameras' secrets, and open its ledger. Raises ConfigError or LedgerError."""
    from engine.config import load_config
    from engine.ledger import SqlLedger

    config = load_config(config_path, opens_cameras=False)
    with closing(SqlLedger(config.ledger_at)) as ledger:
        yield config, ledger


def raise_interrupt() -> None:
    """Stop function for a command that ends by KeyboardInterrupt."""
    raise KeyboardInterrupt


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls `stop`; a second SIGINT ends the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
