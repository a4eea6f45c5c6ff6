"""Hours of the day in which a rule or a limit holds, on the local clock of the place."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """From one minute of the day up to, but not including, another; past midnight if the end comes first."""

    begin_min: int
    end_min: int

    def hold(self, minute: float) -> bool:
        """True if the local minute of the day (0 <= minute < 1440) lies within the hours."""
        if self.begin_min < self.end_min:
            return self.begin_min <= minute < self.end_min
        return minute >= self.begin_min or minute < self.end_min


ALWAYS = Hours(0, _DAY_MIN)


def parse_hours(text: str) -> Hours:
    """`HH:MM-HH:MM` (24:00 is the end of the day); empty: always. The site file's pattern allows nothing else.

    Equal ends are the whole day.
    """
    if not text:
        return ALWAYS
    begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in text.split("-"))
    return Hours(begin, end)


def local_minute(at_s: float, zone: ZoneInfo) -> float:
    """Minutes since local midnight by the wall clock, at an instant in Unix seconds."""
    local = dt.datetime.fromtimestamp(at_s, zone)
    return local.hour * 60 + local.minute + (local.second + local.microsecond / 1e6) / 60
