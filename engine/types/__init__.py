"""Data classes that pass between the stages, in the order of the data: `stream`, `seen`, `motion`, `violation`, `case`.

All are frozen. Up to the rules they are structs of arrays, for all cameras of the batch at once: one row per frame,
box, or sighting. Shapes are written as (ROWS, ...), dtypes in NumPy's short form. Each field states its unit and its
frame of reference:

image     pixels of the camera's own picture, x right, y down; (0, 0) is the outer corner of the first pixel
model     pixels of the detector's input
ground    metres on the site's road plane; the site's calibration defines the axes
"""

from engine.types.arrays import KMH, BoxPx, Bytes8, Flags, Floats, Floats32, Ints, Ints32
from engine.types.case import Case, Entry, EvidenceFile, ModelRecord
from engine.types.motion import Measurable, Motion, Speeds
from engine.types.seen import NO_PERSONS, TRACK_BITS, Detections, Persons, Tracks, VehicleClass
from engine.types.stream import NO_LAMPS, Clock, FrameBatch, Frames, Lamps, Phase, Segment
from engine.types.violation import (
    SAME_FRAME_S,
    Findings,
    Measurement,
    Outcome,
    Plate,
    PlateSighting,
    Reason,
    RegistryAnswer,
    RuleFinding,
    SectionCrossing,
    SectionProof,
    Sighting,
    Still,
    Suspicion,
    Validity,
    VehicleView,
    Violation,
)

__all__ = [
    "KMH", "NO_LAMPS", "NO_PERSONS", "SAME_FRAME_S", "TRACK_BITS", "BoxPx", "Bytes8", "Case", "Clock", "Detections",
    "Entry", "EvidenceFile", "Findings", "Flags", "Floats", "Floats32", "FrameBatch", "Frames", "Ints", "Ints32",
    "Lamps", "Measurable", "Measurement", "ModelRecord", "Motion", "Outcome", "Persons", "Phase", "Plate",
    "PlateSighting", "Reason", "RegistryAnswer", "RuleFinding", "SectionCrossing", "SectionProof", "Segment",
    "Sighting", "Speeds", "Still", "Suspicion", "Tracks", "Validity", "VehicleClass", "VehicleView", "Violation",
]  # fmt: skip
