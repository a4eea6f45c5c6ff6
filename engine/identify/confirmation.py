"""What confirms a suspicion, or lets it drop: a registry's answer to the plate, a classifier's look at the vehicle."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from engine.identify.owner import Identification
from engine.stages import VehicleRegistry
from engine.types import Bytes8, PlateSighting, Validity, VehicleView, Violation

REMEMBERED = 500_000
"""Plates, kinds and days of which a case was told."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look has made of a suspicion."""

    holds: bool
    says: str
    """For the case's reasons where it holds; the metric's label where it does not."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the second look has of a vehicle."""

    violation: Violation
    plate: PlateSighting | None
    views: Callable[[int], Sequence[VehicleView]]
    """So many frames that show it best; decoded when asked for."""


Confirmation = Callable[[Seen], Verdict]
"""One way to confirm a suspicion. May raise whatever a model raises: the suspicion is dropped."""


class RegistryConfirmation:
    """By the plate: surely read, of the country, and of a vehicle whose paper the registry says has expired.

    At most one case a plate, kind and day at the place, by `day_of`.
    """

    def __init__(
        self,
        registry: VehicleRegistry,
        rules: Identification,
        day_of: Callable[[int, float], str],
        told: Callable[[], Iterable[tuple[str, str, str]]] = tuple,
    ) -> None:
        """`day_of` names the local day of a camera's instant; `told` gives plate, kind and day of earlier cases, when
        it is first asked."""
        self._registry = registry
        self._rules = rules
        self._day_of = day_of
        self._earlier = told
        self._told: OrderedDict[tuple[str, str, str], None] | None = None

    def __call__(self, seen: Seen) -> Verdict:
        violation, plate = seen.violation, seen.plate.plate if seen.plate else None
        if plate is None or not self._rules.names(plate):
            return Verdict(False, "plate_unsure")
        key = (plate.text, violation.kind, self._day_of(violation.camera, violation.decisive_s))
        if key in self._known():
            return Verdict(False, "told_today")
        answer = self._registry.ask(plate.text, violation.kind, violation.decisive_s)
        if answer.validity is not Validity.EXPIRED:
            return Verdict(False, f"registry_{answer.validity.value}")
        self._remember(key)
        return Verdict(True, answer.says)

    def _known(self) -> OrderedDict[tuple[str, str, str], None]:
        if self._told is None:
            self._told = OrderedDict.fromkeys(self._earlier())
        return self._told

    def _remember(self, key: tuple[str, str, str]) -> None:
        told = self._known()
        told[key] = None
        while len(told) > REMEMBERED:
            told.popitem(last=False)


class Scores(Protocol):
    """A classifier: how likely the offence is in every crop."""

    @property
    def name(self) -> str: ...

    def score(self, crops: Sequence[Bytes8]) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True)
class ClassifierConfirmation:
    """By the crops of several frames: at least `at_least` of them, and as many as are asked for, show it."""

    classifier: Scores
    region: tuple[float, float, float, float]
    """Left, top, right, bottom as fractions of the vehicle's box."""
    threshold: float
    frames: int
    at_least: int

    def __call__(self, seen: Seen) -> Verdict:
        crops = [crop for view in seen.views(self.frames) if (crop := cut(view, self.region)) is not None]
        if len(crops) < self.at_least:
            return Verdict(False, "too_few_frames")
        scores = np.asarray(self.classifier.score(crops), np.float64)
        positive = int((scores >= self.threshold).sum())
        if positive < self.at_least:
            return Verdict(False, "classifier_negative")
        name, count, mean = self.classifier.name, len(crops), f"{scores.mean():.2f}"
        return Verdict(
            True,
            f"Classifier {name} sees it in {positive} of {count} frames at {self.threshold:g} or above, mean {mean}.",
        )


def cut(view: VehicleView, region: tuple[float, float, float, float]) -> Bytes8 | None:
    """The part of the vehicle that a classifier wants; None where it lies outside the picture."""
    left, top, right, bottom = view.xyxy_px
    width, height = right - left, bottom - top
    x0, y0, x1, y1 = region
    box = (left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height)
    rows, columns = view.rgb.shape[:2]
    a, b = max(0, round(box[0])), max(0, round(box[1]))
    c, d = min(columns, round(box[2])), min(rows, round(box[3]))
    return view.rgb[b:d, a:c] if a < c and b < d else None


def resized(crop: Bytes8, size_px: tuple[int, int]) -> Bytes8:
    """(H, W, 3) u1 at the size that a classifier wants."""
    return np.asarray(Image.fromarray(crop).resize(size_px, Image.Resampling.BILINEAR))
