"""Valence and arousal of a live source: frames and sound in, rows out, with constant memory.

A row is what `va predict` gives for a file that ends with the frames and the sound so far, with two
exceptions: the windows of the model are those of a longer file (`inference.step_predictor`), and nothing
that was emitted changes. So rows differ from those of the whole file only where these look ahead:

- features of a face between two embedded frames are those of the earlier one, unless the row waits for
  sound and the later one arrives in this time;
- descriptors of sound end with the sound so far. Rows wait `LiveSettings.max_sound_delay_s` for it; then the
  latest known descriptors are used, which are at most some 10 ms older (`features.opensmile.incremental`);
- the probability of speech rises up to 0.45 s later at the start of a voice, and the gains for faint sound
  depend on the past (`features.speech_activity.live`, `media.live_sound`);
- `speaking` compares mouth and sound up to now, not up to 0.8 s later.

A source counts as one without a face, and is predicted from its sound, if no face was seen for
AUDIO_ONLY_AFTER_S.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Self

import numpy as np

from vacli.clock import median_rate_hz
from vacli.errors import UsageError
from vacli.faces.selection import DEFAULT_FACE, check_face_choice
from vacli.media.live_input import LiveFrame, SoundBlock
from vacli.media.reader import Frame
from vacli.media.speech_level import SpeechLevel
from vacli.output.frame_table import FrameTable
from vacli.pipeline.active_speaker import ROUNDING
from vacli.pipeline.face_embedding import FaceDetections
from vacli.pipeline.live import LoadedModel
from vacli.pipeline.live_audio import AudioRow, LiveAudio
from vacli.pipeline.live_faces import LiveFaces, Sampling, warm_up
from vacli.pipeline.live_rows import FLAG, LiveAudioOnlyRows, LiveRows, empty_table
from vacli.pipeline.mouth_track import GRID_HZ, sampling_stride
from vacli.pipeline.observation import Observation, embedding_stride

# Values of the column, joined by FLAG_SEPARATOR if there are several:
RESTART = "restart"  # the first row, and the first one after a gap or a jump of the clock
DAMAGED = "damaged"  # the picture is damaged
SOUND_LATE = "sound_late"  # the sound of the frame had not arrived; its last descriptors are used
FLAG_SEPARATOR = "+"
MAX_SOUND_DELAY_S = 0.06
MAX_DELAY_S = 2.0  # less than the features of faces and sound are kept
MAX_GAP_S = 1.0  # between two frames; a longer one, also backwards, restarts tracks and states
MIN_STEP_S = 1e-3  # between two frames whose times do not ascend
AUDIO_ONLY_AFTER_S = 5.0
ORIGIN_S = 8.0  # times are relative to a multiple of it, which is one of all analysis grids
BACK_S = 131_072.0  # by which the clock may jump back, more than the 26.5 h of MPEG-TS; a multiple too
RATE_FRAMES = 64  # from whose times the frame rate is estimated


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """How a source is predicted.

    name: of the source, in the column `input`. face: which faces, as in `live_faces.LiveFaces.followed`; each
    gets its own rows. with_sound: whether sound is expected. max_sound_delay_s: a row waits for its sound
    until a frame arrives that is so much later. delay_s: each row waits so long for the frames and the sound
    after it, at most MAX_DELAY_S. rate_hz: nominal frames a second, None if unknown.
    """

    name: str
    face: str = DEFAULT_FACE
    with_sound: bool = True
    max_sound_delay_s: float = MAX_SOUND_DELAY_S
    delay_s: float = 0.0
    rate_hz: float | None = None


@dataclass(frozen=True, eq=False)
class _WaitingFrame:
    """A tracked frame whose row is not emitted. number: from 0 without gaps, since the last restart.

    source_s: its time on the clock of the source.
    """

    index: int
    source_s: float
    time_s: float
    number: int
    followed: tuple[int, ...]
    has_face: bool  # in it or in the last AUDIO_ONLY_AFTER_S
    flags: tuple[str, ...]


class LiveEngine:
    """Predicts the rows of one source while it runs; a context manager.

    All calls must come from one thread. Memory and the time of a call do not grow with the length of the
    source. Tables have the columns of `va predict` and `FLAG`, (N,) str.
    """

    def __init__(self, loaded: LoadedModel, settings: LiveSettings) -> None:
        """loaded: with extractors.

        Raises UsageError if the run depends on later frames, if a feature needs the whole sound, for a
        speech model, and for an unknown choice of faces.
        """
        check_face_choice(settings.face)
        if loaded.speech_model is not None:
            raise UsageError("--speech-model needs the whole sound", hint="omit it for a live source")
        self._loaded, self._settings = loaded, settings
        self._audio = LiveAudio(loaded.extractors.audio if settings.with_sound else {}, settings.delay_s)
        self._has_audio_only = loaded.has_audio_only(self._audio.extractors)
        self._embedding_rate_hz = loaded.embedding_rate_hz
        self._waiting: deque[_WaitingFrame] = deque()
        self._origin_s: float | None = None
        self._last_s = -math.inf
        self._faces: LiveFaces | None = None
        self._begin()

    def warm_up(self) -> None:
        """Load the networks and compiled loops, so that the first frame does not wait for them."""
        warm_up(self._loaded.extractors.visual)

    def _begin(self) -> None:
        """Start tracks and states anew."""
        next_id = 0
        if self._faces is not None:
            next_id = self._faces.next_id
            self._faces.close()
        self._rows = LiveRows(self._settings.name, self._loaded)
        settings = self._settings
        self._faces = LiveFaces(self._loaded.extractors.visual, settings.face, next_id, settings.delay_s)
        self._audio_only: LiveAudioOnlyRows | None = None
        self._times_s: deque[float] = deque(maxlen=RATE_FRAMES)
        self._n_frames = 0
        self._begun_s = math.nan
        self._set_rate(self._settings.rate_hz or math.nan)

    def _set_rate(self, rate_hz: float) -> None:
        self._sampling = Sampling(
            embedding_stride(rate_hz, self._embedding_rate_hz), sampling_stride(rate_hz)
        )

    def add_sound(self, block: SoundBlock) -> None:
        """Add samples that follow those of before; a hole between two blocks is missing sound.

        Blocks should be added before the frames that they belong to. A block that begins more than a second
        beside the end of the last one is a jump of the clock, which restarts the sound.
        """
        if self._settings.with_sound:
            self._audio.add(SoundBlock(self._own_s(block.start_s), block.samples))

    def add_frame(self, frame: LiveFrame) -> FrameTable:
        """The rows that are final after this frame, in order; one a followed face, at least one a frame.

        Usually these are the rows of this frame. Rows that wait for their sound follow with a later frame.
        """
        time_s = self._own_s(frame.time_s)
        flags: tuple[str, ...] = (DAMAGED,) if frame.rgb is None and frame.has_picture else ()
        emitted: list[FrameTable] = []
        if not -MAX_GAP_S < time_s - self._last_s <= MAX_GAP_S:
            emitted += self._emit(len(self._waiting))
            if self._n_frames:
                self._begin()
            self._begun_s, flags = time_s, (RESTART, *flags)
        elif time_s <= self._last_s:  # tracks need ascending times
            time_s = self._last_s + MIN_STEP_S
        self._last_s = time_s
        self._track(frame, time_s, flags)
        emitted += self._emit(self._n_ready())
        return self._joined(emitted)

    def rows_due(self, elapsed_s: float) -> FrameTable:
        """The rows that are ready `elapsed_s` after the last frame came, for sources in real time."""
        return self._joined(self._emit(self._n_ready(elapsed_s)))

    def _own_s(self, time_s: float) -> float:
        if self._origin_s is None:
            self._origin_s = time_s // ORIGIN_S * ORIGIN_S - BACK_S
        return time_s - self._origin_s

    def _track(self, frame: LiveFrame, time_s: float, flags: tuple[str, ...]) -> None:
        assert self._faces is not None
        number, self._n_frames = self._n_frames, self._n_frames + 1
        self._times_s.append(time_s)
        if number == 8 or number % RATE_FRAMES == RATE_FRAMES - 1:  # the declared rate may be wrong
            self._set_rate(median_rate_hz(np.array(self._times_s)))
        if frame.rgb is not None:
            self._faces.add(Frame(number, time_s, frame.rgb), self._sampling)
        has_face = time_s - max(self._faces.seen_s, self._begun_s) <= AUDIO_ONLY_AFTER_S
        waiting = _WaitingFrame(
            frame.index, frame.time_s, time_s, number, self._faces.followed(), has_face, flags
        )
        self._waiting.append(waiting)

    def _n_ready(self, elapsed_s: float = 0.0) -> int:
        """The number of waiting frames whose rows are ready `elapsed_s` after the last frame came."""
        settings, count = self._settings, 0
        for waiting in self._waiting:
            waited_s = self._last_s + elapsed_s - waiting.time_s + ROUNDING
            if waited_s < settings.delay_s:
                break
            is_due = not settings.with_sound or waited_s >= settings.max_sound_delay_s
            if not is_due and not self._audio.is_final(waiting.time_s):
                break
            count += 1
        return count

    def _emit(self, count: int) -> list[FrameTable]:
        return [table for _ in range(count) for table in self._predicted(self._waiting.popleft())]

    def _predicted(self, frame: _WaitingFrame) -> list[FrameTable]:
        assert self._faces is not None
        audio = self._audio.row(frame.time_s)
        level = self._speech_level() if audio.is_present else None
        self._faces.add_speech(level)
        observed = []
        for track in frame.followed:
            faces = self._faces.detections(track, frame.number)
            if faces.detected[0]:
                speaking = self._faces.speaking(track, frame.time_s, level)
            else:
                speaking = 0.0 if self._faces.others_speak(track, frame.time_s, level) else math.nan
            features = self._faces.features(track, frame.number)
            observed.append(_observation(frame, track, faces, audio, speaking, features))
        nobody = _observation(frame, -1, FaceDetections.empty(1), audio, math.nan, {})
        tables = self._rows.add(nobody, observed, frame.index)
        tables = self._audio_only_tables(frame, nobody, audio) or tables
        late = self._settings.with_sound and audio.is_late and math.isfinite(self._audio.sound.end_s)
        flag = FLAG_SEPARATOR.join((*frame.flags, *((SOUND_LATE,) if late else ())))
        own = {"time_s": np.array([frame.source_s]), FLAG: np.full(1, flag, "U64")}
        return [FrameTable(table.name, {**table.columns, **own}) for table in tables]

    def _speech_level(self) -> SpeechLevel | None:
        """The level of the sound as far as both the sound and the frames go."""
        now_s = min(self._last_s, self._audio.sound.end_s)
        return self._audio.speech_level(int(now_s * GRID_HZ + ROUNDING))

    def _audio_only_tables(
        self, frame: _WaitingFrame, nobody: Observation, audio: AudioRow
    ) -> list[FrameTable]:
        """The row of a frame from its sound, if no face was seen for AUDIO_ONLY_AFTER_S."""
        assert self._faces is not None
        if not self._has_audio_only or frame.time_s <= self._faces.seen_s:
            self._audio_only = None
            return []
        if math.isinf(self._audio.sound.end_s):
            return []
        if self._audio_only is None:
            self._audio_only = LiveAudioOnlyRows(self._settings.name, self._loaded)
        self._audio_only.advance(self._audio, frame.time_s)
        if frame.has_face or not audio.is_present:
            return []
        return [self._audio_only.table(nobody, frame.index)]

    def _joined(self, tables: list[FrameTable]) -> FrameTable:
        if not tables:
            return empty_table(self._settings.name)
        columns = {name: np.concatenate([t.columns[name] for t in tables]) for name in tables[0].columns}
        return FrameTable(self._settings.name, columns)

    def finish(self) -> FrameTable:
        """The rows that still wait for sound; the engine is used no more."""
        return self._joined(self._emit(len(self._waiting)))

    def close(self) -> None:
        """End the threads of the engine."""
        self._audio.close()
        if self._faces is not None:
            self._faces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()


def _observation(
    frame: _WaitingFrame,
    face_id: int,
    faces: FaceDetections,
    audio: AudioRow,
    speaking: float,
    features: dict[str, np.ndarray],
) -> Observation:
    sound = {name: x[np.newaxis] for name, x in audio.features.items()}
    return Observation(
        times_s=np.array([frame.time_s]),
        face_id=face_id,
        faces=faces,
        audio_present=np.array([audio.is_present]),
        speaking=np.array([speaking]),
        level_db=np.array([audio.level_db]),
        speech=np.array([audio.speech]),
        features={**features, **sound},
    )
