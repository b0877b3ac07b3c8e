"""Labelled stills and utterances into a store of sequences, in groups that share nobody."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.datasets.sampling_weights import balanced_weights
from vacli.datasets.synthesis import (
    FaceExamples,
    SourceMaterial,
    SynthesisConfig,
    SyntheticSequence,
    UtteranceFeatures,
    synthesize,
)
from vacli.errors import StoreError
from vacli.features.flags import MISSING
from vacli.progress import Progress, Quiet
from vacli.steps._batch import Batch
from vacli.store import Store, VideoView

FACE_FEATURE = "compact"
VOICE_FEATURES = ("egemaps", "mfcc39")
HELD_BACK = 6  # every sixth speaker
LOUDNESS = ("egemaps", 0)  # feature and column that tell silence from speech
SPEECH_ABOVE = 0.15  # of the way from the quietest frame to the loud ones

STORED_NAMES = {  # of a store's attributes, where they differ from the fields of `SynthesisConfig`
    "p_single_utterance": "solo",
    "p_non_speech": "speechless",
    "trim_silence": "cut",
    "p_disagree": "disagree",
    "p_no_face": "no_face",
    "p_no_voice": "no_voice",
    "p_pause": "pause",
    "p_face_gap": "gap",
    "label_radius": "near",
    "face_noise": "noise",
}


@dataclass(frozen=True, eq=False)
class Speaker:
    """Somebody's utterances, and the probability of each; None: all equal."""

    voices: list[UtteranceFeatures]
    sampling_weights: np.ndarray | None


@dataclass(frozen=True)
class SynthesizeSettings:
    """Stores with stills and with utterances, the store to write, and how much of what.

    `groups` are disjoint in faces and speakers; they are the subjects that cross-validation keeps apart.
    A sixth of the speakers, and the faces of the validation split, are left for `held`, so that a run can be
    measured on people whom none of its models has seen. `balanced`: each speaker's utterances are drawn by
    `balanced_weights`, not evenly.
    """

    faces: Path
    voices: Path
    store: Path
    sequences: int = 600
    groups: int = 5
    seed: int = 42
    holdout: bool = False
    balanced: bool = False
    mixture: SynthesisConfig = SynthesisConfig()


def run(settings: SynthesizeSettings, progress: Progress = Quiet()) -> Batch:
    """Write `sequences` composed videos with features and labels; the same seed gives the same store."""
    faces = _faces(Store.open(settings.faces), "validation" if settings.holdout else "train")
    speakers, backgrounds = _voices(settings, progress)
    groups = _groups_of(sorted(speakers), settings)
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
                own = faces if settings.holdout else _group(faces, group, settings.groups)
                names = groups[0 if settings.holdout else group]
                who = speakers[names[int(rng.integers(len(names)))]]
                material = SourceMaterial(own, who.voices, backgrounds, who.sampling_weights)
                made = synthesize(material, settings.mixture, rng)
                attributes = _about(settings, group)
                _write(store, video, made, specs, attributes)
                batch.done.append(video)
            advance(1)
    return batch


def _faces(store: Store, split: str) -> FaceExamples:
    """All labelled stills of one of a store's splits."""
    views = [v for v in store.videos() if v.has("label") and v.part_attrs("label").get("split") == split]
    if not views:
        raise StoreError(
            f"store {store.path} has no labelled stills in its {split} split",
            hint="run `va bundled-model import` first",
        )
    rows = np.concatenate([v.feature(FACE_FEATURE)[0] for v in views]).astype(np.float32)
    labels = np.concatenate([v.labels() for v in views])
    usable = np.isfinite(rows).all(1) & np.isfinite(labels).all(1)
    return FaceExamples(rows[usable], labels[usable])


