"""A segment as a device takes it: in a container, its frames by number, its colours mended."""

from __future__ import annotations

from engine.decode.camera import CameraView
from engine.decode.dali import Sample
from engine.decode.formats import PictureFormats, is_regular, shown
from engine.decode.lamps import lamp_box
from engine.decode.model_input import ModelInput
from engine.decode.picture import recolour
from engine.decode.regions import cut
from engine.errors import DecodeError, EvidenceError
from engine.ingest import remux
from engine.types import Ints, Segment

RGB = ModelInput(name="", width_px=1, height_px=1)
"""Values as they are seen: red, green, blue, 0 to 255. The size does not count."""


def asked(segment: Segment, wanted: Ints, formats: PictureFormats, model: ModelInput, view: CameraView) -> Sample | str:
    """The segment as the device takes it, or why the device is not asked: one of `metrics.FALLBACK_REASONS`."""
    if view.lossy:
        return "lossy"
    try:
        found = formats.of(segment)
        if found.refused or not is_regular(segment):
            return found.refused or "packets"
        container = remux.to_mp4([segment])
    except (DecodeError, EvidenceError):
        return "packets"
    size_px = (segment.width_px, segment.height_px)
    cuts = tuple(cut(size_px, region, model) for region in view.regions)
    colour = recolour(found.encoding, model)
    return Sample(container, shown(segment)[wanted], *colour, cuts, lamp_box(view, size_px))
