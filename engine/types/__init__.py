"""The nouns that pass between the stages, in the order of the data: `stream`, `seen`, `motion`, `offence`, `case`.

All are frozen. Until the rules they are structs of arrays: one row a frame, a box, or a track's sighting, of every
camera of the batch at once. Shapes are written as (ROWS, ...), dtypes as NumPy's short names, and every field says its
unit and frame. Frames of reference:

image     pixels of the camera's own picture, x right, y down, (0, 0) the outer corner of the first pixel
model     pixels of the detector's input
ground    metres on the site's road plane, x and y as the site's calibration lays them
"""

from engine.types.arrays import KMH, BoxPx, Bytes8, Flags, Floats, Floats32, Ints, Ints32
from engine.types.case import Case, Entry, EvidenceFile, ModelRecord
from engine.types.motion import Measurable, Motion, Speeds
from engine.types.seen import NOBODY, TRACK_BITS, Detections, Persons, Tracks, VehicleClass
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
    "KMH",
    "NOBODY",
    "NO_LAMPS",
    "SAME_FRAME_S",
    "TRACK_BITS",
    "BoxPx",
    "Bytes8",
    "Case",
    "Clock",
    "Detections",
    "Entry",
    "EvidenceFile",
    "Findings",
    "Flags",
    "Floats",
    "Floats32",
    "FrameBatch",
    "Frames",
    "Ints",
    "Ints32",
    "Lamps",
    "Measurable",
    "Measurement",
    "ModelRecord",
    "Motion",
    "Outcome",
    "Persons",
    "Phase",
    "Plate",
    "PlateSighting",
    "Reason",
    "RegistryAnswer",
    "RuleFinding",
    "SectionCrossing",
    "SectionProof",
    "Segment",
    "Sighting",
    "Speeds",
    "Still",
    "Suspicion",
    "Tracks",
    "Validity",
    "VehicleClass",
    "VehicleView",
    "Violation",
]
