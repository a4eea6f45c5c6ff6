"""Checks a site against the law and itself: what cannot be evaluated is an error, what is doubtful a warning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from engine.errors import ConfigError
from engine.rules.catalogue import Catalogue, in_force
from engine.rules.evaluator import CameraContext, RuleEvaluator, kind_name
from engine.rules.kinds import evaluator_of
from engine.rules.zones import covered
from engine.site import Rule, Signal, Site, Zone

SMALLEST_PX = 2.5
"""A lens of a smaller radius is a few pixels that the codec blurs."""


def evaluators(context: CameraContext) -> list[RuleEvaluator[Rule]]:
    """The evaluators of the site's rules, in its order. Raises ConfigError for a rule that can never be evaluated."""
    site = context.site
    for rule in site.rules:
        _require_kind(site, rule, context.catalogue)
    return [evaluator_of(context, rule) for rule in site.rules]


def _require_kind(site: Site, rule: Rule, catalogue: Catalogue) -> None:
    versions = catalogue.versions(kind_name(rule), site.valid_from, site.valid_to)
    where = f"site {site.name}: rule {rule.name}"
    if not versions:
        raise ConfigError(f"{where}: {kind_name(rule)} is not in catalogue {catalogue.version} while the site is valid")
    for kind in versions:
        if kind.part(rule.variant) is None:
            raise ConfigError(f"{where}: {kind.kind} has no variant {rule.variant!r} in {catalogue.version}")


def check_site(site: Site, catalogue: Catalogue, now: dt.datetime | None = None) -> list[str]:
    """What is doubtful about a site at a time (default: now), one sentence each.

    Raises ConfigError if the site contradicts itself or the law.
    """
    rules = evaluators(CameraContext(0, site, catalogue))
    at_s = (now or dt.datetime.now(dt.UTC)).timestamp()
    found = [*_dates(site, rules, at_s)]
    found += [f"zone {zone.name}: {flaw}" for zone in site.zones for flaw in _zone_flaws(zone, site)]
    for evaluator in rules:
        rule = evaluator.rule
        found += [f"rule {rule.name}: {doubt}" for doubt in evaluator.doubts()]
        kinds = catalogue.versions(kind_name(rule), site.valid_from, site.valid_to)
        if any(part.unverified for kind in kinds for part in kind.parts):
            found.append(f"rule {rule.name}: the kind's article is not fully verified")
    return found + [f"signal {signal.name}: {flaw}" for signal in site.signals for flaw in _lamp_flaws(signal)]


def _dates(site: Site, rules: list[RuleEvaluator[Rule]], at_s: float) -> Iterator[str]:
    """What is out of date, and what that costs."""
    certificate, calibration = site.certificate, site.calibration
    if not in_force(site.valid_from, site.valid_to, at_s):
        yield "the site is not valid now: no rule is applied"
    if calibration and not in_force(calibration.made, calibration.expires, at_s):
        yield f"calibration {calibration.id} is not valid now: nothing that needs the ground is judged"
    measured = list(dict.fromkeys(kind_name(one.rule) for one in rules if one.needs_certificate))
    if not measured:
        return
    cost = f"{' and '.join(measured)} gives indications, never fines"
    if certificate is None:
        yield f"no verification certificate: {cost}"
    elif not in_force(certificate.issued, certificate.expires, at_s):
        yield f"certificate {certificate.number} is not valid now: {cost}"
    if calibration and calibration.still is None:
        yield f"calibration {calibration.id} has no still: a knocked camera is not noticed"


def _zone_flaws(zone: Zone, site: Site) -> Iterator[str]:
    width, height = site.image_size_px
    if any(not (0 <= x <= width and 0 <= y <= height) for x, y in zone.polygon_px):
        yield "reaches out of the picture"
    if not covered(zone.polygon_px, site.image_size_px).any():
        yield "holds nothing of the picture that a vehicle could be in"


def _lamp_flaws(signal: Signal) -> Iterator[str]:
    """Lenses that are drawn too small, or over each other."""
    for lamp in signal.lamps:
        if lamp.radius_px < SMALLEST_PX:
            yield f"the {lamp.colour} lens is too small to be read reliably"
    for one, other in combinations(signal.lamps, 2):
        if float(np.hypot(*np.subtract(one.centre_px, other.centre_px))) < one.radius_px + other.radius_px:
            yield f"the {one.colour} lens and the {other.colour} one overlap"
