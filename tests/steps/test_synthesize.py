"""Images and utterances are combined into sequences; equal seeds give equal ones, seeds are not mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vacli.datasets.synthesis import UTTERANCES, SynthesisConfig
from vacli.errors import StoreError
from vacli.sequences.stored import stored_difficulty
from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.steps.synthesize import SynthesizeSettings, run
from vacli.store import Store

IMAGES, FRAMES = 60, 30


def put(
    store: Store, video: str, count: int, features: tuple[FeatureSpec, ...], point=None, **about: str
) -> None:
    rng = np.random.default_rng(count)
    store.add_video(video, np.arange(count) / 25, source={"name": video, "sha256": video}, stream={})
    for spec in features:
        values = rng.normal(size=(count, spec.dim)).astype(np.float32)
        store.put_feature(video, spec.attributes(), values, np.zeros(count, np.uint8))
    with store.stage(video, "label", about) as writer:
        for column, name in enumerate(("valence", "arousal")):
            values = rng.uniform(-1, 1, count) if point is None else np.full(count, point[column])
            writer.append(name, values.astype(np.float32))


FACE = FeatureSpec(name="compact", version="1", modality=VISUAL, dim=4)
VOICE = tuple(FeatureSpec(name=n, version="1", modality=AUDIO, dim=3) for n in ("egemaps", "mfcc39"))


@pytest.fixture
def settings(tmp_path):
    images = Store.open_or_create(tmp_path / "faces.zarr")
    put(images, "images", IMAGES, (FACE,), split="train")
    put(images, "others", IMAGES + 1, (FACE,), split="validation")

    def made(speakers: int = 6, **more: int) -> SynthesizeSettings:
        voices = Store.open_or_create(tmp_path / f"voices{speakers}.zarr")
        for number in range(speakers):
            put(voices, f"u{number}", FRAMES + number, VOICE, subject=f"speaker{number}")
        return SynthesizeSettings(tmp_path / "faces.zarr", voices.path, tmp_path / "mix.zarr", **more)

    return made


def labels(path: Path) -> list[np.ndarray]:
    return [view.read("label/valence") for view in Store.open(path).videos()]


def test_stored_sequences_are_kept_and_missing_ones_are_added(settings):
    first = run(settings(sequences=2))
    before = labels(first.out)
    again = run(settings(sequences=3))
    assert (again.done, again.skipped) == (["mix-00002"], ["mix-00000", "mix-00001"])
    for old, new in zip(before, labels(again.out), strict=False):
        np.testing.assert_array_equal(old, new)
    groups = [v.part_attrs("label")["subject"] for v in Store.open(again.out).videos()]
    assert groups == ["group-0", "group-1", "group-2"]


def test_another_seed_or_mixture_raises(settings):
    run(settings(sequences=1))
    with pytest.raises(StoreError, match="another seed"):
        run(settings(sequences=2, seed=3))
    with pytest.raises(StoreError, match="another solo"):
        run(settings(sequences=2, mixture=UTTERANCES))
    with pytest.raises(StoreError, match="another pause"):
        run(settings(sequences=2, mixture=SynthesisConfig(p_pause=0.1)))


def test_too_few_speakers_for_the_groups_raise(settings):
    with pytest.raises(StoreError, match="5 speakers are too few for 4 groups and a holdout"):
        run(settings(speakers=5, groups=4))
    with pytest.raises(StoreError, match="speakers are too few for 6 groups"):
        run(settings(groups=6))


@pytest.mark.parametrize("groups", [1, 3, 5])
def test_held_out_speakers_are_in_no_group(settings, groups):
    made = settings(sequences=10, groups=groups)
    voice_of = {}
    for store, holdout in ((made.store, False), (made.store.with_name("held.zarr"), True)):
        run(replace(made, store=store, holdout=holdout))
        views = Store.open(store).videos()
        voice_of[holdout] = {x for v in views for x in v.feature("egemaps")[0].ravel().tolist() if x == x}
        subjects = {v.part_attrs("label")["subject"] for v in views}
        assert ("held" in subjects) is holdout
        assert {v.id.split("-")[0] for v in views} == {"held" if holdout else "mix"}
    assert voice_of[True].isdisjoint(voice_of[False])
    with pytest.raises(StoreError, match="another choice of --holdout"):
        run(replace(made, holdout=True))


def test_balanced_sampling_removes_the_correlation_of_valence_and_arousal(settings):
    """Nine of ten utterances are loud and unpleasant or calm and pleasant; all are sampled evenly."""
    made = settings(
        sequences=24,
        groups=1,
        balanced=True,
        mixture=SynthesisConfig(p_single_utterance=1, p_pause=0, p_no_voice=0),
    )
    voices = Store.open_or_create(made.store.with_name("acted.zarr"))
    for speaker in ("anna", "bert", "cleo", "dora", "emil", "finn"):
        for number in range(10):
            valence, loud = (-1) ** (number % 2), number % 2
            arousal = loud if number < 9 else 1 - loud
            put(voices, f"{speaker}{number}", FRAMES, VOICE, point=(valence / 2, arousal), subject=speaker)
    run(replace(made, voices=voices.path))
    valence, arousal = np.array(
        [[v.read(f"label/{d}")[0] for d in ("valence", "arousal")] for v in Store.open(made.store).videos()]
    ).T
    rare = (valence > 0) == (arousal > 0.5)
    assert 7 <= rare.sum() <= 17  # of 24; with the frequency of the corpus 2


def test_silence_at_the_edges_is_trimmed_by_loudness(settings):
    made = settings(
        sequences=20, groups=1, mixture=SynthesisConfig(p_single_utterance=1, p_pause=0, trim_silence=True)
    )
    voices = Store.open(made.voices)
    for view in voices.videos():
        loudness = np.full((len(view.times_s), 3), 0.01, np.float32)
        loudness[8:20] = 1
        flags = np.zeros(len(loudness), np.uint8)
        voices.put_feature(view.id, VOICE[0].attributes(), loudness, flags)
    run(made)
    synthetic = [view.feature("egemaps")[0][:, 0] for view in Store.open(made.store).videos()]
    assert all((loudness > 0.5).sum() == 12 for loudness in synthetic)
    assert len({int(np.argmax(loudness > 0.5)) for loudness in synthetic}) > 3
    assert len({int(np.argmax(loudness[::-1] > 0.5)) for loudness in synthetic}) > 3


def add_condition(store: Store, video: str, sharpness: float) -> None:
    """A video of labelled validation images with one sharpness."""
    put(store, video, IMAGES, (FACE,), split="validation")
    with store.stage(video, "face", {}) as writer:
        writer.append("sharpness", np.full(IMAGES, sharpness, np.float32))
    rows = np.random.default_rng(0).normal(size=(IMAGES, FACE.dim)).astype(np.float32)
    store.put_feature(video, FACE.attributes(), rows, np.zeros(IMAGES, np.uint8))


def test_a_sequence_shows_faces_of_one_video_with_their_difficulty(settings):
    made = settings(sequences=8, groups=2, holdout=True, mixture=SynthesisConfig(p_single_utterance=0))
    faces = Store.open_or_create(made.faces.with_name("degraded.zarr"))
    add_condition(faces, "blurred", 0.005)
    add_condition(faces, "clear", 0.5)
    run(replace(made, faces=faces.path))
    views = Store.open(made.store).videos()
    for view, expected in zip(views, (1, 1, 0, 0, 1, 1, 0, 0), strict=True):
        shown = view.read("face/detected")
        np.testing.assert_array_equal(shown, np.isfinite(view.feature("compact")[0]).all(axis=1))
        np.testing.assert_allclose(stored_difficulty(view), expected * shown, atol=1e-6)
