from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.recipients import DeliveryWorld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DeliveryWorld]:
    with ExitStack() as stack:
        yield DeliveryWorld(tmp_path, stack)
