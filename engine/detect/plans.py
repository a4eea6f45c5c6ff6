"""The folder of plans: a plan and its record, found by what they were made of and for.

A plan is looked up by the network's hash, the GPU, the TensorRT that made it, its precision and its largest batch. Its
record beside it says what it computes and how it compared with the reference; it is written last, so a plan without a
sound record is no plan. Both are written whole or not at all.
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
    """What makes a plan the right one."""

    model: str
    sha256: str
    """Of the card's network."""
    gpu: str
    """Compute capability, `sm89`; with the card's name where plans do not go from one card to another."""
    library: str
    """`tensorrt_rtx 1.7.1`."""
    precision: Precision
    most: int
    """Largest batch."""

    @property
    def stem(self) -> str:
        parts = (self.model, self.sha256[:12], self.gpu, self.library, self.precision, f"b{self.most}")
        return re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join(parts))


class PlanRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a plan."""

    key: PlanKey
    plan_sha256: str
    facts: dict[str, Any]
    """Inputs, outputs, profile and precisions, as the builder told them."""
    converted: dict[str, float]
    """`Agreement` of the converted network on the CPU with the reference."""
    on_device: dict[str, float] | None = None
    """`Agreement` of the plan on its GPU; None where it has not run yet."""


@dataclass(frozen=True, slots=True)
class Plan:
    content: bytes
    record: PlanRecord


class PlanFolder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, key: PlanKey) -> Path:
        return self._root / f"{key.stem}.plan"

    def find(self, key: PlanKey) -> Plan | None:
        """The plan of that key; None where there is none or what is there is not whole."""
        try:
            record = msgspec.json.decode(self._record_path(key).read_bytes(), type=PlanRecord)
            content = self.path(key).read_bytes()
        except (OSError, msgspec.DecodeError):
            return None
        whole = record.key == key and hashlib.sha256(content).hexdigest() == record.plan_sha256
        return Plan(content, record) if whole else None

    def keep(self, key: PlanKey, content: bytes, facts: Mapping[str, Any], converted: Mapping[str, float]) -> Plan:
        """Write a plan that has not run on its GPU yet."""
        digest = hashlib.sha256(content).hexdigest()
        plan = Plan(content, PlanRecord(key, digest, dict(facts), dict(converted)))
        written(self.path(key), content)
        self._write_record(plan.record)
        return plan

    def confirm(self, plan: Plan, on_device: Mapping[str, float]) -> Plan:
        """Write that the plan has run on its GPU and how it compared."""
        record = msgspec.structs.replace(plan.record, on_device=dict(on_device))
        self._write_record(record)
        return Plan(plan.content, record)

    def _record_path(self, key: PlanKey) -> Path:
        return self.path(key).with_name(f"{key.stem}.json")

    def _write_record(self, record: PlanRecord) -> None:
        written(self._record_path(record.key), msgspec.json.format(msgspec.json.encode(record)))


def written(path: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk before the name is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
