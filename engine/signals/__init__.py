"""Signals: the phase at an instant, from the lamps in the frames and from the reports of controllers."""

from engine.signals.book import SignalBook
from engine.signals.controller import Change, Controller, Report
from engine.signals.file import read_reports
from engine.signals.timeline import CLOSED, NOT_GREEN, PERMITS, PROHIBITS

__all__ = [
    "CLOSED", "NOT_GREEN", "PERMITS", "PROHIBITS", "Change", "Controller", "Report", "SignalBook", "read_reports",
]  # fmt: skip
