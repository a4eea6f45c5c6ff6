"""Orders about cameras that are refused, with their status; for executed orders see tests/app/test_cameras.py."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import grpc
import msgspec
import pytest
from PIL import Image
from qyran.v1 import camera_service_pb2 as pb

from engine.access import Role, Scope
from engine.app.camera_store import CameraStore
from engine.app.stage_set import examine
from engine.config import CameraConfig
from engine.errors import Unreachable
from engine.ledger import CameraRecord, CameraState, CameraVersions, SqlLedger
from engine.rules import load_catalogue
from rig.serving import World
from tests.app.test_cameras import SITE, config
from tests.serve.test_access import admitted, attempt

BAD = "INVALID_ARGUMENT"
AREA_SITE = SITE.replace("[place]\n", '[place]\narea = "medeu"\n', 1)


class RecordedCameras:
    """Cameras that are checked and recorded as the engine does it, but not watched."""

    def __init__(self, camera_store: CameraStore) -> None:
        self._store = camera_store
        self.all, self.get, self.history = camera_store.all, camera_store.get, camera_store.history
        self.remove, self.resume = camera_store.remove, self.pause

    def add(
        self, settings: CameraConfig, site: str, still: bytes | None, by: str, *, probe: bool
    ) -> tuple[CameraRecord, list[str]]:
        draft = self._store.draft(settings, site, still, by)
        warnings = examine(draft.site, load_catalogue("kz"))
        if probe:
            raise Unreachable(f"camera {settings.name}: connection refused")
        return self._store.commit(draft), warnings

    def pause(self, name: str, expected: int, by: str) -> CameraRecord:
        return self._store.commit(self._store.change(name, expected, by, "pause", state=CameraState.PAUSED))

    def update_site(
        self, name: str, expected: int, by: str, site: str, still: bytes | None
    ) -> tuple[CameraRecord, list[str]]:
        draft = self._store.change(name, expected, by, "update_site", site=site, still=still)
        return self._store.commit(draft), []


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(SqlLedger(tmp_path / "cameras.db")) as ledger:
        secrets = {"USER": "u", "PASSWORD": "geheim", "DATABASE_PASSWORD": "geheim"}
        world = World(
            tmp_path, RecordedCameras(CameraStore(config(tmp_path), CameraVersions(ledger.database), secrets))
        )
        yield world
        world.close()


def wanted(**changes: object) -> pb.AddCameraRequest:
    facts = {"name": "second", "url": "rtsp://${USER}:${PASSWORD}@10.0.0.1/live", "site": SITE, "untried": True}
    return pb.AddCameraRequest(**{**facts, **changes})


def refused(world: World, call: str, request: object) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(world.camera_stub, call)(request)
    return caught.value.code().name, caught.value.details()


def test_a_camera_is_shown_without_its_secrets(world: World):
    camera = world.camera_stub.AddCamera(wanted()).camera
    assert camera.url == "rtsp://10.0.0.1/live"
    everything = str(world.camera_stub.GetCamera(pb.GetCameraRequest(name="second")))
    everything += str(world.camera_stub.ListCameras(pb.ListCamerasRequest()))
    assert "geheim" not in everything


def test_a_recording_as_camera_is_shown_by_its_file_name(world: World):
    (camera,) = world.camera_stub.ListCameras(pb.ListCamerasRequest()).cameras
    assert camera.url == "avenue.mp4"


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[World]:
    """`first` has lost its site file, `second` its secret; `third` is well."""
    camera = msgspec.structs.replace(config(tmp_path).cameras[0], site=tmp_path / "sites" / "gone.toml")
    lost = msgspec.structs.replace(config(tmp_path), cameras=(camera,))
    with closing(SqlLedger(tmp_path / "cameras.db")) as ledger:
        versions = CameraVersions(ledger.database)
        before = CameraStore(lost, versions, {"USER": "u", "PASSWORD": "geheim"})
        for name, url in (("second", "rtsp://${USER}:${PASSWORD}@10.0.0.1/"), ("third", "rtsp://10.0.0.1/")):
            before.commit(before.draft(CameraConfig(name=name, url=url, site=Path()), SITE, None, "anna"))
        world = World(tmp_path, RecordedCameras(CameraStore(lost, versions, {})))
        yield world
        world.close()


def test_unreadable_cameras_are_reported_and_hide_no_other(broken: World, tmp_path: Path):
    listed = broken.camera_stub.ListCameras(pb.ListCamerasRequest()).cameras
    assert [camera.name for camera in listed] == ["third"]
    for name, why in (("first", "camera 'first': gone.toml: "), ("second", "USER is not set")):
        for call in ("GetCamera", "PauseCamera"):
            code, message = refused(broken, call, getattr(pb, f"{call}Request")(name=name))
            assert code == "FAILED_PRECONDITION"
            assert why in message
            assert str(tmp_path) not in message


def test_an_unreadable_camera_can_be_removed(broken: World):
    removed = broken.camera_stub.RemoveCamera(pb.RemoveCameraRequest(name="second", version=1)).camera
    assert (removed.name, removed.version, removed.state) == ("second", 2, pb.CAMERA_STATE_REMOVED)
    assert refused(broken, "GetCamera", pb.GetCameraRequest(name="second"))[0] == "NOT_FOUND"


def test_an_unreadable_camera_is_out_of_every_area(broken: World):
    metadata = admitted(broken, Role.ADMIN, Scope(areas=("medeu",)))
    for call, request in (
        (broken.camera_stub.GetCamera, pb.GetCameraRequest(name="second")),
        (broken.camera_stub.RemoveCamera, pb.RemoveCameraRequest(name="second", version=1)),
    ):
        assert attempt(call, request, metadata)[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"name": "no good name"}, BAD, "name: "),
        ({"name": "first"}, "ALREADY_EXISTS", "is there already"),
        ({"url": "http://10.0.0.1/"}, BAD, "url: "),
        ({"url": "/etc/passwd"}, BAD, "url: "),
        ({"url": "rtsp://user:secret@10.0.0.1/"}, BAD, "url: "),
        ({"url": "rtsp://10.0.0.1/${PASSWORD}"}, BAD, "url: "),
        ({"url": "rtsp://${PASSWORD}.evil.example/"}, BAD, "url: "),
        ({"url": "rtsp://${GONE}@10.0.0.1/"}, BAD, "environment variable GONE is not set"),
        ({"url": "rtsp://${DATABASE_PASSWORD}@10.0.0.1/"}, BAD,
         "${DATABASE_PASSWORD} is not one of the secrets that service.camera_secrets allows"),
        ({"url": "rtsp://${USER}:${NOT_EVEN_THERE}@10.0.0.1/"}, BAD,
         "${NOT_EVEN_THERE} is not one of the secrets that service.camera_secrets allows"),
        ({"detect_fps": -1.0}, BAD, "detect_fps: "),
        ({"regions": [pb.Region(left=0.5, top=0, right=0.2, bottom=1)]}, BAD, "is empty"),
        ({"site": "colour = 1"}, BAD, "site of camera second: "),
        ({"site": "k" * 60_000 + " = 1"}, BAD, "site of camera second: "),
        ({"site": '"' + "ы" * 400 + '" = 1'}, BAD, "site of camera second: "),
        ({"site": SITE.replace("[calibration]\n", '[calibration]\nstill = "/etc/passwd"\n', 1)},
         BAD, "names a picture, but none was given"),
        ({"still": b"no picture", "site": SITE.replace("[calibration]\n", '[calibration]\nstill = "s.png"\n', 1)},
         BAD, "cannot identify image"),
        ({"untried": False}, "FAILED_PRECONDITION", "connection refused"),
    ],
)  # fmt: skip
def test_a_wrong_camera_is_refused_and_not_recorded(world: World, changes: dict[str, object], code: str, words: str):
    found, message = refused(world, "AddCamera", wanted(**changes))
    assert found == code
    assert words in message
    assert "geheim" not in message
    assert [camera.name for camera in world.camera_stub.ListCameras(pb.ListCamerasRequest()).cameras] == ["first"]


def test_a_reader_does_not_wait_for_a_long_order(world: World, monkeypatch: pytest.MonkeyPatch):
    begun, looked = threading.Event(), threading.Event()
    whole = world.cameras.pause

    def pause(*order: object) -> CameraRecord:
        begun.set()
        assert looked.wait(20)
        return whole(*order)

    monkeypatch.setattr(world.cameras, "pause", pause)
    order = world.camera_stub.PauseCamera.future(pb.PauseCameraRequest(name="first", version=0))
    assert begun.wait(10)
    (camera,) = world.camera_stub.ListCameras(pb.ListCamerasRequest(), timeout=10).cameras
    assert world.camera_stub.GetCamera(pb.GetCameraRequest(name="first"), timeout=10).camera == camera
    looked.set()
    assert order.result().camera.version == 1


def test_a_change_for_an_old_version_is_aborted(world: World):
    world.camera_stub.PauseCamera(pb.PauseCameraRequest(name="first", version=0))
    code, message = refused(world, "PauseCamera", pb.PauseCameraRequest(name="first", version=0))
    assert code == "ABORTED"
    assert "is at version 1, not 0" in message


@pytest.mark.parametrize("call", ["GetCamera", "RemoveCamera", "PauseCamera", "ResumeCamera", "UpdateSite"])
def test_an_unknown_camera_is_not_found(world: World, call: str):
    request = getattr(pb, f"{call}Request")(name="third")
    assert refused(world, call, request) == ("NOT_FOUND", "name: there is no camera 'third'")


@pytest.mark.parametrize(
    ("scope", "visible"),
    [
        (Scope(), ["first", "second"]),
        (Scope(cameras=("first",)), ["first"]),
        (Scope(areas=("medeu",)), ["second"]),
        (Scope(kinds=("speeding",)), ["first", "second"]),
    ],
)
def test_a_scope_limits_the_visible_cameras(world: World, scope: Scope, visible: Sequence[str]):
    world.camera_stub.AddCamera(wanted(site=AREA_SITE))
    metadata = admitted(world, Role.VIEWER, scope)
    listed = world.camera_stub.ListCameras(pb.ListCamerasRequest(), metadata=metadata).cameras
    assert [camera.name for camera in listed] == visible
    for name in {"first", "second"} - set(visible):
        with pytest.raises(grpc.RpcError, match="there is no camera"):
            world.camera_stub.GetCamera(pb.GetCameraRequest(name=name), metadata=metadata)


ORDERS = {
    "AddCamera": wanted(name="third", site=AREA_SITE),
    "RemoveCamera": pb.RemoveCameraRequest(name="second", version=1),
    "PauseCamera": pb.PauseCameraRequest(name="second", version=1),
    "ResumeCamera": pb.ResumeCameraRequest(name="second", version=1),
    "UpdateSite": pb.UpdateSiteRequest(name="second", version=1, site=AREA_SITE),
}
"""One order of each kind, about cameras in medeu."""


def test_every_order_is_tested_with_scopes():
    methods = pb.DESCRIPTOR.services_by_name["CameraService"].methods
    assert {method.name for method in methods} - {"ListCameras", "GetCamera"} == ORDERS.keys()


@pytest.fixture
def scoped(world: World) -> Callable[[Scope], tuple[tuple[str, str], ...]]:
    """Makes an admin with a scope; the camera `second` is recorded in medeu."""
    world.camera_stub.AddCamera(wanted(site=AREA_SITE))
    return partial(admitted, world, Role.ADMIN)


def changes(world: World, name: str) -> list[str]:
    return [version.change for version in world.cameras.history(name)]


@pytest.mark.parametrize("scope", [Scope(cameras=("first",)), Scope(areas=("auezov",))])
def test_an_order_out_of_scope_is_refused(world: World, scoped, scope: Scope):
    metadata = scoped(scope)
    for call, request in ORDERS.items():
        code, message = attempt(getattr(world.camera_stub, call), request, metadata)
        if call == "AddCamera":
            assert code is grpc.StatusCode.PERMISSION_DENIED
            assert "is out of the scope of this credential" in message
        else:
            assert (code, message) == (grpc.StatusCode.NOT_FOUND, "name: there is no camera 'second'")
    assert (changes(world, "second"), changes(world, "third")) == (["add"], [])


@pytest.mark.parametrize("call", ORDERS)
def test_every_order_within_a_scope_is_carried_out(world: World, scoped, call: str):
    within = Scope(kinds=("speeding",), cameras=("second", "third"), areas=("medeu",))
    assert attempt(getattr(world.camera_stub, call), ORDERS[call], scoped(within)) == (grpc.StatusCode.OK, "")


def test_a_camera_cannot_be_moved_out_of_the_scope(world: World, scoped):
    request = pb.UpdateSiteRequest(name="second", version=1, site=AREA_SITE.replace('"medeu"', '"auezov"'))
    code, message = attempt(world.camera_stub.UpdateSite, request, scoped(Scope(areas=("medeu",))))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "in the area 'auezov' is out of the scope" in message
    assert changes(world, "second") == ["add"]


def test_the_still_of_a_site_is_stored_by_its_content(tmp_path: Path):
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720)).save(picture, "PNG")
    site = SITE.replace("[calibration]\n", '[calibration]\nstill = "s.png"\n', 1)
    with closing(SqlLedger(tmp_path / "cameras.db")) as ledger:
        camera_store = CameraStore(config(tmp_path), CameraVersions(ledger.database), {})
        camera = CameraConfig(name="second", url="rtsp://10.0.0.1/", site=Path())
        record = camera_store.draft(camera, site, picture.getvalue(), "anna")
        assert record.site.calibration is not None
        assert record.site.calibration.still is not None
        assert record.site.calibration.still.read_bytes() == picture.getvalue()
