"""`qyran check` on files alone: what the configuration and a site say that do not go well together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.config import CameraConfig, EngineConfig, EvidenceConfig
from engine.tools.commands.check import check_files
from tests.support.road import NO_PARKING, NO_STOPPING, site


@pytest.mark.parametrize(("keep_s", "told"), [(45.0, ["nopark"]), (10.0, ["nostop", "nopark"]), (400.0, [])])
def test_a_recording_that_is_gone_before_the_dwell_is_over_is_told(keep_s: float, told: list[str]) -> None:
    camera = CameraConfig(name="gate", url="rtsp://127.0.0.1/gate", site=Path("gate.toml"))
    config = EngineConfig(cameras=(camera,), evidence=EvidenceConfig(keep_s=keep_s))
    warnings = check_files(config, [site(NO_STOPPING, NO_PARKING)])
    found = [warning for warning in warnings if "recording of the halt" in warning]
    assert [warning.split()[3].rstrip(":") for warning in found] == told
    assert check_files(config, [msgspec.structs.replace(site(), rules=())]) == []
