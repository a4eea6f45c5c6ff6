"""The signal controller of the demo's junction: it reports phases to the engine over gRPC.

A city's controller switches the lamps and reports their phases. Here the lamps are in the clip: the RTSP server says
when the clip started, and the phases are those of the rendered scene. The controller follows only the first client that
plays the clip, because a second one sees the same lamps at other times. When that client disconnects, the reports stop
and the phase is unknown.
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
from engine.tools.demo.rtsp import ClipClock
from engine.types import Phase

log = structlog.get_logger()

REPORT_EVERY_S = 0.4
"""Shorter than any phase, so that no phase is missed."""
DELAY_S = 0.5
"""Age of the reported phases: by then it is known whether the clip has started again."""


@dataclass(frozen=True, slots=True)
class SignalProgram:
    """The phases of a controller during a clip."""

    controller: str
    length_s: float
    """Duration of the clip."""
    groups: dict[str, list[tuple[float, float, Phase]]]
    """Start and end in seconds of the clip, and the phase, for each signal group."""

    @classmethod
    def load(cls, truth: Path) -> SignalProgram:
        """Read the truth file of a clip. The signals' cycles must divide its duration."""
        document = json.loads(truth.read_text(encoding="utf-8"))
        groups = {signal["name"]: _phases(signal, document["duration_s"]) for signal in document["signals"]}
        return cls(document["scene"], document["duration_s"], groups)

    def report(self, sequence: int, began_s: float, at_s: float) -> pb.ReportSignalPhasesRequest:
        """The report at the time `at_s` for a clip that started at `began_s`: one phase for each group."""
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
def report_signals(address: str, program: SignalProgram, clip: ClipClock) -> Iterator[None]:
    """Report the program to the service at `address` while the clip plays."""
    done = threading.Event()
    thread = threading.Thread(target=_report, args=(address, program, clip, done), name="controller", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _report(address: str, program: SignalProgram, clip: ClipClock, done: threading.Event) -> None:
    with grpc.insecure_channel(address) as channel:
        try:
            pb_grpc.SignalServiceStub(channel).ReportSignalPhases(_reports(program, clip, done))
        except grpc.RpcError as error:
            if not done.is_set():
                log.warning("the service does not accept the controller's reports", error=str(error.details()))


def _reports(program: SignalProgram, clip: ClipClock, done: threading.Event) -> Iterator[pb.ReportSignalPhasesRequest]:
    sequence = 0
    while not done.wait(REPORT_EVERY_S):
        at_s = time.time() - DELAY_S
        began_s = clip.began_s(at_s)
        if began_s is not None and at_s - began_s < program.length_s:
            sequence += 1
            yield program.report(sequence, began_s, at_s)
