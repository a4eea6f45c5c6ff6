"""Selection of the decoder by the configuration."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from engine.config import DecoderConfig, PipelineConfig
from engine.decode import opening
from engine.decode.cpu import CpuDecoder
from engine.decode.frame_fetcher import fetch_frames
from engine.decode.opening import Decoding, open_decoding
from engine.decode.settings import DecodeSettings, ModelInput
from engine.errors import ConfigError
from engine.metrics import Metrics
from rig.videos import BEGAN_S, make_segment

MODEL = ModelInput(name="x", width_px=96, height_px=96)
INSTALLED = all(importlib.util.find_spec(name) for name in ("nvidia", "torch"))


def opened(metrics: Metrics, **changes: Any) -> Any:
    return open_decoding(DecoderConfig(**changes), PipelineConfig(), {0: DecodeSettings("north", 8.0)}, MODEL, metrics)


def is_cpu(decoding: Decoding) -> bool:
    return isinstance(decoding.decoder, CpuDecoder) and decoding.fetch_frames is fetch_frames


def test_the_cpu_decodes_if_it_is_configured() -> None:
    metrics = Metrics()
    with opened(metrics, backend="cpu") as decoding:
        assert is_cpu(decoding)
    assert metrics.registry.get_sample_value("qyran_decoder_info", {"decoder": "cpu", "device": "cpu"}) == 1


def test_auto_selects_the_cpu_without_a_gpu() -> None:
    with opened(Metrics(), backend="auto", device=99) as decoding:
        assert is_cpu(decoding)


@pytest.mark.skipif(not INSTALLED, reason="nvidia-dali-cuda130 or torch is not installed: DALI is not opened")
def test_dali_decodes_if_it_is_configured() -> None:
    metrics = Metrics()
    with opened(metrics, backend="dali", device="cpu") as decoding:
        assert not is_cpu(decoding)
        segment = make_segment("mjpeg", pix_fmt="yuvj420p")
        assert len(decoding.decoder.decode([segment]).frames) == 8
        assert decoding.fetch_frames([segment], [BEGAN_S])[0].captured_s == BEGAN_S
    assert metrics.registry.get_sample_value("qyran_decoder_info", {"decoder": "dali", "device": "cpu"}) == 1


@pytest.mark.parametrize("missing", ["nvidia.dali", "torch"])
def test_the_error_for_missing_dali_names_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_is_installed", lambda package: package != missing)
    with pytest.raises(ConfigError, match=rf"decoder\.backend: {missing} is not installed: pip install"):
        opened(Metrics(), backend="dali").__enter__()
    with opened(Metrics(), backend="auto") as decoding:
        assert is_cpu(decoding)


@pytest.mark.skipif(not INSTALLED, reason="nvidia-dali-cuda130 or torch is not installed: DALI is not opened")
def test_a_missing_gpu_is_an_error_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"there is no GPU 99|driver is not installed|build without CUDA"):
        opened(Metrics(), backend="dali", device=99).__enter__()
