"""Confirms or drops a suspicion: by a registry's answer about the plate, or by a classifier on the vehicle."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from engine.identify.owner import Identification
from engine.stages import VehicleRegistry
from engine.types import Bytes8, PlateSighting, Reason, VehicleView, Violation

REMEMBERED = 500_000
"""Reported plates, kinds and days that are kept."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of looking at a suspicion: the reason that confirms it, or the metric's label if it is dropped."""

    confirmed: Reason | None
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A vehicle under suspicion, as the second look has it."""

    violation: Violation
    plate: PlateSighting | None
    views: Callable[[int], Sequence[VehicleView]]
    """Gives at most that many frames that show the vehicle best; decodes when called."""


Confirmation = Callable[[Suspect], Verdict]
"""One way to confirm a suspicion. May raise any error: the suspicion is then dropped."""


class RegistryConfirmation:
    """Confirms if the plate is surely read, is of the country, and the vehicle's paper has expired by the registry.

    At most one case per plate, kind and local day.
    """

    def __init__(
        self,
        registry: VehicleRegistry,
        rules: Identification,
        day_of: Callable[[int, float], str],
        reported: Callable[[], Iterable[tuple[str, str, str]]] = tuple,
    ) -> None:
        """`day_of` gives the local day of a camera's instant; `reported` gives plate, kind and day of earlier cases: it
        is called once, at the first suspicion."""
        self._registry = registry
        self._rules = rules
        self._day_of = day_of
        self._earlier = reported
        self._reported: OrderedDict[tuple[str, str, str], None] | None = None

    def __call__(self, suspect: Suspect) -> Verdict:
        violation, plate = suspect.violation, suspect.plate.plate if suspect.plate else None
        if plate is None or not self._rules.names_owner(plate):
            return Verdict(None, "plate_unsure")
        if self._reported is None:
            self._reported = OrderedDict.fromkeys(self._earlier())
        key = (plate.text, violation.kind, self._day_of(violation.camera, violation.decisive_s))
        if key in self._reported:
            return Verdict(None, "reported_today")
        answer = self._registry.ask(plate.text, violation.kind, violation.decisive_s)
        if answer.reason is None:
            return Verdict(None, f"registry_{answer.validity.value}")
        self._reported[key] = None
        while len(self._reported) > REMEMBERED:
            self._reported.popitem(last=False)
        return Verdict(answer.reason)


class Classifier(Protocol):
    """Estimates the probability that a crop shows the offence."""

    @property
    def name(self) -> str:
        """Name of the model, for the case."""

    def score(self, crops: Sequence[Bytes8]) -> Sequence[float]:
        """A probability for every crop, (H, W, 3) u1."""


@dataclass(frozen=True, slots=True)
class ClassifierConfirmation:
    """Confirms if at least `at_least` of at most `frames` crops score `threshold` or more."""

    classifier: Classifier
    region: tuple[float, float, float, float]
    """Left, top, right, bottom as fractions of the vehicle's box."""
    threshold: float
    frames: int
    at_least: int

    def __call__(self, suspect: Suspect) -> Verdict:
        crops = [crop for view in suspect.views(self.frames) if (crop := cut(view, self.region)) is not None]
        if len(crops) < self.at_least:
            return Verdict(None, "too_few_frames")
        scores = np.asarray(self.classifier.score(crops), np.float64)
        positive = int((scores >= self.threshold).sum())
        if positive < self.at_least:
            return Verdict(None, "classifier_negative")
        return Verdict(
            Reason(
                "classifier_confirmed",
                {
                    "classifier": self.classifier.name,
                    "positive": positive,
                    "frames": len(crops),
                    "threshold": self.threshold,
                    "mean": float(scores.mean()),
                },
            )
        )


def cut(view: VehicleView, region: tuple[float, float, float, float]) -> Bytes8 | None:
    """The classifier's part of the vehicle, (H, W, 3) u1; None if it lies outside the picture."""
    left, top, right, bottom = view.xyxy_px
    width, height = right - left, bottom - top
    x0, y0, x1, y1 = region
    box = (left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height)
    rows, columns = view.rgb.shape[:2]
    a, b = max(0, round(box[0])), max(0, round(box[1]))
    c, d = min(columns, round(box[2])), min(rows, round(box[3]))
    return view.rgb[b:d, a:c] if a < c and b < d else None


def resized(crop: Bytes8, size_px: tuple[int, int]) -> Bytes8:
    """The crop, (H, W, 3) u1, at another size (width, height)."""
    return np.asarray(Image.fromarray(crop).resize(size_px, Image.Resampling.BILINEAR))
