from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.types import Segment
from rig.videos import ENCODINGS, encode


@pytest.fixture(scope="session")
def streams() -> Mapping[str, Segment]:
    """One second in each encoding."""
    return {name: encode(name) for name in ENCODINGS}
