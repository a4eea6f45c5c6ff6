"""Calibration of the confidence of plate readings, on photos and on degraded versions of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageFilter
from scipy.optimize import minimize

from engine.identify.plates.forms import PlateForms
from engine.identify.plates.network import TextNetworks
from engine.identify.plates.reader import TextPlateReader
from engine.identify.plates.vote import features
from engine.types import Flags, Floats, VehicleView

BINS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 1.0)
PENALTY = 2e-4
"""Weight of the squared weights in the loss. It keeps the curve from becoming a step if there are few photos."""


@dataclass(frozen=True, slots=True)
class ReadingFeatures:
    """Features of one reading, and whether the reading is correct."""

    photo: int
    features: tuple[float, ...]
    right: bool


def measure_reliability(
    photos: Iterable[tuple[Image.Image, str]], networks: TextNetworks, forms: PlateForms
) -> dict[str, Any]:
    """The curve fitted to all readings, and bins of stated confidence and correct readings on photos not in the fit."""
    reader = TextPlateReader(networks, forms)
    shown: list[ReadingFeatures] = []
    names: list[str] = []
    for number, (image, text) in enumerate(photos):
        for degrade in DEGRADATIONS.values():
            picture = np.asarray(degrade(image))
            size = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
            outcome = reader.ballot([VehicleView(0.0, picture, size)])
            if outcome is None:
                continue
            fit = forms.fit(outcome.glyphs)
            found = features(outcome, fits=fit.known)
            names = list(found)
            shown.append(ReadingFeatures(number, tuple(found.values()), _plain(fit.text) == _plain(text)))
    return {"readings": len(shown), "curve": dict(zip(names, _rounded(_fit(shown)), strict=True)), "bins": _bins(shown)}


def _bins(shown: list[ReadingFeatures]) -> list[dict[str, float]]:
    """Bins by the confidence that the curve fitted to all other photos states."""
    stated = np.zeros(len(shown))
    right = np.array([one.right for one in shown])
    photo = np.array([one.photo for one in shown])
    for number in np.unique(photo):
        curve = _fit([one for one in shown if one.photo != number])
        stated[photo == number] = _probability(curve, np.array([one.features for one in shown])[photo == number])
    return [_bin(low, high, stated, right) for low, high in pairwise(BINS)]


def _bin(low: float, high: float, stated: Floats, right: Flags) -> dict[str, float]:
    chosen = (stated >= low) & ((stated < high) | (high == BINS[-1]))
    mean = [round(float(values[chosen].mean()), 3) if chosen.any() else float("nan") for values in (stated, right)]
    return {"from": low, "to": high, "n": int(chosen.sum()), "said": mean[0], "right": mean[1]}


def _fit(shown: list[ReadingFeatures]) -> Floats:
    """Weights of a logistic regression with maximum likelihood."""
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
    """The text with O as 0 and I as 1: some labels do not distinguish them."""
    return text.replace("O", "0").replace("I", "1")


def _scale(image: Image.Image, share: float) -> Image.Image:
    return image.resize((max(8, int(image.width * share)), max(8, int(image.height * share))), Image.Resampling.LANCZOS)


def _add_noise(image: Image.Image, light: float, sigma: float) -> Image.Image:
    noise = np.random.default_rng(3).normal(0, sigma, (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image, np.float64) * light + noise).clip(0, 255).astype(np.uint8))


def _compress(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


DEGRADATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "half as large": lambda image: _scale(image, 0.5),
    "a third": lambda image: _scale(image, 0.36),
    "small, JPEG 40": lambda image: _compress(_scale(image, 0.45), 40),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2.0)),
    "noisy": lambda image: _add_noise(_scale(image, 0.6), 1.0, 25),
    "dark": lambda image: _add_noise(image, 0.2, 8),
}
