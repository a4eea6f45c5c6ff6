"""Detection of a camera's format before the device decodes its pictures."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping

import av
import numpy as np
import pytest

from engine.decode.formats import GPU_CODECS, PictureFormats, is_regular, presentation_order
from engine.errors import DecodeError
from engine.ingest import remux
from engine.types import Segment
from rig.videos import FPS

CODED = ("h264", "h264 with B-frames", "hevc", "mjpeg", "vp9")
"""Encodings with 8 bits and 4:2:0."""


@pytest.mark.parametrize("name", CODED)
def test_the_container_has_each_frame_in_its_place(name: str, streams: Mapping[str, Segment]) -> None:
    """DALI counts the frames of a container by their pts and omits negative ones."""
    segment = streams[name]
    with av.open(io.BytesIO(remux.to_mp4([segment]))) as container:
        stream = container.streams.video[0]
        pts = np.array([packet.pts for packet in container.demux(stream) if packet.size])
        assert stream.frames == FPS
    assert pts.min() == 0
    np.testing.assert_array_equal(np.argsort(np.argsort(pts)), presentation_order(segment))


@pytest.mark.parametrize("name", CODED)
def test_segments_of_encoders_are_regular(name: str, streams: Mapping[str, Segment]) -> None:
    assert is_regular(streams[name])


@pytest.mark.parametrize("name", ["h264", "hevc"])
def test_a_packet_without_a_picture_is_not_regular(name: str, streams: Mapping[str, Segment]) -> None:
    """Only parameter sets, which some cameras send in a separate packet."""
    segment = streams[name]
    alone = b"\0\0\1\x67\x42" if name == "h264" else b"\0\0\1\x42\1\1"
    first = int(segment.size_bytes[0])
    sizes = segment.size_bytes.copy()
    payload = segment.payload[:first] + alone + segment.payload[first + int(sizes[1]) :]
    sizes[1] = len(alone)
    assert not is_regular(dataclasses.replace(segment, payload=payload, size_bytes=sizes))


def test_equal_pts_or_an_empty_packet_are_not_regular(streams: Mapping[str, Segment]) -> None:
    segment = streams["vp9"]
    pts = segment.pts.copy()
    pts[3] = pts[4]
    assert not is_regular(dataclasses.replace(segment, pts=pts))
    sizes = segment.size_bytes.copy()
    sizes[:2] = sizes[0] + sizes[1], 0
    assert not is_regular(dataclasses.replace(segment, size_bytes=sizes))


def test_each_codec_of_the_gpu_is_supported_with_8_bits_and_420(streams: Mapping[str, Segment]) -> None:
    assert {PictureFormats(GPU_CODECS).of(streams[name]).refused for name in CODED} == {""}


def test_the_reason_states_why_the_device_does_not_decode(streams: Mapping[str, Segment]) -> None:
    wrong_size = dataclasses.replace(streams["h264"], width_px=640)
    assert PictureFormats(["vp9"]).of(streams["h264"]).refused == "codec"
    assert PictureFormats(GPU_CODECS).of(streams["h264 4:2:2"]).refused == "pixel_format"
    assert PictureFormats(GPU_CODECS).of(streams["h264 10 bit"]).refused == "pixel_format"
    assert PictureFormats(GPU_CODECS).of(wrong_size).refused == "size"


def test_a_key_frame_that_does_not_decode_is_an_error(streams: Mapping[str, Segment]) -> None:
    with pytest.raises(DecodeError):
        PictureFormats(GPU_CODECS).of(dataclasses.replace(streams["h264"], payload=bytes(len(streams["h264"].payload))))


def test_a_format_is_detected_once_and_again_after_a_change(streams: Mapping[str, Segment]) -> None:
    formats, segment = PictureFormats(GPU_CODECS), streams["h264"]
    formats.of(segment)
    spoilt = dataclasses.replace(segment, payload=bytes(len(segment.payload)))
    assert formats.of(spoilt).refused == ""
    formats.refuse(segment.camera)
    assert formats.of(segment).refused == "device"
    assert formats.of(streams["mjpeg"]).refused == ""
    assert formats.of(dataclasses.replace(segment, camera=7)).refused == ""
