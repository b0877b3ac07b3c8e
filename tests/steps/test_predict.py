"""Predictions of files and stores, complete and live, with the model for the input."""

from __future__ import annotations

import shutil
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter
from synth.faces import scene, somebody_else, write_video
from synth.sounds import RATE_HZ
from synth.stores import put_labels

from vacli.datasets.audio_augmentation import background, write_wav
from vacli.errors import UsageError, WeightsError
from vacli.features.weights import short_hash
from vacli.inference.prediction import Trajectory
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, Run, load_run
from vacli.media.synthetic_speech import syllables
from vacli.output.frame_table import FrameTable
from vacli.pipeline import face_embedding, observation
from vacli.pipeline.audio_only import resample_trajectory
from vacli.pipeline.extractors import build_extractors
from vacli.pipeline.face_embedding import FaceDetections
from vacli.pipeline.live import LoadedModel, frame_table
from vacli.progress import RecordingProgress
from vacli.recipe import presets
from vacli.recipe.io import set_values
from vacli.spec import AUDIO, VISUAL
from vacli.steps import align, extract_audio, extract_visual
from vacli.steps.predict import PredictSettings, run
from vacli.store import Store


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
    with pytest.raises(WeightsError, match="the run was trained on compact with weights 0123456789ab"):
        build_extractors(trained_on("0123456789ab"), "cpu", {"": weights}, RecordingProgress())


@pytest.mark.torch
def test_the_same_weights_are_accepted_at_any_frame_stride(weights):
    run = trained_on(short_hash(weights), frame_stride=3)
    made = build_extractors(run, "cpu", {"compact": weights}, RecordingProgress())
    assert list(made.visual) == ["compact"]


@pytest.mark.parametrize(
    ("used", "modality"), [({VISUAL, AUDIO}, "audiovisual"), ({VISUAL}, "visual"), ({AUDIO}, "audio")]
)
def test_modality_leaves_out_streams_that_the_model_does_not_use(used, modality):
    observed = observation.Observation(
        times_s=np.zeros(1),
        face_id=0,
        faces=replace(FaceDetections.empty(1), detected=np.array([True])),
        audio_present=np.array([True]),
        speaking=np.full(1, np.nan),
        level_db=np.full(1, np.nan),
        speech=np.full(1, np.nan),
        features={},
    )
    predicted = Trajectory(
        video="a",
        times_s=np.zeros(1),
        values=np.zeros((1, 2), np.float32),
        uncertainty=None,
        ensemble_std=None,
        states=np.array(["audiovisual"]),
    )
    made = frame_table("a", observed, predicted, frozenset(used))
    assert made.columns["modality"].tolist() == [modality]
    assert made.columns["audio_present"].tolist() == [True]


