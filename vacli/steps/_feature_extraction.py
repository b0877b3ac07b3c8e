"""Extraction of a visual feature from the faces of one video: as a whole, or in pieces and a join of them.

The batches of a piece are those of the whole, so that their values are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vacli.errors import StoreError
from vacli.features.encoder_frames import EncoderFrames
from vacli.features.flags import MISSING
from vacli.features.protocols import VisualExtractor
from vacli.files import scratch
from vacli.progress import Progress
from vacli.sequences.grouping import identity
from vacli.spec import FeatureSpec, fingerprint
from vacli.steps._batch import DONE, SKIPPED, Split
from vacli.steps._provenance import has_feature, is_audio_only
from vacli.steps._visual_rows import BLOCK_BATCHES, FaceRows, extracted, fill_skipped
from vacli.store import Store, VideoView
from vacli.store.pieces import FeaturePieces, Span, remove_pieces, revision_of_faces


@dataclass(frozen=True)
class PieceItem:
    """A piece of the feature of a video. faces: the revision of its faces."""

    pieces: FeaturePieces
    faces: str
    span: Span


@dataclass(frozen=True)
class JoinItem:
    """The pieces that make the feature of a video together."""

    pieces: FeaturePieces
    faces: str
    spans: tuple[Span, ...]


VisualItem = str | PieceItem | JoinItem  # the name of a video, or a part of its work


@dataclass(frozen=True)
class FeatureExtraction:
    """The extraction of one feature. attributes: of the stored feature. encoder: its training frames.

    piece_rows: computed rows of a piece; a longer video is split. None: no video is.
    """

    store: Store
    extractor: VisualExtractor
    spec: FeatureSpec
    attributes: dict[str, object]
    encoder: EncoderFrames | None
    stride: int
    force: bool
    piece_rows: int | None
    progress: Progress

    def run(self, item: VisualItem) -> str | Split[VisualItem]:
        """Extract the feature of a video, or a piece of it, unless it is there. Raises StoreError."""
        if isinstance(item, PieceItem):
            return self._extract_piece(item)
        if isinstance(item, JoinItem):
            return self._join(item)
        view = self.store.video(item)
        if is_audio_only(view):
            missing = scratch.missing_rows(len(view.times_s), self.spec.dim)
            flags = np.full(len(missing), MISSING, np.uint8)
            self.store.put_feature(view.id, self.attributes, missing, flags)
            return DONE
        if not view.has_crops():
            raise StoreError(f"{view.path} has no face crops", hint="run `va align` on its video first")
        if not self._is_needed(view):
            return SKIPPED
        rows = FaceRows.of(view, self.stride)
        if self.piece_rows is not None and len(rows.computed) > self.piece_rows:
            return self._split(view, rows)
        values = scratch.missing_rows(len(rows.usable), self.spec.dim)
        for place, block in extracted(view, rows.computed, self.extractor, self.progress):
            values[rows.computed[place]] = block
            scratch.release(values)
        self._put(view, rows, values)
        return DONE

    def _split(self, view: VideoView, rows: FaceRows) -> Split[VisualItem]:
        assert self.piece_rows is not None
        block = self.extractor.batch_size * BLOCK_BATCHES
        spans = equal_spans(len(rows.computed), self.piece_rows, block)
        faces = revision_of_faces(view)
        made_from = {"spec": self.spec.fingerprint(), "faces": faces, "block": block, "spans": len(spans)}
        pieces = FeaturePieces(
            self.store.path, view.id, self.spec.name, fingerprint(made_from), self.spec.dim
        )
        pieces.remove_others()
        items = [PieceItem(pieces, faces, span) for span in pieces.missing(spans)]
        return Split(items, JoinItem(pieces, faces, spans))

    def _extract_piece(self, item: PieceItem) -> str:
        if not item.pieces.missing((item.span,)):
            return SKIPPED  # its worker died after it
        view = self.store.video(item.pieces.video_id)
        rows = FaceRows.of(view, self.stride).computed
        _check_faces(view, item.faces)
        values = scratch.empty((len(item.span), self.spec.dim))
        span = slice(item.span.first, item.span.end)
        for place, block in extracted(view, rows[span], self.extractor, self.progress):
            values[place] = block
        _check_faces(view, item.faces)
        item.pieces.write(item.span, values)
        return DONE

    def _join(self, item: JoinItem) -> str:
        view = self.store.video(item.pieces.video_id)
        if not self._is_needed(view):  # another run has completed it
            remove_pieces(self.store.path, view.id, self.spec.name)
            return SKIPPED
        rows = FaceRows.of(view, self.stride)
        _check_faces(view, item.faces)
        values = scratch.missing_rows(len(rows.usable), self.spec.dim)
        for span in item.spans:
            values[rows.computed[span.first : span.end]] = item.pieces.read(span)
            scratch.release(values)
        self._put(view, rows, values)
        return DONE

    def _put(self, view: VideoView, rows: FaceRows, values: np.ndarray) -> None:
        """Store the feature from the computed rows of `values`, and remove its pieces."""
        flags = fill_skipped(values, rows.computed, rows.usable, view.times_s)
        flags, used = _encoder_use(view, flags, self.encoder)
        self.store.put_feature(
            view.id,
            {**self.attributes, **used},
            values,
            flags,
            made_from=view,
            is_needed=lambda: self._is_needed(self.store.video(view.id)),
        )
        remove_pieces(self.store.path, view.id, self.spec.name)

    def _is_needed(self, view: VideoView) -> bool:
        return not has_feature(view, self.spec, self.force)


def equal_spans(count: int, longest: int, block: int) -> tuple[Span, ...]:
    """Spans of about equal length that cover `count` rows; each but the last has a multiple of `block` rows.

    They have at most `longest` rows, or one block if that is more.
    """
    most = max(longest // block, 1) * block
    pieces = -(-count // most)
    length = -(-count // (pieces * block)) * block
    return tuple(Span(first, min(first + length, count)) for first in range(0, count, length))


def _check_faces(view: VideoView, faces: str) -> None:
    """Raise StoreError if the faces of a video are not those that it was split with."""
    if not view.is_current() or revision_of_faces(view) != faces:
        raise StoreError(f"{view.path} was changed by another process", hint="run it again")


def _encoder_use(
    view: VideoView, flags: np.ndarray, frames: EncoderFrames | None
) -> tuple[np.ndarray, dict[str, object]]:
    """The flags with the training frames of the encoder marked, and how the encoder used the video.

    The attributes are no part of the feature's identity: they do not change its values.
    """
    if frames is None:
        return flags, {}
    one = identity(view)
    used = frames.attributes(view.id, one.sha256, one.subject)
    return frames.mark(flags, view.id, one.sha256), used
