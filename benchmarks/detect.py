"""Measure the detector's pictures per second by batch size, and compare them with the bare network.

    python -m benchmarks detect --json

bare       the network alone, with its pictures already on the device: the limit of a detector with this network
detect     `DeviceDetector`: copy pictures in, run network, head and merging, copy boxes out
no graphs  both without CUDA graphs

All entries of a row take turns in one run, after one round that does not count; the best round of each counts. Without
a GPU, ONNX Runtime runs the network on the CPU behind the same detector: that shows the cost of head and merging.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import describe_machine
from engine.app import logs
from engine.config import DetectorConfig
from engine.detect.cards import ModelCard, find_card
from engine.detect.device import DeviceDetector
from engine.detect.network import Network
from engine.detect.onnx import read_model
from engine.detect.onnx_network import OnnxNetwork
from engine.detect.reference import DEMO, load_reference_frames
from engine.types import FrameBatch, Frames

ROUNDS = 5


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="detect", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--card", default="ssd_mobilenet_v3_large")
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--most", type=int, default=0, help="largest batch; default: 64 on a GPU, 4 on the CPU")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one round")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    logs.configure(level="error")
    print(json.dumps(measure(options), indent=2))
    return 0


def measure(options: argparse.Namespace) -> dict[str, object]:
    """The result for every size of a batch."""
    card, gpu = find_card(options.card), torch.cuda.is_available()
    most = options.most or (64 if gpu else 4)
    networks = _plan_networks(card, options.precision, most) if gpu else {"cpu": _cpu_network(card, most)}
    detectors = {name: DeviceDetector(card, network) for name, network in networks.items()}
    rows = [_row(card, size, networks, detectors, options.seconds) for size in networks[next(iter(networks))].sizes]
    return {
        "machine": describe_machine(),
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "runtime": next(iter(networks.values())).runtime,
        "parameters": {"card": card.name, "rounds": ROUNDS, "seconds": options.seconds},
        "batches": rows,
    }


def _cpu_network(card: ModelCard, most: int) -> Network:
    return OnnxNetwork(card, read_model(card), "fp32", torch.device("cpu"), most)


def _plan_networks(card: ModelCard, precision: str, most: int) -> dict[str, Network]:
    from engine.detect.opening import find_gpu, make_plan, plan_key
    from engine.detect.plan_network import PlanNetwork

    gpu = find_gpu()
    with tempfile.TemporaryDirectory() as folder:
        config = DetectorConfig(precision=precision, batch=most, plans=Path(folder))  # type: ignore[arg-type]
        key = plan_key(card, config, gpu.sm, gpu.name)
        plan = make_plan(card, config, key, gpu.sm, lambda phase, done, steps: None)
        jit = Path(folder) / "jit"
        return {
            name: PlanNetwork(card, plan.content, precision, gpu.device, jit, graphs=graphs)
            for name, graphs in (("graphs", True), ("no graphs", False))
        }


def _row(
    card: ModelCard, size: int, networks: dict[str, Network], detectors: dict[str, DeviceDetector], seconds: float
) -> dict[str, object]:
    """Pictures per second of each network and each detector, measured in turns."""
    batch = _batch(card, size, networks[next(iter(networks))].pictures.device)
    works: dict[str, Callable[[], object]] = {}
    for name, network in networks.items():
        works[f"bare, {name}"] = lambda network=network: _bare(network, size)  # type: ignore[misc]
        works[f"detect, {name}"] = lambda detector=detectors[name]: detector.detect(batch)  # type: ignore[misc]
    best = dict.fromkeys(works, 0.0)
    for round_ in range(ROUNDS + 1):
        for name, work in works.items():
            rate = size * _times(work, seconds if round_ else 0.0)
            best[name] = max(best[name], rate if round_ else 0.0)
    shares = {name: round(best[f"detect, {name}"] / best[f"bare, {name}"], 3) for name in networks}
    return {"batch": size, "per_s": {name: round(rate, 1) for name, rate in best.items()}, "of_bare": shares}


def _times(work: Callable[[], object], seconds: float) -> float:
    """Calls per second."""
    began_s, calls = time.perf_counter(), 0
    while not calls or time.perf_counter() - began_s < seconds:
        work()
        calls += 1
    return calls / (time.perf_counter() - began_s)


def _bare(network: Network, size: int) -> None:
    network.run(size)
    if network.pictures.device.type == "cuda":
        torch.cuda.synchronize()


def _batch(card: ModelCard, size: int, device: torch.device) -> FrameBatch:
    """`size` pictures of the demo's streets on the device, each in its own frame."""
    found = load_reference_frames(card, DEMO[:1])[0]
    pick = np.arange(size) % len(found.frame)
    frames = found.frames
    columns = (frames.camera, frames.captured_s, frames.size_px, frames.clock)
    return FrameBatch(
        Frames(*(column[found.frame[pick]] for column in columns)),  # type: ignore[arg-type]
        torch.from_numpy(np.ascontiguousarray(found.pixels[pick])).to(device),
        np.arange(size, dtype=np.int32),
        found.model_to_image[pick],
        found.region_xyxy_px[pick],
    )
