"""Signals: which phase was shown at an instant, by the lamps in the frames and by what controllers report."""

from engine.signals.book import SignalBook
from engine.signals.controller import Change, Controller, Report
from engine.signals.file import read_reports
from engine.signals.phases import CLOSED, NOT_GREEN, PERMITS, PROHIBITS

__all__ = [
    "CLOSED",
    "NOT_GREEN",
    "PERMITS",
    "PROHIBITS",
    "Change",
    "Controller",
    "Report",
    "SignalBook",
    "read_reports",
]
