"""As much of protocol buffers as ONNX files need: messages of numbers, texts and messages.

Encoding: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator

LENGTH_DELIMITED = 2


def fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Number and value of each field of a protocol-buffer message without fixed-size fields."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        value, at = _varint(message, at)
        if key & 7 == LENGTH_DELIMITED:
            value, at = message[at : at + value], at + value
        yield key >> 3, value


def field(number: int, value: bytes | int) -> bytes:
    """One field of a message: a whole number from 0 on, or the bytes of a text or of a message."""
    if isinstance(value, int):
        return _packed(number << 3) + _packed(value)
    return _packed(number << 3 | LENGTH_DELIMITED) + _packed(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _packed(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