@pytest.fixture(scope="module")
def one_face(tmp_path_factory) -> Path:
    """Sixteen seconds of one face that moves slightly and is absent for 15 frames."""
    there = [scene((110 + i // 8, 120)) for i in range(400)]
    there[200:215] = [scene(None)] * 15
    return write_video(tmp_path_factory.mktemp("video") / "one_face.mp4", there)


def tables(path: Path, progress: RecordingProgress | None = None, **more: object) -> list[FrameTable]:
    made: list[FrameTable] = []
    batch = run(
        PredictSettings(inputs=(path,), device="cpu", **more), made.append, progress or RecordingProgress()
    )
    assert not batch.failed
    return made


class Immediate(Executor):
    """Runs each call at once, so that features are available as early as possible."""

    def __init__(self, workers: int) -> None:
        pass

    def submit(self, work, *given):
        done = Future()
        done.set_result(work(*given))
        return done


def test_live_rows_equal_those_of_the_complete_video(one_face, monkeypatch):
    for module in (observation, face_embedding):
        monkeypatch.setattr(module, "ThreadPoolExecutor", Immediate)
    parts, (whole,) = tables(one_face, live=True), tables(one_face)
    assert len(parts[0]) < 60  # of the first second
    assert len(parts) > 2
    for name, column in whole.columns.items():
        together = np.concatenate([part.columns[name] for part in parts])
        if column.dtype.kind == "f":
            np.testing.assert_allclose(together, column, atol=1e-5, equal_nan=True)
        else:
            assert together.tolist() == column.tolist()


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory) -> Path:
    """A store of two labelled videos with faces, without features."""
    folder = tmp_path_factory.mktemp("two")
    for name, shift in (("a", 1), ("b", -1)):
        write_video(folder / f"{name}.mp4", [scene((160 + shift * i // 8, 120)) for i in range(30)])
    settings = align.AlignSettings(inputs=(folder / "a.mp4", folder / "b.mp4"), store=folder / "s.zarr")
    store = Store.open(align.run(settings).out)
    for view in store.videos():
        put_labels(store, view.id, np.tile(np.linspace(-0.5, 0.5, len(view.times_s)), (2, 1)).T)
    return store.path


def timm_weights(path: Path, seed: int = 0) -> Path:
    """A file with random weights of timm's `test_resnet`."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    model = timm.create_model("test_resnet", num_classes=7)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    return path


def trained_on_timm(store: Path, out: Path, feature: str = "test_resnet@small", **more: object) -> Path:
    """A run that is trained on one feature of a store."""
    from synth.recipes import TRAINING

    from vacli.steps import train

    (view, *_) = Store.open(store).videos()
    dim = view.part_attrs(f"feature/{feature}")["dim"]
    streams = f"model.streams=[{{name='visual', features=['{feature}'], dim={dim}}}]"
    small = ("model.tcn={channels=[8], kernel=3}", "model.temporal={kind='none'}", "training.epochs=1")
    assignments = (streams, *TRAINING, *small)
    settings = train.TrainSettings(store=store, out=out, assignments=assignments, device="cpu", **more)
    return train.run(settings).out


@pytest.fixture
def timm_run(two_videos, tmp_path) -> tuple[Path, Path, Path]:
    """A run on a tagged timm feature, its store, and the weights of the feature."""
    store = Path(shutil.copytree(two_videos, tmp_path / "s.zarr"))
    weights = timm_weights(tmp_path / "resnet.safetensors")
    asked = {"feature": "test_resnet", "tag": "small", "normalise": "paper", "weights": weights}
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), device="cpu", **asked))
    return trained_on_timm(store, tmp_path / "run"), store, weights


@pytest.mark.torch
def test_a_run_on_a_tagged_timm_feature_predicts_a_file_with_the_features_of_its_store(timm_run, two_videos):
    model, store, _ = timm_run
    video, name = two_videos.parent / "a.mp4", "test_resnet@small"
    (made,) = tables(video, model=model)
    assert set(made.columns["modality"].tolist()) == {"visual"}
    assert np.isfinite(values(made)).all()
    extractors = build_extractors(load_run(model), "cpu", {}, RecordingProgress())
    settings = observation.ObservationSettings(extractors, "largest", "auto")
    (observed,) = observation.observe_video(video, settings, RecordingProgress())
    stored, _ = Store.open(store).video("a").feature(name)
    error = np.abs(observed.features[name] - stored).mean() / np.abs(stored).mean()
    assert error < 0.03  # stored crops are JPEG


@pytest.mark.torch
def test_the_faces_of_every_frame_are_embedded_for_a_trained_run_as_for_its_store(two_videos, tmp_path):
    store = Path(shutil.copytree(two_videos, tmp_path / "s.zarr"))
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), device="cpu"))
    stored, _ = Store.open(store).video("a").feature("compact")
    model = load_run(trained_on_timm(store, tmp_path / "run", "compact"))
    extractors = build_extractors(model, "cpu", {}, RecordingProgress())

    def changes(loaded: LoadedModel) -> np.ndarray:
        """The change of the slope of the features at each frame but the first and last one."""
        settings = observation.ObservationSettings(
            extractors, "largest", "auto", embedding_rate_hz=loaded.embedding_rate_hz
        )
        (made,) = observation.observe_video(two_videos.parent / "a.mp4", settings, RecordingProgress())
        return np.abs(np.diff(made.features["compact"], 2, axis=0)).mean(axis=1)

    of_run, of_bundled = (changes(LoadedModel(m, extractors)) for m in (model, load_run(BUNDLED)))
    of_store = np.abs(np.diff(stored, 2, axis=0)).mean(axis=1)
    assert of_run.min() > 0.1 * of_store.mean()
    assert (of_bundled < 1e-4 * of_store.mean()).mean() > 0.4  # interpolated frames


@pytest.mark.torch
def test_a_store_with_the_features_builds_no_extractor(timm_run, two_videos):
    model, store, weights = timm_run
    weights.unlink()
    assert [len(table) for table in tables(store, model=model)] == [30, 30]
    with pytest.raises(WeightsError, match="was trained on test_resnet@small with weights"):
        tables(two_videos.parent / "a.mp4", model=model)


@pytest.mark.torch
@pytest.mark.parametrize("folds", [None, 2])
def test_a_run_that_carries_its_weights_needs_no_other_file(timm_run, two_videos, tmp_path, folds):
    model, store, weights = timm_run
    carrying = trained_on_timm(store, tmp_path / "whole", bundle_encoder=True, folds=folds)
    copy = carrying / "encoders" / "test_resnet@small" / "weights.safetensors"
    assert copy.read_bytes() == weights.read_bytes()
    weights.unlink()
    moved = carrying.rename(tmp_path / "elsewhere")
    video = two_videos.parent / "a.mp4"
    assert len(tables(video, model=moved)[0]) == 30
    with pytest.raises(WeightsError, match="they were"):
        tables(video, model=model)


@pytest.mark.torch
def test_weights_are_copied_into_a_complete_run(timm_run, two_videos):
    model, store, weights = timm_run
    before = (model / "weights.safetensors").read_bytes()
    assert trained_on_timm(store, model, bundle_encoder=True) == model
    assert (model / "weights.safetensors").read_bytes() == before
    weights.unlink()
    assert len(tables(two_videos.parent / "a.mp4", model=model)[0]) == 30


@pytest.mark.torch
def test_a_run_carries_a_finetuned_encoder(two_videos, tmp_path):
    import torch
    from safetensors.torch import save_file

    from vacli.features.backbones.vit import build_vit
    from vacli.features.encoder_run import EncoderRun

    store, tuned = Path(shutil.copytree(two_videos, tmp_path / "s.zarr")), tmp_path / "tuned"
    tuned.mkdir()
    torch.manual_seed(0)
    vit = {f"encoder.{k}": v for k, v in build_vit("test_vit").state_dict().items()}
    save_file(vit, tuned / "weights.safetensors")
    EncoderRun(encoder="test_vit", objective="va", mean=(0.4,) * 3, std=(0.2,) * 3).write(tuned)
    asked = extract_visual.ExtractVisualSettings(
        inputs=(store,), feature="test_vit", weights=tuned, device="cpu"
    )
    extract_visual.run(asked)
    with pytest.raises(UsageError, match="weights to copy into the run"):
        trained_on_timm(store, tmp_path / "no", "test_vit", weights={"": tuned})
    moved = tuned.rename(tmp_path / "moved")
    with pytest.raises(WeightsError, match="they were"):
        trained_on_timm(store, tmp_path / "no", "test_vit", bundle_encoder=True)
    assert not (tmp_path / "no").exists()
    model = trained_on_timm(
        store, tmp_path / "run", "test_vit", bundle_encoder=True, weights={"test_vit": moved}
    )
    shutil.rmtree(moved)
    assert len(tables(two_videos.parent / "a.mp4", model=model)[0]) == 30


@pytest.mark.torch
def test_a_store_with_other_weights_is_refused_or_predicted_with_a_warning(timm_run, tmp_path):
    model, store, _ = timm_run
    other = timm_weights(tmp_path / "other.safetensors", seed=1)
    asked = {"feature": "test_resnet", "tag": "small", "normalise": "paper", "weights": other}
    extract_visual.run(
        extract_visual.ExtractVisualSettings(inputs=(store,), device="cpu", force=True, **asked)
    )
    made: list[FrameTable] = []
    batch = run(PredictSettings(inputs=(store,), model=model, device="cpu"), made.append)
    assert not made
    assert f"weights {short_hash(tmp_path / 'resnet.safetensors')}, not {short_hash(other)}" in (
        batch.failed[0].reason
    )
    progress = RecordingProgress()
    assert len(tables(store, progress, model=model, allow_mismatch=True)) == 2
    assert any("--allow-mismatch" in warning for warning in progress.warnings)


class Warnings(RecordingProgress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def warn(self, message: str) -> None:
        self.messages.append(message)


def test_a_warning_names_a_face_that_becomes_larger_later(tmp_path):
    small, large = scene((80, 120), zoom=0.6), scene((200, 120), somebody_else(), zoom=1.3)
    path = write_video(tmp_path / "two.mp4", [small] * 40 + [large] * 60)
    warnings = Warnings()
    parts = tables(path, warnings, live=True)
    assert {face_id for part in parts for face_id in part.columns["face_id"].tolist()} == {0}
    assert any("--face 1" in message for message in warnings.messages)
    (whole,) = tables(path)
    assert set(whole.columns["face_id"].tolist()) == {1}


def test_with_several_faces_at_the_start_nothing_is_emitted_live(tmp_path):
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
    """A synthetic voice."""
    pytest.importorskip("opensmile")
    path = tmp_path / "spoken.wav"
    write_wav(path, syllables(4.0))
    return path


def values(made: FrameTable) -> np.ndarray:
    return np.stack([made.columns[d] for d in ("valence", "arousal")], axis=1)


@pytest.mark.parametrize("model", [BUNDLED, BUNDLED_AUDIO])
def test_audio_only_estimates_are_shrunk_and_raw_values_are_not(spoken, model, tmp_path):
    copy = Path(shutil.copytree(model, tmp_path / "run"))
    (made,), (raw,) = tables(spoken, model=copy), tables(spoken, model=copy, raw=True)
    assert (np.abs(values(made)) <= np.abs(values(raw)) + 1e-6).all()
    valence = ("valence", "valence_uncertainty")
    estimate, spread = (np.stack([t.columns[name] for name in valence]) for t in (made, raw))
    assert np.abs(estimate[0]).mean() < 0.5 * np.abs(spread[0]).mean()
    assert estimate[1].min() > spread[1].max()
    assert set(raw.columns["modality"].tolist()) == {"audio"}


@pytest.fixture
def fused_model(tmp_path) -> Path:
    """The bundled model without its audio model."""
    return Path(shutil.copytree(BUNDLED, tmp_path / "fused"))


def test_the_bundled_model_gives_the_same_named_or_not(spoken, one_face):
    for path in (spoken, one_face):
        (made,), (named,) = tables(path), tables(path, model=BUNDLED)
        np.testing.assert_array_equal(values(made), values(named))


def test_a_sound_file_uses_the_audio_model(spoken, fused_model):
    (made,), (fused,) = tables(spoken), tables(spoken, model=fused_model)
    (audio,) = tables(spoken, model=BUNDLED_AUDIO)
    np.testing.assert_array_equal(values(made), values(audio))
    assert np.abs(values(made) - values(fused)).max() > 1e-3


def test_a_store_of_sound_uses_the_audio_model(spoken, tmp_path):
    store = extract_audio.run(
        extract_audio.ExtractAudioSettings(inputs=(spoken,), store=tmp_path / "feats.zarr")
    ).out
    (stored,), (made,) = tables(store), tables(spoken)
    np.testing.assert_allclose(values(stored), values(made), atol=0.01)  # features are kept as float16


def grey(path: Path, samples: np.ndarray, rate_hz: int) -> Path:
    """A grey video with the audio `samples`."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=rate_hz)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for _ in range(round(len(samples) / RATE_HZ * rate_hz)):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8))))
        pcm = np.round(samples[np.newaxis] * 32768).astype(np.int16)  # as `write_wav`
        frame = av.AudioFrame.from_ndarray(pcm, "s16", "mono")
        frame.sample_rate = RATE_HZ
        container.mux(sound.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("rate_hz", [10, 25, 60])
def test_a_video_without_a_face_equals_its_sound_at_every_frame_rate(tmp_path, rate_hz):
    pytest.importorskip("opensmile")
    samples, path = syllables(4.0), tmp_path / "spoken.wav"
    write_wav(path, samples)
    (audio,) = tables(path)
    (video,) = tables(grey(tmp_path / "grey.mkv", samples, rate_hz))
    assert len(video) == 4 * rate_hz
    assert set(video.columns["modality"].tolist()) == {"audio"}
    for name in ("valence", "arousal", "valence_uncertainty"):
        expected = np.interp(video.columns["time_s"], audio.columns["time_s"], audio.columns[name])
        np.testing.assert_allclose(video.columns[name], expected, atol=2e-3)
    (tone,) = tables(grey(tmp_path / "tone.mkv", np.sin(np.arange(64_000) / 5) * 0.3, rate_hz))
    assert set(tone.columns["modality"].tolist()) == {"none"}


@pytest.mark.parametrize("rows", [1, 3])
def test_resampling_interpolates_and_extends_the_ends(rows):
    values = np.array([[0.0, 0.5], [1.0, 0.5], [0.0, -0.5]], np.float32)[:rows]
    states = np.array(["a", "b", "c"])[:rows]
    trajectory = Trajectory(
        video="a",
        times_s=np.arange(rows) / 10,
        values=values,
        uncertainty=values,
        ensemble_std=None,
        states=states,
    )
    made = resample_trajectory(trajectory, np.array([-1, 0.02, 0.08, 0.15, 9]))
    between = [[0, 0.5], [0.2, 0.5], [0.8, 0.5], [0.5, 0], [0, -0.5]] if rows == 3 else [[0, 0.5]] * 5
    np.testing.assert_allclose(made.values, between, atol=1e-6)
    np.testing.assert_array_equal(made.uncertainty, made.values)
    assert made.ensemble_std is None
    assert made.states[[0, 1, 2, 4]].tolist() == (["a", "a", "b", "c"] if rows == 3 else ["a"] * 4)


@pytest.mark.parametrize("stored", [False, True], ids=["file", "store"])
def test_non_speech_predicts_the_prior_and_is_flagged(hum, tmp_path, stored):
    asked = hum
    if stored:
        settings = extract_audio.ExtractAudioSettings(inputs=(hum,), store=tmp_path / "feats.zarr")
        asked = extract_audio.run(settings).out
    warnings = Warnings()
    (made,) = tables(asked, warnings, fill=True)
    assert "no usable face and no speech" in warnings.messages[-1]
    assert np.abs(values(made)).max() < 1e-6
    assert set(made.columns["modality"].tolist()) == {"none"}
    assert made.columns["audio_present"].all()
    assert made.columns["valence_uncertainty"].min() > 0.5
    assert made.columns["arousal_uncertainty"].min() > 0.3


@pytest.mark.parametrize("live", [False, True])
def test_frames_without_face_and_speech_have_values_only_with_fill(tmp_path, live):
    there = [scene((110, 120))] * 40 + [scene(None)] * 20
    path = write_video(tmp_path / "gone.mp4", there)
    made, filled = tables(path, live=live), tables(path, live=live, fill=True)
    for parts, has_values in ((made, False), (filled, True)):
        valid = np.concatenate([part.valid for part in parts])
        assert valid.tolist() == [True] * 40 + [False] * 20
        for name in ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty"):
            column = np.concatenate([part.columns[name] for part in parts])
            assert np.isfinite(column[valid]).all()
            assert np.isfinite(column[~valid]).all() == has_values
            assert np.isfinite(column[~valid]).any() == has_values


@pytest.fixture(scope="module")
def half_blurred(tmp_path_factory) -> Path:
    """Forty frames of one face; the second half is blurred."""
    clear = scene((110, 120))
    blurred = np.asarray(Image.fromarray(clear).filter(ImageFilter.GaussianBlur(4)))
    return write_video(tmp_path_factory.mktemp("video") / "blurred.mp4", [clear] * 20 + [blurred] * 20)


@pytest.mark.parametrize("live", [False, True])
def test_frames_of_low_quality_are_left_out(half_blurred, live):
    (plain,) = tables(half_blurred)
    quality = plain.columns["quality"]
    assert quality[:18].min() > 0.9
    assert quality[22:].max() < 0.8
    assert set(plain.columns["quality_limit"][22:].tolist()) == {"sharpness"}
    progress = RecordingProgress()
    parts = tables(half_blurred, progress, live=live, min_quality=0.85)
    below = quality < 0.85
    np.testing.assert_array_equal(np.concatenate([part.valid for part in parts]), ~below)
    valence = np.concatenate([part.columns["valence"] for part in parts])
    np.testing.assert_allclose(valence, np.where(below, np.nan, plain.columns["valence"]), atol=1e-5)
    count = f"{below.sum()} of 40 frames ({100 * below.mean():.1f} %)"
    reason = f"have a quality below 0.85 and are left out: sharpness {below.sum()}"
    assert progress.messages[-1] == f"{count} {reason}"


def test_frames_of_a_store_have_the_quality_of_the_video(half_blurred, tmp_path):
    store = tmp_path / "feats.zarr"
    align.run(align.AlignSettings(inputs=(half_blurred,), store=store))
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), feature="compact"))
    extract_audio.run(extract_audio.ExtractAudioSettings(inputs=(half_blurred,), store=store))
    (stored,), (made,) = tables(store), tables(half_blurred)
    np.testing.assert_allclose(stored.columns["quality"], made.columns["quality"], atol=0.05)


def test_a_stored_video_without_a_face_uses_the_audio_model(tmp_path, fused_model):
    pytest.importorskip("opensmile")
    video = write_video(tmp_path / "nobody.mp4", [scene(None)] * 10)
    store = tmp_path / "feats.zarr"
    align.run(align.AlignSettings(inputs=(video,), store=store))
    extract_visual.run(extract_visual.ExtractVisualSettings(inputs=(store,), feature="compact"))
    extract_audio.run(extract_audio.ExtractAudioSettings(inputs=(video,), store=store))
    (stored,), (made,) = tables(store, fill=True), tables(video, fill=True)
    np.testing.assert_allclose(values(stored), values(made), atol=1e-5)
    (fused,) = tables(store, model=fused_model, fill=True)
    assert np.abs(values(stored) - values(fused)).max() > 1e-3


def test_one_frame_with_a_face_selects_the_audiovisual_model():
    loaded = LoadedModel(load_run(BUNDLED), observation.Extractors({}, {}))
    assert loaded.select_model(np.array([False, False])).model.postprocess.audio_only
    assert not loaded.select_model(np.array([True, False])).model.postprocess.audio_only
    with_audio_model = replace(loaded, audio_model=load_run(BUNDLED_AUDIO))
    assert with_audio_model.audio_model.postprocess.audio_only
    assert with_audio_model.select_model(np.array([False])).model.path == BUNDLED_AUDIO
    assert with_audio_model.select_model(np.array([True])).model.path == BUNDLED


def test_one_recording_is_checked_before_the_prediction(tmp_path):
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, np.zeros(RATE_HZ, np.float32))
    tables: list[FrameTable] = []
    for inputs in ((tmp_path,), (tmp_path / "a.wav", tmp_path / "b.wav")):
        with pytest.raises(UsageError, match="the output file holds one recording, and there are 2"):
            run(PredictSettings(inputs=inputs, one_recording=True), tables.append)
    assert tables == []
    run(PredictSettings(inputs=(tmp_path / "a.wav",), one_recording=True), tables.append)
    assert len(tables) == 1


def test_one_recording_of_a_store_is_checked_before_the_prediction(tmp_path):
    for number, name in enumerate(("a.wav", "b.wav")):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_wav(tmp_path / "in" / name, np.full(RATE_HZ, 0.1 * number, np.float32))
    extraction = extract_audio.ExtractAudioSettings(inputs=(tmp_path / "in",), store=tmp_path / "s.zarr")
    store = extract_audio.run(extraction).out
    tables: list[FrameTable] = []
    with pytest.raises(UsageError, match="the output file holds one recording, and there are 2"):
        run(PredictSettings(inputs=(store,), one_recording=True), tables.append)
    assert tables == []


def test_the_option_face_is_not_ignored_in_silence_for_a_store(tmp_path):
    write_wav(tmp_path / "a.wav", np.full(RATE_HZ, 0.1, np.float32))
    extraction = extract_audio.ExtractAudioSettings(inputs=(tmp_path / "a.wav",), store=tmp_path / "s.zarr")
    store = extract_audio.run(extraction).out
    for face, warned in (("left", True), ("largest", False)):
        progress = RecordingProgress()
        run(PredictSettings(inputs=(store,), face=face), lambda table: None, progress)
        assert any(w.startswith(f"--face {face} is not used") for w in progress.warnings) == warned
    progress = RecordingProgress()
    given = frozenset({"face", "backend", "device"})
    run(PredictSettings(inputs=(store,), given=given), lambda table: None, progress)
    unused = [w for w in progress.warnings if w.startswith("--")]
    assert [w.partition(":")[0].split(" is")[0] for w in unused] == ["--backend", "--face largest"]
