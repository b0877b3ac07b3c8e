"""The feature store: one Zarr v3 group a store, one subgroup a video; the only room that knows Zarr.

    <video>/time                              (N,) float64 seconds, one row a frame of the container
    <video>/face/box|landmarks|score|track|detected|sharpness|size, and the crops as JPEG bytes
    <video>/feature/<name>, flag/<name>       (N, D) float32, NaN where missing; (N,) uint8 bit flags
    <video>/label/valence|arousal|source      (N,) NaN where not annotated

A part under its final name is complete: it is written into `.work` (`work`) and renamed into place together
with the parts that depend on it (`commit`), under a file lock (`locks`). `seal` adds checksums. `.pieces` has
the pieces of features that are not complete (`pieces`).
"""

from vacli.store.part import PartWriter
from vacli.store.reader import VideoView
from vacli.store.writer import Store

__all__ = ["PartWriter", "Store", "VideoView"]
