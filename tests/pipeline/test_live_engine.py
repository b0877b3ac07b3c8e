"""Rows of a live source against those of `va predict` for the same frames and sound."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np
import pytest
from synth.faces import scene, somebody_else
from synth.sounds import RATE_HZ, noise

from vacli.errors import UsageError
from vacli.media.array_audio import sound_of_array
from vacli.media.array_video import ArrayVideo
from vacli.media.audio import read_sound
from vacli.media.kinds import MediaInput
from vacli.media.live_input import LiveFrame, SoundBlock
from vacli.media.synthetic_speech import syllables
from vacli.media.video import open_video
from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FrameTable
from vacli.pipeline import live_faces
from vacli.pipeline.live import LoadedModel
from vacli.pipeline.live_engine import AUDIO_ONLY_AFTER_S, FLAG, LiveEngine, LiveSettings
from vacli.pipeline.observation import Extractors
from vacli.progress import RecordingProgress
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import RecordingPredictor, load_model, with_extractors
from vacli.steps._recordings import refuse_parts

SETTINGS = PredictSettings(inputs=())
HERE, AWAY = scene((110, 120)), scene(None)
BLOCK = 320


@dataclass(frozen=True)
class Source:
    """Pictures at a rate, the first one at `start_s`, and sound (S,) from `start_s` on."""

    pictures: Sequence[np.ndarray | None]
    rate_hz: float
    sound: np.ndarray | None = None
    start_s: float = 0.0

    @property
    def times_s(self) -> np.ndarray:
        return self.start_s + np.arange(len(self.pictures)) / self.rate_hz

    def feed(self, engine: LiveEngine) -> Iterator[tuple[float, FrameTable]]:
        """Add all frames, each after its sound; yields the time and the rows of each."""
        position = 0
        for index, time_s in enumerate(self.times_s):
            end = 0 if self.sound is None else min(round((time_s - self.start_s) * RATE_HZ), len(self.sound))
            while position < end:
                part = self.sound[position : min(position + BLOCK, end)]
                engine.add_sound(SoundBlock(self.start_s + position / RATE_HZ, part))
                position += len(part)
            yield time_s, engine.add_frame(LiveFrame(index, float(time_s), self.pictures[index]))


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    progress = RecordingProgress()
    return with_extractors(load_model(SETTINGS, progress), SETTINGS, progress)


def settings(source: Source, **options: object) -> LiveSettings:
    return LiveSettings(name="x", with_sound=source.sound is not None, rate_hz=source.rate_hz, **options)


def joined(tables: Sequence[FrameTable]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([t.columns[name] for t in tables]) for name in tables[0].columns}


def live(loaded: LoadedModel, *sources: Source, **options: object) -> dict[str, np.ndarray]:
    with LiveEngine(loaded, settings(sources[0], **options)) as engine:
        tables = [table for source in sources for _, table in source.feed(engine)]
        return joined([*tables, engine.finish()])


def file(loaded: LoadedModel, source: Source, face: str = "largest") -> dict[str, np.ndarray]:
    predictor = RecordingPredictor(replace(SETTINGS, face=face), loaded, refuse_parts, RecordingProgress())
    sound = None if source.sound is None else sound_of_array(source.sound, RATE_HZ, float(source.times_s[-1]))
    return joined(list(predictor.frame_tables("x", ArrayVideo(source.pictures, source.times_s), sound)))


def moving(count: int, **options: float) -> list[np.ndarray]:
    return [scene((100 + 30 * np.sin(k / 9), 120 + 10 * np.sin(k / 5)), **options) for k in range(count)]


def test_rows_of_a_face_equal_those_of_a_file(loaded):
    source = Source([AWAY] * 5 + moving(18) + [AWAY] * 6 + moving(6), rate_hz=15)
    now, whole = live(loaded, source), file(loaded, source)
    assert set(now) == {*COLUMNS, FLAG} - {"input"}
    for name in ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty", "quality"):
        np.testing.assert_allclose(now[name], whole[name], atol=1e-5, err_msg=name)
    for name in ("frame", "time_s", "face_detected", "face_x", "face_w", "face_score", "modality"):
        np.testing.assert_array_equal(now[name], whole[name], err_msg=name)
    assert now["face_id"].tolist() == [-1] * 5 + [0] * 30  # a file has the later face from its beginning
    assert now["face_detected"].sum() == 24
    assert np.ptp(now["valence"]) > 0.01


def test_each_row_of_a_source_without_sound_comes_with_its_frame(loaded):
    source = Source(moving(12), rate_hz=30)
    with LiveEngine(loaded, settings(source)) as engine:
        assert [table.columns["frame"].tolist() for _, table in source.feed(engine)] == [
            [k] for k in range(12)
        ]
        assert len(engine.finish()) == 0


def test_features_between_two_embedded_frames_are_held(loaded):
    source = Source(moving(36), rate_hz=30)
    now, whole = live(loaded, source), file(loaded, source)
    for name, bound in (("valence", 0.05), ("arousal", 0.05), ("quality", 1e-6)):
        np.testing.assert_allclose(now[name], whole[name], atol=bound, err_msg=name)
    assert np.abs(now["valence"] - whole["valence"]).max() > 1e-5  # those of the file are interpolated


def test_a_wrongly_declared_rate_is_replaced_by_that_of_the_frames(loaded):
    source = Source(moving(48), rate_hz=30)
    with LiveEngine(loaded, replace(settings(source), rate_hz=1000.0)) as engine:
        now = joined([table for _, table in source.feed(engine)])
    whole = file(loaded, source)
    for name, bound in (("valence", 0.05), ("arousal", 0.05), ("valence_uncertainty", 0.02)):
        np.testing.assert_allclose(now[name][16:], whole[name][16:], atol=bound, err_msg=name)


@pytest.mark.parametrize("delay_s", [0.0, 1.0])
def test_every_frame_of_a_fast_camera_has_features(loaded, delay_s):
    source = Source([HERE] * 400, rate_hz=500)
    for rows in (live(loaded, source, delay_s=delay_s), file(loaded, source)):
        assert rows["face_detected"].all()
        assert rows["valence_uncertainty"].max() < 0.5
        assert np.ptp(rows["valence"]) < 0.1


@pytest.fixture(scope="module")
def spoken(loaded) -> tuple[Source, dict[str, np.ndarray]]:
    """A source with sound, and its rows as a file."""
    source = Source(moving(90), rate_hz=30, sound=syllables(3))
    return source, file(loaded, source)


@pytest.mark.parametrize(("delay_s", "mean", "largest"), [(0.0, 0.02, 0.1), (0.5, 0.006, 0.02)])
def test_rows_with_sound_are_close_to_those_of_a_file(loaded, spoken, delay_s, mean, largest):
    source, whole = spoken
    now = live(loaded, source, delay_s=delay_s)
    np.testing.assert_array_equal(now["frame"], np.arange(90))
    full = slice(0, 90 - round(30 * delay_s))  # the last rows have less after them
    for name in ("valence", "arousal"):
        difference = np.abs(now[name] - whole[name])[full]
        assert difference.mean() < mean, name
        assert difference.max() < largest, name
    np.testing.assert_array_equal(now["audio_present"][3:], whole["audio_present"][3:])
    assert (now["speech_present"] == whole["speech_present"])[full].mean() > (0.95 if delay_s else 0.8)


def test_delayed_rows_without_sound_equal_those_of_a_file(loaded):
    source = Source(moving(36), rate_hz=30)
    whole = file(loaded, source)
    with LiveEngine(loaded, settings(source, delay_s=0.1)) as engine:
        tables = []
        for time_s, table in source.feed(engine):
            tables.append(table)
            assert np.allclose(time_s - table.columns["time_s"], 0.1)
        assert len(engine.rows_due(0.034)) == 1
        rows = joined([*tables, engine.finish()])
    assert len(rows["frame"]) == 35
    for name in ("valence", "arousal", "quality"):
        np.testing.assert_allclose(rows[name], whole[name][[*range(33), 34, 35]], atol=1e-5, err_msg=name)


def test_rows_do_not_wait_for_further_frames(loaded):
    source = Source([HERE] * 8, 15.0, syllables(0.5))
    with LiveEngine(loaded, settings(source)) as engine:
        emitted = sum(len(table) for _, table in source.feed(engine))
        assert emitted < 8
        assert len(engine.rows_due(0.0)) == 0
        assert emitted + len(engine.rows_due(1.0)) == 8
        assert len(engine.finish()) == 0


def test_a_row_waits_for_its_sound_at_most_for_the_stated_time(loaded):
    source = Source(moving(30), rate_hz=30, sound=syllables(1))
    with LiveEngine(loaded, settings(source, max_sound_delay_s=0.06)) as engine:
        waits = [time_s - t for time_s, table in source.feed(engine) for t in table.columns["time_s"]]
    assert len(waits) == 28
    assert max(waits) <= 0.0667 + 1e-6
    with LiveEngine(loaded, settings(source, max_sound_delay_s=0.0)) as engine:
        assert all(table.columns["time_s"].tolist() == [time_s] for time_s, table in source.feed(engine))


def test_missing_sound_is_flagged_and_does_not_delay_rows(loaded):
    source = Source(moving(60), rate_hz=30, sound=syllables(1))
    rows = live(loaded, source)
    late = np.array(["sound_late" in flag for flag in rows[FLAG]])
    assert not late[:28].any()
    assert late[31:].all()
    assert rows["audio_present"][:28].all()
    assert rows["audio_present"][31:36].all()  # the last descriptors are held for a quarter of a second
    assert not rows["audio_present"][40:].any()
    assert set(rows["modality"][40:]) == {"visual"}


def test_sound_that_returns_after_ten_seconds_is_used_again(loaded):
    source = Source(moving(65), rate_hz=5, sound=syllables(1))
    later = syllables(2)
    with LiveEngine(loaded, settings(source)) as engine:
        tables = []
        for time_s, table in source.feed(engine):
            tables.append(table)
            if time_s >= 11:
                first = round((time_s - 11) * RATE_HZ)
                part = later[first : first + RATE_HZ // 5]
                engine.add_sound(SoundBlock(time_s, part))
        rows = joined([*tables, engine.finish()])
    there = rows["time_s"][rows["audio_present"]]
    assert there.min() < 1
    assert not ((there > 2) & (there < 11)).any()
    assert ((there > 11.1) & (there < 12.9)).sum() >= 8


@pytest.mark.parametrize("start_s", [56.0, 150.0, 30.0], ids=["gap", "jump", "back"])
def test_a_gap_or_a_jump_of_the_clock_begins_anew(loaded, start_s):
    first, second = Source(moving(20), 15, start_s=50.0), Source(moving(20), 15, start_s=start_s)
    rows, alone = live(loaded, first, second), live(loaded, second)
    assert rows[FLAG].tolist() == (["restart"] + [""] * 19) * 2
    np.testing.assert_array_equal(rows["time_s"][20:], second.times_s)
    np.testing.assert_allclose(rows["valence"][20:], alone["valence"], atol=1e-5)
    assert set(rows["face_id"][:20]) == {0}
    assert set(rows["face_id"][20:]) == {1}


def test_a_short_gap_changes_nothing_but_the_times(loaded):
    source = Source(moving(20), 15)
    with LiveEngine(loaded, settings(source)) as engine:
        tables = [
            engine.add_frame(LiveFrame(k, t + 0.5 * (k > 9), picture))
            for k, (t, picture) in enumerate(zip(source.times_s, source.pictures, strict=True))
        ]
    assert set(joined(tables)[FLAG][1:]) == {""}
    assert set(joined(tables)["face_id"]) == {0}


def test_times_that_do_not_ascend_change_nothing_but_the_times(loaded):
    source = Source(moving(20), 15)
    times_s = source.times_s
    times_s[10] = times_s[9]
    times_s[11] = times_s[8]
    with LiveEngine(loaded, settings(source)) as engine:
        rows = joined(
            [
                engine.add_frame(LiveFrame(k, time_s, picture))
                for k, (time_s, picture) in enumerate(zip(times_s, source.pictures, strict=True))
            ]
        )
    np.testing.assert_array_equal(rows["time_s"], times_s)
    assert rows[FLAG].tolist() == ["restart"] + [""] * 19
    np.testing.assert_allclose(rows["valence"], live(loaded, source)["valence"], atol=1e-5)


def test_a_damaged_picture_is_flagged_and_has_no_face(loaded):
    pictures = moving(12)
    pictures[5] = pictures[6] = None
    rows = live(loaded, Source(pictures, 15))
    assert rows[FLAG].tolist() == ["restart"] + [""] * 4 + ["damaged"] * 2 + [""] * 5
    assert rows["face_detected"].tolist() == [True] * 5 + [False] * 2 + [True] * 5
    assert set(rows["face_id"]) == {0}
    assert np.isfinite(rows["valence"]).all()


def two(count: int, left: float = 0.7, right: float = 0.5) -> list[np.ndarray]:
    one, other = scene((80, 120), zoom=left), scene((240, 120), somebody_else(), zoom=right)
    return [np.hstack([one[:, :160], other[:, 160:]])] * count


@pytest.mark.parametrize(
    ("face", "followed"), [("largest", [0]), ("all", [0, 1]), ("1", [1]), ("right", [1]), ("left", [0])]
)
def test_the_chosen_faces_have_rows(loaded, face, followed):
    rows = live(loaded, Source(two(8), 15), face=face)
    assert rows["frame"].tolist() == np.repeat(np.arange(8), len(followed)).tolist()
    assert rows["face_id"].reshape(8, -1)[-1].tolist() == followed
    whole = file(loaded, Source(two(8), 15), face=face)
    order = np.lexsort((whole["face_id"], whole["frame"]))
    np.testing.assert_allclose(rows["valence"], whole["valence"][order], atol=1e-5)
    np.testing.assert_allclose(rows["face_x"], whole["face_x"][order], atol=1e-5)


def test_the_largest_face_changes_when_it_leaves(loaded):
    one = [np.hstack([AWAY[:, :160], two(1)[0][:, 160:]])] * 30
    rows = live(loaded, Source(two(8) + one, 10))
    assert set(rows["face_id"][:8]) == {0}
    assert rows["face_id"][-1] == 1
    assert (np.diff(rows["face_id"]) >= 0).all()  # one change


def test_a_source_without_a_face_is_predicted_from_its_sound(loaded):
    source = Source([AWAY] * 40, rate_hz=5, sound=syllables(8))
    rows = live(loaded, source)
    whole = file(loaded, source)
    late = rows["time_s"] > AUDIO_ONLY_AFTER_S + 0.1
    assert (rows["modality"][late] == "audio").mean() > 0.8
    assert set(rows["modality"]) <= {"audio", "none"}
    difference = (
        np.abs(rows["valence"] - whole["valence"])[late],
        np.abs(rows["arousal"] - whole["arousal"])[late],
    )
    assert max(d.mean() for d in difference) < 0.1
    assert not rows["face_detected"].any()


def test_non_speech_without_a_face_has_no_modality(loaded):
    rows = live(loaded, Source([AWAY] * 35, rate_hz=5, sound=noise(7)))
    assert set(rows["modality"]) == {"none"}
    assert not rows["speech_present"][5:].any()


def test_times_of_any_clock_are_kept(loaded):
    base = Source(moving(20), rate_hz=25, sound=syllables(1))
    rows, late = live(loaded, base), live(loaded, replace(base, start_s=80_000.0))
    np.testing.assert_allclose(late["time_s"], 80_000 + rows["time_s"], atol=1e-6)
    np.testing.assert_allclose(late["valence"], rows["valence"], atol=0.02)


def held_bytes(root: object) -> int:
    """The size of all that an object refers to, without code and shared modules."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(
            one, type | ModuleType | FunctionType | LoadedModel | threading.Thread
        ):
            continue
        seen[id(one)] = one
        waiting += gc.get_referents(one)
    return sum(one.nbytes if isinstance(one, np.ndarray) else sys.getsizeof(one) for one in seen.values())


