"""Makes the supplemental messages (SEI) of a packet harmless to a strict decoder.

Cameras of several makers put their own data there with a length that is wrong ("SEI type 5 size 2512 truncated at
1936"). The pictures are sound, but a decoder that takes every error for damage would refuse all of them. Such messages
become NAL units of a type that is left to applications, which a decoder ignores.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class _Rule(NamedTuple):
    marks: tuple[bytes, ...]
    """What a packet with such a message contains: quicker to look for than the pattern."""
    message: re.Pattern[bytes]
    replacement: bytes


_RULES = {
    # ITU-T H.264, table 7-1: SEI is type 6, 24 to 31 are unspecified. The messages 0, 1 and 6 stay (buffering period,
    # picture timing, recovery point): without the last, a stream that begins with no IDR picture does not start.
    "h264": _Rule((b"\0\0\1\x06",), re.compile(rb"\0\0\x01\x06(?![\x00\x01\x06])"), b"\0\0\1\x1e"),
    # ITU-T H.265, table 7-1: SEI are types 39 and 40, 48 to 63 are unspecified.
    "hevc": _Rule((b"\0\0\1\x4e", b"\0\0\1\x50"), re.compile(rb"\0\0\x01[\x4e\x50]\x01"), b"\0\0\1\x7c\1"),
}
START_CODE = (b"\0\0\1", b"\0\0\0\1")
"""What a byte stream of NAL units begins with (annex B)."""


def harmless(codec: str, data: bytes) -> bytes:
    """The packet as it is, or without its makers' messages. Only of byte streams with start codes, as cameras send
    them: a start code cannot occur within a NAL unit (H.264 and H.265, annex B), so nothing else is touched."""
    rule = _RULES.get(codec)
    if rule is None or not data.startswith(START_CODE) or not any(mark in data for mark in rule.marks):
        return data
    return rule.message.sub(rule.replacement, data)
