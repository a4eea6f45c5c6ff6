"""The cameras: which there are (`Roster`, on record), and which the running engine watches (`Fleet`)."""

from engine.fleet.fleet import Fleet
from engine.fleet.roster import CameraRecord, Roster

__all__ = ["CameraRecord", "Fleet", "Roster"]
