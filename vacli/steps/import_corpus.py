"""Corpora of categories into a store: what the bundled default model is trained on.

A picture corpus becomes one entry a split whose frames are stills, aligned as `va predict --images`
aligns them; a speech corpus one entry an utterance on the sound clock, ready for `va extract-audio`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.datasets import audio_augmentation, emotion_corpora
from vacli.errors import InputError, UsageError, nearest
from vacli.faces.align import CROP_PX, encode_jpeg
from vacli.faces.images import AlignedImage, ImageAligner
from vacli.faces.quality import sharpness
from vacli.files import atomic
from vacli.media.audio import read_sound
from vacli.progress import Progress, Quiet
from vacli.steps._batch import DONE, SKIPPED, Batch, run_each
from vacli.steps._provenance import source_of
from vacli.store import Store

SPEECH = {"ravdess": emotion_corpora.read_ravdess, "emodb": emotion_corpora.read_emodb}
BACKGROUND = "background"
KINDS = ("ferplus", *SPEECH, BACKGROUND)
BACKGROUND_S = 5.0
BLOCK = 256  # pictures between two writes


@dataclass(frozen=True)
class ImportCorpusSettings:
    """A corpus (one of KINDS), its path, and the store to write.

    augment_copies: the number of augmented copies of every utterance, written below `augmented_dir`. The
    kind `background` is a folder of sounds without speech; `augment_copies` of them are made there first.
    """

    kind: str
    path: Path
    store: Path
    augment_copies: int = 0
    augmented_dir: Path | None = None
    seed: int = 42


def run(settings: ImportCorpusSettings, progress: Progress = Quiet()) -> Batch:
    """Import a corpus into a store with mapped labels; what the store has already is skipped."""
    if settings.kind not in KINDS:
        raise UsageError(f"no corpus is known as {settings.kind!r}", hint=nearest(settings.kind, KINDS))
    if settings.kind == BACKGROUND and settings.augment_copies:
        _make_backgrounds(settings)
    if not settings.path.exists():
        raise InputError(f"no such file or folder: {settings.path}")
    store = Store.open_or_create(settings.store)
    batch = Batch(settings.store)
    if settings.kind == "ferplus":
        return _pictures(store, settings.path, batch, progress)
    if settings.kind == BACKGROUND:
        return _speech(store, emotion_corpora.read_background(settings.path), batch, progress)
    utterances = SPEECH[settings.kind](settings.path)
    if settings.augment_copies:
        utterances += _disturbed(utterances, settings, progress)
    return _speech(store, utterances, batch, progress)


def _pictures(store: Store, path: Path, batch: Batch, progress: Progress) -> Batch:
    parts = list(emotion_corpora.read_ferplus(path))
    with progress.task("FER+", sum(len(p.images) for p in parts), "faces") as advance:

        def work(part: emotion_corpora.FaceImages) -> str:
            video = f"ferplus-{part.split}"
            source = source_of(path)
            if video in store and store.video(video).has("label"):
                advance(len(part.images))
                return SKIPPED
            times = regular_times(len(part.images), 1)  # stills: a row a second, no motion between them
            store.add_video(video, times, source=source, stream={"kind": "images"})
            with store.stage(video, "face", {"made_by": "va bundled-model import", "images": True}) as writer:
                aligner = ImageAligner()
                for start in range(0, len(part.images), BLOCK):
                    pictures = part.images[start : start + BLOCK]
                    _write_stills(writer, [aligner.align(as_shown(p)) for p in pictures])
                    advance(len(pictures))
            with store.stage(video, "label", {"split": part.split, "category_mapped": True}) as writer:
                _write_labels(writer, part.labels)
                writer.append("votes", part.votes, dims=("emotion",))
            return DONE

        return run_each(batch, parts, lambda p: f"ferplus-{p.split}", work, progress)


def as_shown(grey: np.ndarray) -> np.ndarray:
    """A small grey face (48, 48) as a picture (224, 224, 3) uint8, as a user would show it."""
    from PIL import Image

    picture = Image.fromarray(grey).convert("RGB")
    return np.asarray(picture.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC))


def _write_stills(writer, stills: list[AlignedImage]) -> None:
    found = [s.face is not None for s in stills]
    nobody = np.full((5, 2), np.nan, np.float32)
    writer.append("detected", np.array(found))
    writer.append("score", np.array([s.face.score if s.face else np.nan for s in stills], np.float32))
    landmarks = np.stack([s.face.landmarks if s.face else nobody for s in stills])
    writer.append("landmarks", landmarks, dims=("point", "xy"), units="px")
    writer.append("sharpness", np.array([sharpness(s.crop) for s in stills], np.float32))
    writer.append_images("crop", [encode_jpeg(s.crop) for s in stills])


def _write_labels(writer, labels: np.ndarray) -> None:
    writer.append("valence", labels[:, 0])
    writer.append("arousal", labels[:, 1])


def _make_backgrounds(settings: ImportCorpusSettings) -> None:
    settings.path.mkdir(parents=True, exist_ok=True)
    for number in range(settings.augment_copies):
        path = settings.path / f"background-{number:04d}.wav"
        if not path.exists():
            rng = np.random.default_rng([settings.seed, number])
            _write_wav(path, audio_augmentation.background(BACKGROUND_S, rng))


def _disturbed(
    utterances: list[emotion_corpora.Utterance], settings: ImportCorpusSettings, progress: Progress
) -> list[emotion_corpora.Utterance]:
    """The utterances as WAV files under other conditions, `copies` of each; what is there already is kept."""
    if settings.augmented_dir is None:
        raise UsageError("disturbed copies need a folder", hint="name one with --augmented-dir")
    settings.augmented_dir.mkdir(parents=True, exist_ok=True)
    made = []
    with progress.task("disturb", len(utterances), "files") as advance:
        for utterance in utterances:
            paths = [
                settings.augmented_dir / f"{utterance.path.stem}_{copy + 1}.wav"
                for copy in range(settings.augment_copies)
            ]
            if not all(path.exists() for path in paths):
                _write_disturbed(utterance.path, paths, settings.seed)
            made += [replace(utterance, path=path) for path in paths]
            advance(1)
    return made


def _write_disturbed(original: Path, paths: list[Path], seed: int) -> None:
    sound = read_sound(original)
    if sound is None:
        raise InputError(f"{original} has no sound")
    for copy, path in enumerate(paths):
        rng = np.random.default_rng([seed, copy, zlib.crc32(original.stem.encode())])
        _write_wav(path, audio_augmentation.augment(sound.samples, rng))


def _write_wav(path: Path, samples: np.ndarray) -> None:
    with atomic.staged_file(path, 2 * len(samples)) as part:
        audio_augmentation.write_wav(part, samples)


def _speech(
    store: Store, utterances: list[emotion_corpora.Utterance], batch: Batch, progress: Progress
) -> Batch:
    with progress.task("speech", len(utterances), "files") as advance:

        def work(utterance: emotion_corpora.Utterance) -> str:
            advance(1)
            return _add_utterance(store, utterance)

        return run_each(batch, utterances, lambda u: u.path.name, work, progress)


def _add_utterance(store: Store, utterance: emotion_corpora.Utterance) -> str:
    source = source_of(utterance.path)
    name = f"{utterance.speaker or BACKGROUND}-{utterance.path.stem}"
    video = store.id_for(name, source["sha256"], reuse=False)  # two may sound the same, such as silence
    if video in store and store.video(video).has("label"):
        return SKIPPED
    sound = read_sound(utterance.path)
    if sound is None:
        raise InputError(f"{utterance.path} has no sound")
    times = regular_times(max(1, int(sound.duration_s * SOUND_CLOCK_HZ)), SOUND_CLOCK_HZ)
    stream = {"kind": "sound"}
    video = store.add_recording(name, times, source=source, stream=stream, reuse=False).id
    attributes = {
        "split": "",
        "subject": utterance.speaker,
        "category_mapped": True,
        "speech": bool(utterance.speaker),
    }
    with store.stage(video, "label", attributes) as writer:
        _write_labels(writer, np.tile(np.float32([utterance.valence, utterance.arousal]), (len(times), 1)))
    return DONE
