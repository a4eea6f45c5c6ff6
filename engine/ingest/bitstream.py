"""Facts in a key frame: the configuration that a new decoder needs, and the size of the picture.

This module parses only what these facts need. libavcodec does everything else.
"""

from __future__ import annotations

from collections.abc import Iterator

import av

from engine.errors import CodecUnsupported

CODECS = ("h264", "hevc", "mjpeg", "vp9", "av1")
"""Supported codecs, by libavcodec's names."""
DECODERS = {"av1": "libdav1d"}
"""libavcodec's decoder if it is not named like the codec. Its decoder `av1` only drives hardware
(libavcodec/av1dec.c)."""
_START = b"\x00\x00\x01"
_LENGTH_PREFIXED = b"\x01"  # first byte of avcC and hvcC: their configurationVersion (ISO/IEC 14496-15)
_H264_SPS, _H264_PPS = 7, 8
_HEVC_VPS, _HEVC_SPS, _HEVC_PPS = 32, 33, 34
_PARAMETER_SETS = {"h264": (_H264_SPS, _H264_PPS), "hevc": (_HEVC_VPS, _HEVC_SPS, _HEVC_PPS)}
_SLICES = {"h264": range(1, 6), "hevc": range(32)}  # types of coded slices (H.264, table 7-1; H.265, table 7-1)
_AV1_SEQUENCE_HEADER = 1


def configuration(codec: str, extradata: bytes, key_packet: bytes) -> bytes:
    """The out-of-band configuration (libavcodec's extradata) that is valid from a key packet on.

    H.264 and HEVC with start codes, as over RTP: parameter sets in the packet replace those of the same kind in
    `extradata`. A camera may send them in the session description only (RFC 6184, 8.2.1; RFC 7798, 7.1); then those
    stay valid. In the length-prefixed form of MP4 (ISO/IEC 14496-15) they are always in `extradata`. Other codecs need
    none.
    """
    kinds = _PARAMETER_SETS.get(codec)
    if kinds is None or extradata.startswith(_LENGTH_PREFIXED):
        return extradata
    sets = dict.fromkeys(kinds, b"")
    for unit in (extradata, key_packet):
        sets |= _parameter_sets(codec, unit)
    return b"".join(sets.values())


def size_mark(codec: str, key_packet: bytes) -> bytes:
    """Bytes that change with the picture size, for codecs whose `configuration` does not contain the size.

    VP9: the uncompressed header up to the size (VP9 bitstream specification, 6.2); MJPEG: the frame header (ITU-T
    T.81, B.2.2); AV1: the sequence header (AV1 specification, 5.5). Empty for other codecs.
    """
    if codec == "vp9":
        return key_packet[:9]
    if codec == "mjpeg":
        return _jpeg_size(key_packet)
    if codec == "av1":
        return next((unit for kind, unit in _obus(key_packet) if kind == _AV1_SEQUENCE_HEADER), b"")
    return b""


def picture_size(codec: str, extradata: bytes, key_packet: bytes) -> tuple[int, int] | None:
    """Width and height, by decoding the key frame (a few milliseconds); None if it does not decode."""
    decoder = av.CodecContext.create(DECODERS.get(codec, codec), "r")
    if not isinstance(decoder, av.VideoCodecContext):
        raise CodecUnsupported(f"{codec} is not a video codec")
    decoder.extradata = extradata or None
    try:
        frames = [*decoder.decode(av.Packet(key_packet)), *decoder.decode(None)]
    except av.FFmpegError:
        return None
    return (frames[0].width, frames[0].height) if frames else None


def _parameter_sets(codec: str, data: bytes) -> dict[int, bytes]:
    """Parameter sets before the first slice, by NAL unit type, with start codes; sets of one type are concatenated."""
    kinds, sets, slices = _PARAMETER_SETS[codec], dict[int, bytes](), _SLICES[codec]
    for unit in _nal_units(data):
        kind = unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F
        if kind in kinds:
            sets[kind] = sets.get(kind, b"") + b"\x00" + _START + unit
        elif kind in slices:
            break
    return sets


def _nal_units(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units between start codes (ITU-T H.264, annex B), without trailing zeros."""
    at = data.find(_START)
    while at >= 0:
        following = data.find(_START, at + 3)
        unit = data[at + 3 : following if following >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit
        at = following


def _jpeg_size(packet: bytes) -> bytes:
    """The bytes of height and width in the frame header (ITU-T T.81, B.2.2); empty if there is none."""
    at = 2
    while at + 9 <= len(packet) and packet[at] == 0xFF:
        marker, length = packet[at + 1], int.from_bytes(packet[at + 2 : at + 4], "big")
        # SOF0 to SOF15, without DHT, JPG and DAC, which lie in the same range (ITU-T T.81, table B.1).
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return packet[at + 5 : at + 9]
        at += 2 + length
    return b""


def _obus(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and bytes of the open bitstream units of a packet (AV1 specification, 5.3) that state their size."""
    at = 0
    while at + 2 <= len(packet) and packet[at] & 0x02:
        size, shift, begin = 0, 0, at + 1 + (packet[at] >> 2 & 1)
        while begin < len(packet):  # leb128 (AV1 specification, 4.10.5)
            byte, begin = packet[begin], begin + 1
            size, shift = size | (byte & 0x7F) << shift, shift + 7
            if not byte & 0x80:
                break
        yield packet[at] >> 3 & 0x0F, packet[at : begin + size]
        at = begin + size
