"""Cameras come and go while the engine runs: ordered over gRPC, put on record, carried out."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import msgspec
import pytest
from PIL import Image
from qyran.v1 import camera_service_pb2 as pb
from qyran.v1 import camera_service_pb2_grpc as pb_grpc

from engine.app.camera_store import CameraStore
from engine.app.cameras import CameraManager
from engine.app.engine import Engine, build
from engine.config import CameraConfig, EngineConfig, MetricsConfig, ServiceConfig
from engine.errors import ConfigError, LedgerError, NoCamera, OutOfDate, RecordConflict, Stopped
from engine.ledger import CameraState, CameraVersions, SqlLedger
from engine.metrics import Metrics
from engine.pipeline.mailbox import Mailbox
from engine.pipeline.runner import Runner, RunnerState
from engine.tools.demo.city import FOOTAGE, SITES
from engine.tools.demo.rtsp import serve_folder
from engine.types import Entry, Segment
from rig.serving import eventually

SITE = (SITES / "avenue.toml").read_text(encoding="utf-8")


def config(state: Path) -> EngineConfig:
    """One camera that plays a file, decoded at half a frame a second."""
    camera = CameraConfig(name="first", url=str(FOOTAGE / "avenue.mp4"), site=SITES / "avenue.toml", detect_fps=0.5)
    free = "127.0.0.1:0"
    service = ServiceConfig(listen=free, camera_secrets=("USER", "PASSWORD", "GONE"))
    return EngineConfig(cameras=(camera,), state=state, service=service, metrics=MetricsConfig(listen=free))


@contextmanager
def running(engine: Engine) -> Iterator[pb_grpc.CameraServiceStub]:
    """The running engine, and a stub that orders its cameras."""
    with at_work(engine), grpc.insecure_channel(engine.grpc_address) as channel:
        yield pb_grpc.CameraServiceStub(channel)


@contextmanager
def at_work(engine: Engine) -> Iterator[None]:
    """The engine runs on a thread of its own, and ends without a failure."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in engine.run():
                pass
        except BaseException as error:  # noqa: BLE001 - reported by the assertion
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        engine.stop()
        thread.join(60)
    assert not thread.is_alive()
    assert failures == []


def states(stub: pb_grpc.CameraServiceStub) -> dict[str, tuple[int, str]]:
    cameras = stub.ListCameras(pb.ListCamerasRequest(), timeout=30).cameras
    return {camera.name: (camera.version, pb.CameraState.Name(camera.state)) for camera in cameras}


def segments(engine: Engine, camera: str) -> float | None:
    return engine.metrics.registry.get_sample_value("qyran_segments_total", {"camera": camera})


def is_watched(engine: Engine, camera: str) -> bool:
    return eventually(lambda: (segments(engine, camera) or 0) > 0, within_s=60)


def test_a_camera_is_added_paused_changed_and_removed_while_another_is_watched(tmp_path: Path) -> None:
    with serve_folder(FOOTAGE) as address:
        with build(config(tmp_path)) as engine, running(engine) as stub:
            url = f"{address}crossing.mp4"
            added = stub.AddCamera(pb.AddCameraRequest(name="second", url=url, site=SITE, detect_fps=0.5), timeout=60)
            assert (added.camera.version, added.camera.changed_by) == (1, "loopback")
            assert added.camera.place.site == "avenue"
            assert is_watched(engine, "second")
            assert states(stub) == {"first": (0, "CAMERA_STATE_WATCHED"), "second": (1, "CAMERA_STATE_WATCHED")}

            stub.PauseCamera(pb.PauseCameraRequest(name="second", version=1), timeout=60)
            assert states(stub)["second"] == (2, "CAMERA_STATE_PAUSED")
            assert segments(engine, "second") is None
            stub.ResumeCamera(pb.ResumeCameraRequest(name="second", version=2), timeout=60)
            assert is_watched(engine, "second")

            other = SITE.replace('name = "avenue"', 'name = "avenue-b"', 1)
            changed = stub.UpdateSite(pb.UpdateSiteRequest(name="second", version=3, site=other), timeout=60)
            assert changed.camera.place.site == "avenue-b"
            assert is_watched(engine, "second")
            seen = stub.GetCamera(pb.GetCameraRequest(name="second"), timeout=30)
            assert seen.site == other
            assert [change.change for change in seen.history] == ["add", "pause", "resume", "update_site"]

            stub.RemoveCamera(pb.RemoveCameraRequest(name="first", version=0), timeout=60)
            assert segments(engine, "first") is None
            assert list(states(stub)) == ["second"]
        with build(config(tmp_path)) as again, running(again) as stub:
            assert states(stub) == {"second": (4, "CAMERA_STATE_WATCHED")}
            assert is_watched(again, "second")


