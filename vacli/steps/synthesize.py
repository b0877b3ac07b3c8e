"""`va bundled-model synthesize`: combine labelled images and utterances into sequences of disjoint groups."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
from vacli.pipeline.face_spool import COLUMNS
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import Batch
from vacli.store import Store, VideoView
from vacli.store.writer import JsonDict

FACE_FEATURE = "compact"
FACE_MEASURES = {"score": (), "box": (4,), "landmarks": (5, 2), "sharpness": ()}  # name -> shape of a row
VOICE_FEATURES = ("egemaps", "mfcc39")
HOLDOUT_STRIDE = 6  # every sixth speaker is held out
LOUDNESS = ("egemaps", 0)  # feature and column that separate speech from silence
SPEECH_THRESHOLD = 0.15  # fraction of the range from the minimum to the 95th percentile of loudness

STORED_NAMES = {  # field of `SynthesisConfig` -> attribute of a store, if the two differ
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
    """The utterances of one speaker and the probability of each; None: all are equal."""

    utterances: list[UtteranceFeatures]
    sampling_weights: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Condition:
    """The labelled images of one video of a store.

    measures: name -> (N, ...) of FACE_MEASURES. name: of the degradation, "" for none.
    """

    examples: FaceExamples
    measures: Mapping[str, np.ndarray]
    name: str

    def rows(self, kept: np.ndarray) -> _Condition:
        """Some of the images; kept: (N,) bool."""
        examples = FaceExamples(self.examples.rows[kept], self.examples.labels[kept])
        return _Condition(examples, {name: x[kept] for name, x in self.measures.items()}, self.name)


@dataclass(frozen=True)
class SynthesizeSettings:
    """Stores with images and with utterances, the store to write, and the synthesis.

    `groups` are disjoint in faces and speakers; cross-validation uses them as subjects. A sixth of the
    speakers and the faces of the validation split are reserved for `holdout`, so that a run can be evaluated
    on people that none of its models was trained on. A sequence has the images of one video of the store, so
    that all of its faces are degraded in the same way. `balanced`: each speaker's utterances are sampled with
    `balanced_weights`, not uniformly.
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


