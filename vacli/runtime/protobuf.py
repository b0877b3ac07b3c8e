"""As much of protocol buffers as writing ONNX files needs: messages of numbers, texts and messages.

Encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

LENGTH_DELIMITED = 2


def field(number: int, value: bytes | int) -> bytes:
    """One field of a message: a whole number from 0 on, or the bytes of a text or of a message."""
    if isinstance(value, int):
        return _packed(number << 3) + _packed(value)
    return _packed(number << 3 | LENGTH_DELIMITED) + _packed(len(value)) + value


def _packed(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
