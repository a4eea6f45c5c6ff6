from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import EngineConfig, load_config, redact, split_address, tomlfile
from engine.errors import ConfigError

CAMERA = '[[cameras]]\nname = "a"\nurl = "rtsp://${WHO}:${WORD}@10.0.0.1/s"\nsite = "a.toml"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "engine.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file_and_secrets_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "viewer")
    monkeypatch.setenv("WORD", "s3cret")
    config = load_config(write(tmp_path, 'state = "var"\ncatalogue = "mine.toml"\n' + CAMERA))
    assert config.state == tmp_path / "var"
    assert config.catalogue == str(tmp_path / "mine.toml")
    assert config.cameras[0].url == "rtsp://viewer:s3cret@10.0.0.1/s"
    assert config.cameras[0].site == tmp_path / "a.toml"


def test_error_names_a_variable_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHO", raising=False)
    with pytest.raises(ConfigError, match=r"engine\.toml: camera a: environment variable WHO is not set"):
        load_config(write(tmp_path, CAMERA))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cameras = []", r"length >= 1.*\$\.cameras"),
        (CAMERA + "fps = 3\n", r"unknown field `fps`.*\$\.cameras\[0\]"),
        (CAMERA + "detect_fps = 0\n", r"> 0\.0.*detect_fps"),
        (CAMERA + "regions = [[0.5, 0, 0.5, 1]]\n", r"camera a: region .* is empty"),
        (CAMERA + CAMERA, r"two cameras are called 'a'"),
        (CAMERA.replace('"a"', '"../a"'), r"\$\.cameras\[0\]\.name"),
        ("[[cameras]\n", r"engine\.toml:"),
    ],
)
def test_error_names_the_place_of_a_wrong_value(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(write(tmp_path, text))


def test_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:p%40ss@10.0.0.1:554/s?channel=1&token=abc", "rtsp://10.0.0.1:554/s"),
        ("rtsps://user@[::1]:322/s", "rtsps://[::1]:322/s"),
        ("rtsp://user:pa@ss@host/s", "rtsp://host/s"),
        ("/videos/a.mp4", "/videos/a.mp4"),
    ],
)
def test_redact_removes_credentials(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_split_address_refuses_an_address_without_a_port() -> None:
    assert split_address("127.0.0.1:0", source="service.listen") == ("127.0.0.1", 0)
    with pytest.raises(ConfigError, match=r"service\.listen: 'localhost' is not host:port"):
        split_address("localhost", source="service.listen")


def test_defaults_are_usable() -> None:
    config = tomlfile.parse(CAMERA, EngineConfig, source="text")
    assert config.pipeline.batch_segments >= 1
    assert "10.0.0.1" in repr(config)
    assert "WORD" not in repr(config)


def test_ledger_password_comes_from_a_file_and_never_shows(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3/cr:et\n")
    ledger = '[ledger]\nurl = "postgresql://${DB_USER}@db:5432/qyran"\npassword_file = "password"\n'
    text = 'device_serial = "QY-1"\n' + ledger + CAMERA
    variables = {"DB_USER": "qyran", "WHO": "", "WORD": ""}
    config = load_config(write(tmp_path, text), variables)
    assert config.ledger_at == "postgresql://qyran:s3%2Fcr%3Aet@db:5432/qyran"
    assert "s3" not in repr(config)
    (tmp_path / "password").write_text("\n")
    with pytest.raises(ConfigError, match="password: the first line is empty"):
        load_config(write(tmp_path, text), variables)


def test_ledger_is_a_file_in_the_state_folder_without_a_url() -> None:
    config = tomlfile.parse(CAMERA, EngineConfig, source="text")
    assert config.ledger_at == Path("var/ledger.db")


def test_shared_ledger_requires_a_serial_number(tmp_path: Path) -> None:
    shared = '[ledger]\nurl = "postgresql://db/qyran"\n' + CAMERA
    with pytest.raises(ConfigError, match="device_serial: a ledger on a server is shared"):
        load_config(write(tmp_path, shared), {"WHO": "", "WORD": ""})


def test_camera_secrets_are_not_required_if_no_camera_is_opened(tmp_path: Path):
    path = tmp_path / "engine.toml"
    camera = '[[cameras]]\nname = "gate"\nurl = "rtsp://${USER_OF_GATE}@10.0.0.1/"\nsite = "gate.toml"\n'
    path.write_text(camera)
    with pytest.raises(ConfigError, match="USER_OF_GATE is not set"):
        load_config(path, {})
    assert load_config(path, {}, opens_cameras=False).state == tmp_path / "var"
    path.write_text('device_serial = "QY-1"\n[ledger]\nurl = "postgresql://${DB_USER}@db/qyran"\n' + camera)
    with pytest.raises(ConfigError, match="DB_USER is not set"):
        load_config(path, {}, opens_cameras=False)
