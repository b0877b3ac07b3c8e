"""What identifies the values of a stored part, without reading them."""

from __future__ import annotations

from vacli.spec import fingerprint
from vacli.store import seal
from vacli.store.migration import stored_name
from vacli.store.reader import EDITION, VideoView


def feature_content(view: VideoView, name: str) -> tuple[str, ...]:
    """Marks of the values of a feature; two features with a common mark have equal values.

    `va repack` keeps the edition, and equal values that are stored again have equal checksums. Features of
    earlier versions and of other programs may have no mark. Raises StoreError if the feature is absent.
    """
    part = f"feature/{name}"
    edition = view.part_attrs(part).get(EDITION)
    meta = seal.read(view.path / stored_name(view.path, part))
    checksums = meta["attributes"].get(seal.CHUNKS)
    marks = (edition, checksums and fingerprint([meta["shape"], meta["data_type"], checksums]))
    return tuple(str(mark) for mark in marks if mark)
