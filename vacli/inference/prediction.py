"""From a trained run and the rows of a video to its trajectory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vacli.errors import InputError
from vacli.features.compact.layout import read_out
from vacli.inference.calibration import ALONE, drawn, states_of
from vacli.inference.run import Run
from vacli.inference.speech_detection import Speech, frames_around
from vacli.sequences.base import Rows
from vacli.spec import AUDIO

STILL = "still"  # the state of a picture for itself


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """Predicted (valence, arousal) of one video.

    times_s: (T,) float64 seconds. values: (T, 2) float32 in [-1, 1]. sd: (T, 2) float32, how far they may be
    off: a calibrated run's standard deviation of the error, else the standard deviation over the folds'
    models (1/(n-1)), None where there is one model. spread: the latter in any case. states: (T,) which
    streams each frame has (`calibration.states_of`, `alone`).
    """

    video: str
    times_s: np.ndarray
    values: np.ndarray
    sd: np.ndarray | None
    spread: np.ndarray | None
    states: np.ndarray


def predict_sequence(run: Run, rows: Rows, times_s: np.ndarray) -> Trajectory:
    """Mean of the run's models over one video; raises InputError where its streams are of other widths."""
    check_widths(run, rows)
    return trajectory(run, rows, times_s, np.stack([member.predictor(rows) for member in run.members]))


def check_widths(run: Run, rows: Rows) -> None:
    """Raises InputError where a video's streams are not as wide as a run's."""
    for stream in run.recipe.model.streams:
        have = rows.dims.get(stream.name, "no")
        if have != stream.dim:
            raise InputError(
                f"{rows.video}: stream {stream.name!r} has {have} columns, {run.path} wants {stream.dim}",
                hint="extract the features that the run was trained on",
            )


def trajectory(run: Run, rows: Rows, times_s: np.ndarray, values: np.ndarray, first: int = 0) -> Trajectory:
    """What the values (M, N, 2) of a run's models say together of the N rows of a video from `first` on."""
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else None
    here = slice(first, first + values.shape[1])
    states = states_of({name: _present(rows, name, here) for name in rows.dims})
    mean, sd = values.mean(axis=0), spread
    if run.calibration is not None:
        states = run.calibration.alone(states) if run.faceless else states
        mean = run.calibration.stretched(mean, states)
        if frames := judged_frames(run, times_s):
            mean, states = drawn(mean, states, _likeness(run.speech, rows, frames, here))
        sd = run.calibration.sd(np.zeros_like(mean) if spread is None else spread, states)
    return Trajectory(
        video=rows.video,
        times_s=times_s[here],
        values=mean,
        sd=sd,
        spread=spread,
        states=states,
    )


def predict_stills(run: Run, rows: np.ndarray, video: str, times_s: np.ndarray) -> Trajectory:
    """What the face network itself reads in single pictures: they are no sequence.

    rows: (N, 128) of the feature `compact`. `spread` is that of the emotions that a face is made of.
    """
    values, spread = read_out(rows)
    states = np.full(len(rows), STILL)
    sd = spread if run.calibration is None else run.calibration.sd(spread, states)
    return Trajectory(video=video, times_s=times_s, values=values, sd=sd, spread=spread, states=states)


def _present(rows: Rows, stream: str, here: slice) -> np.ndarray:
    """Whether each frame of a part of a video has the stream."""
    return np.isfinite(rows_of(rows, stream, here)).all(axis=1)


def rows_of(rows: Rows, stream: str, here: slice) -> np.ndarray:
    """(n, D) float32 of one stream of a part of a video, NaN where missing."""
    x = np.empty((here.stop - here.start, rows.dims[stream]), np.float32)
    rows.fill(here.start, {stream: x})
    return x


def judged_frames(run: Run, times_s: np.ndarray) -> int:
    """By how many rows around it a frame's sound is judged to be speech or not; 0 where it is not judged."""
    measured = run.calibration is not None and ALONE in run.calibration.states
    return frames_around(times_s) if run.faceless and run.speech is not None and measured else 0


def _likeness(speech: Speech, rows: Rows, frames: int, here: slice) -> np.ndarray:
    """(n,) of a part of a video, judged by what is around it too."""
    around = slice(max(here.start - frames // 2, 0), min(here.stop + frames // 2, len(rows)))
    made = speech.likeness(rows_of(rows, AUDIO, around), frames)
    return made[here.start - around.start :][: here.stop - here.start]
