"""The stages of the engine as protocols: each has one job, and its main method is the verb of that job.

A stage is passive: it owns its state, is called from one thread at a time, and starts no thread that outlives `close`.
What passes between stages is immutable. Batches arrive in the order of capture for every camera; between cameras there
is no order. A stage that keeps something for each camera has `add_camera` and `remove_camera`, which
`engine.app.stage_set` calls while every stage is idle; a camera index is never used again.
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
        """Yield segments as they complete: without end for a camera, to the end for a file.

        Blocks at most for the I/O time-out. Reconnects by itself; raises only errors that a reconnect cannot solve.
        """

    def close(self) -> None:
        """Make `read` return soon; from any thread."""


class Decoder(Protocol):
    """Decodes segments into frames."""

    def decode(self, segments: Sequence[Segment]) -> FrameBatch:
        """Sample and scale the frames of the segments. A corrupt segment is counted, logged and left out."""

    def close(self) -> None:
        """Release the decoder and its device."""


FrameFetcher = Callable[[Sequence[Segment], Sequence[float]], Sequence[Still]]
"""Returns the whole frames of one camera nearest to the instants, in the order of the instants; from any thread.

Raises DecodeError."""


class DriftMonitor(Protocol):
    """Compares each view with that of the calibration."""

    def check(self, segments: Sequence[Segment]) -> frozenset[int]:
        """Return all cameras whose view has moved since their calibration, also those without a segment here."""


class Signals(Protocol):
    """Reads the phases of traffic signals."""

    def observe(self, batch: FrameBatch, moved: frozenset[int]) -> None:
        """Take in what the signal lamps of the frames show; the lamps of a camera that has `moved` are not read."""


class Detector(Protocol):
    """Finds vehicles and persons in frames."""

    @property
    def model(self) -> ModelRecord:
        """The model, for the cases."""

    def detect(self, batch: FrameBatch) -> Detections:
        """Find the vehicles and persons of every frame; an empty batch gives no detection."""

    def close(self) -> None:
        """Release the model."""


class Tracker(Protocol):
    """Links detections to tracks."""

    def track(self, detections: Detections) -> Tracks:
        """Give identities. A camera's result does not depend on which other cameras share the batch."""

    def end_tracks(self, camera: int) -> None:
        """End all tracks of a camera (silent or removed); the next `track` reports them as ended."""


class Speedometer(Protocol):
    """Measures speeds on the ground."""

    def measure(self, tracks: Tracks, *, moved: frozenset[int], can_record: bool) -> Motion:
        """Put the tracks on the ground and state speeds with their uncertainty, or why a speed is missing.

        States no speed of a camera that has `moved`, and no speed at all if `can_record` is false.
        """


class Rulebook(Protocol):
    """Applies the rules of all sites."""

    def judge(self, motion: Motion) -> Findings:
        """Return the findings that this batch completes, each once."""


class PlateReader(Protocol):
    """Reads number plates."""

    def read(self, views: Sequence[VehicleView]) -> PlateSighting | None:
        """The plate that the views of one vehicle agree on; None if no view shows one."""


class VehicleRegistry(Protocol):
    """Knows the papers of vehicles."""

    def ask(self, plate: str, kind: str, at_s: float) -> RegistryAnswer:
        """State of the paper for a kind of violation at an instant. Never raises: UNKNOWN without an answer."""

    def close(self) -> None:
        """Release the connection or file."""


class Identifier(Protocol):
    """Identifies the vehicles of findings."""

    def identify(self, findings: Findings) -> Sequence[Violation]:
        """The violations with the plates of their vehicles; suspicions that are not confirmed are dropped and
        counted."""


class EvidenceBuilder(Protocol):
    """Makes cases from violations."""

    def build(self, violations: Sequence[Violation]) -> Sequence[Case]:
        """Take violations in; return the cases whose evidence is complete now, also those of earlier calls.

        A case waits until its camera's recording reaches the end of the clip, or until the camera has been silent for
        longer than the clip would take. Evidence files are on the disk, synced, before the case is returned.
        """

    def finish_camera(self, index: int) -> Sequence[Case]:
        """Build the pending cases of a camera that sends no more, from what there is."""

    @property
    def is_refused(self) -> bool:
        """True if the last case could not be written. It waits, and a later `build` tries again."""

    @property
    def waiting(self) -> int:
        """Number of violations without a case yet."""

    def close(self) -> Sequence[Case]:
        """Build all pending cases, from what there is."""


class Ledger(Protocol):
    """Records cases."""

    def append(self, cases: Sequence[Case]) -> Sequence[Entry]:
        """Make the cases durable, in order. Leaves out, and does not return, a case that is recorded already.

        Raises LedgerError or CaseConflict, with nothing appended.
        """

    def close(self) -> None:
        """Close the database."""
