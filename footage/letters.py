"""Makes a bold font of capitals and digits from a variable font."""

from __future__ import annotations

from pathlib import Path

_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 "
_AXES = {"wght": 650.0, "opsz": 14.0}


def write_bold(variable: Path, target: Path) -> None:
    """Write a static bold font with outlines that do not overlap, so that every renderer fills them correctly.

    A variable font draws some letters (A, K, R ...) as overlapping strokes. Needs fontTools, brotli and skia-pathops.
    """
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont
    from fontTools.varLib.instancer import OverlapMode, instantiateVariableFont

    font = TTFont(variable)
    subsetter = Subsetter(Options(layout_features=["kern"]))
    subsetter.populate(text=_SIGNS)
    subsetter.subset(font)
    bold = instantiateVariableFont(font, _AXES, overlap=OverlapMode.REMOVE)
    bold.flavor = None
    bold.save(target)
