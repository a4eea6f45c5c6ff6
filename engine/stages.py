"""The stages of the engine as protocols: a noun with one trade each, its one method that trade's verb.

A stage is passive: it owns its state, is called from one thread at a time, and starts no thread that outlives
`close`. What passes between stages is immutable. Batches come in the order of capture for every camera; between
cameras there is no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from engine.types import (
    Case,
    Detections,
    Entry,
    Findings,
    FrameBatch,
    ModelRecord,
    Motion,
    PlateSighting,
    RegistryAnswer,
    Segment,
    Still,
    Tracks,
    VehicleView,
    Violation,
)


class Source(Protocol):
    """One camera or one video file."""

    def read(self) -> Iterable[Segment]:
        """Yield segments as they complete, for ever for a camera, to the end for a file.

        Blocks at most for the I/O time-out. Reconnects by itself; raises only what no reconnect can mend.
        """

    def close(self) -> None:
        """Make `read` return soon; from any thread."""


class Decoder(Protocol):
    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """Sample and scale the frames of the segments. A corrupt segment is counted, logged and left out."""

    def close(self) -> None: ...


FrameFetcher = Callable[[Sequence[Segment], Sequence[float]], Sequence[Still]]
"""The second look: the whole frames of one camera nearest to the instants, in their order; from any thread.

Raises DecodeError."""


class DriftMonitor(Protocol):
    def check(self, segments: Sequence[Segment]) -> frozenset[int]:
        """The cameras, of all that are watched, that do not look where they looked when they were calibrated."""


class Signals(Protocol):
    def observe(self, batch: FrameBatch, moved: frozenset[int]) -> None:
        """Take in what the signal lamps of the frames show; of a camera that has `moved` nothing is believed."""


class Detector(Protocol):
    @property
    def model(self) -> ModelRecord: ...

    def detect(self, batch: FrameBatch) -> Detections:
        """Find the vehicles and persons of every frame; an empty batch gives no detection."""

    def close(self) -> None: ...


class Tracker(Protocol):
    def track(self, detections: Detections) -> Tracks:
        """Give identities. A camera's result does not depend on which other cameras share the batch."""

    def forget(self, camera: int) -> None:
        """End all tracks of a camera (removed, or its picture changed size); the next `track` says so."""


class Speedometer(Protocol):
    def suspend(self, cameras: frozenset[int]) -> None:
        """State no speed of what these cameras see from now on, and of all others again."""

    def pause(self, paused: bool) -> None:
        """State no speed at all from now on, because nothing can be recorded; or go on."""

    def measure(self, tracks: Tracks) -> Motion:
        """Put the tracks on the ground and state speeds with their uncertainty, or why not."""


class Rulebook(Protocol):
    def judge(self, motion: Motion) -> Findings:
        """The findings that this batch completes. Each is returned once."""


class PlateReader(Protocol):
    def read(self, views: Sequence[VehicleView]) -> PlateSighting | None:
        """The plate that the views of one vehicle agree on; None where none shows any."""


class VehicleRegistry(Protocol):
    def ask(self, plate: str, kind: str, at_s: float) -> RegistryAnswer:
        """Was the paper that a kind of violation is about valid at an instant? Never raises: no answer is UNKNOWN."""

    def close(self) -> None: ...


class Identifier(Protocol):
    def identify(self, findings: Findings) -> Sequence[Violation]:
        """The violations with the plates of their vehicles; suspicions that are not confirmed are dropped and
        counted."""


class EvidenceBuilder(Protocol):
    def keep(self, segment: Segment) -> None:
        """Remember a segment for the evidence of what may be found in it. From any thread."""

    def prove(self, violations: Sequence[Violation]) -> Sequence[Case]:
        """Take violations in, give back the cases whose evidence is complete: those of earlier calls too.

        A case waits until its camera's recording reaches the end of the clip, or until the camera has been silent for
        longer than the clip would take. Evidence files are on the disk, synced, before the case is returned.
        """

    def release(self, camera: int) -> Sequence[Case]:
        """Let go of a camera of which no segment will come any more; its cases still waiting, as `close` gives them."""

    @property
    def refused(self) -> bool:
        """Could the last case not be written? It waits, and is tried again by a later `prove`."""

    @property
    def waiting(self) -> int:
        """Violations whose cases are not made yet."""

    def close(self) -> Sequence[Case]:
        """The cases still waiting, with the evidence there is."""


class Ledger(Protocol):
    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        """Make the cases durable, in order; a case that is there already is left as it is and not returned.

        Raises LedgerError with nothing appended, or CaseConflict.
        """

    def close(self) -> None: ...
