"""Invalid bytes: the program reads them or raises its own error that names the place; it never crashes.

Hypothesis searches from what is valid: files of the demo with characters changed, segments with bits flipped, requests
cut short. What it once found, and what is nasty by design, lies in `tests/corpus` and is always tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import LimitsConfig, load_config
from engine.decode.cpu import CpuDecoder
from engine.decode.settings import DecodeSettings, ModelInput
from engine.errors import QyranError
from engine.evidence import verify_case
from engine.metrics import Metrics
from engine.rules import load_catalogue, load_site
from engine.serve.permissions import PERMISSIONS
from engine.tools.demo.city import CITY, SITES
from engine.types import document
from rig.examples import make_case, make_document, make_footage
from rig.serving import World

CORPUS = Path(__file__).parent / "corpus"
FEW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with some changed, taken away, doubled or put in."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 8))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 40))
        content[at : at + length] = draw(st.binary(max_size=40) | st.just(bytes(content[at : at + length]) * 2))
    return bytes(content)


def corpus(kind: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / kind).iterdir())]


# -- files of the operator


READERS = {"site": load_site, "config": load_config, "catalogue": lambda path: load_catalogue(str(path))}
WHOLE = {
    "site": (SITES / "junction.toml").read_bytes(),
    "config": CITY.read_bytes(),
    "catalogue": (Path(document.__file__).parents[1] / "rules" / "catalogues" / "kz.toml").read_bytes(),
}


def read(kind: str, content: bytes, folder: Path) -> None:
    """The file is read, or refused with an error that names it."""
    path = folder / "file.toml"
    path.write_bytes(content)
    try:
        READERS[kind](path)
    except QyranError as error:
        assert str(path) in str(error) or "file" in str(error)


@FEW
@given(data=st.data())
@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_read_or_refused_by_name(kind: str, data: st.DataObject, tmp_path: Path) -> None:
    read(kind, data.draw(damaged(WHOLE[kind])), tmp_path)


@pytest.mark.parametrize("kind", READERS)
def test_the_corpus_of_files_is_read_or_refused_by_name(kind: str, tmp_path: Path) -> None:
    for content in corpus("files"):
        read(kind, content, tmp_path)


# -- documents and folders


@FEW
@given(content=damaged(document.encode(make_document(1))))
def test_a_damaged_document_is_read_or_refused(content: bytes) -> None:
    try:
        document.decode(content, source="case.json")
    except QyranError as error:
        assert "case.json" in str(error)


@FEW
@given(content=st.binary(max_size=300))
def test_a_folder_of_rubbish_does_not_verify(content: bytes, tmp_path: Path) -> None:
    for name in ("manifest.json", "seal.json", "case.json"):
        (tmp_path / name).write_bytes(content)
    assert verify_case(tmp_path) != []


# -- what a camera sends


@pytest.fixture(scope="module")
def decoder() -> Iterator[CpuDecoder]:
    metrics = Metrics()
    metrics.add_camera("gate")
    model = ModelInput(name="images", width_px=64, height_px=64)
    one = CpuDecoder({0: DecodeSettings("gate", 8.0)}, model, metrics, 1)
    yield one
    one.close()


FOOTAGE = make_footage(2)
EIGHT_A_SECOND = (8, 9)


@FEW
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=200))
def test_a_segment_with_flipped_bits_costs_at_most_itself(decoder: CpuDecoder, flips: list[tuple[int, int]]) -> None:
    payload = bytearray(FOOTAGE[0].payload)
    for at, mask in flips:
        payload[at % len(payload)] ^= mask
    batch = decoder.decode([replace(FOOTAGE[0], payload=bytes(payload)), FOOTAGE[1]])
    assert (batch.frames.captured_s >= FOOTAGE[1].began_s).sum() in EIGHT_A_SECOND
    assert len(batch.frame) == len(batch.frames) and np.isfinite(batch.pixels).all()


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg", "vp9"])
def test_the_corpus_of_streams_costs_at_most_its_segment(decoder: CpuDecoder, codec: str) -> None:
    for content in corpus("streams"):
        nothing = np.zeros(1, np.int64)
        rubbish = replace(
            FOOTAGE[0],
            codec=codec,
            payload=content,
            size_bytes=np.array([len(content)]),
            pts=nothing,
            dts=nothing,
            key=np.ones(1, np.bool_),
            captured_s=FOOTAGE[0].captured_s[:1],
        )
        batch = decoder.decode([rubbish, FOOTAGE[1]])
        assert (batch.frames.captured_s >= FOOTAGE[1].began_s).sum() in EIGHT_A_SECOND


# -- what a client sends


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("fuzz"), limits=LimitsConfig(calls_per_s=1e6, burst=1_000_000))
    world.ledger.append([make_case(number) for number in range(3)])
    yield world
    world.close()


NEVER = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE)


def send(world: World, method: str, content: bytes) -> None:
    """The service answers, or refuses with a status of the contract; it goes on either way."""
    call = world.channel.stream_stream(method)
    try:
        for _ in zip(range(3), call(iter([content]), timeout=0.5), strict=False):
            pass
    except grpc.RpcError as error:
        assert error.code() not in NEVER, (method, error.details())


@FEW
@given(content=st.binary(max_size=400))
def test_requests_of_rubbish_are_answered_or_refused(world: World, content: bytes) -> None:
    for method in PERMISSIONS:
        if "Watch" not in method and "Health" not in method:
            send(world, method, content)
    assert world.ledger.last_sequence() == 3


def test_the_corpus_of_requests_is_answered_or_refused(world: World) -> None:
    for content in corpus("requests"):
        for method in PERMISSIONS:
            send(world, method, content)
    assert world.ledger.last_sequence() == 3
