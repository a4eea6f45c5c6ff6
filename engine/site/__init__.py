"""The site file of one camera: `file` holds the place and its geometry, `rule` what all rules share, `signals` lamps.

`engine.rules.load_site` reads a site with the rules of all kinds.
"""

from engine.site.file import (
    Aware,
    Calibration,
    Certificate,
    LensBend,
    Limit,
    Line,
    Place,
    Polygon,
    Row3,
    Site,
    WatchedCamera,
    Zone,
    is_timezone,
)
from engine.site.rule import ClassName, PointPx, Rule
from engine.site.signals import Lamp, Signal

__all__ = [
    "Aware",
    "Calibration",
    "Certificate",
    "ClassName",
    "Lamp",
    "LensBend",
    "Limit",
    "Line",
    "Place",
    "PointPx",
    "Polygon",
    "Row3",
    "Rule",
    "Signal",
    "Site",
    "WatchedCamera",
    "Zone",
    "is_timezone",
]
