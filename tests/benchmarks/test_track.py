"""The tracker benchmark: reads and writes MOTChallenge text files, and computes HOTA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import track
from benchmarks.hota import count, read_truth
from benchmarks.mot import TrackingResult, read_sequences


def qyran_result(data: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The result of Qyran's tracker on the sequences in `data`."""
    assert track.main(["--data", str(data), "--out", str(out), "--json", "--repeat", "1"]) == 0
    return json.loads(capsys.readouterr().out)["trackers"]["qyran"]


def sequence(folder: Path, name: str, margins: bool = False) -> None:
    """Write two cars side by side for 30 frames, with perfect detections."""
    (folder / name).mkdir(parents=True)
    rows = [(k, car, 100 + 300 * car + 4 * k) for k in range(1, 31) for car in (0, 1)]
    score = 9.5 if margins else 0.97
    found = [f"{k},-1,{x},150,80,50,{score}" for k, _, x in rows]
    marked = [f"{k},{car},{x},150,80,50,1,Car,0" for k, car, x in rows]
    (folder / name / "det.txt").write_text("\n".join(found))
    (folder / name / "gt.txt").write_text("\n".join(marked))


def test_perfect_detections_score_100_and_are_written_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sequence(tmp_path / "data", "0000")
    sequence(tmp_path / "data", "0001")
    qyran = qyran_result(tmp_path / "data", tmp_path / "out", capsys)
    assert (qyran["HOTA"], qyran["DetA"], qyran["AssA"]) == (100, 100, 100)
    written = np.loadtxt(tmp_path / "out" / "0001.txt", delimiter=",")
    assert written.shape == (60, 10)
    assert set(written[:, 1]) == {1, 2}
    assert written[0, [0, 2, 3, 4, 5]].tolist() == [1, 104, 150, 80, 50]


def test_result_without_truth_has_speed_and_no_hota(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sequence(tmp_path / "data", "0000")
    (tmp_path / "data" / "0000" / "gt.txt").unlink()
    qyran = qyran_result(tmp_path / "data", tmp_path / "out", capsys)
    assert qyran["frames_per_cpu_s"] > 0
    assert "HOTA" not in qyran


@pytest.mark.parametrize("content", [None, "", "1,-1,nan,0,1,1,0.5", "1,-1,a,0,1,1,0.5", "0,-1,0,0,1,1,0.5"])
def test_main_names_a_missing_or_malformed_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "0007").mkdir()
        (tmp_path / "0007" / "det.txt").write_text(content)
    assert track.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert ("0007" if content is not None else "no NNNN/det.txt") in capsys.readouterr().out


def test_read_sequences_converts_margins_to_scores(tmp_path: Path) -> None:
    sequence(tmp_path, "0000", margins=True)
    (one,) = read_sequences(tmp_path)
    assert one.score == pytest.approx(np.full(60, 0.98857), abs=1e-4)


def test_a_swap_lowers_association_and_a_miss_lowers_detection(tmp_path: Path) -> None:
    sequence(tmp_path, "0000")
    truth = read_truth(tmp_path / "0000" / "gt.txt")
    swapped = np.where(truth.frame < 15, truth.identity, 1 - truth.identity)
    half = count(truth, TrackingResult(truth.frame, swapped, truth.xyxy_px, np.ones(60))).summary()
    assert half["DetA"] == 100
    assert half["AssA"] == pytest.approx(100 / 3, abs=0.01)
    kept = truth.frame < 15
    missed = count(
        truth, TrackingResult(truth.frame[kept], truth.identity[kept], truth.xyxy_px[kept], np.ones(30))
    ).summary()
    assert missed["DetA"] == 50


@pytest.mark.data
def test_hota_on_kitti_is_above_every_published_tracker(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert qyran_result(data / "kitti_mot", tmp_path, capsys)["HOTA"] > 71.0
