"""The folder of plans and their records.

The key of a plan is the network's hash, the GPU, the version of TensorRT, the precision and the largest batch. The
record beside it holds its inputs and outputs and its accuracy. The record is written last, so a plan without a valid
record is incomplete and is ignored. Both files are written atomically.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from engine.detect.network import Precision


class PlanKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Identifies a plan."""

    model: str
    sha256: str
    """Hash of the card's network."""
    gpu: str
    """Compute capability, for example `sm89`, with the name of the GPU model if plans run only on that model."""
    library: str
    """For example `tensorrt_rtx 1.7.1`."""
    precision: Precision
    most: int
    """Largest batch."""

    @property
    def stem(self) -> str:
        """File name without suffix."""
        parts = (self.model, self.sha256[:12], self.gpu, self.library, self.precision, f"b{self.most}")
        return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(parts))


class PlanRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts about a plan."""

    key: PlanKey
    plan_sha256: str
    facts: dict[str, Any]
    """Inputs, outputs, profile and precisions of the built network."""
    converted: dict[str, float]
    """`Agreement` of the converted network with the reference on the CPU."""
    on_device: dict[str, float] | None = None
    """`Agreement` of the plan on its GPU; None if it has not run yet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan and its record."""

    content: bytes
    record: PlanRecord


class PlanFolder:
    """The plans below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, key: PlanKey) -> Path:
        """The file of the plan with that key."""
        return self._root / f"{key.stem}.plan"

    def find(self, key: PlanKey) -> Plan | None:
        """The plan with that key; None if it does not exist or is incomplete."""
        try:
            record = msgspec.json.decode(self._record_path(key).read_bytes(), type=PlanRecord)
            content = self.path(key).read_bytes()
        except (OSError, msgspec.DecodeError):
            return None
        whole = record.key == key and hashlib.sha256(content).hexdigest() == record.plan_sha256
        return Plan(content, record) if whole else None

    def keep(self, key: PlanKey, content: bytes, facts: Mapping[str, Any], converted: Mapping[str, float]) -> Plan:
        """Store a plan that has not run on its GPU yet."""
        digest = hashlib.sha256(content).hexdigest()
        plan = Plan(content, PlanRecord(key, digest, dict(facts), dict(converted)))
        write_atomically(self.path(key), content)
        self._write_record(plan.record)
        return plan

    def confirm(self, plan: Plan, on_device: Mapping[str, float]) -> Plan:
        """Store the `Agreement` of the plan on its GPU."""
        record = msgspec.structs.replace(plan.record, on_device=dict(on_device))
        self._write_record(record)
        return Plan(plan.content, record)

    def _record_path(self, key: PlanKey) -> Path:
        return self.path(key).with_name(f"{key.stem}.json")

    def _write_record(self, record: PlanRecord) -> None:
        write_atomically(self._record_path(record.key), msgspec.json.format(msgspec.json.encode(record)))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file completely or not at all. Its content is on the disk before its name exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
