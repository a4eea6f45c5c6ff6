"""Section control: the mean speed of a vehicle between two cameras, from a surveyed length and two clocks.

`file` is the section file, `crossing` what one camera saw, `matcher` finds which two crossings belong to one vehicle,
`speed` is the measurement with its uncertainty, `verdict` applies the law, `control` runs them in the engine.
"""

from engine.section.control import SectionControl
from engine.section.crossing import Crossing, crossing_sigma_s
from engine.section.file import Section, Sections, load_sections
from engine.section.matcher import PassageMatcher
from engine.section.speed import Measured, SectionSpeed
from engine.section.verdict import require, violation

__all__ = [
    "Crossing",
    "Measured",
    "PassageMatcher",
    "Section",
    "SectionControl",
    "SectionSpeed",
    "Sections",
    "crossing_sigma_s",
    "load_sections",
    "require",
    "violation",
]
