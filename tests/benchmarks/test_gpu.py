"""The benchmarks of a GPU machine, on the CPU."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from benchmarks import cameras, detect, parity


def test_detect_compares_the_detector_with_the_bare_network_at_every_batch() -> None:
    options = argparse.Namespace(card="ssd_mobilenet_v3_large", precision="fp16", most=2, seconds=0.01)
    found = detect.measure(options)
    assert [row["batch"] for row in found["batches"]] == [1, 2]  # type: ignore[attr-defined]
    for row in found["batches"]:  # type: ignore[attr-defined]
        assert (
            0 < row["of_bare"]["cpu"] == pytest.approx(row["per_s"]["detect, cpu"] / row["per_s"]["bare, cpu"], abs=0.1)
        )


def test_cameras_drops_no_segment_under_load() -> None:
    found = cameras.measure(argparse.Namespace(codec="vp9", batch=1, seconds=0.1, load=0.1))
    assert found["kept_up"] > 0  # type: ignore[operator]
    live = found["in_real_time"]
    assert (live["cameras"], live["segments"], live["dropped"]) == (1, 1, 0)  # type: ignore[index]
    assert 0 < live["late_s"]["p50"] <= live["late_s"]["p99"]  # type: ignore[index]


@pytest.mark.data
def test_parity_finds_the_same_boxes_as_the_cpu(data: Path) -> None:
    found = parity.measure(data / "videos", segments=1)
    assert set(found["videos"]) == {"street.mp4", "highway_side.mp4", "junction_cyclist.mp4"}  # type: ignore[call-overload]
    for numbers in found["videos"].values():  # type: ignore[attr-defined]
        assert numbers["found"] == numbers["reference"] > 0