def test_an_order_to_an_engine_that_never_ran_is_refused_when_it_closes(tmp_path: Path) -> None:
    with build(config(tmp_path)) as engine:
        channel = grpc.insecure_channel(engine.grpc_address)
        request = pb.PauseCameraRequest(name="first", version=0)
        waiting = pb_grpc.CameraServiceStub(channel).PauseCamera.future(request, timeout=60)
        assert eventually(lambda: engine.runner.has_actions)
    assert waiting.code() is grpc.StatusCode.UNAVAILABLE
    channel.close()


# -- without an engine


class Stuck:
    """A camera whose `read` does not return when it is closed."""

    def __init__(self) -> None:
        self.free = threading.Event()

    def read(self) -> Iterator[Segment]:
        self.free.wait(30)
        yield from ()

    def close(self) -> None:
        pass


class Idle:
    """A pipeline that does nothing."""

    def process(self, batches: Iterable[object], *, overlap: bool) -> Iterator[Sequence[Entry]]:
        yield from (() for _ in batches)

    def finish_after(self, steps: Iterator[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
        yield from steps


def idle_runner() -> Runner:
    return Runner(Idle(), Mock(), Mailbox(8, 8, Metrics()), batch_segments=4)  # type: ignore[arg-type]


def test_an_order_that_waits_for_a_hanging_camera_ends_with_the_engine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.pipeline.runner._END_S", 0.1)
    runner = idle_runner()
    camera = Stuck()
    runner.add_camera(0, "first", camera)
    engine = threading.Thread(target=lambda: list(runner.run()))
    engine.start()
    with ThreadPoolExecutor(1) as orders:
        assert eventually(lambda: runner._state is RunnerState.RUNNING)
        leaving = orders.submit(runner.remove_camera, 0)
        assert eventually(lambda: not runner._readers)
        runner.stop()
        with pytest.raises(Stopped):
            leaving.result(10)
        camera.free.set()
    engine.join(10)
    assert not engine.is_alive()


def test_hanging_cameras_share_one_time_limit_when_the_engine_stops(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.pipeline.runner._END_S", 0.5)
    runner = idle_runner()
    cameras = [Stuck() for _ in range(60)]
    for number, camera in enumerate(cameras):
        runner.add_camera(number, str(number), camera)
    engine = threading.Thread(target=lambda: list(runner.run()))
    engine.start()
    assert eventually(lambda: runner._state is RunnerState.RUNNING)
    runner.stop()
    engine.join(15)
    assert not engine.is_alive()
    for camera in cameras:
        camera.free.set()


SECRETS = {"USER": "u", "PASSWORD": "geheim"}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with closing(SqlLedger(tmp_path / "ledger.db")) as opened_ledger:
        yield opened_ledger


@pytest.fixture
def camera_store(tmp_path: Path, ledger: SqlLedger) -> CameraStore:
    """One camera of the configuration file, and the secrets of the others."""
    return opened(tmp_path, ledger, SECRETS)


def opened(state: Path, ledger: SqlLedger, secrets: Mapping[str, str], **changes: Any) -> CameraStore:
    """The store at another start; `changes` are of the configuration."""
    return CameraStore(msgspec.structs.replace(config(state), **changes), CameraVersions(ledger.database), secrets)


def no_doubts(camera: CameraConfig, site: object, probe: bool) -> list[str]:
    return []


def refuse(*_: object) -> list[str]:
    raise ConfigError("the law has changed")


def settings(name: str = "second", url: str = "rtsp://${USER}:${PASSWORD}@10.0.0.1/live") -> CameraConfig:
    return CameraConfig(name=name, url=url, site=Path())


def test_secrets_are_in_the_opened_address_and_not_on_record(camera_store: CameraStore) -> None:
    record = camera_store.commit(camera_store.draft(settings(), SITE, None, "anna"))
    assert record.config.url == "rtsp://u:geheim@10.0.0.1/live"
    assert record.url == "rtsp://10.0.0.1/live"
    assert b"geheim" not in msgspec.json.encode(camera_store._versions.newest("second"))


def test_a_camera_is_there_once_until_it_is_removed(camera_store: CameraStore) -> None:
    for name in ("first", "second"):
        if name == "second":
            camera_store.commit(camera_store.draft(settings(), SITE, None, "anna"))
        with pytest.raises(RecordConflict, match="is there already"):
            camera_store.draft(settings(name), SITE, None, "anna")
    camera_store.commit(camera_store.change("first", 0, "anna", "remove", state=CameraState.REMOVED))
    with pytest.raises(NoCamera):
        camera_store.get("first")
    again = camera_store.commit(camera_store.draft(settings("first"), SITE, None, "boris"))
    assert again.version.version == 2
    assert [record.name for record in camera_store.all()] == ["first", "second"]


def test_a_change_for_another_version_is_out_of_date(camera_store: CameraStore) -> None:
    draft = camera_store.change("first", 0, "anna", "pause", state=CameraState.PAUSED)
    camera_store.commit(draft)
    with pytest.raises(OutOfDate, match="is at version 1, not 0"):
        camera_store.change("first", 0, "boris", "remove", state=CameraState.REMOVED)
    with pytest.raises(OutOfDate, match="is at version 1"):
        camera_store.commit(draft)


def test_a_paused_camera_that_the_configuration_file_no_longer_names_is_gone(
    tmp_path: Path, ledger: SqlLedger, camera_store: CameraStore
) -> None:
    camera_store.commit(camera_store.change("first", 0, "anna", "pause", state=CameraState.PAUSED))
    named = msgspec.structs.replace(config(tmp_path).cameras[0], name="other")
    after = opened(tmp_path, ledger, {}, cameras=(named,))
    assert [record.name for record in after.all()] == ["other"]


@pytest.mark.parametrize(
    ("secrets", "changes", "message"),
    [
        ({}, {}, "environment variable USER is not set"),
        (SECRETS, {"service": ServiceConfig()}, r"url: \$\{PASSWORD\} is not one of the secrets"),
    ],
)
def test_a_recorded_camera_whose_secret_is_gone_or_no_longer_allowed_does_not_stop_the_others(
    tmp_path: Path, ledger: SqlLedger, camera_store: CameraStore, secrets: dict, changes: dict, message: str
) -> None:
    camera_store.commit(camera_store.draft(settings(), SITE, None, "anna"))
    after = opened(tmp_path, ledger, secrets, **changes)
    assert [record.name for record in after.all()] == [record.name for record in after.watched()] == ["first"]
    with pytest.raises(ConfigError, match=f"camera second: {message}"):
        after.get("second")


def test_a_recorded_site_that_the_engine_refuses_does_not_stop_the_others(
    tmp_path: Path, ledger: SqlLedger, camera_store: CameraStore
) -> None:
    camera_store.commit(camera_store.draft(settings(url="rtsp://10.0.0.1/"), SITE, None, "anna"))
    camera_store.commit(camera_store.change("first", 0, "anna", "pause", state=CameraState.PAUSED))
    assert CameraStore(config(tmp_path), CameraVersions(ledger.database), {}, refuse).watched() == []
    with pytest.raises(ConfigError, match="the law has changed"):
        CameraStore(config(tmp_path), CameraVersions(ledger.database, "B"), {}, refuse).watched()


def test_a_paused_camera_stays_paused_when_its_site_is_refused(camera_store: CameraStore) -> None:
    camera_store.commit(camera_store.change("first", 0, "anna", "pause", state=CameraState.PAUSED))
    with pytest.raises(ConfigError, match="the law has changed"):
        CameraManager(camera_store, Mock(), Mock(), Mock(), refuse, Metrics()).resume("first", 1, "anna")
    assert camera_store.get("first").version.state is CameraState.PAUSED


def test_a_recorded_site_that_nothing_can_confirm_does_not_stop_the_start(
    tmp_path: Path, ledger: SqlLedger, camera_store: CameraStore
) -> None:
    zone = camera_store.get("first").site.zones[0].name
    rule = f'{SITE}\n[[rules]]\nkind = "no_insurance"\nname = "papers"\nzone = "{zone}"\n'
    camera_store.commit(camera_store.draft(settings(url="rtsp://10.0.0.1/"), rule, None, "anna"))
    ledger.close()
    with build(config(tmp_path)) as engine:
        assert engine.camera_manager.watched == ["first"]


def test_a_camera_that_should_be_watched_and_is_not_is_counted_until_it_is_removed(
    tmp_path: Path, ledger: SqlLedger, camera_store: CameraStore
) -> None:
    metrics = Metrics()
    camera_store.commit(camera_store.draft(settings(), SITE, None, "anna"))
    cameras = CameraManager(opened(tmp_path, ledger, {}), Mock(), Mock(), Mock(), no_doubts, metrics)
    cameras.start([config(tmp_path).cameras[0]])
    assert metrics.registry.get_sample_value("qyran_cameras_left_out") == 1
    with pytest.raises(OutOfDate):
        cameras.remove("second", 7, "anna")
    removed = cameras.remove("second", 1, "anna")
    assert (removed.version, removed.state) == (2, "removed")
    assert metrics.registry.get_sample_value("qyran_cameras_left_out") == 0


def test_a_camera_is_watched_as_soon_as_its_site_is_mended(ledger: SqlLedger, camera_store: CameraStore) -> None:
    metrics = Metrics()
    draft = camera_store.draft(settings(url="rtsp://10.0.0.1/"), SITE, None, "anna")
    CameraVersions(ledger.database).add(replace(draft.version, site="of_an_older_release = true"))
    cameras = CameraManager(camera_store, Mock(), Mock(), Mock(), no_doubts, metrics)
    cameras.start([record.config for record in camera_store.watched()])
    assert cameras.watched == ["first"]
    cameras.update_site("second", 1, "anna", SITE, None)
    assert cameras.watched == ["first", "second"]
    assert metrics.registry.get_sample_value("qyran_cameras_left_out") == 0


@pytest.fixture
def still(tmp_path: Path, camera_store: CameraStore) -> Path:
    """The still with which `second` is on record."""
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720)).save(picture, "PNG")
    site = SITE.replace("[calibration]\n", '[calibration]\nstill = "s.png"\n', 1)
    camera_store.commit(camera_store.draft(settings(url="rtsp://10.0.0.1/"), site, picture.getvalue(), "anna"))
    (still,) = (tmp_path / "stills").iterdir()
    return still


def test_a_still_that_a_power_cut_emptied_is_written_again(camera_store: CameraStore, still: Path) -> None:
    whole = still.read_bytes()
    still.write_bytes(b"")
    assert [record.name for record in camera_store.watched()] == ["first", "second"]
    assert still.read_bytes() == whole


def test_a_disk_that_refuses_a_still_does_not_stop_other_cameras(camera_store: CameraStore, still: Path) -> None:
    still.unlink()
    still.parent.rmdir()
    still.parent.write_bytes(b"a file where the folder was")
    assert [record.name for record in camera_store.watched()] == ["first"]
    with pytest.raises(LedgerError, match="cannot keep the still"):
        camera_store.get("second")


def test_two_systems_that_share_a_database_have_cameras_of_their_own(tmp_path: Path, ledger: SqlLedger) -> None:
    one, other = (CameraStore(config(tmp_path), CameraVersions(ledger.database, device), {}) for device in ("A", "B"))
    one.commit(one.draft(settings(url="rtsp://10.0.0.1/"), SITE, None, "anna"))
    one.commit(one.change("first", 0, "anna", "remove", state=CameraState.REMOVED))
    assert [record.name for record in one.all()] == ["second"]
    assert [record.name for record in other.all()] == ["first"]


def test_an_error_of_site_or_secret_names_the_camera(camera_store: CameraStore) -> None:
    with pytest.raises(ConfigError, match=r"site of camera second: .*colour"):
        camera_store.draft(settings(), 'colour = "red"\n' + SITE, None, "anna")
    with pytest.raises(ConfigError, match="camera second: environment variable GONE is not set"):
        camera_store.draft(settings(url="rtsp://${GONE}@10.0.0.1/"), SITE, None, "anna")
