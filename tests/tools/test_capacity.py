"""Capacity: the arithmetic, the measurement of this machine, and the warning of `qyran run`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from structlog.testing import capture_logs

from engine.config import DecoderConfig, DetectorConfig, EngineConfig, PipelineConfig, load_config
from engine.errors import ConfigError
from engine.rules import load_site
from engine.tools.capacity import report
from engine.tools.capacity.measure import CapacityRequest, measure
from engine.tools.capacity.model import (
    HEADROOM,
    CameraKind,
    Capacity,
    Ceiling,
    compute_fit,
    kinds_of,
    read_capacity,
    store_capacity,
)
from engine.tools.capacity.report import answer, parse_camera_kind, warn_past_capacity

EXAMPLE = Path(__file__).parents[2] / "deploy" / "example" / "engine.toml"
KIND = CameraKind(2000, 1000, 25.0, "h264", 10.0, 2)


def capacity(**parts: tuple[str, float]) -> Capacity:
    """Ceilings by stage as (part, per second); `decode` stands for H.264."""
    ceilings = tuple(
        Ceiling("decode h264" if stage == "decode" else stage, part, per_s, "")  # type: ignore[arg-type]
        for stage, (part, per_s) in parts.items()
    )
    return Capacity("2026-06-01T00:00:00+00:00", "test", {}, ceilings)


ON_CPU = capacity(decode=("cpu", 500.0), scale=("cpu", 200.0), detect=("cpu", 100.0), track=("cpu", 1000.0))
ON_GPU = capacity(decode=("nvdec", 500.0), scale=("gpu", 2000.0), detect=("gpu", 1000.0), track=("cpu", 1000.0))


# -- the arithmetic


def test_a_camera_demands_pixels_pictures_and_frames() -> None:
    assert KIND.demand() == {"decode h264": 50.0, "scale": 20.0, "detect": 20.0, "track": 10.0}
    slow = CameraKind(2000, 1000, 5.0, "h264", 10.0, 2)
    assert slow.demand() == {"decode h264": 10.0, "scale": 10.0, "detect": 10.0, "track": 5.0}


def test_stages_on_the_same_cores_add_up() -> None:
    taken = compute_fit([KIND], ON_CPU)
    assert taken.parts == {"cpu": pytest.approx(0.1 + 0.1 + 0.2 + 0.01)}
    assert taken.load == pytest.approx(0.41 / HEADROOM)
    assert (taken.cameras, taken.limit) == (1, "detect")


def test_stages_on_different_parts_work_at_the_same_time() -> None:
    taken = compute_fit([KIND], ON_GPU)
    assert taken.parts == {"nvdec": pytest.approx(0.1), "gpu": pytest.approx(0.03), "cpu": pytest.approx(0.01)}
    assert (taken.cameras, taken.limit) == (8, "decode h264")
    assert compute_fit([KIND] * 8, ON_GPU).load == pytest.approx(1.0)


def test_an_unmeasured_codec_is_an_error_that_names_the_measured_ones() -> None:
    with pytest.raises(ConfigError, match="decode av1 was not measured; the measured codecs are: h264"):
        compute_fit([CameraKind(2000, 1000, 25.0, "av1", 8.0, 1)], ON_CPU)


def test_invalid_sizes_are_refused() -> None:
    assert parse_camera_kind("640x480", 25.0, "h264", 8.0, 1) == CameraKind(640, 480, 25.0, "h264", 8.0, 1)
    for size in ("640", "640x", "0x480", "axb"):
        with pytest.raises(ConfigError, match="is not WIDTHxHEIGHT"):
            parse_camera_kind(size, 25.0, "h264", 8.0, 1)


# -- the measurement


def test_every_stage_of_this_machine_is_measured() -> None:
    request = CapacityRequest(
        DecoderConfig(backend="cpu"), PipelineConfig(), DetectorConfig(runtime="onnx", batch=2), ("h264",), 0.02
    )
    steps: list[str] = []
    found = measure(request, steps.append)
    assert steps == ["detect", "decode h264", "track"]
    assert {c.stage for c in found.ceilings} == {"detect", "decode h264", "scale", "track"}
    assert all(c.part == "cpu" and c.per_s > 0 for c in found.ceilings)
    assert list(found.batches) == ["1", "2"]
    assert compute_fit([CameraKind(64, 64, 1.0, "h264", 1.0, 1)], found).cameras > 0


def test_the_answer_names_the_limit_and_is_stored_beside_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "measure", lambda request, report: ON_CPU)
    config = example(tmp_path)
    monkeypatch.setattr(report, "load_config", lambda path: config)
    console = Console(record=True, width=300)
    answer(EXAMPLE, KIND, 0.1, console)
    text = console.export_text()
    assert "1 fit, with 20% kept free; the limit is detect" in text
    assert f"the {len(config.cameras)} camera(s) of the configuration take" in text
    assert read_capacity(tmp_path) == ON_CPU


# -- the warning


def example(state: Path, **changes: object) -> EngineConfig:
    config = load_config(EXAMPLE, {"CAMERA_USER": "u", "CAMERA_PASSWORD": "p"})
    pipeline = msgspec.structs.replace(config.pipeline, **changes)
    return msgspec.structs.replace(config, state=state, pipeline=pipeline)


def too_small(config: EngineConfig) -> Capacity:
    """A machine on which the cameras need twice the usable capacity."""
    taken = compute_fit(kinds_of(config, [load_site(camera.site) for camera in config.cameras]), ON_CPU).load
    ceilings = tuple(msgspec.structs.replace(c, per_s=c.per_s * taken / 2) for c in ON_CPU.ceilings)
    return msgspec.structs.replace(ON_CPU, ceilings=ceilings)


def test_run_warns_if_the_cameras_exceed_the_capacity(tmp_path: Path) -> None:
    config = example(tmp_path)
    store_capacity(tmp_path, too_small(config))
    with capture_logs() as logs:
        warn_past_capacity(config)
    assert [(line["log_level"], line["load"]) for line in logs] == [("warning", 2.0)]


def test_run_refuses_to_exceed_the_capacity_if_configured(tmp_path: Path) -> None:
    config = example(tmp_path, past_capacity="refuse")
    store_capacity(tmp_path, too_small(config))
    with pytest.raises(ConfigError, match=r"pipeline\.past_capacity: .* take 200% of what fits; the limit is"):
        warn_past_capacity(config)


def test_run_does_not_warn_within_the_capacity_or_without_a_measurement(tmp_path: Path) -> None:
    config = example(tmp_path, past_capacity="refuse")
    warn_past_capacity(config)
    roomy = tuple(msgspec.structs.replace(c, per_s=1e9) for c in ON_CPU.ceilings)
    store_capacity(tmp_path, msgspec.structs.replace(ON_CPU, ceilings=roomy))
    with capture_logs() as logs:
        warn_past_capacity(config)
    assert logs == []


def test_an_unreadable_measurement_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "capacity.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"capacity\.json: .*; measure again: qyran capacity CONFIG"):
        read_capacity(tmp_path)
