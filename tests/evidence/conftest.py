from __future__ import annotations

from pathlib import Path

import pytest

from engine.evidence import SigningKey, load_signing_key, new_key
from engine.types import Segment
from rig.evidence_bench import Bench
from rig.examples import make_footage


@pytest.fixture(scope="session")
def footage() -> list[Segment]:
    """Twelve seconds; the violation is in the sixth."""
    return make_footage(12)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "evidence")


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    """The engine's key, in `key.pem`."""
    new_key(tmp_path / "key.pem")
    return load_signing_key(tmp_path / "key.pem")


@pytest.fixture
def other_key(tmp_path: Path) -> SigningKey:
    new_key(tmp_path / "other.pem")
    return load_signing_key(tmp_path / "other.pem")
