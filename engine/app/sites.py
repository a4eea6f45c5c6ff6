"""What is doubtful about a camera's site."""

from __future__ import annotations

from engine.ingest import Probe
from engine.measure import geometries
from engine.measure.drift import references
from engine.rules import Catalogue, check_site
from engine.site import Site


def examine(site: Site, catalogue: Catalogue) -> list[str]:
    """Return what is doubtful about a site, one sentence each. Raises ConfigError or CalibrationError."""
    geometries({0: site})
    references({0: site})
    return check_site(site, catalogue)


def size_warnings(site: Site, seen: Probe) -> list[str]:
    """Return a warning if the camera's picture has another size than the one that the site was drawn on."""
    if site.image_size_px == (seen.width_px, seen.height_px):
        return []
    drawn = "x".join(map(str, site.image_size_px))
    return [f"sends {seen.width_px}x{seen.height_px}, its site is drawn on {drawn}: nothing will be judged"]
