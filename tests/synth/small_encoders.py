"""Small networks in the place of ViT-L and of the papers' models, and weights in the caches of their hubs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from synth.vggish_weights import random_net, write_checkpoint
from timm.layers import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vacli.features.backbones.vit import timm_name
from vacli.features.weights import WEIGHTS
from vacli.files.digests import file_sha256
from vacli.recipe.presets import PRESETS
from vacli.recipe.schema import Mamba, Model, Tcn, Transformer

VIT_L = "vit_large_patch16_224"
WIDTH, DEPTH, INNER, PATCH_PX = 1024, 24, 8, 32  # width and depth are those of ViT-L


class NarrowBlock(nn.Module):
    """A block with the width of ViT-L whose attention reads and changes the first INNER columns."""

    def __init__(self, dim: int, **unused: Any) -> None:
        super().__init__()
        self.inner = Attention(INNER, num_heads=1)

    def forward(self, x: Tensor) -> Tensor:
        changed = self.inner(x[..., :INNER].contiguous())
        return x + nn.functional.pad(changed, (0, x.shape[-1] - INNER))


def narrow_vit(pretrained: bool = False, **options: Any) -> VisionTransformer:
    """In place of timm's ViT-L: as wide and as deep, with small blocks and large patches."""
    own = {
        k: v for k, v in options.items() if k not in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")
    }
    return VisionTransformer(
        patch_size=PATCH_PX, embed_dim=WIDTH, depth=DEPTH, num_heads=1, block_fn=NarrowBlock, **own
    )


def install_vit(monkeypatch: pytest.MonkeyPatch, hub: Path) -> None:
    """Replace ViT-L by `narrow_vit`, with random weights in the hub's cache at `hub`."""
    monkeypatch.setitem(timm.models._registry._model_entrypoints, VIT_L, narrow_vit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    torch.manual_seed(0)
    vit = timm.create_model(timm_name("mae-vit-l"), num_classes=0)
    put_into_hub(hub, WEIGHTS["mae-vit-l"].source.removeprefix("hub:"), vit.state_dict())


def put_into_hub(hub: Path, repo: str, tensors: Mapping[str, Tensor]) -> None:
    """Write model.safetensors of a repository into the hub's cache: a link to a file named by its hash."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    revision = "0" * 40
    for part in ("blobs", "refs", f"snapshots/{revision}"):
        (folder / part).mkdir(parents=True)
    save_file(dict(tensors), folder / "blobs" / "new")
    sha256 = file_sha256(folder / "blobs" / "new")
    (folder / "blobs" / "new").rename(folder / "blobs" / sha256)
    (folder / "refs" / "main").write_text(revision)
    link = folder / "snapshots" / revision / "model.safetensors"
    link.symlink_to(Path("..") / ".." / "blobs" / sha256)


def install_vggish(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Write random weights of VGGish into torch's cache below `home`, and state their hash in its record."""
    monkeypatch.setenv("TORCH_HOME", str(home))
    record = WEIGHTS["vggish"]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True)
    path = write_checkpoint(folder / record.file, random_net())
    monkeypatch.setitem(WEIGHTS, "vggish", replace(record, sha256=file_sha256(path)))


def shrink_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules of all presets narrow; their features and kinds stay."""
    for name, recipe in PRESETS.items():
        monkeypatch.setitem(PRESETS, name, replace(recipe, model=_narrow(recipe.model)))


def _narrow(model: Model) -> Model:
    return replace(
        model,
        streams=tuple(replace(stream, tcn=_narrow_tcn(stream.tcn)) for stream in model.streams),
        tcn=_narrow_tcn(model.tcn),
        temporal=_narrow_temporal(model.temporal),
        head=replace(model.head, hidden=tuple(8 for _ in model.head.hidden)),
    )


def _narrow_tcn(tcn: Tcn | None) -> Tcn | None:
    return None if tcn is None else replace(tcn, channels=tuple(16 for _ in tcn.channels), kernel=3)


def _narrow_temporal(temporal: Any) -> Any:
    if isinstance(temporal, Mamba):
        return replace(temporal, n_layers=1, d_model=16, d_state=4)
    if isinstance(temporal, Transformer):
        return replace(temporal, n_layers=1, d_model=16, n_heads=2, dim_feedforward=16)
    return temporal
