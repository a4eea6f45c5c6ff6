"""The command line: what an operator sees."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from engine.config import CameraConfig, EngineConfig, EvidenceConfig
from engine.errors import ConfigError, DeviceLost, QyranError
from engine.rules import load_site
from engine.tools import cli
from engine.tools.check import check_files
from engine.tools.demo.city import FOOTAGE, SITES
from tests.support.road import NO_PARKING, NO_STOPPING, site

AVENUE = FOOTAGE / "avenue.mp4"


def qyran(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env={"COLUMNS": "160", "PATH": ""})


def config_of(folder: Path, url: str) -> Path:
    path, site_file = folder / "engine.toml", SITES / "avenue.toml"
    path.write_text(f'[[cameras]]\nname = "gate"\nurl = "{url}"\nsite = "{site_file}"\nopen_timeout_s = 3\n')
    return path


def test_check_prints_codec_and_size_of_a_camera(tmp_path: Path) -> None:
    done = qyran("check", config_of(tmp_path, str(AVENUE)))
    assert done.returncode == 0, done.stderr
    assert "h264" in done.stdout
    assert "1280x720" in done.stdout


def test_check_fails_for_an_unreachable_camera_and_hides_its_password(tmp_path: Path) -> None:
    done = qyran("check", config_of(tmp_path, "rtsp://viewer:s3cret@127.0.0.1:9/none"))
    assert done.returncode == 1
    assert "unreachable" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


def test_check_offline_connects_to_no_camera(tmp_path: Path) -> None:
    assert qyran("check", "--offline", config_of(tmp_path, "rtsp://127.0.0.1:9/none")).returncode == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("cameras = 3", "$.cameras"), ('[[cameras]]\nname = "a"\nurl = "x"\nsite = "none.toml"\n', "none.toml")],
)
def test_an_invalid_file_is_reported_in_one_line_with_the_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "engine.toml"
    path.write_text(text)
    done = qyran("run", path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_replay_prints_tracks_and_cases_and_draws_them(tmp_path: Path) -> None:
    done = qyran(
        "replay", AVENUE, "--site", SITES / "avenue.toml", "--out", tmp_path / "out", "--draw", tmp_path / "drawn",
        "--start", "2026-06-01T08:00:00+05:00", "--region", "0,0,1,1", "--region", "0.35,0.08,0.7,0.55",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "tracks" in done.stdout
    assert "speeding" in done.stdout
    assert len(list((tmp_path / "drawn").glob("*.jpg"))) > 50
    assert list((tmp_path / "out" / "evidence").rglob("case.json"))


def test_replay_without_a_site_measures_nothing(tmp_path: Path) -> None:
    done = qyran("replay", AVENUE, "--detect-fps", "3")
    assert done.returncode == 0, done.stderr
    assert "not calibrated" in done.stdout
    assert "No case." in done.stdout


def test_still_writes_a_picture_of_the_empty_road(tmp_path: Path) -> None:
    done = qyran("still", config_of(tmp_path, str(AVENUE)), "gate", "--out", tmp_path / "still.png", "--seconds", "12")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "still.png").stat().st_size > 100_000


def test_verify_reports_a_folder_that_is_not_a_case(tmp_path: Path) -> None:
    done = qyran("verify", tmp_path)
    assert done.returncode == 1
    assert "manifest.json: cannot be read" in done.stdout


@pytest.mark.parametrize(
    ("error", "status"), [(ConfigError("no torch: pip install 'qyran[gpu]'"), 2), (DeviceLost("Xid 79"), 75)]
)
def test_an_error_is_printed_with_its_brackets_and_sets_the_exit_status(
    error: QyranError, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == status
    assert capsys.readouterr().err == f"qyran: {error}\n"


def test_check_warns_when_the_rate_is_too_low_for_signal_lamps(tmp_path: Path) -> None:
    for fps, warned in ((2.0, True), (8.0, False)):
        camera = CameraConfig(name="j", url="rtsp://127.0.0.1:9/none", site=SITES / "junction.toml", detect_fps=fps)
        warnings = check_files(EngineConfig(cameras=(camera,)), [load_site(camera.site)])
        assert any("too low to read its signal lamps" in line for line in warnings) is warned


@pytest.mark.parametrize(("keep_s", "warned"), [(45.0, ["nopark"]), (10.0, ["nostop", "nopark"]), (400.0, [])])
def test_check_warns_when_the_recording_is_kept_for_less_than_the_dwell(keep_s: float, warned: list[str]) -> None:
    camera = CameraConfig(name="gate", url="rtsp://127.0.0.1/gate", site=Path("gate.toml"))
    config = EngineConfig(cameras=(camera,), evidence=EvidenceConfig(keep_s=keep_s))
    found = [line for line in check_files(config, [site(NO_STOPPING, NO_PARKING)]) if "recording of the halt" in line]
    assert [line.split()[3].rstrip(":") for line in found] == warned
    assert check_files(config, [msgspec.structs.replace(site(), rules=())]) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay", "none.mp4"], "none.mp4: no such file"),
        (["still", "CONFIG", "gat", "--out", "still.png"], "there is no camera 'gat'; the cameras are: gate"),
        (["run", "--gpu", "2/2", "CONFIG"], "--gpu 2/2: 0/4 is the first of four GPUs, 3/4 is the last"),
        (["capacity", "--size", "wide"], "capacity: size 'wide' is not WIDTHxHEIGHT"),
    ],
)
def test_an_invalid_argument_is_one_line_on_standard_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    config = config_of(tmp_path, str(AVENUE))
    done = qyran(*(config if argument == "CONFIG" else argument for argument in arguments))
    assert (done.returncode, done.stderr) == (2, f"qyran: {message}\n")
