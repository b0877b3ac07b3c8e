"""Extractors `wav2vec2`, `hubert`, `wavlm` and `wav2vec2-msp-dim`: speech networks at every video frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from vacli.errors import WeightsError
from vacli.features.audio_flags import TemporalContext
from vacli.features.wav2vec.checkpoint import Checkpoint, locate_checkpoint
from vacli.features.wav2vec.windows import FrameClock, Windows, batches
from vacli.features.weights import WEIGHTS, short_hash
from vacli.files import scratch
from vacli.media.audio import Sound
from vacli.packages import require
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.options import DEFAULT_EXECUTION, ExecutionOptions
from vacli.spec import AUDIO, FeatureSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

# Windows of 16 s, of which the middle 8 s are used. A position embedding reaches 1.3 s.
HIDDEN_WINDOWS = Windows(step_s=8.0, before_s=4.0, after_s=12.0)
HIDDEN_CONTEXT = TemporalContext(before_s=12.0, after_s=12.0, grid_s=8.0)
HIDDEN_BATCH = {"cpu": 1, "cuda": 8}  # the outputs of a window's first convolution take 100 MB
EMOTION_WINDOWS = Windows(step_s=1.0, before_s=1.5, after_s=1.5)
EMOTION_CONTEXT = TemporalContext(before_s=2.5, after_s=2.5, grid_s=1.0)  # of the two windows around a time
EMOTION_BATCH = {"cpu": 4, "cuda": 64}
EMOTION_COLUMNS = ("arousal", "dominance", "valence")


class _WindowedNetwork:
    """A network on windows of sound; the outputs are float32. One recording at a time uses all cores.

    The dtype `auto` is float32: bfloat16 is used only where it is asked for.
    """

    def __init__(
        self, net: nn.Module, checkpoint: Checkpoint, execution: ExecutionOptions, batch: Mapping[str, int]
    ) -> None:
        from vacli.runtime.devices import pick_device, pick_dtype

        self._device = pick_device(execution.device)
        self.dtype = pick_dtype("float32" if execution.dtype == "auto" else execution.dtype, self._device)
        self._net = net.to(self._device, self.dtype)
        self._normalise = checkpoint.normalise
        config = checkpoint.config
        self.clock = FrameClock.of(config["conv_kernel"], config["conv_stride"])
        self._batch_size = execution.batch_size or batch.get(self._device.type, 1)
        self._lock = threading.Lock()

    def outputs(
        self, sound: Sound, windows: Windows, numbers: Sequence[int]
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """The number, the first sample and the output of each window."""
        import torch

        from vacli.features.wav2vec.network import zero_mean_unit_variance

        spans = [windows.span(k, len(sound.samples)) for k in numbers]
        for here, samples in batches(sound.samples, spans, self._batch_size, self.clock.reach):
            scaled = zero_mean_unit_variance(samples) if self._normalise else samples
            with self._lock, torch.inference_mode():
                found: Tensor = self._net(torch.from_numpy(scaled).to(self._device, self.dtype))
                rows = found.float().cpu().numpy()
            scratch.release(sound.samples)
            for number, (start, _), row in zip(numbers[here], spans[here], rows, strict=True):
                yield number, start, row


class _HiddenStates:
    """The hidden states of a Transformer layer, interpolated at the times.

    A row comes from the window of 16 s whose middle 8 s contain its time. It depends on all of the window:
    attention reaches everywhere, and samples are normalised by the window, where the checkpoint asks for it.
    """

    family = ""

    def __init__(
        self,
        weights: Path | None = None,
        layer: int | None = None,
        execution: ExecutionOptions = DEFAULT_EXECUTION,
        progress: Progress | None = None,
    ) -> None:
        """weights: a folder, a file or `hub:OWNER/NAME`. layer: from 1, None for the last one."""
        require("transformers", f"the feature {self.family}")
        from vacli.features.wav2vec.network import hidden_states

        checkpoint = locate_checkpoint(self.family, weights, self.family, progress or RecordingProgress())
        net, layer = hidden_states(checkpoint, self.family, layer)
        self._network = _WindowedNetwork(net, checkpoint, execution, HIDDEN_BATCH)
        self.context = HIDDEN_CONTEXT
        self.spec = FeatureSpec(
            name=self.family,
            version="1",
            modality=AUDIO,
            dim=cast(int, checkpoint.config["hidden_size"]),
            units="hidden states",
            licence="" if weights else WEIGHTS[self.family].licence,
            settings=_settings(checkpoint, self._network) | {"layer": layer},
        )

    @staticmethod
    def options_from(settings: Mapping[str, object], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        return {"weights": weights.get("weights"), "layer": settings.get("layer")}

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Times (N,) in seconds of the sound -> (N, spec.dim) float32, NaN where there is no sound."""
        values = scratch.missing_rows(len(times_s), self.spec.dim)
        present = np.flatnonzero(sound.is_audible_at(times_s))
        of_row = np.floor(times_s[present] / HIDDEN_WINDOWS.step_s).astype(np.int64)
        numbers = np.unique(of_row).tolist()
        for number, start, frames in self._network.outputs(sound, HIDDEN_WINDOWS, numbers):
            rows = present[of_row == number]
            values[rows] = self._network.clock.at(frames, start, times_s[rows])
            scratch.release(values)
        return values


