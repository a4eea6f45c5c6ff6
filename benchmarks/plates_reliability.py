"""Is a plate that is said to be right with 95 % right in 95 of 100 cases? Photos as they are, and made worse."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from scipy.optimize import minimize

from engine.identify.plates.confidence import features
from engine.identify.plates.forms import PlateForms
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.reader import TextPlateReader
from engine.types import Flags, Floats, VehicleView

BINS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0)
PENALTY = 2e-4
"""Of the squared weights, by reading: few photos must not make a curve as steep as a step."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A reading, as the curve sees it."""

    photo: int
    features: tuple[float, ...]
    right: bool


def reliability(photos: Iterable[tuple[Image.Image, str]], networks: TextNetworks, forms: PlateForms) -> dict[str, Any]:
    """The curve fitted to all readings, and by its word on photos left out of the fit how often a reading was right."""
    reader = TextPlateReader(networks, forms)
    shown: list[Shown] = []
    names: list[str] = []
    for number, (image, text) in enumerate(photos):
        for worsen in WORSE.values():
            picture = np.asarray(worsen(image))
            size = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
            outcome = reader.ballot([VehicleView(0.0, picture, size)])
            if outcome is None:
                continue
            fit = forms.fit(outcome.glyphs)
            seen = features(outcome, fits=fit.known)
            names = list(seen)
            shown.append(Shown(number, tuple(seen.values()), _plain(fit.text) == _plain(text)))
    return {"readings": len(shown), "curve": dict(zip(names, _rounded(_fit(shown)), strict=True)), "bins": _bins(shown)}


def _bins(shown: list[Shown]) -> list[dict[str, float]]:
    """By what was said of a photo by the curve fitted to the others."""
    said = np.zeros(len(shown))
    right = np.array([one.right for one in shown])
    photo = np.array([one.photo for one in shown])
    for number in np.unique(photo):
        curve = _fit([one for one in shown if one.photo != number])
        said[photo == number] = _probability(curve, np.array([one.features for one in shown])[photo == number])
    return [_bin(low, high, said, right) for low, high in pairwise(BINS)]


def _bin(low: float, high: float, said: Floats, right: Flags) -> dict[str, float]:
    chosen = (said >= low) & ((said < high) | (high == BINS[-1]))
    mean = [round(float(values[chosen].mean()), 3) if chosen.any() else float("nan") for values in (said, right)]
    return {"from": low, "to": high, "n": int(chosen.sum()), "said": mean[0], "right": mean[1]}


def _fit(shown: list[Shown]) -> Floats:
    """Logistic regression: the weights that make the outcomes likeliest."""
    given = np.array([one.features for one in shown])
    sign = np.where([one.right for one in shown], 1.0, -1.0)

    def loss(weights: Floats) -> float:
        return float(np.logaddexp(0, -sign * (given @ weights)).mean() + PENALTY * (weights[1:] ** 2).sum())

    return np.asarray(minimize(loss, np.zeros(given.shape[1])).x)


def _probability(curve: Floats, given: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-given @ curve)))


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 3) for value in values]


def _plain(text: str) -> str:
    """O is 0 and I is 1: some labels do not tell them apart either."""
    return text.replace("O", "0").replace("I", "1")


def _scaled(image: Image.Image, share: float) -> Image.Image:
    return image.resize((max(8, int(image.width * share)), max(8, int(image.height * share))), Image.Resampling.LANCZOS)


def _noisy(image: Image.Image, light: float, sigma: float) -> Image.Image:
    noise = np.random.default_rng(3).normal(0, sigma, (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image, np.float64) * light + noise).clip(0, 255).astype(np.uint8))


def _pressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


WORSE: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "half as large": lambda image: _scaled(image, 0.5),
    "a third": lambda image: _scaled(image, 0.36),
    "small, JPEG 40": lambda image: _pressed(_scaled(image, 0.45), 40),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2.0)),
    "noisy": lambda image: _noisy(_scaled(image, 0.6), 1.0, 25),
    "dark": lambda image: _noisy(image, 0.2, 8),
}
