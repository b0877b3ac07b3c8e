"""The faces of a live source: tracks, their features, who speaks, and which of them are followed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.faces.align import CROP_PX, TEMPLATE_224, align_face
from vacli.faces.face_frame import FaceFrame, FaceSettings
from vacli.faces.live_tracker import LiveFaceTracker
from vacli.faces.lower_face import sample_lower_face
from vacli.faces.quality import sharpness
from vacli.faces.roi_detect import RegionDetector
from vacli.faces.selection import SPEAKER
from vacli.media.reader import Frame
from vacli.media.speech_level import SpeechLevel
from vacli.pipeline.active_speaker import (
    SPEAKING,
    WINDOW_AFTER,
    WINDOW_BEFORE,
    Shares,
    nearest_points,
    speaking_shares,
    voice_shares,
)
from vacli.pipeline.face_embedding import FaceDetections, FaceEmbedder, FaceTrackFeatures
from vacli.pipeline.mouth_track import GRID_HZ, MouthTrack

LOST_AFTER_S = 10.0  # a face that was not seen for so long is no longer followed
MEMORY_S = 3.0  # time constant of the weights by which faces are chosen
SWITCH_RATIO = 1.5  # of the weight of another face to that of the followed one
MOUTH_S = (WINDOW_BEFORE + WINDOW_AFTER + 8) / GRID_HZ  # of a mouth that is kept
FORGET_FRAMES = 256  # between two removals of what is no longer needed
MAX_RATE_HZ = 1000.0  # of frames whose rows may wait


@dataclass
class _LiveTrack:
    """One track. area, speech: decaying sums over time; x_px: the latest centre."""

    features: FaceTrackFeatures
    seen_s: float
    area: float = 0.0
    speech: float = 0.0
    x_px: float = 0.0


@dataclass(frozen=True)
class Sampling:
    """Every so many frames faces are embedded, and mouths are sampled."""

    crop_every: int
    lower_face_every: int


class LiveFaces:
    """Tracks and embeds the faces of frames as they arrive. Frames are numbered from 0 without gaps.

    choice: which faces are followed, see `followed`. next_id: the number of the first track. delay_s: how
    long after its frame `speaking` is asked for.
    """

    def __init__(
        self, extractors: Mapping[str, Any], choice: str, next_id: int = 0, delay_s: float = 0.0
    ) -> None:
        self._tracker = LiveFaceTracker(FaceSettings(), next_id)
        self._embedder = FaceEmbedder(extractors)
        self._choice, self._delay_s = choice, delay_s
        self._tracks: dict[int, _LiveTrack] = {}
        self._mouths: dict[int, MouthTrack] = {}
        self._chosen: int | None = None
        self._time_s = -math.inf
        self.seen_s = -math.inf  # the last time with any face

    @property
    def next_id(self) -> int:
        """The number of the next new track."""
        return self._tracker.next_id

    def add(self, frame: Frame, sampling: Sampling) -> None:
        """Track and embed the faces of a frame."""
        settings = FaceSettings(crop_every=sampling.crop_every, lower_face_every=sampling.lower_face_every)
        found = self._tracker.add(frame, settings)
        self._decay(frame.time_s)
        for face in found.faces:
            track = self._tracks.get(face.track_id)
            if track is None:
                features = FaceTrackFeatures(self._embedder, 0)
                track = self._tracks[face.track_id] = _LiveTrack(features, frame.time_s)
            track.features.add(frame.index, face.crop, face, sharpness=face.sharpness)
            track.seen_s = self.seen_s = frame.time_s
            left, top, right, bottom = (float(edge) for edge in face.box)
            track.area += (right - left) * (bottom - top)
            track.x_px = (left + right) / 2
        self._embedder.flush()
        self._add_mouths(found, sampling.lower_face_every)
        self._forget(frame)

    def _decay(self, time_s: float) -> None:
        step_s = time_s - self._time_s if math.isfinite(self._time_s) else 0.0
        factor, self._time_s = math.exp(-step_s / MEMORY_S), time_s
        for track in self._tracks.values():
            track.area *= factor
            track.speech *= factor

    def _add_mouths(self, frame: FaceFrame, stride: int) -> None:
        for face in frame.faces:
            if face.lower_face is not None:
                mouth = self._mouths.setdefault(face.track_id, MouthTrack())
                mouth.add(frame.index // stride, frame.time_s, face.lower_face, face.landmarks)

    def _forget(self, frame: Frame) -> None:
        for track_id in [n for n, t in self._tracks.items() if frame.time_s - t.seen_s > LOST_AFTER_S]:
            del self._tracks[track_id]
            self._mouths.pop(track_id, None)
        if frame.index % FORGET_FRAMES == 0:
            kept = FORGET_FRAMES + math.ceil(self._delay_s * MAX_RATE_HZ)
            for track in self._tracks.values():
                track.features.forget(frame.index - kept)
            for mouth in self._mouths.values():
                mouth.forget(frame.time_s - MOUTH_S - self._delay_s)

    def followed(self) -> tuple[int, ...]:
        """The followed tracks after the latest frame, in the order of their numbers.

        A number: that track. `all`: every track that was seen within LOST_AFTER_S. Otherwise one track:
        `largest` by area and `speaker` by speech, weighted with the time since then (MEMORY_S), `left` and
        `right` among the two largest. A face is followed until the weight of another one is SWITCH_RATIO
        times as high.
        """
        if self._choice.isdecimal():
            return tuple(n for n in self._tracks if n == int(self._choice))
        if self._choice == "all":
            return tuple(sorted(self._tracks))
        if not self._tracks:
            self._chosen = None
            return ()
        weights = self._weights()
        best = max(weights, key=weights.__getitem__)
        present = weights.get(self._chosen, -1.0) if self._chosen is not None else -1.0
        if present < 0 or weights[best] > SWITCH_RATIO * present:
            self._chosen = best
        return (self._chosen,) if self._chosen is not None else ()

    def _weights(self) -> dict[int, float]:
        by_area = {n: track.area for n, track in self._tracks.items()}
        if self._choice == SPEAKER:
            by_speech = {n: track.speech for n, track in self._tracks.items()}
            return by_speech if max(by_speech.values()) > 0 else by_area
        if self._choice in ("left", "right"):
            pair = sorted(sorted(by_area, key=by_area.__getitem__)[-2:], key=lambda n: self._tracks[n].x_px)
            return {pair[0 if self._choice == "left" else -1]: 1.0}
        return by_area

    def add_speech(self, level: SpeechLevel | None) -> None:
        """Weight the tracks by their speech in the latest frame, for the choice `speaker`."""
        if self._choice == SPEAKER and level is not None:
            for track_id, track in self._tracks.items():
                share = self.speaking(track_id, self._time_s, level)
                track.speech += 0.0 if math.isnan(share) else share

    def speaking(self, track_id: int, time_s: float, level: SpeechLevel | None) -> float:
        """The degree to which a face speaks at a recent time, from 0 to 1, as far as the frames go.

        NaN where it is not seen for long enough, or without sound.
        """
        return self._shares(speaking_shares, time_s, level).get(track_id, math.nan)

    def others_speak(self, track_id: int, time_s: float, level: SpeechLevel | None) -> bool:
        """Whether speech at a recent time is of another face."""
        shares = self._shares(voice_shares, time_s, level)
        return any(share >= SPEAKING for other, share in shares.items() if other != track_id)

    def _shares(self, of_tracks: Shares, time_s: float, level: SpeechLevel | None) -> dict[int, float]:
        """Track -> its share at a recent time."""
        if level is None:
            return {}
        point = int(nearest_points(np.array([time_s]))[0])
        shares = of_tracks(self._mouths, (point, point + 1), level)
        return {track_id: float(share[0]) for track_id, share in shares.items()}

    def detections(self, track_id: int, number: int) -> FaceDetections:
        """The detection of a track in a recent frame, one row."""
        track = self._tracks.get(track_id)
        return FaceDetections.empty(1) if track is None else track.features.detections(number, number + 1)

    def features(self, track_id: int, number: int) -> dict[str, np.ndarray]:
        """Feature -> (1, D) float32 of a track in a recent frame, NaN where there is no face.

        A frame between two embedded ones is interpolated if the later one is known, else it has the features
        of the earlier one.
        """
        track = self._tracks.get(track_id)
        if track is not None:
            return track.features.features(number, number + 1)
        return {n: np.full((1, e.spec.dim), np.nan, np.float32) for n, e in self._embedder.extractors.items()}

    def close(self) -> None:
        """End the threads."""
        self._tracker.close()
        self._embedder.close()


def warm_up(extractors: Mapping[str, Any]) -> None:
    """Load the networks and compiled loops, so that the first frame does not wait for them."""
    rgb = np.zeros((2 * CROP_PX, 2 * CROP_PX, 3), np.uint8)
    tracker = LiveFaceTracker(FaceSettings())
    for index in range(2):
        tracker.add(Frame(index, float(index), rgb))
    tracker.close()
    landmarks = TEMPLATE_224 + CROP_PX / 2
    RegionDetector().redetect(rgb, np.array([150.0, 150.0, 300.0, 300.0], np.float32))
    sample_lower_face(rgb, landmarks)
    crop = align_face(rgb, landmarks)
    sharpness(crop)
    for extractor in extractors.values():
        extractor.extract(crop[np.newaxis])


def sequence_sources(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """The sequence that each sequence continues: number 0, without a face, is followed by one a track.

    A track that was not followed before continues number 0.
    """
    return [0, *(1 + before.index(n) if n in before else 0 for n in after)]
