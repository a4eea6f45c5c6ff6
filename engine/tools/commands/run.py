"""`qyran run`: the engine as a service."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.app import logs
from engine.config import load_config
from engine.tools.shared import Config, LogLevel, interruptible

app = typer.Typer()


@app.command()
def run(
    config: Config,
    log_level: LogLevel = "info",
    gpu: Annotated[
        str, typer.Option(metavar="N/M", help="Use GPU N of M and watch every M-th camera. Start one process per GPU.")
    ] = "",
) -> None:
    """Watch the cameras of CONFIG until interrupted. Exits with status 75 if the GPU is lost: start it again then."""
    from engine.gpu.share import config_of_share, parse_share, restrict_to_gpu

    logs.configure(level=log_level)
    loaded = load_config(config)
    if gpu:
        share = parse_share(gpu)
        restrict_to_gpu(share)
        loaded = config_of_share(loaded, share)
    # Imported after `restrict_to_gpu`: CUDA reads CUDA_VISIBLE_DEVICES once, when it is initialised.
    from engine.app.engine import build
    from engine.tools.capacity.report import warn_past_capacity

    warn_past_capacity(loaded)
    with build(loaded) as engine, interruptible(engine.stop):
        for _ in engine.run():
            pass