def run(settings: SynthesizeSettings, progress: Progress | None = None) -> Batch:
    """Write `sequences` synthetic videos with features and labels; the same seed gives the same store."""
    progress = progress or RecordingProgress()
    conditions = _conditions(Store.open(settings.faces), "validation" if settings.holdout else "train")
    speakers, backgrounds = _utterances(settings, progress)
    groups = _groups_of(sorted(speakers), settings)
    specs = _specs(settings)
    name, other = ("held", "mix") if settings.holdout else ("mix", "held")  # a run knows its videos by name
    store = Store.open_or_create(settings.store)
    if f"{other}-{0:05d}" in store:
        raise StoreError(
            f"{settings.store} was synthesized with another choice of --holdout",
            hint="choose a new store with -o",
        )
    batch = Batch(settings.store)
    with progress.task("synthesize", settings.sequences, "sequences") as advance:
        for number in range(settings.sequences):
            group = number % settings.groups
            video = f"{name}-{number:05d}"
            if video in store and store.video(video).has("label"):
                _check_same(store.video(video), _attributes(settings, group))
                batch.skipped.append(video)
            else:
                rng = np.random.default_rng([settings.seed, number])
                faces = conditions[number // settings.groups % len(conditions)]
                own = faces if settings.holdout else _group(faces, group, settings.groups)
                names = groups[0 if settings.holdout else group]
                speaker = speakers[names[int(rng.integers(len(names)))]]
                material = SourceMaterial(
                    own.examples, speaker.utterances, backgrounds, speaker.sampling_weights
                )
                sequence = synthesize(material, settings.mixture, rng)
                _add_sequence(store, video, sequence, own.measures)
                condition = {"condition": own.name} if own.name else {}
                _write(store, video, sequence, specs, _attributes(settings, group) | condition)
                batch.done.append(video)
            advance(1)
    return batch


def _conditions(store: Store, split: str) -> list[_Condition]:
    """The labelled images of each video in one split of a store."""
    views = [v for v in store.videos() if v.has("label") and v.part_attrs("label").get("split") == split]
    if not views:
        raise StoreError(
            f"store {store.path} has no labelled images in its {split} split",
            hint="run `va bundled-model import` first",
        )
    return [_condition(view) for view in views]


def _condition(view: VideoView) -> _Condition:
    examples = FaceExamples(view.feature(FACE_FEATURE)[0].astype(np.float32), view.labels())
    count = len(view.times_s)
    measures = {
        name: view.read(f"face/{name}") if view.has(f"face/{name}") else np.full((count, *shape), np.nan)
        for name, shape in FACE_MEASURES.items()
    }
    usable = np.isfinite(examples.rows).all(1) & np.isfinite(examples.labels).all(1)
    return _Condition(examples, measures, str(view.part_attrs("label").get("condition", ""))).rows(usable)


def _utterances(
    settings: SynthesizeSettings, progress: Progress
) -> tuple[dict[str, Speaker], list[UtteranceFeatures]]:
    """The speakers by name, and the sounds without speech."""
    found: dict[str, list[UtteranceFeatures]] = {}
    views = [v for v in Store.open(settings.voices).videos() if v.has("label")]
    with progress.task("read utterances", len(views), "files") as advance:
        for view in views:
            features = {name: view.feature(name)[0].astype(np.float32) for name in VOICE_FEATURES}
            speaker = str(view.part_attrs("label").get("subject", ""))
            utterance = UtteranceFeatures(features, view.labels()[0])
            if speaker and settings.mixture.trim_silence:
                utterance = replace(
                    utterance, silence_frames=_edge_silence(features[LOUDNESS[0]][:, LOUDNESS[1]])
                )
            found.setdefault(speaker, []).append(utterance)
            advance(1)
    backgrounds = found.pop("", [])
    return {name: _speaker(utterances, settings.balanced) for name, utterances in found.items()}, backgrounds


def _edge_silence(loudness: np.ndarray) -> tuple[int, int]:
    """The numbers of silent frames at the start and the end of an utterance; loudness (T,), any unit."""
    quietest, loud = np.nanmin(loudness), np.nanpercentile(loudness, 95)
    speech = np.flatnonzero(loudness > quietest + SPEECH_THRESHOLD * (loud - quietest))
    return (int(speech[0]), len(loudness) - 1 - int(speech[-1])) if speech.size else (0, 0)


def _speaker(utterances: list[UtteranceFeatures], balanced: bool) -> Speaker:
    weights = balanced_weights(np.stack([u.label for u in utterances])) if balanced else None
    return Speaker(utterances, weights)


def _group(faces: _Condition, group: int, groups: int) -> _Condition:
    return faces.rows(np.arange(len(faces.examples.labels)) % groups == group)


def _groups_of(names: list[str], settings: SynthesizeSettings) -> list[list[str]]:
    """The speakers of each group; with `holdout` one group with the held-out speakers."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    holdout = ordered[HOLDOUT_STRIDE - 1 :: HOLDOUT_STRIDE]
    rest = [name for name in ordered if name not in holdout]
    if not holdout or len(rest) < settings.groups:
        raise StoreError(
            f"store {settings.voices}: {len(names)} speakers are too few for {settings.groups} groups "
            "and a holdout",
            hint="give fewer --groups, or add speakers with `va bundled-model import`",
        )
    if settings.holdout:
        return [holdout]
    return [rest[group :: settings.groups] for group in range(settings.groups)]


def _specs(settings: SynthesizeSettings) -> dict[str, JsonDict]:
    """The stored specs of the features."""
    face = Store.open(settings.faces).videos()[0].part_attrs(f"feature/{FACE_FEATURE}")
    voice = Store.open(settings.voices).videos()[0]
    return {FACE_FEATURE: face} | {name: voice.part_attrs(f"feature/{name}") for name in VOICE_FEATURES}


def _attributes(settings: SynthesizeSettings, group: int) -> dict[str, object]:
    subject = "held" if settings.holdout else f"group-{group}"
    config = {"groups": settings.groups, "balanced": settings.balanced, **_stored(settings.mixture)}
    return {"split": "", "subject": subject, "category_mapped": True, "seed": settings.seed, **config}


def _stored(config: SynthesisConfig) -> dict[str, object]:
    return {STORED_NAMES.get(name, name): value for name, value in asdict(config).items()}


def _check_same(view: VideoView, attributes: dict[str, object]) -> None:
    stored = view.part_attrs("label")
    other = [key for key, value in attributes.items() if stored.get(key) != value]
    if other:
        raise StoreError(
            f"{view.path} was synthesized with another {', another '.join(other)}",
            hint="choose a new store with -o",
        )


def _add_sequence(
    store: Store, video: str, sequence: SyntheticSequence, measures: Mapping[str, np.ndarray]
) -> None:
    """Add a video with the measures of the faces that it shows."""
    times = regular_times(len(sequence.labels), SOUND_CLOCK_HZ)
    store.add_video(video, times, source={"name": video}, stream={"kind": "synthetic"})
    detected = sequence.picture >= 0
    with store.stage(video, "face", {"made_by": "va bundled-model synthesize"}) as writer:
        writer.append("detected", detected)
        for name, values in measures.items():
            rows = values[sequence.picture].astype(np.float32)
            rows[~detected] = np.nan
            dims, units = COLUMNS[name]
            writer.append(name, rows, dims=dims, units=units)


def _write(
    store: Store,
    video: str,
    sequence: SyntheticSequence,
    specs: dict[str, JsonDict],
    attributes: dict[str, object],
) -> None:
    for name, values in {FACE_FEATURE: sequence.face, **sequence.voice}.items():
        missing = np.isnan(values).any(axis=1)
        store.put_feature(video, specs[name], values, (missing * MISSING).astype(np.uint8))
    with store.stage(video, "label", attributes) as writer:
        writer.append("valence", sequence.labels[:, 0])
        writer.append("arousal", sequence.labels[:, 1])
