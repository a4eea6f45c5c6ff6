"""Section control: the mean speed of a vehicle between two cameras, from a surveyed length and two clocks.

`file` is what is known of a section, `passage` what a camera saw, `meter` which two passages are one vehicle's, `speed`
the measurement and its uncertainty, `verdict` what the law says of it.
"""

from engine.section.desk import SectionDesk
from engine.section.file import Section, Sections, load_sections
from engine.section.meter import SectionMeter
from engine.section.passage import Passage, crossing_sigma_s
from engine.section.speed import Finding, SectionSpeed
from engine.section.verdict import require, violation

__all__ = [
    "Finding",
    "Passage",
    "Section",
    "SectionDesk",
    "SectionMeter",
    "SectionSpeed",
    "Sections",
    "crossing_sigma_s",
    "load_sections",
    "require",
    "violation",
]
