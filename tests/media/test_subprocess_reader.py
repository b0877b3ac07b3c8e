"""A decoder that crashes or hangs ends its process, not the run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip

from vacli.errors import InputError
from vacli.media.probe import probe
from vacli.media.subprocess_reader import SubprocessReader, decoder_command
from vacli.media.timeline import read_timeline
from vacli.media.video import open_video

TWO_FRAMES = """
import os, sys, time
import numpy as np
from vacli.media.reader import Frame
from vacli.media.subprocess_reader import HEADER, send
out = os.fdopen(os.dup(1), "wb")
for row in (0, 1):
    send(out, b"F", Frame(row, 0.0, np.full((4, 6, 3), row, np.uint8)))
out.flush()
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("guarded") / "clip.mp4", Clip(steady(25, 0.4)))


def reader(clip: Path, ending: str, timeout_s: float = 30.0) -> SubprocessReader:
    """Return a reader whose decoder gives two frames and then runs some code."""
    info = probe(clip)
    command = [sys.executable, "-c", TWO_FRAMES + ending]
    return SubprocessReader(info, read_timeline(info), command, timeout_s)


def test_the_frames_equal_those_of_a_reader_in_this_process(clip: Path) -> None:
    info = probe(clip)
    with open_video(clip) as plain:
        with SubprocessReader(info, read_timeline(info), decoder_command(clip, "pyav")) as guarded:
            for ours, theirs in zip(guarded, plain, strict=True):
                assert (ours.index, ours.time_s) == (theirs.index, theirs.time_s)
                np.testing.assert_array_equal(ours.rgb, theirs.rgb)
                assert ours.rgb.flags.writeable
        assert guarded.decode_error is None


def test_a_crash_keeps_the_frames_before_it(clip: Path) -> None:
    crashing = reader(clip, "os.abort()")
    frames = list(crashing)
    assert [(frame.index, frame.rgb[0, 0, 0]) for frame in frames] == [(0, 0), (1, 1)]
    assert [frame.time_s for frame in frames] == crashing.times_s[:2].tolist()
    assert "crashed after 2 frames" in crashing.decode_error


def test_a_crash_in_the_middle_of_a_frame(clip: Path) -> None:
    ending = 'out.write(HEADER.pack(b"F", 2, 4, 6, 72) + b"half"); out.flush(); os._exit(3)'
    crashing = reader(clip, ending)
    assert len(list(crashing)) == 2
    assert "exit code 3" in crashing.decode_error


def test_a_timeout_is_a_decode_error(clip: Path) -> None:
    hanging = reader(clip, "time.sleep(600)", timeout_s=2.0)
    started = time.monotonic()
    frames = list(hanging)
    assert time.monotonic() - started < 60
    assert len(frames) <= 2  # on a busy machine two seconds may pass before the first one
    assert "hangs" in hanging.decode_error


def test_leaving_the_context_ends_the_process(clip: Path) -> None:
    ending = f'open({str(clip) + ".pid"!r}, "w").write(str(os.getpid())); time.sleep(600)'
    with reader(clip, ending) as hanging:
        next(iter(hanging))
        process_id = _wait_for(Path(str(clip) + ".pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


def _wait_for(file: Path) -> int:
    for _ in range(600):
        if file.is_file() and file.read_text():
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError("the decoder's process did not start")


def test_an_error_of_the_process_is_raised(clip: Path, tmp_path: Path) -> None:
    info = probe(clip)
    command = decoder_command(tmp_path / "gone.mp4", "pyav")
    with pytest.raises(InputError, match="no such file"):
        list(SubprocessReader(info, read_timeline(info), command))
