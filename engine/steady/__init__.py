"""Whether a camera still looks where it looked when it was calibrated."""

from engine.steady.guard import Pace, Reference, ViewGuard, key_frame, references

__all__ = ["Pace", "Reference", "ViewGuard", "key_frame", "references"]
