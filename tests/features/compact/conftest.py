"""A face network with random weights, as a state dict on disk and as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from torch import Tensor


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    """A state dict whose batch norms have statistics that folding must not lose; exact in float16."""
    import torch
    from torch import nn

    from vacli.features.compact.network import CompactFace

    torch.manual_seed(0)
    model = CompactFace()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    state = model.state_dict().items()
    return {k: v.half().to(v.dtype).contiguous() for k, v in state}


@pytest.fixture
def weights(tmp_path, tensors) -> Path:
    from safetensors.torch import save_file

    path = tmp_path / "face.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture
def onnx_file(tmp_path, tensors) -> Path:
    from vacli.features.compact.export import to_onnx

    path = tmp_path / "face.onnx"
    path.write_bytes(to_onnx(tensors))
    return path


@pytest.fixture
def crops() -> np.ndarray:
    """Five crops: noise, one of a single grey, one partly black."""
    made = np.random.default_rng(1).integers(0, 256, (5, 224, 224, 3), dtype=np.uint8)
    made[1], made[2, :100] = 90, 0
    return made
