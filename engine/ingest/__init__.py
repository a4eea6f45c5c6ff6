"""Cameras and video files in, self-contained segments with capture times out."""

from engine.ingest.probe import Probe, probe
from engine.ingest.recordings import Recordings
from engine.ingest.source import FileSource, RtspSource

__all__ = ["FileSource", "Probe", "Recordings", "RtspSource", "probe"]
