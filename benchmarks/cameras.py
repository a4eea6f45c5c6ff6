"""The whole pipeline: how many cameras at 25 frames a second it keeps up with, and how late it is then.

    python -m benchmarks cameras --json

Every camera films the demo's avenue in 1920x1080, encoded here, its segments in memory. First as fast as it goes: `kept
up` is seconds of a camera a second, the number of cameras that can be watched. Then in real time with `--load` of that
many: segments come when their last frame has been filmed, cameras a little after one another, through the engine's own
mailbox; `late` is from the capture of a segment's last frame until everything it brought about is in the register.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.rendition import rendition
from engine import logs
from engine.build import open_stages
from engine.config import CameraConfig, DecoderConfig, DetectorConfig, EngineConfig, PipelineConfig
from engine.ingest import FileSource
from engine.mailbox import Mailbox
from engine.metrics import Metrics
from engine.pipeline import Pipeline
from engine.register import SqlRegister
from engine.site import load_site
from engine.types import Segment

SITE = Path(__file__).parent.parent / "engine" / "demo" / "sites" / "avenue.toml"
FPS = 25
EPOCH_S = 1_780_000_000.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cameras", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cameras", type=int, default=16, help="that share a batch while it goes as fast as it goes")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of the two parts")
    parser.add_argument("--load", type=float, default=0.9)
    parser.add_argument("--encoder", default="libx264")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    print(json.dumps(measure(options), indent=2))
    return 0
