"""The start of the engine."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine.app.engine import build
from engine.app.stage_set import open_stages
from engine.config import EngineConfig, RecipientConfig, ServiceConfig
from engine.decode.settings import settings_of
from engine.errors import ConfigError
from engine.ingest import FileSource
from engine.ledger import Outbox, SqlLedger
from engine.measure import geometry
from engine.metrics import Metrics
from engine.pipeline.loop import Pipeline
from engine.rules import load_site
from engine.site import WatchedCamera
from engine.tools.check import check_files
from engine.tools.demo.city import SITES, city_config, file_camera
from engine.types import Entry
from rig.examples import make_case
from rig.serving import eventually
from tests.support.recipients import Register as Recipient
from tests.support.recipients import grpc_register


def avenue(state: Path) -> EngineConfig:
    return msgspec.structs.replace(city_config("", state), cameras=(file_camera("avenue"),))


def record(config: EngineConfig) -> list[Entry]:
    """Everything that the avenue's clip gives, in the ledger of the configuration's state."""
    site, metrics = load_site(config.cameras[0].site), Metrics()
    with (
        closing(SqlLedger(config.state / "ledger.db")) as ledger,
        open_stages(config, [site], ledger, metrics) as stages,
    ):
        recording = FileSource(0, config.cameras[0], metrics, start_s=1.78e9, realtime=False).read()
        steps = Pipeline(stages, config.camera_names, metrics).play(recording)
        return [entry for step in steps for entry in step]


def test_a_start_appends_the_cases_that_a_crash_kept_out_of_the_ledger(tmp_path: Path) -> None:
    config = avenue(tmp_path)
    recorded_entries = record(config)
    assert recorded_entries
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    with build(config):
        pass
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger:
        recovered = ledger.read(0, 100)
    assert {entry.case.id for entry in recovered} == {entry.case.id for entry in recorded_entries}


def test_a_service_that_cannot_listen_leaves_nothing_open(tmp_path: Path) -> None:
    config = avenue(tmp_path)
    with build(config) as engine:
        taken = msgspec.structs.replace(config, service=ServiceConfig(listen=engine.grpc_address))
        with pytest.raises(ConfigError, match=r"service\.listen"), build(taken):
            pytest.fail("two services share an address")
    with build(msgspec.structs.replace(config, service=ServiceConfig(listen=engine.grpc_address))):
        pass


def test_the_speedometer_reads_the_calibration_of_the_site() -> None:
    site = load_site(SITES / "avenue.toml")
    made = geometry(site)
    assert site.calibration is not None
    assert made.image_size_px == (1280, 720)
    assert made.valid_from_s == site.calibration.made.timestamp()
    assert made.foot is not None
    assert made.foot.camera_m == (0.8, 0.0, 8.0)


def test_a_camera_over_udp_is_marked_as_lossy(tmp_path: Path) -> None:
    config = avenue(tmp_path)
    site = load_site(config.cameras[0].site)
    over = {
        transport: msgspec.structs.replace(config.cameras[0], url="rtsp://10.0.0.1/x", transport=transport)
        for transport in ("udp", "tcp")
    }
    played = msgspec.structs.replace(over["udp"], url="clip.mp4")
    lossy = [settings_of(WatchedCamera(camera, site)).lossy for camera in (over["udp"], over["tcp"], played)]
    assert lossy == [True, False, False]


def test_a_running_engine_delivers_to_its_recipients(tmp_path: Path) -> None:
    recipient = Recipient()
    with closing(SqlLedger(tmp_path / "ledger.db")) as ledger, grpc_register(recipient) as port:
        (entry,) = ledger.append([make_case(1)])
        city = RecipientConfig(name="city", url=f"grpc://127.0.0.1:{port}")
        with build(msgspec.structs.replace(avenue(tmp_path), recipients=(city,))):
            assert eventually(lambda: list(recipient.taken) == [entry.case.id])
            assert eventually(lambda: Outbox(ledger.database, "city").status().delivered == 1)


def test_check_reads_the_recipients_too(tmp_path: Path) -> None:
    config = avenue(tmp_path)
    sites = [load_site(camera.site) for camera in config.cameras]
    check_files(config, sites)
    open_ = RecipientConfig(name="city", url="grpc://register.example:1")
    with pytest.raises(ConfigError, match=r"recipient city: .*in the clear"):
        check_files(msgspec.structs.replace(config, recipients=(open_,)), sites)
