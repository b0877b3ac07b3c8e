"""VGGish embeddings at every video frame (Hershey et al. 2017, arXiv 1609.09430).

A row describes 0.96 s of sound: around the frame's time, after it, or before it. The published
network ends without an activation and without whitening; `Postprocessing` adds what torchvggish does.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vacli.errors import UsageError, nearest
from vacli.features.audio_flags import TemporalContext
from vacli.features.opensmile.lld import nearest_row
from vacli.features.vggish.live import LiveVggish
from vacli.features.vggish.log_mel import HOP, RATE_HZ, WINDOW, log_mel_around
from vacli.features.vggish.network import DIM, FRAMES, Postprocessor, VggishNet
from vacli.features.vggish.options import Postprocessing
from vacli.features.vggish.shared import MARGIN, SharedFeatures
from vacli.features.weights import WEIGHTS, load_into, load_tensors, locate, short_hash
from vacli.files import scratch
from vacli.media.audio import Sound
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.devices import pick_device, pick_dtype
from vacli.runtime.options import ExecutionOptions
from vacli.spec import AUDIO, FeatureSpec

Align = Literal["centre", "start", "causal"]
SPAN_S = ((FRAMES - 1) * HOP + WINDOW) / RATE_HZ  # 0.975: 96 steps, and what the last one reaches over
CONTEXTS = {
    "centre": TemporalContext(before_s=SPAN_S / 2, after_s=SPAN_S / 2),
    "start": TemporalContext(before_s=0.0, after_s=SPAN_S),
    "causal": TemporalContext(before_s=SPAN_S, after_s=0.0),
}
BLOCK = 256  # windows whose spectrogram and maps are in memory at once
PATCHES = 32  # windows in a batch where nothing is shared
_FAR_APART = 16  # frames of 10 ms: with larger steps, windows share too little


def first_frames(times_s: np.ndarray, align: Align) -> np.ndarray:
    """The spectrogram frame that the window of each time begins with; may be negative.

    `causal` rounds down, so that no sample after the time is used; the others take the nearest.
    """
    if align == "causal":
        return np.floor((times_s - SPAN_S) * 100 + 1e-6).astype(np.int64)
    return nearest_row(times_s, CONTEXTS[align].before_s)


class Vggish:
    """Extractor `vggish`: 128 values a frame."""

    def __init__(
        self,
        weights: Path | None = None,
        align: Align = "centre",
        postprocessing: Postprocessing | None = None,
        execution: ExecutionOptions | None = None,
        progress: Progress | None = None,
    ) -> None:
        if align not in CONTEXTS:
            raise UsageError(f"unknown alignment {align!r}", hint=nearest(align, CONTEXTS))
        after, execution = postprocessing or Postprocessing(), execution or ExecutionOptions()
        progress = progress or RecordingProgress()
        path = locate("vggish", weights, progress)
        self.align, self.context = align, CONTEXTS[align]
        self.device = pick_device(execution.device)
        self.dtype = pick_dtype(execution.dtype, self.device)
        self.batch_size = execution.batch_size or PATCHES
        with torch.device("meta"):  # no random initial values: they are replaced
            net = VggishNet(after.final_relu)
        load_into(net.to_empty(device="cpu"), load_tensors(path), path)
        settings = {"weights": short_hash(path), "align": align, "final_relu": after.final_relu}
        self.post = None
        if after.pca:
            pca_path = locate("vggish-pca", after.pca_weights, progress)
            self.post = Postprocessor(load_tensors(pca_path))
            settings["pca"] = short_hash(pca_path)
        self._load_network(net)
        self._lock = threading.Lock()  # one file at a time already uses all cores
        self.spec = FeatureSpec(
            name="vggish",
            version="1",
            modality=AUDIO,
            dim=DIM,
            units="whitened, 0 to 255" if after.pca else "activations",
            licence=WEIGHTS["vggish"].licence,
            settings=settings,
        )

    @staticmethod
    def options_from(settings: Mapping[str, object], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        after = Postprocessing(
            final_relu=bool(settings.get("final_relu")),
            pca="pca" in settings,
            pca_weights=weights.get("pca"),
        )
        align = settings.get("align", "centre")
        return {"weights": weights.get("weights"), "align": align, "postprocessing": after}

    def _load_network(self, net: VggishNet) -> None:
        """Share feature maps on a CPU."""
        shared = self.device.type == "cpu" and self.dtype in (torch.float32, torch.bfloat16)
        self.shared = SharedFeatures(net, self.dtype) if shared else None
        self.net = net.eval().to(self.device, self.dtype).to(memory_format=torch.channels_last)

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Embeddings of the window at each time; the recording is padded with silence.

        times_s: (N,) seconds. Returns: (N, 128) float32, NaN where the
        recording has no sound.
        """
        values = scratch.missing_rows(len(times_s), DIM)
        present = np.flatnonzero(sound.is_audible_at(times_s))
        starts = first_frames(times_s[present], self.align)
        for begin in range(0, len(present), BLOCK):
            block = slice(begin, begin + BLOCK)
            with self._lock, torch.inference_mode():
                values[present[block]] = self._block(sound.samples, starts[block]).cpu().numpy()
            scratch.release(values)
            scratch.release(sound.samples)
        return values

    def live(self) -> LiveVggish:
        """See `features.protocols.LiveExtractor`."""
        return LiveVggish(self._embed, lambda time_s: int(first_frames(np.array([time_s]), self.align)[0]))

    def _embed(self, spectrum: np.ndarray) -> np.ndarray:
        """The embedding (128,) of the spectrum (96, 64) of a window."""
        with self._lock, torch.inference_mode():
            embedding = self._patches(torch.from_numpy(spectrum), torch.zeros(1, dtype=torch.int64))
            return (embedding if self.post is None else self.post(embedding))[0].cpu().numpy()

    def _block(self, samples: np.ndarray, starts: np.ndarray) -> Tensor:
        first, last = int(starts.min()), int(starts.max())
        spectrum = torch.from_numpy(log_mel_around(samples, first, last - first + FRAMES + MARGIN))
        offsets = torch.from_numpy(starts - first)
        if self.shared is not None and last - first < _FAR_APART * (len(starts) - 1):
            embeddings = self.net.embeddings(self.shared(spectrum, offsets)).float()
        else:
            embeddings = self._patches(spectrum, offsets)
        return embeddings if self.post is None else self.post(embeddings)

    def _patches(self, spectrum: Tensor, offsets: Tensor) -> Tensor:
        windows = spectrum.unfold(0, FRAMES, 1).transpose(1, 2)[:, None]  # a view: (T - 95, 1, 96, 64)
        batches = [windows[some].to(self.device, self.dtype) for some in offsets.split(self.batch_size)]
        return torch.cat([self.net(batch).float() for batch in batches])
