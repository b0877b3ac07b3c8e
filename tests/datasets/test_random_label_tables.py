"""Random tables give the right labels or a LabelError of one line, never another error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vacli.datasets.affwild2 import LabelFile
from vacli.datasets.annotations import Annotation
from vacli.datasets.label_tables import TableFormat, read
from vacli.datasets.text_dialect import BLANKS
from vacli.errors import LabelError

VIDEO_S = np.arange(2000) / 25.0
SEPARATORS = (",", ";", "\t", "|", BLANKS)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")
MISSING = ("", "NA", "nan", "-", "NULL")
TIMES = {  # unit -> names of columns, and the text of a time
    "s": (("time", "Time (s)", "sec", "timestamp_s"), lambda t: f"{t:.3f}"),
    "ms": (("time_ms", "Timestamp [ms]", "ms"), lambda t: f"{1000 * t:.0f}"),
    "frames": (("frame", "Frame Number"), lambda t: f"{25 * t:.0f}"),
    "timecode": (("time", "timecode"), lambda t: f"{int(t // 60):02d}:{t % 60:06.3f}"),
}
EXTRAS = {  # columns that are not read, and their values in row i
    "confidence": lambda i: "0.9",
    "note": lambda i: '"good; or, not"',
    "valence_std": lambda i: "0.01",
    "name of rater's machine": lambda i: "lab pc",
}


@dataclass(frozen=True, eq=False)
class RandomTable:
    """A text, its encoding, and the rows that it holds."""

    text: str
    encoding: str
    times_s: np.ndarray
    values: np.ndarray


def random_table(rng: np.random.Generator) -> RandomTable:
    """A table of a random trace in a random dialect, which every spreadsheet could write."""
    rows = int(rng.integers(1, 40))
    times_s = np.cumsum(rng.integers(1, 10, rows)) / 25.0
    values = np.round(rng.uniform(-1, 1, (rows, 2)), int(rng.integers(0, 5)))
    separator, mark = str(rng.choice(SEPARATORS)), str(rng.choice([".", ","]))
    missing = str(rng.choice(MISSING[1:] if separator == BLANKS else MISSING))
    unit = str(rng.choice(list(TIMES)))
    names, as_text = TIMES[unit]
    absent = rng.random(values.shape) < 0.1
    columns = {
        str(rng.choice(names)): [as_text(t) for t in times_s],
        **{
            name: [missing if m else repr(float(v)) for v, m in zip(values[:, d], absent[:, d], strict=True)]
            for d, name in enumerate(str(rng.choice([n, n.title()])) for n in ("valence", "arousal"))
        },
    }
    texts = {
        name: [c.replace(".", mark) if c != missing else c for c in cells] for name, cells in columns.items()
    }
    for name in rng.permutation(list(EXTRAS))[: rng.integers(0, 3)]:
        texts[str(name)] = [EXTRAS[str(name)](i) for i in range(rows)]
    order = [str(name) for name in rng.permutation(list(texts))]
    table = [[_quoted(n, separator) for n in order]]
    table += [[_quoted(texts[n][i], separator) for n in order] for i in range(rows)]
    lines = [separator.join(cells) for cells in table]
    if rng.random() < 0.3:
        lines.insert(0, "# Müller, Anna; 2024")
    end = str(rng.choice(["\n", "\r\n", "\r"]))
    values[absent] = np.nan
    return RandomTable(end.join(lines) + end, str(rng.choice(ENCODINGS)), times_s, values)


def _quoted(text: str, separator: str) -> str:
    needs = not text.startswith('"') and any(c in text for c in (separator, "'"))
    return f'"{text}"' if needs else text


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with a few random changes: cut, doubled, overwritten."""
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, max(len(made), 1)))
        kind = int(rng.integers(0, 4))
        if kind == 0:
            del made[at : at + int(rng.integers(1, 20))]
        elif kind == 1:
            made[at:at] = made[at : at + int(rng.integers(1, 40))]
        elif kind == 2:
            made[at:at] = rng.choice(list(b'\0\n,;\t"#:.-e9xN\xff\xe9'), 3).astype(np.uint8).tobytes()
        else:
            made = made[: max(at, 1)]
    return bytes(made)


def labels(path: Path, data: bytes) -> list[Annotation]:
    path.write_bytes(data)
    return read(LabelFile(path, "", ""), TableFormat())


@pytest.mark.parametrize("seed", range(10))
def test_random_dialects_give_the_right_labels(tmp_path, seed):
    for number in range(20):
        table = random_table(np.random.default_rng([seed, number]))
        (made,) = labels(tmp_path / "clip.csv", table.text.encode(table.encoding))
        np.testing.assert_allclose(made.seconds(VIDEO_S), table.times_s, atol=1e-9, err_msg=table.text)
        np.testing.assert_array_equal(made.values, table.values.astype(np.float32), err_msg=table.text)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_tables_raise_nothing_but_label_errors(tmp_path, seed):
    path, errors = tmp_path / "clip.csv", []
    for number in range(20):
        rng = np.random.default_rng([1000 + seed, number])
        table = random_table(rng)
        try:
            made = labels(path, damaged(table.text.encode(table.encoding), rng))
        except LabelError as error:
            errors.append(error.one_line())
            continue
        for annotation in made:
            at_s = annotation.seconds(VIDEO_S)
            assert at_s is None or (np.diff(at_s) > 0).all()
            assert np.nanmax(np.abs(annotation.values), initial=0.0) <= 1.0
    assert errors
    assert all(str(path) in error and "\n" not in error for error in errors)
