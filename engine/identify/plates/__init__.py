"""Plates: found and read in full-resolution frames of the second look, by the vote of several frames.

`forms` is what plates look like (data), `letters` what a network says of one crop, `vote` how crops and frames agree,
`locate` where the text stands on a vehicle, `reader` the whole, and the only file that knows rapidocr and OpenCV.
"""

from engine.identify.plates.forms import PlateForms, load_forms

__all__ = ["PlateForms", "load_forms"]
