"""What the stages make of a site: the speedometer's geometry, and what is doubtful about it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.ingest import Probe
from engine.measure import CameraGeometry, FootModel, Lens
from engine.measure.drift import references
from engine.rules import Catalogue, check_site
from engine.site import Site


def examine(site: Site, catalogue: Catalogue) -> list[str]:
    """What is doubtful about a camera's site, one sentence each. Raises ConfigError or CalibrationError."""
    geometries({0: site})
    references({0: site})
    return check_site(site, catalogue)


def size_warnings(site: Site, seen: Probe) -> list[str]:
    """Is the picture the one that the site was drawn on?"""
    if site.image_size_px == (seen.width_px, seen.height_px):
        return []
    drawn = "x".join(map(str, site.image_size_px))
    return [f"sends {seen.width_px}x{seen.height_px}, its site is drawn on {drawn}: nothing will be judged"]


def geometries(sites: Mapping[int, Site]) -> dict[int, CameraGeometry]:
    """What the speedometer knows of every camera that has a calibration."""
    return {index: geometry(site) for index, site in sites.items() if site.calibration is not None}


def geometry(site: Site) -> CameraGeometry:
    """The site's calibration as the speedometer reads it; the site must have one."""
    calibration = site.calibration
    assert calibration is not None
    return CameraGeometry(
        image_to_ground=np.array(calibration.image_to_ground),
        image_size_px=site.image_size_px,
        area_px=np.array(calibration.area_px),
        valid_from_s=calibration.made.timestamp(),
        valid_to_s=calibration.expires.timestamp(),
        covariance=None if calibration.covariance is None else np.reshape(calibration.covariance, (9, 9)),
        relative_sigma=calibration.relative_sigma,
        foot=FootModel(calibration.camera_m) if calibration.camera_m else None,
        lens=Lens(lens.focal_px, lens.centre_px, lens.k1, lens.k2) if (lens := calibration.lens) else None,
        readout_s=calibration.readout_s,
    )
