"""`va bundled-model import`: import emotion corpora with category labels, to train the bundled model.

An image corpus becomes one entry for each split. Its frames are single images, aligned as in
`va predict --images`. Degraded copies of the validation split are one entry for each condition. A speech
corpus becomes one entry for each utterance, with 25 rows per second, as input of `va extract-audio`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import SOUND_CLOCK_HZ, regular_times
from vacli.datasets import audio_augmentation, emotion_corpora
from vacli.datasets.image_degradation import DEGRADATIONS
from vacli.errors import InputError, UsageError, nearest
from vacli.faces.align import CROP_PX, encode_jpeg
from vacli.faces.images import AlignedImage, ImageAligner
from vacli.faces.quality import sharpness
from vacli.files import atomic
from vacli.media.audio import read_sound
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, SKIPPED, Batch, run_each
from vacli.steps._provenance import source_of
from vacli.store import PartWriter, Store

SPEECH = {"ravdess": emotion_corpora.read_ravdess, "emodb": emotion_corpora.read_emodb}
BACKGROUND = "background"
KINDS = ("ferplus", *SPEECH, BACKGROUND)
BACKGROUND_S = 5.0
BLOCK = 256  # images in one write


@dataclass(frozen=True)
class ImportCorpusSettings:
    """A corpus (one of KINDS), its path, and the store to write.

    augment_copies: the number of augmented copies of every utterance, written into `augmented_dir`. The
    kind `background` is a folder of sounds without speech; `augment_copies` of them are created there first.
    degraded: import copies of the validation images under each of `DEGRADATIONS` instead of the images.
    """

    kind: str
    path: Path
    store: Path
    augment_copies: int = 0
    augmented_dir: Path | None = None
    degraded: bool = False
    seed: int = 42


def run(settings: ImportCorpusSettings, progress: Progress | None = None) -> Batch:
    """Import a corpus into a store with mapped labels; stored entries are skipped."""
    progress = progress or RecordingProgress()
    if settings.kind not in KINDS:
        raise UsageError(f"the corpus {settings.kind!r} is unknown", hint=nearest(settings.kind, KINDS))
    if settings.degraded and settings.kind != "ferplus":
        raise UsageError(f"{settings.kind} has no images to degrade", hint="--degraded is for ferplus")
    if settings.kind == BACKGROUND and settings.augment_copies:
        _write_backgrounds(settings)
    if not settings.path.exists():
        raise InputError(f"no such file or folder: {settings.path}")
    store = Store.open_or_create(settings.store)
    batch = Batch(settings.store)
    if settings.kind == "ferplus":
        return _import_images(store, settings, batch, progress)
    if settings.kind == BACKGROUND:
        return _import_sounds(store, emotion_corpora.read_background(settings.path), batch, progress)
    utterances = SPEECH[settings.kind](settings.path)
    if settings.augment_copies:
        utterances += _augmented(utterances, settings, progress)
    return _import_sounds(store, utterances, batch, progress)


@dataclass(frozen=True, eq=False)
class _ImageSet:
    """A split of an image corpus, under one of DEGRADATIONS or, with "", as it is."""

    images: emotion_corpora.FaceImages
    condition: str = ""

    def __len__(self) -> int:
        return len(self.images.images)

    @property
    def name(self) -> str:
        return f"ferplus-{self.images.split}" + (f"-{self.condition}" if self.condition else "")

    @property
    def label_attributes(self) -> dict[str, object]:
        condition = {"condition": self.condition} if self.condition else {}
        return {"split": self.images.split, "category_mapped": True, **condition}

    def picture(self, number: int, seed: int) -> np.ndarray:
        """(224, 224, 3) uint8 RGB."""
        rgb = as_rgb(self.images.images[number])
        if not self.condition:
            return rgb
        rng = np.random.default_rng([seed, zlib.crc32(self.condition.encode()), number])
        return DEGRADATIONS[self.condition](rgb, rng)


def _image_sets(settings: ImportCorpusSettings) -> Iterator[_ImageSet]:
    for images in emotion_corpora.read_ferplus(settings.path):
        if not settings.degraded:
            yield _ImageSet(images)
        elif images.split == "validation":
            yield from (_ImageSet(images, condition) for condition in DEGRADATIONS)


def _import_images(store: Store, settings: ImportCorpusSettings, batch: Batch, progress: Progress) -> Batch:
    sets = list(_image_sets(settings))
    with progress.task("FER+", sum(map(len, sets)), "faces") as advance:

        def work(images: _ImageSet) -> str:
            if images.name in store and store.video(images.name).has("label"):
                advance(len(images))
                return SKIPPED
            times = regular_times(len(images), 1)  # one row per second: the images are independent
            store.add_video(images.name, times, source=source_of(settings.path), stream={"kind": "images"})
            made_by = {"made_by": "va bundled-model import", "images": True}
            with store.stage(images.name, "face", made_by) as writer:
                aligner = ImageAligner()
                for start in range(0, len(images), BLOCK):
                    block = range(start, min(start + BLOCK, len(images)))
                    _write_images(writer, [aligner.align(images.picture(n, settings.seed)) for n in block])
                    advance(len(block))
            with store.stage(images.name, "label", images.label_attributes) as writer:
                _write_labels(writer, images.images.labels)
                writer.append("votes", images.images.votes, dims=("emotion",))
            return DONE

        return run_each(batch, sets, lambda images: images.name, work, progress)


def as_rgb(grey: np.ndarray) -> np.ndarray:
    """Convert a grey face (48, 48) uint8 to RGB and enlarge it to (224, 224, 3) uint8."""
    from PIL import Image

    image = Image.fromarray(grey).convert("RGB")
    return np.asarray(image.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC))


def _write_images(writer: PartWriter, images: list[AlignedImage]) -> None:
    no_box, no_landmarks = (np.full(shape, np.nan, np.float32) for shape in (4, (5, 2)))
    writer.append("detected", np.array([image.face is not None for image in images]))
    writer.append("score", np.array([i.face.score if i.face else np.nan for i in images], np.float32))
    boxes = np.stack([image.face.box if image.face else no_box for image in images])
    writer.append("box", boxes.astype(np.float32), dims=("xyxy",), units="px")
    landmarks = np.stack([image.face.landmarks if image.face else no_landmarks for image in images])
    writer.append("landmarks", landmarks, dims=("point", "xy"), units="px")
    writer.append("sharpness", np.array([sharpness(image.crop) for image in images], np.float32))
    writer.append_images("crop", [encode_jpeg(image.crop) for image in images])


def _write_labels(writer: PartWriter, labels: np.ndarray) -> None:
    writer.append("valence", labels[:, 0])
    writer.append("arousal", labels[:, 1])


def _write_backgrounds(settings: ImportCorpusSettings) -> None:
    settings.path.mkdir(parents=True, exist_ok=True)
    for number in range(settings.augment_copies):
        path = settings.path / f"background-{number:04d}.wav"
        if not path.exists():
            rng = np.random.default_rng([settings.seed, number])
            _write_wav(path, audio_augmentation.background(BACKGROUND_S, rng))


def _augmented(
    utterances: list[emotion_corpora.Utterance], settings: ImportCorpusSettings, progress: Progress
) -> list[emotion_corpora.Utterance]:
    """Write `augment_copies` augmented copies of each utterance as WAV files; existing files are kept."""
    if settings.augmented_dir is None:
        raise UsageError("augmented copies need a folder", hint="give one with --augmented-dir")
    settings.augmented_dir.mkdir(parents=True, exist_ok=True)
    copies = []
    with progress.task("augment", len(utterances), "files") as advance:
        for utterance in utterances:
            paths = [
                settings.augmented_dir / f"{utterance.path.stem}_{copy + 1}.wav"
                for copy in range(settings.augment_copies)
            ]
            if not all(path.exists() for path in paths):
                _write_augmented(utterance.path, paths, settings.seed)
            copies += [replace(utterance, path=path) for path in paths]
            advance(1)
    return copies


def _write_augmented(original: Path, paths: list[Path], seed: int) -> None:
    sound = read_sound(original)
    if sound is None:
        raise InputError(f"{original} has no audio", hint="remove it from the corpus folder")
    for copy, path in enumerate(paths):
        rng = np.random.default_rng([seed, copy, zlib.crc32(original.stem.encode())])
        _write_wav(path, audio_augmentation.augment(sound.samples, rng))


def _write_wav(path: Path, samples: np.ndarray) -> None:
    with atomic.staged_file(path, 2 * len(samples)) as part:
        audio_augmentation.write_wav(part, samples)


def _import_sounds(
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
    video = store.id_for(name, source["sha256"], reuse=False)  # two files may be identical, such as silence
    if video in store and store.video(video).has("label"):
        return SKIPPED
    sound = read_sound(utterance.path)
    if sound is None:
        raise InputError(f"{utterance.path} has no audio", hint="remove it from the corpus folder")
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
        _write_labels(
            writer, np.tile(np.array([utterance.valence, utterance.arousal], np.float32), (len(times), 1))
        )
    return DONE
