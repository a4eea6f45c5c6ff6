"""Does a site fit the law and itself? What cannot be is an error, what is doubtful a warning."""

from __future__ import annotations

import datetime as dt

import numpy as np

from engine.errors import ConfigError
from engine.rules.catalogue import Catalogue, Kind, in_force
from engine.rules.check_signals import line_doubts, signal_doubts
from engine.rules.evaluator import CameraContext, kind_name
from engine.rules.kinds import judge_of
from engine.rules.zones import polygons
from engine.site import IllegalParkingRule, IllegalStopRule, Polygon, Rule, Site, SpeedingRule, Zone
from engine.site.signals import SignalLineRule
from engine.types import Flags
from kernels.zones import inside

GRID = 64
"""Points along each side of the picture at which areas are compared."""


def require(site: Site, catalogue: Catalogue) -> None:
    """Raise ConfigError for a rule that can never be judged as it stands."""
    for rule in site.rules:
        _require_kind(site, rule, catalogue)
        judge_of(CameraContext(0, site, catalogue), rule)


def _require_kind(site: Site, rule: Rule, catalogue: Catalogue) -> None:
    versions = catalogue.versions(kind_name(rule), site.valid_from, site.valid_to)
    where = f"site {site.name}: rule {rule.name}"
    if not versions:
        raise ConfigError(f"{where}: {kind_name(rule)} is not in catalogue {catalogue.version} while the site is valid")
    for kind in versions:
        if kind.part(rule.variant) is None:
            raise ConfigError(f"{where}: {kind.kind} has no variant {rule.variant!r} in {catalogue.version}")
        if isinstance(rule, IllegalParkingRule) and kind.at_least_s and rule.dwell_s <= kind.at_least_s:
            raise ConfigError(f"{where}: dwell_s must be above {kind.at_least_s:g}, a shorter halt is a stop")


def check_site(site: Site, catalogue: Catalogue, now: dt.datetime | None = None) -> list[str]:
    """What is doubtful about a site at a time (now, where none is given), one sentence each.

    Raises ConfigError where the site contradicts itself or the law.
    """
    require(site, catalogue)
    at_s = (now or dt.datetime.now(dt.UTC)).timestamp()
    found = _dates(site, at_s) + [f"zone {zone.name}: {flaw}" for zone in site.zones for flaw in _flaws(zone, site)]
    for rule in site.rules:
        kinds = catalogue.versions(kind_name(rule), site.valid_from, site.valid_to)
        found += [f"rule {rule.name}: {doubt}" for doubt in _doubts(rule, site, kinds)]
        if isinstance(rule, SignalLineRule):
            found += [f"rule {rule.name}: {doubt}" for doubt in line_doubts(CameraContext(0, site, catalogue), rule)]
    return found + signal_doubts(site)


def _dates(site: Site, at_s: float) -> list[str]:
    """What is out of date, and what that costs."""
    certificate, calibration, found = site.certificate, site.calibration, []
    if not in_force(site.valid_from, site.valid_to, at_s):
        found.append("the site is not valid now: nothing is judged")
    if calibration and not in_force(calibration.made, calibration.expires, at_s):
        found.append(f"calibration {calibration.id} is not valid now: nothing that needs the ground is judged")
    if not any(isinstance(rule, SpeedingRule) for rule in site.rules):
        return found
    if certificate is None:
        found.append("no verification certificate: speeding gives indications, never fines")
    elif not in_force(certificate.issued, certificate.expires, at_s):
        found.append(f"certificate {certificate.number} is not valid now: speeding gives indications, never fines")
    if calibration and calibration.still is None:
        found.append(f"calibration {calibration.id} has no still: nobody notices when the camera is knocked")
    return found


def _flaws(zone: Zone, site: Site) -> list[str]:
    width, height = site.image_size_px
    outside = any(not (0 <= x <= width and 0 <= y <= height) for x, y in zone.polygon_px)
    empty = not _covered(zone.polygon_px, site).any()
    return ["reaches out of the picture"] * outside + [
        "holds nothing of the picture that a vehicle could be in"
    ] * empty


def _doubts(rule: Rule, site: Site, kinds: tuple[Kind, ...]) -> list[str]:
    zone = next(zone for zone in site.zones if zone.name == rule.zone)
    doubts = []
    if isinstance(rule, SpeedingRule):
        doubts += _speeding_doubts(rule, zone, site)
    if type(rule) is IllegalStopRule and any(kind.at_most_s and rule.dwell_s > kind.at_most_s for kind in kinds):
        doubts.append(f"dwell_s {rule.dwell_s:g} is longer than a stop: use illegal_parking")
    doubts += ["the kind's article is not fully verified"] * any(p.unverified for kind in kinds for p in kind.parts)
    return doubts


def _speeding_doubts(rule: SpeedingRule, zone: Zone, site: Site) -> list[str]:
    doubts = [] if site.limits else ["the site states no limit: nothing is too fast"]
    if site.calibration is not None:
        area = _covered(site.calibration.area_px, site)
        share = (_covered(zone.polygon_px, site) & area).sum() / max(1, area.sum())
        if share < 0.9:
            doubts.append(
                f"zone {zone.name} holds {share:.0%} of the calibrated area: "
                "a vehicle that is measured from outside of it on is not judged"
            )
    return doubts


def _covered(polygon: Polygon, site: Site) -> Flags:
    """(GRID * GRID,) which points of a grid over the picture lie in a polygon."""
    width, height = site.image_size_px
    steps = (np.arange(GRID) + 0.5) / GRID
    points = np.stack(np.meshgrid(steps * width, steps * height), axis=-1).reshape(-1, 2)
    out = np.empty((len(points), 1), np.bool_)
    inside(points, np.zeros(len(points), np.int32), polygons([[polygon]]), out)
    return out[:, 0]
