"""`va align`: whose face is where in each frame, and the aligned faces, into a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vacli.errors import InputError, StoreError
from vacli.faces.align import encode_jpeg
from vacli.faces.selection import check_face_choice, select_tracks
from vacli.faces.tracker import FaceFrame, map_face_frames
from vacli.media.kinds import MediaInput
from vacli.media.reader import VideoReader
from vacli.media.video import check_backend, open_video
from vacli.pipeline import precropped
from vacli.pipeline.face_spool import Recording, write_person
from vacli.pipeline.reader_warnings import warn_of_notes
from vacli.progress import Progress, Quiet
from vacli.steps._batch import DONE, SKIPPED, Batch, run_each
from vacli.steps._inputs import usable
from vacli.steps._provenance import source_of, tell_copy
from vacli.store import Store

METHOD = "RetinaFace MobileNet-0.25, faces at 208 px, votes of all anchors; ArcFace template x 2; JPEG 90"


@dataclass(frozen=True)
class AlignSettings:
    """What to align and how.

    face: largest, all, left, right or a track's number (`faces.selection`). crops: keep the aligned faces.
    backend: a video backend (`media.video.BACKENDS`). force: redo what is there already.
    """

    inputs: tuple[Path, ...]
    store: Path
    face: str = "largest"
    crops: bool = True
    backend: str = "auto"
    force: bool = False


def run(settings: AlignSettings, progress: Progress = Quiet()) -> Batch:
    """Align all inputs; one that fails is named and the rest goes on.

    A video gives one row a frame that its container shows, face or not; a broken one keeps its rows, those
    after the break without a face. A folder of aligned faces (Aff-Wild2's `cropped_aligned`) is taken as it
    is, one row a number, on the clock of the video of its name if that is among the inputs. `all` makes an
    entry a person: NAME, NAME_face2, ... with the most present first; left and right make NAME_left and
    NAME_right, a number n NAME_person<n>. Raises UsageError for an unknown `face` or backend.
    """
    check_face_choice(settings.face)
    check_backend(settings.backend)
    store, batch = Store.open_or_create(settings.store), Batch(settings.store)
    inputs = usable(settings.inputs, _use, _nothing, batch, progress)
    videos = {media.name: media.path for media in inputs if media.kind == "video"}
    crops = [media.name for media in inputs if media.kind == "crops"]
    ready = {precropped.video_of(trial, videos) for trial in crops}

    def work(media: MediaInput) -> str:
        if media.kind == "crops":
            video = precropped.video_of(media.name, videos)
            return _take_crops(_Target(settings, store, progress), media, video)
        if media.path in ready:
            progress.say(f"{media.path}: not searched, its aligned faces are given")
            return SKIPPED
        return _align_video(_Target(settings, store, progress), media.path)

    return run_each(batch, inputs, lambda media: str(media.path), work, progress)


@dataclass(frozen=True)
class _Target:
    """Where entries go, and what is there already."""

    settings: AlignSettings
    store: Store
    progress: Progress

    def attributes(self, **more: object) -> dict[str, object]:
        settings = {"face": self.settings.face, "crops": self.settings.crops, "method": METHOD}
        return {"settings": settings | more}

    def is_complete(self, entry: str, attributes: dict[str, object]) -> bool:
        """Whether an entry is there as it would be made. Raises StoreError where it was made otherwise."""
        if self.settings.force or entry not in self.store or not self.store.video(entry).has("face"):
            return False
        if self.store.video(entry).part_attrs("face").get("settings") != attributes["settings"]:
            raise StoreError(f"{entry} was aligned with other settings", hint="give --force to redo it")
        self.progress.say(f"{entry}: complete, skipped")
        return True


def _align_video(target: _Target, path: Path) -> str:
    settings, attributes = target.settings, target.attributes()
    source = source_of(path)
    name = partial(target.store.id_for, path.name, source["sha256"])
    first = name(_ending(settings.face))
    if first in target.store:
        tell_copy(target.store.video(first), path, target.progress)
    if target.is_complete(first, attributes):
        return SKIPPED
    with open_video(path, settings.backend) as video, Recording() as recording:
        _record(video, recording, settings.crops, target.progress)
        warn_of_notes(path, video.notes, target.progress)
        if video.decode_error:
            attributes["broken"] = video.decode_error
            target.progress.warn(f"{path}: {video.decode_error}; what is whole is kept")
        people = select_tracks(recording.presences(), settings.face)
        if not people:
            target.progress.warn(f"{path}: no face in any frame")
        stream = {
            "kind": "video",
            "codec": video.info.video.codec,
            "rotation_deg": video.info.video.rotation_deg,
        }
        # The first entry comes last: it says that all of them are there.
        for rank, track in reversed(list(enumerate(people or [-1]))):
            person = f"_face{rank + 1}" if rank else _ending(settings.face)
            view = target.store.add_recording(
                path.name, video.times_s, source=source, stream=stream, person=person
            )
            write_person(target.store, view.id, recording, track, attributes | {"people": len(people)})
    if settings.face == "all":
        _forget_those_gone(target.store, name, max(len(people), 1))
    return DONE


def _forget_those_gone(store: Store, name: Callable[[str], str], people: int) -> None:
    """Remove the entries of more people than there are, from when it was aligned otherwise."""
    while (entry := name(f"_face{people + 1}")) in store:
        store.drop_video(entry)
        people += 1


def _record(video: VideoReader, recording: Recording, crops: bool, progress: Progress) -> None:
    """Everybody in a video. Raises InputError where no frame decodes."""
    frames = 0
    with progress.task(video.info.path.name, len(video), "frames") as advance:
        for index, faces in map_face_frames(video, partial(_encoded, crops=crops)):
            recording.add(index, faces)
            frames += 1
            advance(1)
    if not frames:
        raise InputError(f"{video.info.path}: no frame can be decoded ({video.decode_error})")


def _encoded(frame: FaceFrame, crops: bool) -> tuple[int, list[tuple[object, bytes]]]:
    return frame.index, [(face, encode_jpeg(face.crop) if crops else b"") for face in frame.faces]


def _take_crops(target: _Target, media: MediaInput, video: Path | None) -> str:
    crops = precropped.open_crops(media.path, video)
    source = source_of(video) if video else precropped.folder_source(media.path, crops.folder)
    # A folder's name may hold dots, of which `id_for` would take the last for the start of a suffix.
    name = video.name if video else f"{media.name}.crops"
    person = media.name.removeprefix(video.stem) if video else ""
    entry = target.store.id_for(name, str(source["sha256"]), person)
    attributes = target.attributes(face="given", method="taken as given, enlarged by bicubic interpolation")
    if target.is_complete(entry, attributes):
        return SKIPPED
    stream = {"kind": "crops"}
    view = target.store.add_recording(name, crops.times_s, source=source, stream=stream, person=person)
    with Recording() as recording:
        with target.progress.task(media.name, len(crops.folder.rows), "faces") as advance:
            for index, face in precropped.faces(crops.folder):
                recording.add(index, [(face, encode_jpeg(face.crop) if target.settings.crops else b"")])
                advance(1)
        if crops.folder.decode_error:
            attributes["broken"] = crops.folder.decode_error
            target.progress.warn(f"{media.path}: {crops.folder.decode_error}; the other crops are kept")
        write_person(target.store, view.id, recording, 0, attributes)
    return DONE


def _use(media: MediaInput) -> list[MediaInput] | str:
    return [media] if media.kind in ("video", "crops") else "neither a video nor a folder of aligned faces"


def _nothing(path: Path) -> InputError:
    return InputError(f"{path}: neither a video nor a folder of aligned faces")


def _ending(face: str) -> str:
    """What an entry's name ends in, so that several people of one recording fit into one store."""
    if face in ("largest", "all"):
        return ""
    return f"_person{face}" if face.isdecimal() else f"_{face}"