def _voices(
    settings: SynthesizeSettings, progress: Progress
) -> tuple[dict[str, Speaker], list[UtteranceFeatures]]:
    """Speakers by name, and sounds without speech."""
    found: dict[str, list[UtteranceFeatures]] = {}
    views = [v for v in Store.open(settings.voices).videos() if v.has("label")]
    with progress.task("read voices", len(views), "files") as advance:
        for view in views:
            features = {name: view.feature(name)[0].astype(np.float32) for name in VOICE_FEATURES}
            speaker = str(view.part_attrs("label").get("subject", ""))
            voice = UtteranceFeatures(features, view.labels()[0])
            if speaker and settings.mixture.trim_silence:
                voice = replace(voice, silence_frames=_quiet(features[LOUDNESS[0]][:, LOUDNESS[1]]))
            found.setdefault(speaker, []).append(voice)
            advance(1)
    backgrounds = found.pop("", [])
    return {name: _speaker(voices, settings.balanced) for name, voices in found.items()}, backgrounds


def _quiet(loudness: np.ndarray) -> tuple[int, int]:
    """How many frames of silence an utterance begins and ends with; loudness (T,), any unit."""
    quietest, loud = np.nanmin(loudness), np.nanpercentile(loudness, 95)
    speech = np.flatnonzero(loudness > quietest + SPEECH_ABOVE * (loud - quietest))
    return (int(speech[0]), len(loudness) - 1 - int(speech[-1])) if speech.size else (0, 0)


def _speaker(voices: list[UtteranceFeatures], balanced: bool) -> Speaker:
    weights = balanced_weights(np.stack([voice.label for voice in voices])) if balanced else None
    return Speaker(voices, weights)


def _group(faces: FaceExamples, group: int, groups: int) -> FaceExamples:
    mine = np.arange(len(faces.labels)) % groups == group
    return FaceExamples(faces.rows[mine], faces.labels[mine])


def _groups_of(names: list[str], settings: SynthesizeSettings) -> list[list[str]]:
    """The speakers of every group, or, in one, those who are held back."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    held = ordered[HELD_BACK - 1 :: HELD_BACK]
    rest = [name for name in ordered if name not in held]
    if not held or len(rest) < settings.groups:
        raise StoreError(
            f"store {settings.voices}: {len(names)} speakers for {settings.groups} groups and some held",
            hint="give fewer --groups, or add speakers with `va bundled-model import`",
        )
    return (
        [held] if settings.holdout else [rest[group :: settings.groups] for group in range(settings.groups)]
    )


def _specs(settings: SynthesizeSettings) -> dict[str, dict]:
    """Specs of the features as they were extracted."""
    face = Store.open(settings.faces).videos()[0].part_attrs(f"feature/{FACE_FEATURE}")
    voice = Store.open(settings.voices).videos()[0]
    return {FACE_FEATURE: face} | {name: voice.part_attrs(f"feature/{name}") for name in VOICE_FEATURES}


def _about(settings: SynthesizeSettings, group: int) -> dict[str, object]:
    subject = "held" if settings.holdout else f"group-{group}"
    how = {"groups": settings.groups, "balanced": settings.balanced, **_stored(settings.mixture)}
    return {"split": "", "subject": subject, "category_mapped": True, "seed": settings.seed, **how}


def _stored(config: SynthesisConfig) -> dict[str, object]:
    return {STORED_NAMES.get(name, name): value for name, value in asdict(config).items()}


def _check_same(view: VideoView, about: dict[str, object]) -> None:
    stored = view.part_attrs("label")
    other = [key for key, value in about.items() if stored.get(key) != value]
    if other:
        raise StoreError(
            f"{view.path} was composed with another {', another '.join(other)}",
            hint="name a new store with -o",
        )


def _write(
    store: Store, video: str, made: SyntheticSequence, specs: dict[str, dict], attributes: dict[str, object]
) -> None:
    times = regular_times(len(made.labels), SOUND_CLOCK_HZ)
    store.add_video(video, times, source={"name": video}, stream={"kind": "synthetic"})
    for name, values in {FACE_FEATURE: made.face, **made.voice}.items():
        missing = np.isnan(values).any(axis=1)
        store.put_feature(video, specs[name], values, (missing * MISSING).astype(np.uint8))
    with store.stage(video, "label", attributes) as writer:
        writer.append("valence", made.labels[:, 0])
        writer.append("arousal", made.labels[:, 1])
