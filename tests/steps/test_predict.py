"""A prediction rests on features that are made as those that the model was trained on."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from synth.faces import scene, somebody_else, write_video
from synth.sounds import RATE_HZ, voice

from vacli.datasets.audio_augmentation import background, write_wav
from vacli.errors import RunError
from vacli.features.weights import short_hash
from vacli.inference.calibration import ALONE
from vacli.inference.prediction import Trajectory
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, Run, load_run
from vacli.output.frame_table import FrameTable
from vacli.pipeline import face_embedding, observation
from vacli.pipeline.face_embedding import FaceRows
from vacli.pipeline.live import Loaded, Telling, on_clock, table
from vacli.progress import Quiet
from vacli.recipe import presets
from vacli.recipe.io import set_values
from vacli.spec import AUDIO, VISUAL
from vacli.steps import align, extract_audio, extract_visual
from vacli.steps.predict import PredictSettings, run, senses


@pytest.fixture
def weights(tmp_path) -> Path:
    import torch
    from safetensors.torch import save_file

    from vacli.features.compact.network import CompactFace

    torch.manual_seed(0)
    path = tmp_path / "face.safetensors"
    save_file({k: v.contiguous() for k, v in CompactFace().state_dict().items()}, path)
    return path


def trained_on(weights: str, **more: object) -> Run:
    recipe = set_values(
        presets.preset("compact"), ["model.streams.audio.features=[]", "model.streams.audio.dim=0"]
    )
    features = {"compact": {"version": "1", "settings": {"weights": weights, **more}}}
    return Run(path=Path("run"), recipe=recipe, members=(), features=features)


@pytest.mark.torch
def test_other_weights_than_in_training_are_an_error(weights):
    settings = PredictSettings(inputs=(), weights=weights, device="cpu")
    with pytest.raises(RunError, match="run was trained on compact with other weights"):
        senses(trained_on("0123456789ab"), settings, Quiet())


@pytest.mark.torch
def test_the_same_weights_serve_whatever_the_pace_of_extraction(weights):
    settings = PredictSettings(inputs=(), weights=weights, device="cpu")
    made = senses(trained_on(short_hash(weights), every=3), settings, Quiet())
    assert list(made.visual) == ["compact"]


@pytest.mark.parametrize(("used", "modality"), [({VISUAL, AUDIO}, "av"), ({VISUAL}, "v"), ({AUDIO}, "a")])
def test_modality_names_only_what_the_model_was_given(used, modality):
    faces = FaceRows(np.array([True]), np.array([0.9]), np.zeros((1, 4)))
    seen = observation.Observation(
        times_s=np.zeros(1), person=0, faces=faces, audio_ok=np.array([True]), features={}
    )
    predicted = Trajectory(
        video="a",
        times_s=np.zeros(1),
        values=np.zeros((1, 2), np.float32),
        sd=None,
        spread=None,
        states=np.array(["none"]),
    )
    made = table("a", seen, predicted, frozenset(used))
    assert made.columns["modality"].tolist() == [modality]
    assert made.columns["audio_ok"].tolist() == [True]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """Sixteen seconds of one person who moves a little and is away for a while."""
    there = [scene((110 + i // 8, 120)) for i in range(400)]
    there[200:215] = [scene(None)] * 15
    return write_video(tmp_path_factory.mktemp("video") / "alone.mp4", there)


def tables(path: Path, progress: Quiet | None = None, **more: object) -> list[FrameTable]:
    made: list[FrameTable] = []
    batch = run(PredictSettings(inputs=(path,), device="cpu", **more), made.append, progress or Quiet())
    assert not batch.failed
    return made


class AtOnce(Executor):
    """Has work done before it goes on: a video's sound and faces are described as soon as they can be."""

    def __init__(self, workers: int) -> None:
        pass

    def submit(self, work, *given):
        done = Future()
        done.set_result(work(*given))
        return done


