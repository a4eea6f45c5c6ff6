"""Several GPUs in one host: one worker per GPU, each an engine with its share of the cameras.

Workers share nothing, so one failure affects one worker. Each has its own folder below `state` with its ledger and its
evidence, its own ports, and one GPU. For a client they are like several hosts.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from dataclasses import dataclass

import msgspec

from engine.config import EngineConfig, split_address
from engine.errors import ConfigError

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class GpuShare:
    """GPU number `gpu`, from 0, of `count` GPUs that share the cameras."""

    gpu: int
    count: int

    def __str__(self) -> str:
        return f"{self.gpu}/{self.count}"


def parse_share(text: str) -> GpuShare:
    """The share in a text like `1/4`, the second of four. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise ConfigError(f"--gpu {text}: 0/4 is the first of four GPUs, 3/4 is the last")
    return GpuShare(int(found[1]), int(found[2]))


def config_of_share(config: EngineConfig, share: GpuShare) -> EngineConfig:
    """The configuration of one GPU's worker: every `count`-th camera of the file, beginning with camera `gpu`.

    So a camera that is added at the end of the file moves no other camera to another worker. Raises ConfigError if no
    camera remains, and for a ledger on a server, where each worker would find the cameras of all workers.
    """
    if config.ledger.url:
        raise ConfigError(f"--gpu {share}: each worker has its own ledger below `state`: remove ledger.url")
    cameras = config.cameras[share.gpu :: share.count]
    if not cameras:
        raise ConfigError(f"--gpu {share}: no camera remains, the configuration has {len(config.cameras)} camera(s)")
    return msgspec.structs.replace(
        config,
        cameras=cameras,
        state=config.state / f"gpu-{share.gpu}",
        service=msgspec.structs.replace(config.service, listen=_shift_port(config.service.listen, "service", share)),
        metrics=msgspec.structs.replace(config.metrics, listen=_shift_port(config.metrics.listen, "metrics", share)),
    )


def restrict_to_gpu(share: GpuShare, environment: MutableMapping[str, str] = os.environ) -> None:
    """Show CUDA only one GPU, as number 0. Must be called before a library that uses CUDA is imported.

    GPUs are numbered as in nvidia-smi, or as in CUDA_VISIBLE_DEVICES if that is set. It may name the partitions of a
    GPU (MIG). Raises ConfigError if it names too few.
    """
    visible = environment.get(_VISIBLE, "")
    names = visible.split(",") if visible else [str(gpu) for gpu in range(share.count)]
    if share.gpu >= len(names):
        raise ConfigError(f"--gpu {share}: {_VISIBLE} names {len(names)} GPU(s)")
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order of nvidia-smi; CUDA's default is fastest first
    environment[_VISIBLE] = names[share.gpu].strip()


def _shift_port(listen: str, where: str, share: GpuShare) -> str:
    """The worker's own address: the port of the file plus the number of the worker. Port 0, any free one, stays 0."""
    host, port = split_address(listen, source=f"{where}.listen")
    return f"{host}:{port + share.gpu if port else 0}"
