"""Compare the detections of this machine with those of the CPU reference, on real videos.

    python -m benchmarks parity --data DIR --json

Each video of DIR/videos runs twice: through the decoder and detector that `auto` selects on this machine, and through
libavcodec and ONNX Runtime. A box counts if its score is sure (`engine.detect.agreement`). The two decoders scale
pictures differently, so the inputs differ by a few grey levels; the bounds are those of int8.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from benchmarks.machine import describe_machine
from engine.app import logs
from engine.config import CameraConfig, DecoderConfig, DetectorConfig, PipelineConfig
from engine.decode.opening import open_decoding
from engine.decode.settings import DecodeSettings
from engine.detect.agreement import BOUNDS, Agreement, compare_detections
from engine.detect.cards import find_card
from engine.detect.opening import open_detector
from engine.ingest import FileSource
from engine.metrics import Metrics
from engine.stages import Detector

FPS = 4.0


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="parity", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QYRAN_DATA", "")))
    parser.add_argument("--segments", type=int, default=10**6, help="at most N segments of each video", metavar="N")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    print(json.dumps(measure(options.data / "videos", options.segments), indent=2))
    return 0


def measure(videos: Path, segments: int) -> dict[str, object]:
    """Agreement by video, over at most `segments` segments of each."""
    card, metrics = find_card("ssd_mobilenet_v3_large"), Metrics()
    here = open_detector(card, DetectorConfig(), metrics)
    reference = open_detector(card, DetectorConfig(runtime="onnx"), metrics)
    with closing(here), closing(reference):
        found = {
            path.name: asdict(_video(path, segments, here, reference, metrics)) for path in sorted(videos.glob("*.mp4"))
        }
    return {"machine": describe_machine(), "detector": here.model.runtime, "bounds": BOUNDS["int8"], "videos": found}


def _video(path: Path, segments: int, here: Detector, reference: Detector, metrics: Metrics) -> Agreement:
    """Agreement of the boxes of one video."""
    card = find_card("ssd_mobilenet_v3_large")
    camera = CameraConfig(name="parity", url=str(path), site=path)
    source = FileSource(0, camera, metrics, start_s=0.0, realtime=False)
    whole = Agreement()
    with ExitStack() as stack:
        ours, theirs = (
            stack.enter_context(
                open_decoding(wish, PipelineConfig(), {0: DecodeSettings("parity", FPS)}, card.input, metrics)
            )
            for wish in (DecoderConfig(), DecoderConfig(backend="cpu"))
        )
        for segment in islice(source.read(), segments):
            mine = here.detect(ours.decoder.decode([segment]))
            expected = reference.detect(theirs.decoder.decode([segment]))
            whole += compare_detections(expected, mine, card, BOUNDS["int8"])
    return whole
