"""Plates: found and read in whole frames of the recording, by the vote of several frames.

`network` runs rapidocr's networks, `letters` decodes their output, `locate` selects text that may be a plate, `vote`
merges crops and frames, `forms` has the layouts of plates (data), `reader` puts them together.
"""

from engine.identify.plates.forms import PlateForms, load_forms

__all__ = ["PlateForms", "load_forms"]
