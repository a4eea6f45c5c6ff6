"""Makes a case's id and its document from violation, site and artifacts."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from zoneinfo import ZoneInfo

from engine.evidence.keys import SigningKey
from engine.rules.enforcement import stated_speed_kmh, stated_uncertainty_kmh
from engine.site import Calibration, Certificate, Site
from engine.types import EvidenceFile, Measurement, ModelRecord, Outcome, Reason, Sighting, Violation
from engine.types import document as doc
from engine.types.document import moment

PLATE = "plate.jpg"
CELL_PX = 16
"""Two boxes with their centres in one cell of this size are the same vehicle."""
DIGITS = 12
"""Hexadecimal digits of the hash in an id: 48 bits within one camera, kind and millisecond."""


@dataclass(frozen=True, slots=True)
class CameraSite:
    """A camera's name and its site."""

    camera: str
    site: Site


@dataclass(frozen=True, slots=True)
class Origin:
    """What all cases of a running engine have in common."""

    device_serial: str
    model: ModelRecord
    key: SigningKey | None = None
    """Signs the cases; None if they are not signed."""
    liability: doc.Liability | None = None
    """Liability of the owner, by the law."""


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Files made from the recording."""

    files: Mapping[str, bytes]
    """Content by name."""
    instants: tuple[doc.InstantRecord, ...]
    clip: doc.ClipRecord | None
    incomplete: tuple[Reason, ...]
    """What is missing."""


def case_id(violation: Violation, camera: str, device_serial: str) -> str:
    """`CAMERA-YYYYMMDDThhmmss.mmmZ-KIND-HASH`; safe as a file's name.

    The same offence always has the same id. The hash covers what a second reading of the same footage finds again: the
    device, the camera, the kind, the rule, the decisive instant to the millisecond, and the cell of the picture that
    the vehicle was in, which separates two vehicles in one frame. It does not cover numbers of a process (track,
    sequence), values that a longer recording may change (first and last instant, speed), or versions.
    """
    sighting = min(violation.sightings, key=lambda seen: abs(seen.captured_s - violation.decisive_s))
    left, top, right, bottom = sighting.xyxy_px
    column, row = int((left + right) / 2 // CELL_PX), int((top + bottom) / 2 // CELL_PX)
    decisive_ms = round(violation.decisive_s * 1000)
    facts = (device_serial, camera, violation.kind, violation.rule, str(decisive_ms), str(column), str(row))
    digest = hashlib.sha256("\x1f".join(facts).encode()).hexdigest()[:DIGITS]
    at = moment(decisive_ms / 1000)
    return f"{camera}-{at:%Y%m%dT%H%M%S}.{decisive_ms % 1000:03d}Z-{violation.kind}-{digest}"


def write_document(
    case: str,
    violation: Violation,
    camera: CameraSite,
    origin: Origin,
    artifacts: Artifacts,
    files: Sequence[EvidenceFile],
) -> doc.CaseDocument:
    """Make the whole `case.json`."""
    outcome, reasons = _outcome(violation, artifacts.incomplete)
    return doc.CaseDocument(
        schema=doc.SCHEMA,
        id=case,
        kind=violation.kind,
        rule=violation.rule,
        article=violation.article,
        outcome=outcome,
        reasons=reasons,
        incomplete=artifacts.incomplete,
        time=_time(violation, camera.site),
        place=_place(camera),
        vehicle_class=violation.class_id.name.lower(),
        measurement=_speed(violation.measurement) if violation.measurement else None,
        device=_device(origin, camera.site, violation.decisive_s),
        versions=_versions(violation.catalogue_version, origin.model),
        instants=artifacts.instants,
        clip=artifacts.clip,
        trajectory=tuple(_point(sighting) for sighting in violation.sightings),
        files=tuple(files),
        plate=_plate(violation, [file.name for file in files]),
        liability=origin.liability,
        section=_section(violation) if violation.section else None,
    )


def local_time(instant_s: float, site: Site) -> str:
    """RFC 3339 with the site's offset, to the millisecond."""
    return moment(instant_s).astimezone(ZoneInfo(site.place.timezone)).isoformat(timespec="milliseconds")


def speed_lines(violation: Violation) -> Sequence[str]:
    """Lines of text about the measurement, for a drawing; empty without a measurement."""
    if violation.measurement is None:
        return ()
    speed = _speed(violation.measurement)
    return (
        f"{speed.speed_kmh:.1f} km/h +/- {speed.expanded_uncertainty_kmh:.1f} (k = {speed.coverage_factor:g})",
        f"limit {speed.limit_kmh:g} km/h, enforced {speed.enforced_kmh} km/h",
    )