def test_rows_that_are_told_while_watching_are_those_of_the_whole(alone, monkeypatch):
    for step in (observation, face_embedding):
        monkeypatch.setattr(step, "ThreadPoolExecutor", AtOnce)
    parts, (whole,) = tables(alone, live=True), tables(alone)
    assert len(parts[0]) < 60  # of the first second
    assert len(parts) > 2
    for name, column in whole.columns.items():
        together = np.concatenate([part.columns[name] for part in parts])
        if column.dtype.kind == "f":
            np.testing.assert_allclose(together, column, atol=1e-5, equal_nan=True)
        else:
            assert together.tolist() == column.tolist()


class Warnings(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, message: str) -> None:
        self.said.append(message)


def test_whoever_is_larger_later_is_named(tmp_path):
    small, large = scene((80, 120), zoom=0.6), scene((200, 120), somebody_else(), zoom=1.3)
    path = write_video(tmp_path / "two.mp4", [small] * 40 + [large] * 60)
    heard = Warnings()
    parts = tables(path, heard, live=True)
    assert {person for part in parts for person in part.columns["person"].tolist()} == {0}
    assert any("--face 1" in message for message in heard.said)
    (whole,) = tables(path)
    assert set(whole.columns["person"].tolist()) == {1}


def test_with_several_people_in_the_opening_the_whole_is_seen_first(tmp_path):
    left, right = scene((80, 120), zoom=0.7), scene((240, 120), somebody_else(), zoom=0.8)
    both = [np.hstack([left[:, :160], right[:, 160:]])] * 60
    (only,) = tables(write_video(tmp_path / "both.mp4", both), live=True)
    assert only.columns["face_x"].min() > 160


@pytest.fixture
def hum(tmp_path) -> Path:
    pytest.importorskip("opensmile")
    path = tmp_path / "hum.wav"
    write_wav(path, background(2.0, np.random.default_rng(5)))
    return path


@pytest.fixture
def spoken(tmp_path) -> Path:
    """Something that pulses and glides as a voice does."""
    pytest.importorskip("opensmile")
    path = tmp_path / "spoken.wav"
    write_wav(path, voice(4.0))
    return path


def values(made: FrameTable) -> np.ndarray:
    return np.stack([made.columns[d] for d in ("valence", "arousal")], axis=1)


@pytest.mark.parametrize("model", [BUNDLED, BUNDLED_AUDIO])
def test_sound_alone_is_told_as_it_was_calibrated_for_itself(spoken, model):
    (made,) = tables(spoken, model=model)
    bundled = load_run(model)
    look = observation.Look(senses(bundled, PredictSettings(inputs=()), Quiet()), "largest", "auto")
    sound = observation.observe_sound(spoken, look, Quiet())
    loaded = Loaded(replace(bundled, calibration=None), observation.Senses({}, sound.features))
    before = values(Telling("spoken", loaded, sound.times_s).rest(sound))
    stretch = bundled.calibration.states[ALONE].stretch
    np.testing.assert_allclose(values(made), stretch.of(before), atol=1e-5)
    assert np.abs(values(made) - before).max() > 1e-3
    assert set(made.columns["modality"].tolist()) == {"a"}


def test_a_sound_file_goes_by_the_model_of_the_voice(spoken):
    (made,), (fused,) = tables(spoken), tables(spoken, model=BUNDLED)
    (alone,) = tables(spoken, model=BUNDLED_AUDIO)
    np.testing.assert_array_equal(values(made), values(alone))
    assert np.abs(values(made) - values(fused)).max() > 1e-3


def test_a_store_of_sound_goes_by_the_model_of_the_voice_too(spoken, tmp_path):
    store = extract_audio.run(
        extract_audio.ExtractAudioSettings(inputs=(spoken,), store=tmp_path / "feats.zarr")
    ).out
    (stored,), (made,) = tables(store), tables(spoken)
    np.testing.assert_allclose(values(stored), values(made), atol=0.01)  # features are kept as float16


