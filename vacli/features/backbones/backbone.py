"""Extractors `mae-vit-l`, `resnet50` and any timm model by name, on aligned crops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vacli.errors import UsageError, WeightsError
from vacli.features.backbones.fast_vit import FastVit, is_plain
from vacli.features.backbones.vit import (
    SIDE_PX,
    build_vit,
    class_token,
    has_class_token,
    is_vision_transformer,
    load_encoder,
    timm_name,
)
from vacli.features.downloads import Weights, locate_record
from vacli.features.encoder_run import read_encoder_run
from vacli.features.weights import WEIGHTS, check_keys, load_tensors, short_hash
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.devices import in_batches, pick_device, pick_dtype
from vacli.runtime.options import DEFAULT_EXECUTION, ExecutionOptions
from vacli.spec import VISUAL, FeatureSpec

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std of each channel
# (mean, std) on pixels in [0, 1]. "paper": LightMamba III-B and BDCA II-B, one value for all
# channels; "per-channel": the same statistics of the data by channel, whose averages those are;
# "signed": pixels in [-1, 1], the other normalisation of LightMamba IV.A and BDCA IV.A.
NORMALISATIONS: dict[str, Statistics] = {
    "paper": ((0.389, 0.389, 0.389), (0.198, 0.198, 0.198)),
    "per-channel": ((0.471, 0.363, 0.333), (0.220, 0.193, 0.180)),
    "signed": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
BATCH = {"cpu": 16, "cuda": 256}  # a CPU is no faster with more; a GPU's batch is halved if it does not fit


@dataclass(frozen=True)
class Network:
    """A loaded network: its normalisation and input size, and the hash of its weights."""

    model: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    side_px: int
    weights: str
    is_vit: bool


class TimmBackbone:
    """A timm model without its head; the feature is its pooled output."""

    name = ""

    def __init__(
        self,
        name: str | None = None,
        weights: Path | None = None,
        execution: ExecutionOptions = DEFAULT_EXECUTION,
        normalise: str | Statistics | None = None,
        progress: Progress | None = None,
    ) -> None:
        """normalise: a key of NORMALISATIONS, the statistics themselves, or None for those of the model."""
        self.name = name or self.name
        self.device = pick_device(execution.device)
        self.dtype = pick_dtype(execution.dtype, self.device)
        network = load_network(self.name, weights, normalise, progress or RecordingProgress())
        self.side_px = network.side_px
        self.batch_size = execution.batch_size or BATCH.get(self.device.type, 16)
        self.mean, self.std = (
            torch.tensor(v, device=self.device).view(1, -1, 1, 1) * 255 for v in (network.mean, network.std)
        )
        self._forward = self._prepare(network)
        self.spec = self._spec(network)

    @staticmethod
    def options_from(settings: Mapping[str, Any], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        known = "mean" in settings and "std" in settings
        statistics = (tuple(settings["mean"]), tuple(settings["std"])) if known else None
        return {"weights": weights.get("weights"), "normalise": statistics}

    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, 224, 224, 3) uint8 RGB -> (N, dim) float32."""
        return in_batches(self._rows, crops, self.batch_size, self.spec.dim)

    def _prepare(self, network: Network) -> Callable[[Tensor], Tensor]:
        model = network.model.eval().requires_grad_(False)
        if network.is_vit:
            vit = cast("VisionTransformer", model)
            if is_plain(vit):
                return FastVit(vit.to(self.device), self.dtype, self.batch_size)
            vit.to(self.device, self.dtype)
            return lambda images: class_token(vit, images.to(self.dtype))
        model.to(self.device, self.dtype)
        return lambda images: model(images.to(self.dtype))

    def _rows(self, crops: np.ndarray) -> Tensor:
        images = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float()
        if images.shape[-1] != self.side_px:
            size = (self.side_px, self.side_px)
            images = F.interpolate(images, size, mode="bicubic", antialias=True).clamp_(0, 255)
        return self._forward((images - self.mean) / self.std)

    def _dim(self, network: Network) -> int:
        if network.is_vit:
            return cast(int, network.model.num_features)
        black = np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8)
        with torch.inference_mode():  # `num_features` is another width in networks with a convolutional head
            return self._rows(black).shape[-1]

    def _spec(self, network: Network) -> FeatureSpec:
        record = WEIGHTS.get(self.name)
        return FeatureSpec(
            name=self.name.removeprefix("timm:"),
            version="1",
            modality=VISUAL,
            dim=self._dim(network),
            licence=record.licence if record else "",
            settings={
                "weights": network.weights,
                "mean": list(network.mean),
                "std": list(network.std),
                "dtype": str(self.dtype).removeprefix("torch."),
            },
        )


