"""The traffic-light controller of the demo's junction: tells the engine over gRPC what its signals show.

A city's controller switches the lamps and tells of it. Here the lamps are in the clip, so the RTSP server says when the
clip began and the phases are those that it was rendered with. Only the first client that plays the clip is followed: a
second one sees the same lamps at other times. When that client is gone the controller falls silent, and a silent
controller convicts nobody.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog
from qyran.v1 import signal_service_pb2 as pb
from qyran.v1 import signal_service_pb2_grpc as pb_grpc

from engine import wire
from engine.tools.demo.rtsp import Playing
from engine.types import Phase

log = structlog.get_logger()

EVERY_S = 0.4
"""Shorter than any phase, so none is passed over."""
LATE_S = 0.5
"""What is reported is so old: by then it is known whether the clip began anew."""


@dataclass(frozen=True, slots=True)
class SignalProgram:
    """What a controller shows in the course of a clip."""

    controller: str
    length_s: float
    """Of the clip."""
    groups: dict[str, list[tuple[float, float, Phase]]]
    """By group: from and to, in seconds of the clip, and what is shown."""

    @classmethod
    def of(cls, truth: Path) -> SignalProgram:
        """Of the truth file of a clip whose length the phases divide."""
        document = json.loads(truth.read_text(encoding="utf-8"))
        groups = {signal["name"]: _phases(signal, document["duration_s"]) for signal in document["signals"]}
        return cls(document["scene"], document["duration_s"], groups)

    def report(self, sequence: int, began_s: float, at_s: float) -> pb.ReportSignalPhasesRequest:
        """What every group shows at an instant of a playing that began at `began_s`."""
        into_s = at_s - began_s
        return pb.ReportSignalPhasesRequest(
            controller=self.controller,
            sequence=sequence,
            reported_at=wire.timestamp(at_s),
            changes=[
                pb.PhaseChange(group=group, phase=phase.value, began_at=wire.timestamp(began_s + from_s))  # type: ignore[arg-type]
                for group, phases in self.groups.items()
                for from_s, to_s, phase in phases
                if from_s <= into_s < to_s
            ],
        )


def _phases(signal: dict[str, Any], length_s: float) -> list[tuple[float, float, Phase]]:
    cycle_s = signal["cycle_s"]
    return [
        (lap * cycle_s + phase["from_s"], lap * cycle_s + phase["to_s"], Phase[phase["lamp"].upper()])
        for lap in range(round(length_s / cycle_s))
        for phase in signal["phases"]
    ]


@contextmanager
def controlling(address: str, program: SignalProgram, playing: Playing) -> Iterator[None]:
    """Report the program to the service at `address` for as long as the clip plays."""
    done = threading.Event()
    thread = threading.Thread(target=_report, args=(address, program, playing, done), name="controller", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _report(address: str, program: SignalProgram, playing: Playing, done: threading.Event) -> None:
    with grpc.insecure_channel(address) as channel:
        try:
            pb_grpc.SignalServiceStub(channel).ReportSignalPhases(_reports(program, playing, done))
        except grpc.RpcError as error:
            if not done.is_set():
                log.warning("the junction's controller is not heard", error=str(error.details()))


def _reports(program: SignalProgram, playing: Playing, done: threading.Event) -> Iterator[pb.ReportSignalPhasesRequest]:
    sequence = 0
    while not done.wait(EVERY_S):
        at_s = time.time() - LATE_S
        began_s = playing.began_s(at_s)
        if began_s is not None and at_s - began_s < program.length_s:
            sequence += 1
            yield program.report(sequence, began_s, at_s)