def grey(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    """A grey picture that is `samples` to hear."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=rate_hz)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for _ in range(round(len(samples) / RATE_HZ * rate_hz)):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8))))
        heard = av.AudioFrame.from_ndarray((samples[np.newaxis] * 32767).astype(np.int16), "s16", "mono")
        heard.sample_rate = RATE_HZ
        container.mux(sound.encode(heard))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("rate_hz", [10, 25, 60])
def test_a_video_without_a_face_says_what_its_sound_does_at_every_frame_rate(tmp_path, rate_hz):
    pytest.importorskip("opensmile")
    samples, path = voice(4.0), tmp_path / "spoken.wav"
    write_wav(path, samples)
    (heard,) = tables(path)
    (seen,) = tables(grey(tmp_path / "grey.mkv", samples, rate_hz))
    assert len(seen) == 4 * rate_hz
    assert set(seen.columns["modality"].tolist()) == {"a"}
    for name in ("valence", "arousal", "valence_sd"):
        told = np.interp(seen.columns["time_s"], heard.columns["time_s"], heard.columns[name])
        np.testing.assert_allclose(seen.columns[name], told, atol=2e-3)
    (tone,) = tables(grey(tmp_path / "tone.mkv", np.sin(np.arange(64_000) / 5) * 0.3, rate_hz))
    assert set(tone.columns["modality"].tolist()) == {"none"}


@pytest.mark.parametrize("rows", [1, 3])
def test_on_another_clock_values_lie_between_and_the_ends_go_on(rows):
    values = np.array([[0.0, 0.5], [1.0, 0.5], [0.0, -0.5]], np.float32)[:rows]
    states = np.array(["a", "b", "c"])[:rows]
    told = Trajectory(
        video="a", times_s=np.arange(rows) / 10, values=values, sd=values, spread=None, states=states
    )
    made = on_clock(told, np.array([-1, 0.02, 0.08, 0.15, 9]))
    between = [[0, 0.5], [0.2, 0.5], [0.8, 0.5], [0.5, 0], [0, -0.5]] if rows == 3 else [[0, 0.5]] * 5
    np.testing.assert_allclose(made.values, between, atol=1e-6)
    np.testing.assert_array_equal(made.sd, made.values)
    assert made.spread is None
    assert made.states[[0, 1, 2, 4]].tolist() == (["a", "a", "b", "c"] if rows == 3 else ["a"] * 4)


@pytest.mark.parametrize("stored", [False, True], ids=["file", "store"])
def test_of_sound_unlike_speech_it_says_the_middle_that_it_does_not_know_and_why(hum, tmp_path, stored):
    asked = hum
    if stored:
        settings = extract_audio.ExtractAudioSettings(inputs=(hum,), store=tmp_path / "feats.zarr")
        asked = extract_audio.run(settings).out
    said = Warnings()
    (made,) = tables(asked, said)
    assert "nor a sound like speech" in said.said[-1]
    assert np.abs(values(made)).max() < 1e-6
    assert set(made.columns["modality"].tolist()) == {"none"}
    assert made.columns["audio_ok"].all()
    assert made.columns["valence_sd"].min() > 0.5
    assert made.columns["arousal_sd"].min() > 0.3


def test_a_stored_video_that_never_shows_a_face_goes_by_the_model_of_the_voice(tmp_path):
    pytest.importorskip("opensmile")
    video = write_video(tmp_path / "nobody.mp4", [scene(None)] * 10)
    store = tmp_path / "feats.zarr"
    align.run(align.AlignSettings(inputs=(video,), store=store))
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), feature="compact"))
    extract_audio.run(extract_audio.ExtractAudioSettings(inputs=(video,), store=store))
    (stored,), (made,) = tables(store), tables(video)
    np.testing.assert_allclose(values(stored), values(made), atol=1e-5)
    (fused,) = tables(store, model=BUNDLED)
    assert np.abs(values(stored) - values(fused)).max() > 1e-3


def test_where_a_face_is_seen_once_nothing_is_told_apart():
    loaded = Loaded(load_run(BUNDLED), observation.Senses({}, {}))
    assert loaded.fit_for(np.array([False, False])).model.faceless
    assert not loaded.fit_for(np.array([True, False])).model.faceless
    with_voice = replace(loaded, voice=load_run(BUNDLED_AUDIO))
    assert with_voice.voice.faceless
    assert with_voice.fit_for(np.array([False])).model.path == BUNDLED_AUDIO
    assert with_voice.fit_for(np.array([True])).model.path == BUNDLED
