"""Stills and utterances become sequences; the same seed gives the same ones, another is not mixed in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vacli.errors import StoreError
from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.steps.compose import ComposeSettings, run
from vacli.store import Store

STILLS, FRAMES = 60, 30


def put(store: Store, video: str, count: int, features: tuple[FeatureSpec, ...], **about: str) -> None:
    rng = np.random.default_rng(count)
    store.add_video(video, np.arange(count) / 25, source={"name": video, "sha256": video}, stream={})
    for spec in features:
        values = rng.normal(size=(count, spec.dim)).astype(np.float32)
        store.put_feature(video, spec.attributes(), values, np.zeros(count, np.uint8))
    with store.stage(video, "label", about) as writer:
        for name in ("valence", "arousal"):
            writer.append(name, rng.uniform(-1, 1, count).astype(np.float32))


@pytest.fixture
def settings(tmp_path):
    face = FeatureSpec(name="compact", version="1", modality=VISUAL, dim=4)
    voice = tuple(FeatureSpec(name=n, version="1", modality=AUDIO, dim=3) for n in ("egemaps", "mfcc39"))
    stills = Store.open_or_create(tmp_path / "faces.zarr")
    put(stills, "stills", STILLS, (face,), split="train")
    put(stills, "others", STILLS + 1, (face,), split="validation")

    def made(speakers: int = 6, **more: int) -> ComposeSettings:
        voices = Store.open_or_create(tmp_path / f"voices{speakers}.zarr")
        for number in range(speakers):
            put(voices, f"u{number}", FRAMES + number, voice, subject=f"speaker{number}")
        return ComposeSettings(tmp_path / "faces.zarr", voices.path, tmp_path / "mix.zarr", **more)

    return made


def labels(path: Path) -> list[np.ndarray]:
    return [view.read("label/valence") for view in Store.open(path).videos()]


def test_what_is_there_stays_and_the_rest_is_added(settings):
    first = run(settings(sequences=2))
    before = labels(first.out)
    again = run(settings(sequences=3))
    assert (again.done, again.skipped) == (["mix-00002"], ["mix-00000", "mix-00001"])
    for old, new in zip(before, labels(again.out), strict=False):
        np.testing.assert_array_equal(old, new)
    groups = [v.part_attrs("label")["subject"] for v in Store.open(again.out).videos()]
    assert groups == ["group-0", "group-1", "group-2"]


def test_another_seed_is_not_mixed_in(settings):
    run(settings(sequences=1))
    with pytest.raises(StoreError, match="another seed"):
        run(settings(sequences=2, seed=3))


def test_too_few_speakers_for_the_groups(settings):
    with pytest.raises(StoreError, match="5 speakers for 5 groups"):
        run(settings(speakers=5))


def test_those_who_are_held_back_are_in_no_group(settings):
    made = settings(sequences=10)
    voice_of = {}
    for store, held in ((made.store, False), (made.store.with_name("held.zarr"), True)):
        run(replace(made, store=store, held=held))
        views = Store.open(store).videos()
        voice_of[held] = {x for v in views for x in v.feature("egemaps")[0].ravel().tolist() if x == x}
        subjects = {v.part_attrs("label")["subject"] for v in views}
        assert ("held" in subjects) is held
    assert voice_of[True].isdisjoint(voice_of[False])
    with pytest.raises(StoreError, match="or of others"):
        run(replace(made, held=True))
