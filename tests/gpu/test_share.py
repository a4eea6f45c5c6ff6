"""Cameras, split over the workers of several GPUs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.config import CameraConfig, EngineConfig, LedgerConfig, MetricsConfig, ServiceConfig
from engine.errors import ConfigError
from engine.gpu.share import GpuShare, config_of_share, parse_share, restrict_to_gpu


def config(cameras: int) -> EngineConfig:
    return EngineConfig(
        cameras=tuple(CameraConfig(name=f"c{i}", url="x.mp4", site=Path("x")) for i in range(cameras)),
        state=Path("/var/lib/qyran"),
        service=ServiceConfig(listen="127.0.0.1:50151"),
        metrics=MetricsConfig(listen="127.0.0.1:0"),
    )


def names(some: EngineConfig) -> list[str]:
    return [camera.name for camera in some.cameras]


def test_each_camera_has_one_worker() -> None:
    shares = [names(config_of_share(config(10), GpuShare(gpu, 3))) for gpu in range(3)]
    assert shares == [["c0", "c3", "c6", "c9"], ["c1", "c4", "c7"], ["c2", "c5", "c8"]]


def test_an_added_camera_moves_no_other() -> None:
    for gpu in range(3):
        before, after = (names(config_of_share(config(count), GpuShare(gpu, 3))) for count in (10, 11))
        assert after[: len(before)] == before


def test_workers_share_no_folder_and_no_port() -> None:
    first, second = (config_of_share(config(4), GpuShare(gpu, 2)) for gpu in range(2))
    assert (first.state, second.state) == (Path("/var/lib/qyran/gpu-0"), Path("/var/lib/qyran/gpu-1"))
    assert (first.service.listen, second.service.listen) == ("127.0.0.1:50151", "127.0.0.1:50152")
    assert first.metrics.listen == second.metrics.listen == "127.0.0.1:0"


def test_a_worker_without_a_camera_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"--gpu 2/3: no camera remains, the configuration has 2 camera"):
        config_of_share(config(2), GpuShare(2, 3))


def test_a_shared_ledger_is_an_error() -> None:
    ledger = LedgerConfig(url="postgresql://register/qyran")
    shared = msgspec.structs.replace(config(4), device_serial="QY-0001", ledger=ledger)
    with pytest.raises(ConfigError, match=r"remove ledger\.url"):
        config_of_share(shared, GpuShare(0, 2))


@pytest.mark.parametrize("text", ["4/4", "1", "1/0", "-1/2", "a/b", "1/2/3"])
def test_an_invalid_share_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="--gpu"):
        parse_share(text)


def test_a_process_sees_only_its_gpu() -> None:
    environment: dict[str, str] = {}
    restrict_to_gpu(parse_share("2/4"), environment)
    assert environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "2"}


def test_partitions_of_a_gpu_are_counted_in_their_order() -> None:
    environment = {"CUDA_VISIBLE_DEVICES": "MIG-a, MIG-b"}
    restrict_to_gpu(parse_share("1/2"), environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "MIG-b"
    with pytest.raises(ConfigError, match="names 1 GPU"):
        restrict_to_gpu(parse_share("1/2"), {"CUDA_VISIBLE_DEVICES": "MIG-a"})
