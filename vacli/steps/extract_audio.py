"""`va extract-audio`: extract audio features of recordings, one row for each video frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from vacli.errors import InputError, StoreError, UsageError
from vacli.features.audio_flags import rows_and_flags
from vacli.features.protocols import AudioExtractor
from vacli.features.registry import create_audio, default_names, tagged_name
from vacli.features.vggish.options import Postprocessing
from vacli.features.weights import WEIGHTS
from vacli.files.object_path import to_path
from vacli.files.store_folder import is_store
from vacli.media.audio import Sound, read_sound
from vacli.media.kinds import MediaInput
from vacli.media.probe import MediaInfo, probe
from vacli.media.timeline import read_timeline
from vacli.pipeline.reader_warnings import warn_of_notes, warn_of_sound
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.concurrency import n_cores
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.runtime.options import ExecutionOptions
from vacli.spec import AUDIO, extractor_name
from vacli.steps._batch import DONE, SKIPPED, Batch, run_job
from vacli.steps._inputs import usable
from vacli.steps._parts import Part, PartRun, recording_name, select
from vacli.steps._provenance import given_weights, has_feature, source_of, stream_of
from vacli.store import Store, VideoView

AUDIO_KINDS = ("video", "sound")  # kinds of input that can have audio


@dataclass(frozen=True, kw_only=True)
class ExtractAudioSettings:
    """The recordings, the audio features of `features.registry` and their options.

    `inputs` are videos, audio files, folders of them, or one store, whose recordings are read again.
    `tag`: two versions of a feature with different tags lie in one store, as `vggish@causal`. `weights`:
    a file for vggish; a folder, a file or `hub:OWNER/NAME` for a speech network. `align`, `final_relu` and
    `pca` are for vggish, `window_s` is for the functionals. `layer`: of a speech network, from 1, None for
    the last one. `audio_track`: the number of the audio stream, from 1; None for the one that
    `media.audio_tracks` selects. `workers` recordings are processed in parallel (None: one for each core).
    part, dask: as in `align.AlignSettings`.
    """

    inputs: tuple[Path, ...]
    store: Path | None = None
    features: tuple[str, ...] = default_names(AUDIO)
    tag: str | None = None
    align: Literal["centre", "start", "causal"] = "centre"
    weights: Path | None = None
    final_relu: bool = False
    pca: bool = False
    pca_weights: Path | None = None
    window_s: float = 1.0
    layer: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    audio_track: int | None = None
    workers: int | None = None
    force: bool = False
    part: Part | None = None
    dask: str | None = None


@dataclass(frozen=True)
class _Recording:
    """A file to read, its name, and the known videos of the store that were made from it."""

    path: Path
    name: str
    videos: tuple[str, ...] = ()


def run(settings: ExtractAudioSettings, progress: Progress | None = None) -> Batch:
    """Add audio features to a store; frames without audio are NaN and have a flag."""
    progress = progress or RecordingProgress()
    _check_weights(settings)
    job = _ExtractAudioJob(settings)
    stores = [path for path in settings.inputs if is_store(path)]
    store = _target(settings, stores)
    part_run = PartRun(f"extract-audio {' '.join(job.names)}", settings.part, store.path)
    batch = Batch(store.path)
    recordings = _stored_recordings(store, batch, progress) if stores else []
    named = [path for path in settings.inputs if path not in stores]
    recordings += [_Recording(m.path, m.path.name) for m in find_inputs(named, batch, progress)]
    chosen = select(recordings, settings.part, lambda each: each.name)
    job = _ExtractAudioJob(replace(settings, inputs=(), store=store.path))
    workers = settings.workers or n_cores()
    with ExecutorChoice(settings.dask, workers, settings.device).opened(progress) as executor:
        run_job(batch, chosen, lambda each: each.path.name, job, Channel(progress), executor)
    part_run.end(batch, (str(r.path) for r in recordings), {str(r.path): "" for r in chosen})
    return batch


def find_inputs(paths: Sequence[Path], batch: Batch, progress: Progress) -> list[MediaInput]:
    """The recordings that can have sound; `batch` records the paths that fail."""
    return usable(paths, _use, _no_audio_error, batch, progress)


@dataclass(frozen=True)
class _ExtractAudioJob:
    settings: ExtractAudioSettings

    @property
    def names(self) -> tuple[str, ...]:
        """The features with their tag."""
        return tuple(tagged_name(name, self.settings.tag) for name in dict.fromkeys(self.settings.features))

    def open(self, channel: Channel) -> Callable[[_Recording], str]:
        """Open the store and load the extractors."""
        assert self.settings.store is not None
        extractors = [_extractor(name, self.settings, channel.progress) for name in self.names]
        store = Store.open(self.settings.store)
        return _RecordingExtractor(store, extractors, self.settings, channel.progress).work


class _RecordingExtractor:
    """Extracts and stores the features of one recording; called from several threads."""

    def __init__(
        self,
        store: Store,
        extractors: Sequence[AudioExtractor],
        settings: ExtractAudioSettings,
        progress: Progress,
    ) -> None:
        self.store, self.extractors, self.progress = store, extractors, progress
        self.force, self.track = settings.force, settings.audio_track
        self.weights = {"weights": settings.weights, "pca": settings.pca_weights}

    def work(self, recording: _Recording) -> str:
        """Return DONE, or SKIPPED if all features are stored already."""
        path, videos = recording.path, recording.videos
        source = {} if videos else source_of(path)
        if source:  # given by the user: recordings are matched by content
            videos = tuple(self.store.find_by_sha256(source["sha256"]))
        pending: dict[str, Sequence[AudioExtractor]] = {video: self._pending(video) for video in videos}
        if pending and not any(pending.values()):
            return SKIPPED
        if not path.is_file():
            raise InputError(
                f"{path}: the recording of {', '.join(videos)} does not exist",
                hint="give the recordings as inputs and the store with -o; they are matched by content",
            )
        sound = self._sound(path)
        if not pending:
            pending = {self._add(path, source, sound): self.extractors}
        for video, extractors in pending.items():
            self._extract(self.store.video(video), extractors, sound)
        return DONE

    def _extract(self, view: VideoView, extractors: Sequence[AudioExtractor], sound: Sound | None) -> None:
        for extractor in extractors:
            values, flags = rows_and_flags(extractor, sound, view.times_s)
            attributes = extractor.spec.attributes() | given_weights(extractor.spec, self.weights)
            if sound is not None:
                attributes["sound"] = _provenance(sound)
            is_needed = partial(self._is_needed, view.id, extractor)
            self.store.put_feature(view.id, attributes, values, flags, is_needed=is_needed)

    def _is_needed(self, video: str, extractor: AudioExtractor) -> bool:
        """Whether no other process has stored a feature. Raises StoreError if it has other settings."""
        return not has_feature(self.store.video(video), extractor.spec, self.force)

    def _pending(self, video: str) -> list[AudioExtractor]:
        view = self.store.video(video)
        complete = [e for e in self.extractors if has_feature(view, e.spec, self.force)]
        for extractor in complete:
            self._check_track(view, extractor.spec.name)
        return [e for e in self.extractors if e not in complete]

    def _check_track(self, view: VideoView, feature: str) -> None:
        """Raise StoreError if a stored feature was made from another audio track."""
        track = view.part_attrs(f"feature/{feature}").get("sound", {}).get("track", self.track)
        if self.track is not None and track != self.track:
            raise StoreError(
                f"{view.path} has {feature} made from audio track {track}", hint="use --force to replace it"
            )

    def _sound(self, path: Path) -> Sound | None:
        sound = read_sound(path, self.track)
        if sound is None:
            self.progress.warn(f"{path} has no audio; its rows are flagged as missing")
        warn_of_sound(path, sound, self.progress)
        return sound

    def _add(self, path: Path, source: dict[str, object], sound: Sound | None) -> str:
        info = probe(path)
        times_s = self._times(info, sound)
        return self.store.add_recording(path.name, times_s, source=source, stream=stream_of(info)).id

    def _times(self, info: MediaInfo, sound: Sound | None) -> np.ndarray:
        warn_of_notes(info.path, info.notes, self.progress)
        if info.video is None:
            return sound.row_times() if sound else np.zeros(1)
        timeline = read_timeline(info)
        warn_of_notes(info.path, timeline.notes, self.progress)
        if timeline.decode_error:
            self.progress.warn(f"{info.path}: {timeline.decode_error}; the frames before it are used")
        return timeline.times_s


def _provenance(sound: Sound) -> dict[str, object]:
    """The track and the gain of a sound, as stored with its features."""
    return {"track": sound.track, "gain_db": round(sound.gain_db, 3)}


def _target(settings: ExtractAudioSettings, stores: Sequence[Path]) -> Store:
    path = settings.store or (stores[0] if stores else None)
    if path is None:
        raise UsageError("no store is given to write to", hint="give one with -o")
    if any(other.resolve() != path.resolve() for other in stores):
        raise UsageError(
            f"{stores[0]}: features are stored with their video", hint="omit -o, or give one store"
        )
    return Store.open(path) if stores else Store.open_or_create(path)


def _stored_recordings(store: Store, batch: Batch, progress: Progress) -> list[_Recording]:
    """The recordings that a store was made from; several people may share one recording.

    A video with damaged source attributes is recorded as failed.
    """
    videos: dict[tuple[str, str], list[str]] = defaultdict(list)
    for view in store.videos():
        try:
            path = str(view.source.get("path") or view.source.get("name") or view.id)
        except StoreError as error:
            batch.fail(view.id, error, progress)
        else:
            videos[path, recording_name(view)].append(view.id)
    return [_Recording(to_path(path), name, tuple(ids)) for (path, name), ids in sorted(videos.items())]


def _use(media: MediaInput) -> list[MediaInput] | str:
    return [media] if media.kind in AUDIO_KINDS and not media.animated else "no recording with audio"


def _no_audio_error(path: Path) -> InputError:
    return InputError(f"{path} has no recording with audio", hint="give video or audio files")


def _check_weights(settings: ExtractAudioSettings) -> None:
    """Raise UsageError if weights are given for several features, or for none."""
    users = [name for name in dict.fromkeys(settings.features) if extractor_name(name) in WEIGHTS]
    if settings.weights is not None and len(users) != 1:
        raise UsageError(
            f"--weights {settings.weights}: {len(users)} of the features have weights",
            hint="name one feature with weights by --feature, and extract the others by another command",
        )


def _extractor(name: str, settings: ExtractAudioSettings, progress: Progress) -> AudioExtractor:
    options = {
        "weights": settings.weights,
        "align": settings.align,
        "postprocessing": Postprocessing(
            final_relu=settings.final_relu, pca=settings.pca, pca_weights=settings.pca_weights
        ),
        "window_s": settings.window_s,
        "layer": settings.layer,
        "execution": ExecutionOptions(
            device=settings.device, dtype=settings.dtype, batch_size=settings.batch_size
        ),
        "progress": progress,
    }
    return create_audio(name, options)
