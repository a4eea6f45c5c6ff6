from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.app.identification import open_classifier, require_confirmable
from engine.config import CameraConfig, ClassifierConfig, EngineConfig, RegistryConfig
from engine.decode.frame_fetcher import fetch_frames
from engine.errors import ConfigError, ModelError
from engine.identify import Identification, Looks, VehicleIdentifier
from engine.identify.classifier import OnnxClassifier
from engine.identify.confirmation import (
    ClassifierConfirmation,
    Confirmation,
    RegistryConfirmation,
    Suspect,
    Verdict,
    cut,
)
from engine.identify.identifier import Budget
from engine.language import english
from engine.metrics import Metrics
from engine.rules.kinds.no_insurance import NoInsuranceRule
from engine.rules.kinds.phone_use import PhoneUseRule
from engine.rules.kinds.seatbelt import SeatbeltRule
from engine.site import Rule
from engine.types import (
    Findings,
    Plate,
    PlateSighting,
    Reason,
    RegistryAnswer,
    Suspicion,
    Validity,
    VehicleView,
    Violation,
)
from rig.examples import EPOCH_S, keep_all, make_footage, make_violation
from tests.support.networks import make_network
from tests.support.road import site
from tests.support.scripted_stages import ScriptedPlates

FOOTAGE = make_footage(4)
AT_S = EPOCH_S + 2
PLATE = Plate("123ABC02", "KZ", "02", "private_2012", 0.97)
RULES = Identification("KZ", 0.9)
EXPIRED = Reason("paper_missing", {"paper": "insurance", "source": "snapshot", "as_of": "2026-06-01 00:00"})


class Registry:
    """Always gives the same answer, and counts the questions."""

    def __init__(self, validity: Validity) -> None:
        self.validity, self.asked = validity, 0

    def ask(self, plate: str, kind: str, at_s: float) -> RegistryAnswer:
        self.asked += 1
        return RegistryAnswer(self.validity, EXPIRED if self.validity is Validity.EXPIRED else None)

    def close(self) -> None: ...


class Scores:
    name = "own"

    def __init__(self, *scores: float) -> None:
        self.scores = scores

    def score(self, crops: Sequence[np.ndarray]) -> Sequence[float]:
        return self.scores[: len(crops)]


def suspicion(kind: str = "no_insurance", at_s: float = AT_S, track: int = 17) -> Violation:
    return replace(make_violation(at_s, measured=False), kind=kind, rule="papers", track=track)


def suspect(plate: Plate | None = PLATE, violation: Violation | None = None, frames: int = 8) -> Suspect:
    view = VehicleView(AT_S, np.zeros((100, 100, 3), np.uint8), (10.0, 10.0, 90.0, 90.0))
    sighting = PlateSighting(plate, AT_S, (0.0, 0.0, 1.0, 1.0)) if plate else None
    return Suspect(violation or suspicion(), sighting, lambda most: [view] * min(most, frames))