def test_memory_is_constant(loaded, monkeypatch):
    monkeypatch.setattr(live_faces, "FORGET_FRAMES", 8)
    pictures, sound, sizes = moving(16), syllables(6), []
    with LiveEngine(loaded, LiveSettings(name="x", rate_hz=2)) as engine:
        for k in range(50):
            part = sound[k % 12 * RATE_HZ // 2 :][: RATE_HZ // 2]
            engine.add_sound(SoundBlock(k / 2, part))
            engine.add_frame(LiveFrame(k, k / 2, pictures[k % 16]))
            if k in (33, 41, 49):  # as long after old features are forgotten
                sizes.append(held_bytes(engine))
    assert sizes[0] > 500_000
    assert max(sizes) - min(sizes) < 0.02 * sizes[0]


def test_threads_end_with_the_engine(loaded):
    before = set(threading.enumerate())
    source = Source(moving(4), rate_hz=25, sound=syllables(1))
    live(loaded, source)
    assert set(threading.enumerate()) <= before


class WholeSound:
    """An extractor without `live`."""


def test_what_needs_the_whole_sound_is_refused(loaded):
    audio = Extractors(loaded.extractors.visual, {"gemaps-functionals": WholeSound()})
    with pytest.raises(UsageError, match="gemaps-functionals cannot be extracted from a live source"):
        LiveEngine(replace(loaded, extractors=audio), LiveSettings(name="x"))
    with pytest.raises(UsageError, match="--speech-model"):
        LiveEngine(replace(loaded, speech_model="wav2vec-va"), LiveSettings(name="x"))
    with pytest.raises(UsageError, match="--face"):
        LiveEngine(loaded, LiveSettings(name="x", face="nobody"))


def clip_rows(loaded: LoadedModel, path: Path, delay_s: float) -> dict[str, np.ndarray]:
    sound = read_sound(path)
    with open_video(path, "auto") as video:
        source = Source([frame.rgb for frame in video], 1.0)
        times_s = video.times_s
    rate_hz = 1 / float(np.median(np.diff(times_s)))
    options = {"with_sound": sound is not None, "delay_s": delay_s, "rate_hz": rate_hz}
    with LiveEngine(loaded, LiveSettings(name="x", **options)) as engine:
        tables, position = [], 0
        for index, time_s in enumerate(times_s):
            if sound is not None and (end := round(time_s * RATE_HZ)) > position:
                engine.add_sound(SoundBlock(position / RATE_HZ, sound.samples[position:end]))
                position = end
            tables.append(engine.add_frame(LiveFrame(index, float(time_s), source.pictures[index])))
        return joined([*tables, engine.finish()])


@pytest.mark.parametrize(
    ("clip", "delay_s", "mean", "largest"),
    [
        ("22_derived_no_audio_track.mp4", 0.1, 1e-4, 5e-4),
        ("01_grid_swiz3n_male.mpg", 0.0, 0.01, 0.05),
        ("05_cremad_1001_DFA_HAP_XX.flv", 0.5, 0.003, 0.015),
    ],
)
def test_rows_of_a_real_clip_are_close_to_those_of_va_predict(loaded, clips, clip, delay_s, mean, largest):
    rows = clip_rows(loaded, clips / clip, delay_s)
    predictor = RecordingPredictor(SETTINGS, loaded, refuse_parts, RecordingProgress())
    (whole,) = predictor.tables(MediaInput(clips / clip, "video"))
    np.testing.assert_array_equal(rows["frame"], whole.columns["frame"])
    np.testing.assert_array_equal(rows["face_x"], whole.columns["face_x"])
    for name in ("valence", "arousal"):
        difference = np.abs(rows[name] - whole.columns[name])
        assert difference.mean() < mean, name
        assert difference.max() < largest, name


def test_without_extractors_of_sound_the_presence_of_sound_is_known(loaded):
    mute = replace(loaded, extractors=Extractors(loaded.extractors.visual, {}))
    rows = live(mute, Source([AWAY] * 14, 2, sound=syllables(7)))
    assert rows["audio_present"][1:].all()
    assert set(rows["modality"]) == {"none"}


def test_the_speaking_face_is_followed(loaded, monkeypatch):
    monkeypatch.setattr(
        live_faces.LiveFaces,
        "speaking",
        lambda self, track, time_s, level: float(track == (time_s % 8 > 1.5)),
    )
    rows = live(loaded, Source(two(40), 10, sound=syllables(4)), face="speaker")
    assert rows["face_id"][10:14].tolist() == [0] * 4
    assert rows["face_id"][-1] == 1
