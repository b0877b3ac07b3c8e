"""Seeded damage to bytes and to text: each mutator takes what is whole and gives what is not."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import numpy as np

Mutator = Callable[[bytes, np.random.Generator], bytes]
HEAD_BYTES = 1024  # where containers keep what matters most
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 62, (1 << 64) - 1)
NUMBERS = (
    "nan",
    "inf",
    "-1",
    "0",
    "1e309",
    "-1e309",
    "99999999999999999999",
    "1e-320",
    "",
    "0x10",
    "1,5",
    "12 345",
)


def _place(size: int, rng: np.random.Generator) -> int:
    """An offset: every second one near the beginning or the end."""
    spot = rng.random()
    if spot < 0.35:
        return int(rng.integers(0, min(size, HEAD_BYTES)))
    if spot < 0.5:
        return int(rng.integers(max(0, size - HEAD_BYTES), size))
    return int(rng.integers(0, size))


def _span(size: int, most: int, rng: np.random.Generator) -> tuple[int, int]:
    start = _place(size, rng)
    return start, min(size, start + int(2 ** rng.uniform(2, np.log2(most))))


def flip_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """1 to 64 bytes become others."""
    made = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 6))):
        made[_place(len(made), rng)] ^= int(rng.integers(1, 256))
    return bytes(made)


def flip_bit(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit, as a bad memory or disk changes it."""
    made = bytearray(data)
    made[_place(len(made), rng)] ^= 1 << int(rng.integers(8))
    return bytes(made)


def zero_range(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch of zeros, as a lost sector reads."""
    start, end = _span(len(data), 8192, rng)
    return data[:start] + bytes(end - start) + data[end:]


def random_range(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch of noise."""
    start, end = _span(len(data), 4096, rng)
    return data[:start] + rng.bytes(end - start) + data[end:]


def cut_end(data: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing."""
    return data[: _place(len(data), rng)]


def cut_start(data: bytes, rng: np.random.Generator) -> bytes:
    """The beginning is missing."""
    return data[_place(len(data), rng) :]


def remove_block(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch is left out."""
    start, end = _span(len(data), 8192, rng)
    return data[:start] + data[end:]


def insert_block(data: bytes, rng: np.random.Generator) -> bytes:
    """Foreign bytes in between."""
    at = _place(len(data), rng)
    return data[:at] + rng.bytes(int(2 ** rng.uniform(0, 12))) + data[at:]


def repeat_block(data: bytes, rng: np.random.Generator) -> bytes:
    """A stretch comes twice."""
    start, end = _span(len(data), 8192, rng)
    return data[:end] + data[start:end] + data[end:]


def swap_fields(data: bytes, rng: np.random.Generator) -> bytes:
    """Two fields of the header change places."""
    made = bytearray(data)
    width = int(rng.choice([1, 2, 4, 8]))
    head = min(len(made), HEAD_BYTES) - width
    if head <= 0:
        return data
    a, b = (int(x) for x in rng.integers(0, head, 2))
    made[a : a + width], made[b : b + width] = made[b : b + width], made[a : a + width]
    return bytes(made)


def extreme_field(data: bytes, rng: np.random.Generator) -> bytes:
    """A field becomes the largest, smallest or an odd number."""
    width, order = int(rng.choice([2, 4, 8])), str(rng.choice(["<", ">"]))
    value = int(rng.choice(np.array(EXTREMES, object))) & ((1 << 8 * width) - 1)
    field = struct.pack(order + {2: "H", 4: "I", 8: "Q"}[width], value)
    at = _place(len(data), rng)
    return data[:at] + field + data[at + width :]


BINARY: tuple[Mutator, ...] = (
    flip_bytes,
    flip_bit,
    zero_range,
    random_range,
    cut_end,
    cut_start,
    remove_block,
    insert_block,
    repeat_block,
    swap_fields,
    extreme_field,
)


def _edit_line(data: bytes, rng: np.random.Generator, edit: Callable[[list[bytes], int], None]) -> bytes:
    lines = data.split(b"\n")
    edit(lines, int(rng.integers(len(lines))))
    return b"\n".join(lines)


def drop_line(data: bytes, rng: np.random.Generator) -> bytes:
    """A line is missing."""
    return _edit_line(data, rng, lambda lines, i: lines.pop(i))


def repeat_line(data: bytes, rng: np.random.Generator) -> bytes:
    """A line comes twice."""
    return _edit_line(data, rng, lambda lines, i: lines.insert(i, lines[i]))


def swap_lines(data: bytes, rng: np.random.Generator) -> bytes:
    """A line changes places with the first one."""

    def edit(lines: list[bytes], i: int) -> None:
        lines[0], lines[i] = lines[i], lines[0]

    return _edit_line(data, rng, edit)


def odd_number(data: bytes, rng: np.random.Generator) -> bytes:
    """A number becomes an extreme one or none."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return data
    match = found[int(rng.integers(len(found)))]
    return data[: match.start()] + str(rng.choice(NUMBERS)).encode() + data[match.end() :]


def other_separator(data: bytes, rng: np.random.Generator) -> bytes:
    """Another separator, line end, quote or byte order mark."""
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: data.replace(b",", b";"),
        lambda: data.replace(b",", b"\t"),
        lambda: data.replace(b"\n", b"\r"),
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: b"\xff\xfe" + data.decode("utf-8", "replace").encode("utf-16-le"),
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.replace(b",", b',"', 1),
        lambda: data[: len(data) // 2] + b"\x00" + data[len(data) // 2 :],
    )
    return changes[int(rng.integers(len(changes)))]()


TEXT: tuple[Mutator, ...] = (
    *BINARY,
    drop_line,
    repeat_line,
    swap_lines,
    odd_number,
    odd_number,
    other_separator,
)


def damage(data: bytes, rng: np.random.Generator, among: tuple[Mutator, ...]) -> tuple[bytes, str]:
    """One or two mutators' work, never the same bytes, and what they are called."""
    while True:
        chosen = [among[int(i)] for i in rng.integers(len(among), size=1 + int(rng.random() < 0.25))]
        made = data
        for mutate in chosen:
            made = mutate(made or b"\0", rng)
        if made != data:
            return made, "+".join(mutate.__name__ for mutate in chosen)
