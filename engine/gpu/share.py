"""Several GPUs in one host: a worker for each, an engine of its own with its share of the cameras.

The workers share nothing that could fail in common: each has its own folder below `state` with its register and its
evidence, its own ports, and sees one GPU. To a client they are what several hosts are.
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
class Share:
    """GPU `gpu`, counted from 0, of `of` GPUs that share the cameras out."""

    gpu: int
    of: int

    def __str__(self) -> str:
        return f"{self.gpu}/{self.of}"


def parse_share(text: str) -> Share:
    """`1/4` is the second of four. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    if found is None or not int(found[1]) < int(found[2]):
        raise ConfigError(f"--gpu {text}: 0/4 is the first of four GPUs, 3/4 the last")
    return Share(int(found[1]), int(found[2]))


def share_of(config: EngineConfig, share: Share) -> EngineConfig:
    """What the worker of one GPU runs: every `of`-th camera of the file, from its own number on.

    A camera that is added at the end of the file moves no other camera. Raises ConfigError where none is left, and for
    a register on a server, which would give every worker the cameras of all.
    """
    if config.ledger.url:
        raise ConfigError(f"--gpu {share}: workers of one host keep a ledger each below `state`: no ledger.url")
    cameras = config.cameras[share.gpu :: share.of]
    if not cameras:
        raise ConfigError(f"--gpu {share}: the configuration has {len(config.cameras)} camera(s), none is left for it")
    return msgspec.structs.replace(
        config,
        cameras=cameras,
        state=config.state / f"gpu-{share.gpu}",
        service=msgspec.structs.replace(config.service, listen=_beside(config.service.listen, "service", share)),
        metrics=msgspec.structs.replace(config.metrics, listen=_beside(config.metrics.listen, "metrics", share)),
    )


def see_one_gpu(share: Share, environment: MutableMapping[str, str] = os.environ) -> None:
    """Let CUDA show this process one GPU, as number 0: before any library that uses it is imported.

    GPUs are counted as nvidia-smi counts them, or through CUDA_VISIBLE_DEVICES where that is set: it may name the parts
    of a divided GPU (MIG). Raises ConfigError where that names too few.
    """
    visible = environment.get(_VISIBLE, "")
    names = visible.split(",") if visible else [str(gpu) for gpu in range(share.of)]
    if share.gpu >= len(names):
        raise ConfigError(f"--gpu {share}: {_VISIBLE} names {len(names)} GPU(s)")
    environment["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    environment[_VISIBLE] = names[share.gpu].strip()


def _beside(listen: str, where: str, share: Share) -> str:
    """The worker's own port: the file's for the first, the next one for the next. A free one (0) stays that."""
    host, port = split_address(listen, source=f"{where}.listen")
    return f"{host}:{port + share.gpu if port else 0}"