class MaeVitL(TimmBackbone):
    """A masked autoencoder's ViT-L encoder (He et al. 2022): 1024 values a frame."""

    name = "mae-vit-l"


class Resnet50(TimmBackbone):
    """ResNet-50 trained on ImageNet, the ABAW challenges' baseline: 2048 values a frame."""

    name = "resnet50"


def load_network(
    name: str, weights: Path | None, normalise: str | Statistics | None, progress: Progress
) -> Network:
    """The network `name` with its published weights, a given checkpoint, or a fine-tuned run's."""
    if weights is not None and Path(weights).is_dir():
        return _from_run(name, Path(weights), normalise)
    plain = _plain_name(name)
    config = _pretrained_config(plain)
    path = published_weights(name, weights, progress)
    mean, std = _normalisation(normalise, own_normalisation(name))
    if not has_class_token(plain):
        side = int(config["input_size"][-1])
        return Network(load_by_timm(plain, path), mean, std, side, short_hash(path), False)
    vit = build_vit(plain, empty=True)
    load_encoder(vit, load_tensors(path), path)
    return Network(vit, mean, std, SIDE_PX, short_hash(path), True)


def published_weights(name: str, given: Path | None, progress: Progress) -> Path:
    """The file with the weights of a timm model: `given`, or fetched from where timm keeps them."""
    if given is not None and Path(given).is_dir():
        return read_encoder_run(Path(given))[1]
    record = WEIGHTS.get(name) or _record(name, _pretrained_config(_plain_name(name)))
    return locate_record(name, record, given, progress)


def own_normalisation(name: str) -> Statistics:
    """Mean and std per channel that a timm model was trained with."""
    config = _pretrained_config(_plain_name(name))
    return tuple(config["mean"]), tuple(config["std"])


def _from_run(name: str, folder: Path, normalise: str | Statistics | None) -> Network:
    run, path = read_encoder_run(folder)
    if timm_name(run.encoder) != timm_name(name):
        raise WeightsError(
            f"{folder} holds a fine-tuned {run.encoder}, not {name}", hint=f"give --feature {run.encoder}"
        )
    mean, std = _normalisation(normalise, (run.mean, run.std))
    if not is_vision_transformer(name):
        return Network(_load_finetuned(name, path), mean, std, SIDE_PX, short_hash(path), False)
    vit = build_vit(name, empty=True)
    load_encoder(vit, load_tensors(path), path)
    return Network(vit, mean, std, SIDE_PX, short_hash(path), True)


def _load_finetuned(name: str, path: Path) -> nn.Module:
    """A timm model with the encoder's tensors of a run, without the head of the run."""
    model = create_timm(name)
    tensors = load_tensors(path).items()
    own = {key.removeprefix("encoder."): x for key, x in tensors if key.startswith("encoder.")}
    check_keys({key: tuple(x.shape) for key, x in model.state_dict().items()}, own, path)
    model.load_state_dict(own)
    return model


def create_timm(name: str) -> nn.Module:
    """A timm model without its head, with random weights."""
    import timm

    return timm.create_model(_plain_name(name), pretrained=False, num_classes=0)


def _normalisation(choice: str | Statistics | None, own: Statistics) -> Statistics:
    return choice if isinstance(choice, tuple) else NORMALISATIONS.get(choice or "model", own)


def _plain_name(name: str) -> str:
    import timm

    plain = timm_name(name)
    if not timm.is_model(plain):
        raise UsageError(f"timm has no model {plain!r}", hint="see timm.list_models()")
    return plain


def _pretrained_config(name: str) -> dict[str, Any]:
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None:
        raise UsageError(f"timm has no weights for {name!r}", hint="give them with --weights FILE")
    return config.to_dict()


def _record(name: str, config: dict[str, Any]) -> Weights:
    """The source of a timm model's weights."""
    licence = config.get("license") or ""
    if hub := config.get("hf_hub_id"):
        return Weights(file="model.safetensors", source=f"hub:{hub}", licence=licence)
    if url := config.get("url"):
        return Weights(file=url.rsplit("/", 1)[-1], source=url, licence=licence)
    raise UsageError(f"timm has no weights for {name!r}", hint="give them with --weights FILE")


def load_by_timm(name: str, path: Path) -> nn.Module:
    """Build a model with timm's own conversion of keys, from tensors that were read safely."""
    import timm

    tensors = load_tensors(path)
    try:
        return timm.create_model(
            _plain_name(name),
            pretrained=True,
            num_classes=0,
            pretrained_cfg_overlay={"state_dict": tensors, "custom_load": False},
        )
    except (RuntimeError, KeyError) as error:
        first = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        raise WeightsError(
            f"{path}: does not fit {name}: {first}", hint="these are weights of another network"
        ) from None