def _outcome(violation: Violation, incomplete: Sequence[Reason]) -> tuple[Outcome, tuple[Reason, ...]]:
    """The proposed outcome; `officer` if the evidence is incomplete."""
    if incomplete and violation.outcome.is_decided:
        return Outcome.OFFICER, (*violation.reasons, Reason("evidence_incomplete"))
    return violation.outcome, violation.reasons


def _time(violation: Violation, site: Site) -> doc.TimeRecord:
    return doc.TimeRecord(
        occurred=moment(violation.decisive_s),
        local=local_time(violation.decisive_s, site),
        timezone=site.place.timezone,
        began=moment(violation.began_s),
        ended=moment(violation.ended_s),
        clock=violation.clock.name.lower(),
    )


def _place(camera: CameraSite) -> doc.PlaceRecord:
    place = camera.site.place
    return doc.PlaceRecord(
        site=camera.site.name,
        camera=camera.camera,
        address=place.address,
        latitude=place.latitude,
        longitude=place.longitude,
        direction=place.direction,
        area=place.area,
    )


def _speed(measured: Measurement) -> doc.SpeedRecord:
    """Rounds to 0.01 km/h, the uncertainty upwards, so that the document never claims more than was measured."""
    return doc.SpeedRecord(
        speed_kmh=stated_speed_kmh(measured),
        expanded_uncertainty_kmh=stated_uncertainty_kmh(measured),
        coverage_factor=measured.coverage_factor,
        limit_kmh=measured.limit_kmh,
        tolerance_kmh=measured.tolerance_kmh,
        enforced_kmh=measured.enforced_kmh,
        length_m=round(measured.length_m, 2),
        began=moment(measured.began_s),
        ended=moment(measured.ended_s),
    )


def _device(origin: Origin, site: Site, at_s: float) -> doc.DeviceRecord:
    at = moment(at_s)
    certificate, calibration = site.certificate, site.calibration
    return doc.DeviceRecord(
        serial=origin.device_serial,
        certificate=_certificate(certificate, at) if certificate else None,
        calibration=_calibration(calibration, at) if calibration else None,
        signing_key=origin.key.public.id if origin.key else None,
    )


def _section(violation: Violation) -> doc.SectionRecord:
    proof = violation.section
    assert proof is not None
    number, issued_s, expires_s = proof.certificate
    return doc.SectionRecord(
        name=proof.section,
        entry_camera=proof.entry[0],
        entry_line=proof.entry[1],
        exit_camera=proof.exit[0],
        exit_line=proof.exit[1],
        length_m=proof.length_m,
        length_sigma_m=proof.length_sigma_m,
        certificate=doc.CertificateRecord(
            number=number,
            issued=moment(issued_s),
            expires=moment(expires_s),
            valid=issued_s <= violation.began_s and violation.ended_s < expires_s,
        ),
    )


def _plate(violation: Violation, files: Sequence[str]) -> doc.PlateRecord | None:
    """The plate with the name of its still; None if no plate was read."""
    if violation.plate is None:
        return None
    plate = violation.plate.plate
    return doc.PlateRecord(
        text=plate.text,
        country=plate.country,
        region=plate.region,
        form=plate.form,
        confidence=plate.confidence,
        frames=plate.frames,
        alternatives=tuple(doc.PlateReading(text=text, confidence=share) for text, share in plate.alternatives),
        notes=plate.notes,
        still=PLATE if PLATE in files else None,
        marks=violation.marks,
    )


def _certificate(certificate: Certificate, at: dt.datetime) -> doc.CertificateRecord:
    return doc.CertificateRecord(
        number=certificate.number,
        issued=certificate.issued,
        expires=certificate.expires,
        valid=certificate.issued <= at < certificate.expires,
    )


def _calibration(calibration: Calibration, at: dt.datetime) -> doc.CalibrationRecord:
    return doc.CalibrationRecord(
        id=calibration.id,
        made=calibration.made,
        expires=calibration.expires,
        residual_m=calibration.residual_m,
        valid=calibration.made <= at < calibration.expires,
    )


def _versions(catalogue: str, model: ModelRecord) -> doc.VersionsRecord:
    return doc.VersionsRecord(
        software=f"qyran {metadata.version('qyran')}",
        catalogue=catalogue,
        model=model.name,
        model_sha256=model.sha256,
        runtime=model.runtime,
    )


def _point(sighting: Sighting) -> doc.TrajectoryPoint:
    """Rounds to 0.1 pixel and 1 mm."""
    left, top, right, bottom = (round(edge, 1) for edge in sighting.xyxy_px)
    at = sighting.position_m
    return doc.TrajectoryPoint(
        captured=moment(sighting.captured_s),
        xyxy_px=(left, top, right, bottom),
        position_m=at and (round(at[0], 3), round(at[1], 3)),
    )