class Wav2vec2(_HiddenStates):
    """Hidden states of a wav2vec 2.0 checkpoint (Baevski et al. 2020, arXiv 2006.11477)."""

    family = "wav2vec2"


class Hubert(_HiddenStates):
    """Hidden states of a HuBERT checkpoint (Hsu et al. 2021, arXiv 2106.07447)."""

    family = "hubert"


class WavLM(_HiddenStates):
    """Hidden states of a WavLM checkpoint (Chen et al. 2022, arXiv 2110.13900)."""

    family = "wavlm"


class Wav2vec2MspDim:
    """Arousal, dominance and valence of speech, about 0 to 1 (Wagner et al. 2023, arXiv 2203.07378).

    The network was trained on utterances of MSP-Podcast. Here it gets windows of 3 s, one centred at each
    second of the sound, and the rows are interpolated linearly between them.
    """

    name = "wav2vec2-msp-dim"

    def __init__(
        self,
        weights: Path | None = None,
        execution: ExecutionOptions = DEFAULT_EXECUTION,
        progress: Progress | None = None,
    ) -> None:
        """weights: a folder, a file or `hub:OWNER/NAME`."""
        require("transformers", f"the feature {self.name}")
        from vacli.features.wav2vec.network import speech_regressor

        checkpoint = locate_checkpoint(self.name, weights, "wav2vec2", progress or RecordingProgress())
        _check_outputs(checkpoint)
        net = speech_regressor(checkpoint, len(EMOTION_COLUMNS))
        self._network = _WindowedNetwork(net, checkpoint, execution, EMOTION_BATCH)
        self.context = EMOTION_CONTEXT
        self.spec = FeatureSpec(
            name=self.name,
            version="1",
            modality=AUDIO,
            dim=len(EMOTION_COLUMNS),
            columns=EMOTION_COLUMNS,
            units="about 0 to 1",
            licence=WEIGHTS[self.name].licence,
            settings=_settings(checkpoint, self._network),
        )

    @staticmethod
    def options_from(settings: Mapping[str, object], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        return {"weights": weights.get("weights")}

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Times (N,) in seconds of the sound -> (N, 3) float32, NaN where there is no sound."""
        values = np.full((len(times_s), self.spec.dim), np.nan, np.float32)
        present = np.flatnonzero(sound.is_audible_at(times_s))
        position = times_s[present] / EMOTION_WINDOWS.step_s
        around = np.unique([np.floor(position), np.ceil(position)]).astype(np.int64)
        numbers = around[around * EMOTION_WINDOWS.step_s <= sound.duration_s].tolist()
        found = {k: row for k, _, row in self._network.outputs(sound, EMOTION_WINDOWS, numbers)}
        if found:
            known = np.array(list(found.values()))
            for column in range(self.spec.dim):
                values[present, column] = np.interp(position, numbers, known[:, column])
        return values


def _settings(checkpoint: Checkpoint, network: _WindowedNetwork) -> dict[str, object]:
    return {
        "weights": short_hash(checkpoint.path),
        "config": checkpoint.config_hash,
        "normalise": checkpoint.normalise,
        "dtype": str(network.dtype).removeprefix("torch."),
    }


def _check_outputs(checkpoint: Checkpoint) -> None:
    """Raise WeightsError unless the head has the outputs of EMOTION_COLUMNS, from the mean over time."""
    names = checkpoint.config.get("id2label", {})
    outputs = tuple(names[key] for key in sorted(names, key=int))
    pooling = checkpoint.config.get("pooling_mode", "mean")
    if outputs != EMOTION_COLUMNS or pooling != "mean":
        raise WeightsError(
            f"{checkpoint.path.parent}: has the outputs {', '.join(outputs) or 'none'} by {pooling} pooling, "
            f"not {', '.join(EMOTION_COLUMNS)} by mean pooling",
            hint="give a checkpoint of the published form",
        )