def day_of(camera: int, at_s: float) -> str:
    return str(int(at_s // 86_400))


def registry_confirmation(
    validity: Validity = Validity.EXPIRED, reported: Sequence[tuple[str, str, str]] = ()
) -> RegistryConfirmation:
    return RegistryConfirmation(Registry(validity), RULES, day_of, lambda: reported)


def test_an_expired_paper_confirms_with_the_registrys_reason():
    assert registry_confirmation()(suspect()) == Verdict(EXPIRED)


@pytest.mark.parametrize("validity", [Validity.VALID, Validity.UNKNOWN])
def test_a_valid_or_unknown_paper_never_confirms(validity: Validity):
    assert registry_confirmation(validity)(suspect()) == Verdict(None, f"registry_{validity.value}")


@pytest.mark.parametrize("plate", [None, replace(PLATE, confidence=0.8), replace(PLATE, country="")])
def test_without_a_sure_plate_of_the_country_the_registry_is_not_asked(plate: Plate | None):
    registry = Registry(Validity.EXPIRED)
    assert RegistryConfirmation(registry, RULES, day_of)(suspect(plate)) == Verdict(None, "plate_unsure")
    assert registry.asked == 0


def test_a_plate_is_reported_once_per_kind_and_day():
    ask = registry_confirmation()
    assert ask(suspect()).confirmed
    assert ask(suspect()) == Verdict(None, "reported_today")
    assert ask(suspect(violation=suspicion("no_inspection"))).confirmed
    assert ask(suspect(violation=suspicion(at_s=AT_S + 86_400))).confirmed
    assert ask(suspect(replace(PLATE, text="740KRM09"))).confirmed


def test_a_plate_reported_before_a_restart_is_not_reported_again():
    assert not registry_confirmation(reported=[("123ABC02", "no_insurance", day_of(0, AT_S))])(suspect()).confirmed


def test_a_classifier_needs_enough_positive_frames():
    ask = ClassifierConfirmation(Scores(0.95, 0.2, 0.99, 0.91), (0.0, 0.0, 1.0, 1.0), 0.9, frames=4, at_least=3)
    verdict = ask(suspect())
    assert verdict.confirmed == Reason(
        "classifier_confirmed", {"classifier": "own", "positive": 3, "frames": 4, "threshold": 0.9, "mean": 0.7625}
    )
    assert "own sees it in 3 of 4 frames at 0.9 or above" in english(verdict.confirmed)
    assert replace(ask, at_least=4)(suspect()) == Verdict(None, "classifier_negative")
    assert ask(suspect(frames=2)) == Verdict(None, "too_few_frames")


def test_the_crop_is_the_region_of_the_vehicle_inside_the_picture():
    rgb = np.arange(100 * 100 * 3, dtype=np.uint32).reshape(100, 100, 3).astype(np.uint8)
    crop = cut(VehicleView(0.0, rgb, (20.0, 40.0, 60.0, 120.0)), (0.5, 0.0, 1.0, 0.5))
    assert crop is not None
    assert crop.shape == (40, 20, 3)
    assert (crop == rgb[40:80, 40:60]).all()
    assert cut(VehicleView(0.0, rgb, (200.0, 0.0, 300.0, 50.0)), (0.0, 0.0, 1.0, 1.0)) is None


def test_a_budget_allows_one_minute_at_once_and_then_fills_with_time():
    budget = Budget(12.0)
    assert [budget.take(100.0) for _ in range(14)] == [True] * 12 + [False] * 2
    assert budget.take(105.0)
    assert not budget.take(105.0)
    assert not budget.take(50.0)
    assert Budget(0.5).take(0.0)


def identify(
    rule: Rule, confirm: dict[str, Confirmation], *suspicions: Violation, metrics: Metrics | None = None
) -> Sequence[Violation]:
    looks = Looks(keep_all(FOOTAGE), fetch_frames, ScriptedPlates(PLATE))
    return VehicleIdentifier(
        lambda camera: site(rule), {0: "cam"}, looks, RULES, metrics or Metrics(), confirm
    ).identify(Findings(tuple(map(Suspicion, suspicions))))


INSURANCE = NoInsuranceRule(name="papers", zone="road", a_minute=2.0)


def test_a_confirmed_suspicion_is_a_violation_with_its_reason_and_is_counted():
    metrics = Metrics()
    (found,) = identify(INSURANCE, {"no_insurance": registry_confirmation()}, suspicion(), metrics=metrics)
    assert found.outcome == "fine"
    assert found.reasons[-1] == EXPIRED
    assert metrics.violations.labels("cam", "no_insurance", "fine")._value.get() == 1


def test_a_suspicion_that_is_not_confirmed_is_dropped_and_counted():
    metrics = Metrics()
    assert (
        identify(INSURANCE, {"no_insurance": registry_confirmation(Validity.VALID)}, suspicion(), metrics=metrics) == []
    )
    assert metrics.dropped_violations.labels("cam", "no_insurance", "registry_valid")._value.get() == 1


def test_a_suspicion_beyond_the_budget_is_dropped():
    metrics = Metrics()
    many = [suspicion(track=track) for track in range(4)]
    identify(INSURANCE, {"no_insurance": registry_confirmation(Validity.VALID)}, *many, metrics=metrics)
    assert metrics.dropped_violations.labels("cam", "no_insurance", "budget")._value.get() == 2


def test_an_error_in_the_confirmation_drops_the_suspicion():
    def broken(suspect: Suspect) -> Verdict:
        raise RuntimeError("the network fails")

    metrics = Metrics()
    assert identify(INSURANCE, {"no_insurance": broken}, suspicion(), metrics=metrics) == []
    assert metrics.dropped_violations.labels("cam", "no_insurance", "failed")._value.get() == 1


def test_the_result_of_a_classifier_is_in_the_reasons():
    sees = ClassifierConfirmation(Scores(*[0.95] * 8), (0.0, 0.0, 1.0, 1.0), 0.9, 8, 5)
    (found,) = identify(PhoneUseRule(name="papers", zone="road"), {"phone_use": sees}, suspicion("phone_use"))
    assert "own sees it in 8 of 8 frames" in english(found.reasons[-1])


def config_of(path: Path, **changes: object) -> ClassifierConfig:
    return ClassifierConfig(kind="phone_use", model=path, size_px=(64, 64), **changes)  # type: ignore[arg-type]


def test_a_network_scores_by_its_column_and_activation(tmp_path: Path):
    path = tmp_path / "own.onnx"
    make_network(path, {"is": np.array([[2.0, 0.0, -1.0]], np.float32)})
    crop = np.zeros((30, 20, 3), np.uint8)
    softmax = OnnxClassifier(path, config_of(path, activation="softmax"))
    assert softmax.score([crop, crop]) == pytest.approx([0.8438] * 2, abs=1e-4)
    sigmoid = OnnxClassifier(path, config_of(path, activation="sigmoid", column=2))
    assert sigmoid.score([crop]) == pytest.approx([0.2689], abs=1e-4)
    assert softmax.name == "own"


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"column": 3, "activation": "softmax"}, "column 3 does not exist"), ({}, "set its activation")],
)
def test_a_network_that_does_not_fit_is_found_when_the_engine_starts(tmp_path: Path, changes: dict, message: str):
    path = tmp_path / "own.onnx"
    make_network(path, {"is": np.array([[2.0, 0.0, -1.0]], np.float32)})
    with pytest.raises(ModelError, match=message):
        open_classifier(config_of(path, **changes))


