"""`va align`: detect, track and align the faces of each frame and store them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vacli.errors import InputError, StoreError
from vacli.faces.align import encode_jpeg
from vacli.faces.face_frame import Face, FaceFrame, FaceSettings
from vacli.faces.selection import NO_SPEAKER, SPEAKER, check_face_choice, select_tracks
from vacli.faces.tracker import map_face_frames
from vacli.media.kinds import MediaInput
from vacli.media.reader import VideoReader
from vacli.media.video import check_backend, open_video
from vacli.pipeline import precropped
from vacli.pipeline.face_spool import FaceSpool, write_track
from vacli.pipeline.reader_warnings import warn_of_notes
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.steps._batch import DONE, SKIPPED, Batch, run_job
from vacli.steps._inputs import usable
from vacli.steps._parts import Part, PartRun, select
from vacli.steps._provenance import report_copy, source_of
from vacli.store import Store

if TYPE_CHECKING:
    from vacli.pipeline.active_speaker import ActiveSpeaker  # imports the reader of sound

METHOD = "RetinaFace MobileNet-0.25, faces at 208 px, votes of all anchors; ArcFace template x 2; JPEG 90"


@dataclass(frozen=True)
class AlignSettings:
    """What to align and how.

    face: largest, speaker, all, left, right or a track's number (`faces.selection`). crops: store the aligned
    faces. backend: a video backend (`media.video.BACKENDS`). force: replace stored faces. part: of the
    inputs, None for all. dask: a Dask cluster (`runtime.executor.DaskChoice`), None for this process.
    """

    inputs: tuple[Path, ...]
    store: Path
    face: str = "largest"
    crops: bool = True
    backend: str = "auto"
    force: bool = False
    part: Part | None = None
    dask: str | None = None


def run(settings: AlignSettings, progress: Progress | None = None) -> Batch:
    """Align all inputs; failed inputs are reported and the others are processed.

    A video has one row for each frame of its container, with or without a face. A damaged video keeps all
    rows; those after the damage have no face. A folder of aligned faces (Aff-Wild2's `cropped_aligned`) is
    stored without detection, one row for each number, with the frame times of the video of the same name if
    that is among the inputs; equal copies of the video are accepted. `all` stores one entry for each person:
    NAME, NAME_face2, ... by decreasing number of visible frames; left and right are stored as NAME_left and
    NAME_right, track n as NAME_person<n>.
    Raises UsageError for an unknown `face` or backend.
    """
    progress = progress or RecordingProgress()
    check_face_choice(settings.face)
    check_backend(settings.backend)
    Store.open_or_create(settings.store)
    batch, part_run = Batch(settings.store), PartRun("align", settings.part, settings.store)
    found = find_recordings(settings, batch, progress)
    chosen = select_part(found, settings)
    job = _AlignJob(replace(settings, inputs=()))
    with ExecutorChoice(settings.dask).opened(progress) as executor:
        run_job(batch, chosen, AlignInput.path_name, job, Channel(progress), executor)
    part_run.end(batch, map(AlignInput.path_name, found), {each.path_name(): "" for each in chosen})
    return batch


@dataclass(frozen=True)
class AlignInput:
    """What is aligned. videos: those with the name of a folder of aligned faces."""

    media: MediaInput
    videos: tuple[Path, ...] = ()

    def path_name(self) -> str:
        """The path as the user wrote it."""
        return str(self.media.path)

    @property
    def part_name(self) -> str:
        """The name that decides on the part: that of the stored recording."""
        return self.videos[0].name if self.videos else self.media.path.name


def find_recordings(settings: AlignSettings, batch: Batch, progress: Progress) -> list[AlignInput]:
    """What would be aligned, of all parts; `batch` records the inputs that fail."""
    return _pair(find_inputs(settings, batch, progress), progress)


def select_part(found: list[AlignInput], settings: AlignSettings) -> list[AlignInput]:
    """The inputs of the part of the settings."""
    return select(found, settings.part, lambda each: each.part_name)


def _pair(inputs: list[MediaInput], progress: Progress) -> list[AlignInput]:
    """The inputs to align: a video whose aligned faces are given is an attribute of these."""
    videos: dict[str, list[Path]] = {}
    for media in inputs:
        if media.kind == "video":
            videos.setdefault(media.name, []).append(media.path)
    crops = {m: tuple(precropped.videos_of(m.name, videos)) for m in inputs if m.kind == "crops"}
    ready = {path for paths in crops.values() for path in paths}
    for path in sorted(ready):
        progress.info(f"{path}: faces are not detected, because its aligned faces are given")
    return [AlignInput(media, crops.get(media, ())) for media in inputs if media.path not in ready]


@dataclass(frozen=True)
class _AlignJob:
    settings: AlignSettings

    def open(self, channel: Channel) -> Callable[[AlignInput], str]:
        """Open the store."""
        target = _Target(self.settings, Store.open(self.settings.store), channel.progress)
        return partial(_align, target)


def _align(target: _Target, each: AlignInput) -> str:
    if each.media.kind != "crops":
        return _align_video(target, each.media.path)
    video = precropped.single_video(each.media.name, each.videos)
    return _align_crops(target, each.media, video)


def find_inputs(settings: AlignSettings, batch: Batch, progress: Progress) -> list[MediaInput]:
    """The videos and folders of aligned faces among the inputs; `batch` records those that fail."""
    return usable(settings.inputs, _use, _no_video_error, batch, progress)


@dataclass(frozen=True)
class _Target:
    """The store to write into, and the entries that it already has."""

    settings: AlignSettings
    store: Store
    progress: Progress

    def attributes(self, **more: object) -> dict[str, object]:
        settings = {"face": self.settings.face, "crops": self.settings.crops, "method": METHOD}
        return {"settings": settings | more}

    def is_complete(self, entry: str, attributes: dict[str, object]) -> bool:
        """Whether an entry exists with these settings. Raises StoreError if it has other settings."""
        if self.settings.force or entry not in self.store or not self.store.video(entry).has("face"):
            return False
        if self.store.video(entry).part_attrs("face").get("settings") != attributes["settings"]:
            raise StoreError(f"{entry} was aligned with other settings", hint="use --force to replace it")
        self.progress.info(f"{entry}: complete, skipped")
        return True

    def needs(self, entry: str, attributes: dict[str, object]) -> Callable[[], bool]:
        """Whether no other process has stored the faces; StoreError if it has with other settings."""
        return lambda: not self.is_complete(entry, attributes)


def _align_video(target: _Target, path: Path) -> str:
    settings, attributes = target.settings, target.attributes()
    source = source_of(path)
    name = partial(target.store.id_for, path.name, source["sha256"])
    first = name(_name_suffix(settings.face))
    if first in target.store:
        report_copy(target.store.video(first), path, target.progress)
    if target.is_complete(first, attributes):
        return SKIPPED
    with open_video(path, settings.backend) as video, FaceSpool() as spool:
        speaker = _active_speaker(video) if settings.face == SPEAKER else None
        _record(video, spool, settings.crops, target.progress, speaker)
        warn_of_notes(path, video.notes, target.progress)
        if video.decode_error:
            attributes["broken"] = video.decode_error
            target.progress.warn(f"{path}: {video.decode_error}; the readable frames are kept")
        speaking_s = {} if speaker is None else _speaking_s(path, video, speaker, target.progress)
        tracks = select_tracks(spool.track_summaries(speaking_s), settings.face)
        if not tracks:
            target.progress.warn(f"{path}: no frame shows a face")
        stream = _stream_attributes(video)
        # The first entry is written last: it shows that all of them are complete.
        for rank, track in reversed(list(enumerate(tracks or [-1]))):
            person = f"_face{rank + 1}" if rank else _name_suffix(settings.face)
            view = target.store.add_recording(
                path.name, video.times_s, source=source, stream=stream, person=person
            )
            made = attributes | {"people": len(tracks)}
            write_track(target.store, view.id, spool, track, made, target.needs(view.id, made))
    if settings.face == "all":
        _drop_surplus_people(target.store, name, max(len(tracks), 1))
    return DONE


def _stream_attributes(video: VideoReader) -> dict[str, object]:
    stream = video.info.video
    assert stream is not None  # the reader has opened it
    return {"kind": "video", "codec": stream.codec, "rotation_deg": stream.rotation_deg}


def _drop_surplus_people(store: Store, name: Callable[[str], str], people: int) -> None:
    """Remove the entries beyond `people`, which an earlier alignment has left."""
    while (entry := name(f"_face{people + 1}")) in store:
        store.drop_video(entry)
        people += 1


def _record(
    video: VideoReader, spool: FaceSpool, crops: bool, progress: Progress, speaker: ActiveSpeaker | None
) -> None:
    """Record all faces of a video. Raises InputError if no frame can be decoded."""
    frames = 0
    sampling = FaceSettings(lower_face_every=speaker.stride if speaker else None)
    with progress.task(video.info.path.name, len(video), "frames") as advance:
        for frame, encoded in map_face_frames(video, partial(_encoded, crops=crops), sampling):
            spool.add(frame.index, zip(frame.faces, encoded, strict=True))
            if speaker:
                speaker.add(frame)
            frames += 1
            advance(1)
    if not frames:
        raise InputError(f"{video.info.path}: no frame can be decoded ({video.decode_error})")


def _active_speaker(video: VideoReader) -> ActiveSpeaker:
    from vacli.pipeline.active_speaker import ActiveSpeaker

    return ActiveSpeaker(video.times_s)


def _speaking_s(
    path: Path, video: VideoReader, speaker: ActiveSpeaker, progress: Progress
) -> dict[int, float]:
    """Track -> for how many seconds it speaks; warns if none does."""
    from vacli.media.audio import read_sound
    from vacli.media.speech_level import speech_level
    from vacli.pipeline.active_speaker import grid_times

    sound = read_sound(path)
    durations_s: dict[int, float] = {}
    if sound is not None:
        times_s = sound.to_audio_clock(grid_times(video.times_s))
        durations_s = speaker.durations_s(speech_level(sound, times_s))
    if not any(durations_s.values()):
        progress.warn(f"{path}: no face speaks; {NO_SPEAKER}")
    return durations_s


def _encoded(frame: FaceFrame, crops: bool) -> tuple[FaceFrame, list[bytes]]:
    return frame, [_encoded_crop(face, crops) for face in frame.faces]


def _encoded_crop(face: Face, crops: bool) -> bytes:
    return encode_jpeg(face.crop) if crops and face.crop is not None else b""


def _align_crops(target: _Target, media: MediaInput, video: Path | None) -> str:
    crops = precropped.open_crops(media.path, video)
    source = source_of(video) if video else precropped.folder_source(media.path, crops.folder)
    # `id_for` removes a suffix, and a folder's name may contain dots.
    name = video.name if video else f"{media.name}.crops"
    person = media.name.removeprefix(video.stem) if video else ""
    entry = target.store.id_for(name, str(source["sha256"]), person)
    attributes = target.attributes(face="given", method="taken as given, enlarged by bicubic interpolation")
    if target.is_complete(entry, attributes):
        return SKIPPED
    stream = {"kind": "crops"}
    view = target.store.add_recording(name, crops.times_s, source=source, stream=stream, person=person)
    with FaceSpool() as spool:
        with target.progress.task(media.name, len(crops.folder.rows), "faces") as advance:
            for index, face in precropped.faces(crops.folder):
                spool.add(index, [(face, _encoded_crop(face, target.settings.crops))])
                advance(1)
        if crops.folder.decode_error:
            attributes["broken"] = crops.folder.decode_error
            target.progress.warn(f"{media.path}: {crops.folder.decode_error}; the other crops are kept")
        write_track(target.store, view.id, spool, 0, attributes, target.needs(view.id, attributes))
    return DONE


def _use(media: MediaInput) -> list[MediaInput] | str:
    return [media] if media.kind in ("video", "crops") else "neither a video nor a folder of aligned faces"


def _no_video_error(path: Path) -> InputError:
    return InputError(f"{path} is neither a video nor a folder of aligned faces")


def _name_suffix(face: str) -> str:
    """The suffix of an entry's name, which separates several people of one recording."""
    if face in ("largest", "all", SPEAKER):
        return ""
    return f"_person{face}" if face.isdecimal() else f"_{face}"
