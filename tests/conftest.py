"""What all tests share: the evaluation data, if this machine has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Server, running_server


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder named by QYRAN_DATA; the test is skipped, saying so, where there is none."""
    folder = os.environ.get("QYRAN_DATA", "")
    if not folder:
        pytest.skip("QYRAN_DATA is not set: evaluation data needed")
    if not Path(folder).is_dir():
        pytest.fail(f"QYRAN_DATA names no folder: {folder}")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for this run of the tests; the test is skipped, saying so, where there is none."""
    with running_server() as server:
        yield server
