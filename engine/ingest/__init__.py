"""Cameras and video files to self-contained segments with capture times."""

from engine.ingest.probe import Probe, probe
from engine.ingest.recordings import Recordings
from engine.ingest.source import FileSource, RtspSource

__all__ = ["FileSource", "Probe", "Recordings", "RtspSource", "probe"]