def test_a_file_that_is_not_a_network_or_takes_other_pictures_is_an_error(tmp_path: Path):
    path = tmp_path / "own.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"own\.onnx"):
        open_classifier(config_of(path))
    make_network(path, {"is": np.array([[0.5]], np.float32)}, shape=(1, 3, 32, 32))
    with pytest.raises(ModelError, match="does not take 64x64 pictures"):
        open_classifier(config_of(path))


def test_a_rule_without_a_registry_or_classifier_is_refused(tmp_path: Path):
    bare = EngineConfig(cameras=(CameraConfig(name="a", url="a", site=Path("a")),))
    with pytest.raises(ConfigError, match=r"rule papers \(no_insurance\) needs a registry"):
        require_confirmable(site(INSURANCE), bare)
    with pytest.raises(ConfigError, match=r"rule cabin \(phone_use\) needs a classifier"):
        require_confirmable(site(PhoneUseRule(name="cabin", zone="road")), bare)
    whole = msgspec.structs.replace(
        bare, registry=RegistryConfig(snapshot=tmp_path / "r.db"), classifiers=(config_of(tmp_path / "own.onnx"),)
    )
    require_confirmable(site(INSURANCE, PhoneUseRule(name="cabin", zone="road")), whole)
    with pytest.raises(ConfigError, match="seatbelt"):
        require_confirmable(site(SeatbeltRule(name="belt", zone="road")), whole)


def test_a_registry_is_a_snapshot_or_a_service(tmp_path: Path):
    for wrong in ({}, {"snapshot": tmp_path / "r.db", "service": "registry:443"}):
        with pytest.raises(ValueError, match="either a snapshot or a service"):
            RegistryConfig(**wrong)  # type: ignore[arg-type]
