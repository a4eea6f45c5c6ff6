"""Every string of a report in the reader's language, ready for the template."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from engine.language import Language
from engine.types.document import (
    CalibrationRecord,
    CaseDocument,
    CertificateRecord,
    InstantRecord,
    SpeedRecord,
)

VEHICLE = "vehicle.jpg"
NEXT_BEST = ("ru", "kk", "en")
"""Languages to use if the reader's own is missing, in this order."""


@dataclass(frozen=True, slots=True)
class ReportStill:
    """A still with its caption."""

    file: str
    caption: str


@dataclass(frozen=True, slots=True)
class ReportPaper:
    """A certificate or a calibration."""

    title: str
    text: str
    valid: bool


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The whole page."""

    words: Language
    record: CaseDocument
    sha256: str
    """Of `case.json`."""

    @property
    def kind(self) -> str:
        """Name of the offence."""
        return self.words.kinds.get(self.record.kind, self.record.kind)

    @property
    def article(self) -> str:
        """The article with the law's name."""
        return self.words.article(self.record.article, self.record.versions.catalogue)

    @property
    def outcome(self) -> str:
        """The proposed outcome."""
        return self.words.outcomes.get(self.record.outcome, self.record.outcome)

    @property
    def address(self) -> str:
        """The address in this language or the next best."""
        return _best(self.record.place.address, self.words.language)

    @property
    def place(self) -> Sequence[str]:
        """Coordinates, direction and camera."""
        place, words = self.record.place, self.words.words
        lines = [f"{words['camera']} {place.camera}"]
        if place.direction:
            lines.insert(0, f"{words['direction']}: {self.words.facts.get(place.direction, place.direction)}")
        if place.latitude is not None and place.longitude is not None:
            lines.insert(0, f"{place.latitude:.5f}, {place.longitude:.5f}")
        return lines

    @property
    def local(self) -> str:
        """Local date and time, with the offset from UTC."""
        at = self._local(self.record.time.occurred)
        return f"{at:{self.words.date}} {self._clock(at)} (UTC{at.isoformat()[-6:]})"

    @property
    def utc(self) -> str:
        """Date and time in UTC."""
        at = self.record.time.occurred
        return f"{at:{self.words.date}} {self._clock(at)} UTC"

    @property
    def clock(self) -> str:
        """How the capture time was obtained."""
        return self.words.clocks.get(self.record.time.clock, self.record.time.clock)

    @property
    def vehicle(self) -> str:
        """Class of the vehicle."""
        return self.words.classes.get(self.record.vehicle_class, self.record.vehicle_class)

    @property
    def plate(self) -> Sequence[str]:
        """The text, then country, confidence, alternatives and marks."""
        plate, words = self.record.plate, self.words.words
        if plate is None:
            return [words["plate_none"]]
        country = " ".join(filter(None, (plate.country, plate.region))) or words["country_unknown"]
        sure = f"{words['confidence']} {self.words.number(plate.confidence, 3)}, {words['frames']}: {plate.frames}"
        others = (f"{words['or']} {other.text}" for other in plate.alternatives[:2])
        return [plate.text, country, sure, *others, *(self.words.marks.get(mark, mark) for mark in plate.marks)]

    @property
    def measurement(self) -> Sequence[tuple[str, str]]:
        """Label and value, in the order in which the enforced speed is computed."""
        return [*self._measured(self.record.measurement)] if self.record.measurement else []

    def _measured(self, speed: SpeedRecord) -> Iterator[tuple[str, str]]:
        words, number = self.words.words, self.words.number
        value, uncertainty = number(speed.speed_kmh, 2), number(speed.expanded_uncertainty_kmh, 2)
        tolerance = number(speed.tolerance_kmh, 2)
        expanded = f"{words['uncertainty']}{speed.coverage_factor:g}"
        yield words["measured"], f"{value} ± {uncertainty} {words['kmh']} ({expanded})"
        sum_of = f"{value} − {tolerance} ({words['tolerance']}) − {uncertainty} = {speed.enforced_kmh} {words['kmh']}"
        yield words["enforced"], f"{sum_of}, {words['rounded']}"
        over = number(speed.enforced_kmh - speed.limit_kmh, 0)
        yield words["limit"], f"{speed.limit_kmh:g} {words['kmh']}; {words['over']} {over} {words['kmh']}"
        span_s = (speed.ended - speed.began).total_seconds()
        yield words["stretch"], f"{number(speed.length_m, 2)} {words['metres']}, {number(span_s, 2)} {words['seconds']}"

    @property
    def papers(self) -> Sequence[ReportPaper]:
        """Certificate and calibration of the device."""
        device = self.record.device
        return [self._paper("certificate", device.certificate), self._paper("calibration", device.calibration)]

    def _paper(self, name: str, paper: CertificateRecord | CalibrationRecord | None) -> ReportPaper:
        words = self.words.words
        if paper is None:
            return ReportPaper(words[name], words["none"], valid=False)
        if isinstance(paper, CertificateRecord):
            text, began = paper.number, paper.issued
        else:
            residual = self.words.number(paper.residual_m, 3)
            text, began = f"{paper.id}, {words['residual']} {residual} {words['metres']}", paper.made
        span = " – ".join(f"{self._local(at):{self.words.date}}" for at in (began, paper.expires))
        return ReportPaper(words[name], f"{text}; {span}: {words['valid' if paper.valid else 'invalid']}", paper.valid)

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons for the outcome."""
        return [self.words.sentence(reason) for reason in self.record.reasons]

    @property
    def incomplete(self) -> Sequence[str]:
        """What is missing from the evidence."""
        return [self.words.sentence(reason) for reason in self.record.incomplete]

    @property
    def shots(self) -> Sequence[ReportStill]:
        """Every still once: the decisive one first, the others in the order of time."""
        shown: dict[str, list[tuple[int, InstantRecord]]] = {}
        for number, instant in enumerate(self.record.instants, start=1):
            if instant.still:
                shown.setdefault(instant.still, []).append((number, instant))
        first, *others = shown or [""]
        others.sort(key=lambda file: shown[file][0][1].captured)
        return [ReportStill(file, self._caption(shown[file])) for file in (first, *others) if file]

    def _caption(self, instants: Sequence[tuple[int, InstantRecord]]) -> str:
        names = ", ".join(f"{number} {self.words.instants.get(one.name, one.name)}" for number, one in instants)
        at = instants[0][1].still_captured or instants[0][1].captured
        apart_s = (at - self.record.time.occurred).total_seconds()
        sign = "+" if apart_s > 0 else "−"
        apart = f" ({sign}{self.words.number(abs(apart_s), 2)} {self.words.words['seconds']})" if apart_s else ""
        return f"{names} · {self._clock(self._local(at))}{apart}"

    @property
    def close_ups(self) -> Sequence[ReportStill]:
        """The vehicle cut out at the decisive instant, and its plate."""
        plate = self.record.plate.still if self.record.plate else None
        files = ((VEHICLE, "vehicle_close"), (plate or "", "plate_close"))
        return [ReportStill(file, self.words.words[caption]) for file, caption in files if self.has(file)]

    @property
    def is_full(self) -> bool:
        """True if the page has so much text that the large stills must be smaller."""
        return len(self.shots) > 4 or len(self.record.reasons) + len(self.record.incomplete) > 4

    @property
    def row_mm(self) -> int:
        """Height at which the smaller stills, and the narrower close-ups, fit into one row."""
        wide = len(self.shots) - 1 + 0.6 * len(self.close_ups)
        return min(30, int(176 / (1.78 * wide))) if wide > 0 else 0

    @property
    def files(self) -> Sequence[tuple[str, str]]:
        """Name and SHA-256 of every file that the report is based on."""
        return [("case.json", self.sha256), *((file.name, file.sha256) for file in self.record.files)]

    def has(self, name: str) -> bool:
        """True if the case has a file of that name."""
        return any(file.name == name for file in self.record.files)

    @property
    def liability(self) -> str:
        """The liability and its article; empty if the catalogue has no entry."""
        liable = self.record.liability
        text = _best(liable.says, self.words.language) if liable else ""
        article = self.words.article(liable.article, self.record.versions.catalogue) if liable else ""
        return f"{text} ({article})" if text else ""

    def _local(self, at: dt.datetime) -> dt.datetime:
        return at.astimezone(ZoneInfo(self.record.time.timezone))

    def _clock(self, at: dt.datetime) -> str:
        return f"{at:%H:%M:%S}{self.words.decimal}{at.microsecond // 1000:03d}"


def _best(texts: Mapping[str, str], language: str) -> str:
    """The text in that language, else in the next best; empty if there is no text."""
    return next((texts[one] for one in (language, *NEXT_BEST, *texts) if texts.get(one)), "")
