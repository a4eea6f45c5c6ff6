"""The folder of plans: a plan is found by its whole key, and only if it is complete."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.detect.plans import PlanFolder, PlanKey

KEY = PlanKey("ssd", "a" * 64, "sm89 NVIDIA L4", "tensorrt 10.13.2", "fp16", 32)
FACTS = {"layers": {"HALF": 98}}


def test_a_stored_plan_is_found(tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path / "plans")
    folder.keep(KEY, b"plan", FACTS, {"found": 9.0})
    found = folder.find(KEY)
    assert found is not None
    assert (found.content, found.record.facts, found.record.converted) == (b"plan", FACTS, {"found": 9.0})
    assert found.record.on_device is None
    assert sorted(path.suffix for path in (tmp_path / "plans").iterdir()) == [".json", ".plan"]


def test_the_agreement_on_the_gpu_is_stored(tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path)
    folder.confirm(folder.keep(KEY, b"plan", FACTS, {}), {"found": 7.0})
    found = folder.find(KEY)
    assert found is not None
    assert found.record.on_device == {"found": 7.0}


@pytest.mark.parametrize(
    "changes",
    [{"sha256": "b" * 64}, {"gpu": "sm86"}, {"library": "tensorrt 11.0"}, {"precision": "int8"}, {"most": 16}],
)
def test_a_plan_with_another_key_is_not_found(tmp_path: Path, changes: dict[str, object]) -> None:
    folder = PlanFolder(tmp_path)
    folder.keep(KEY, b"plan", FACTS, {})
    assert folder.find(msgspec.structs.replace(KEY, **changes)) is None


def test_an_incomplete_plan_is_not_found(tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path)
    assert folder.find(KEY) is None
    folder.keep(KEY, b"plan", FACTS, {})
    folder.path(KEY).write_bytes(b"pla")
    assert folder.find(KEY) is None
    folder.keep(KEY, b"plan", FACTS, {})
    folder.path(KEY).with_suffix(".json").write_text("{")
    assert folder.find(KEY) is None
    folder.path(KEY).with_suffix(".json").unlink()
    assert folder.find(KEY) is None


def test_keys_make_valid_file_names() -> None:
    assert KEY.stem == "ssd-aaaaaaaaaaaa-sm89_NVIDIA_L4-tensorrt_10.13.2-fp16-b32"
