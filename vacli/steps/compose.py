"""Labelled stills and utterances into a store of sequences, in groups that share nobody."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.errors import StoreError
from vacli.features.flags import MISSING
from vacli.progress import Progress, Quiet
from vacli.sequences.compose import Composed, Faces, Material, Mixture, Voice, compose
from vacli.steps.batch import Batch
from vacli.store import Store, VideoView

FACE_FEATURE = "compact"
VOICE_FEATURES = ("egemaps", "mfcc39")


@dataclass(frozen=True)
class ComposeSettings:
    """Stores with stills and with utterances, the store to write, and how much of what.

    `groups` are disjoint in faces and speakers; they are the subjects that cross-validation keeps apart.
    One group of speakers more, and the faces of the validation split, are left for `held`, so that a run
    can be measured on people whom none of its models has seen.
    """

    faces: Path
    voices: Path
    store: Path
    sequences: int = 600
    groups: int = 5
    seed: int = 42
    held: bool = False
    mixture: Mixture = Mixture()


def run(settings: ComposeSettings, progress: Progress = Quiet()) -> Batch:
    """Write `sequences` composed videos with features and labels; the same seed gives the same store."""
    faces = _faces(Store.open(settings.faces), "validation" if settings.held else "train")
    speakers, backgrounds = _voices(Store.open(settings.voices), progress)
    if len(speakers) <= settings.groups:
        raise StoreError(
            f"store {settings.voices} has {len(speakers)} speakers for {settings.groups} groups and one more",
            hint="run `va corpus ravdess` or `va corpus emodb` first",
        )
    specs = _specs(settings)
    store = Store.open_or_create(settings.store)
    batch = Batch(settings.store)
    with progress.task("compose", settings.sequences, "sequences") as advance:
        for number in range(settings.sequences):
            group = number % settings.groups
            video = f"mix-{number:05d}"
            if video in store and store.video(video).has("label"):
                _check_same(store.video(video), _about(settings, group))
                batch.skipped.append(video)
            else:
                rng = np.random.default_rng([settings.seed, number])
                own = faces if settings.held else _group(faces, group, settings.groups)
                voices = _one_speaker(
                    speakers, settings.groups if settings.held else group, settings.groups, rng
                )
                made = compose(Material(own, voices, backgrounds), settings.mixture, rng)
                attributes = _about(settings, group)
                _write(store, video, made, specs, attributes)
                batch.done.append(video)
            advance(1)
    return batch


def _faces(store: Store, split: str) -> Faces:
    """All labelled stills of one of a store's splits."""
    views = [v for v in store.videos() if v.has("label") and v.part_attrs("label").get("split") == split]
    if not views:
        raise StoreError(
            f"store {store.path} has no labelled stills in its {split} split", hint="run `va corpus` first"
        )
    rows = np.concatenate([v.feature(FACE_FEATURE)[0] for v in views]).astype(np.float32)
    labels = np.concatenate([_labels(v) for v in views])
    usable = np.isfinite(rows).all(1) & np.isfinite(labels).all(1)
    return Faces(rows[usable], labels[usable])


def _labels(view: VideoView) -> np.ndarray:
    return np.stack([view.read("label/valence"), view.read("label/arousal")], axis=1)


def _voices(store: Store, progress: Progress) -> tuple[dict[str, list[Voice]], list[Voice]]:
    """Labelled utterances by speaker, and sounds without speech."""
    found: dict[str, list[Voice]] = {}
    views = [v for v in store.videos() if v.has("label")]
    with progress.task("read voices", len(views), "files") as advance:
        for view in views:
            features = {name: view.feature(name)[0].astype(np.float32) for name in VOICE_FEATURES}
            speaker = str(view.part_attrs("label").get("subject", ""))
            found.setdefault(speaker, []).append(Voice(features, _labels(view)[0]))
            advance(1)
    return found, found.pop("", [])


def _group(faces: Faces, group: int, groups: int) -> Faces:
    mine = np.arange(len(faces.labels)) % groups == group
    return Faces(faces.rows[mine], faces.labels[mine])


def _one_speaker(
    speakers: dict[str, list[Voice]], group: int, groups: int, rng: np.random.Generator
) -> list[Voice]:
    ordered = sorted(speakers, key=lambda name: hashlib.sha256(name.encode()).digest())
    mine = ordered[group :: groups + 1]
    return speakers[mine[int(rng.integers(len(mine)))]]


def _specs(settings: ComposeSettings) -> dict[str, dict]:
    """Specs of the features as they were extracted."""
    face = Store.open(settings.faces).videos()[0].part_attrs(f"feature/{FACE_FEATURE}")
    voice = Store.open(settings.voices).videos()[0]
    return {FACE_FEATURE: face} | {name: voice.part_attrs(f"feature/{name}") for name in VOICE_FEATURES}


def _about(settings: ComposeSettings, group: int) -> dict[str, object]:
    subject = "held" if settings.held else f"group-{group}"
    return {"split": "", "subject": subject, "mapped": True, "seed": settings.seed}


def _check_same(view: VideoView, about: dict[str, object]) -> None:
    stored = view.part_attrs("label")
    if any(stored.get(key) != about[key] for key in ("seed", "subject")):
        raise StoreError(
            f"{view.path} was composed with another seed or of others", hint="name a new store with -o"
        )


def _write(
    store: Store, video: str, made: Composed, specs: dict[str, dict], attributes: dict[str, object]
) -> None:
    times = regular_times(len(made.labels), SOUND_CLOCK_HZ)
    store.add_video(video, times, source={"name": video}, stream={"kind": "composed"})
    for name, values in {FACE_FEATURE: made.face, **made.voice}.items():
        missing = np.isnan(values).any(axis=1)
        store.put_feature(video, specs[name], values, (missing * MISSING).astype(np.uint8))
    with store.stage(video, "label", attributes) as writer:
        writer.append("valence", made.labels[:, 0])
        writer.append("arousal", made.labels[:, 1])
