"""Visual features: ours against the plain way, on the same images in one process, interleaved."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
import timm
import torch
from timm.models.vision_transformer import Block as VitBlock

from vacli.features.backbones.fast_vit import Block, FastVit
from vacli.features.backbones.vit import PartlyFrozen, build_vit
from vacli.features.compact.export import to_onnx
from vacli.features.compact.extractor import Compact
from vacli.features.compact.network import CompactFace, small_grey
from vacli.runtime.devices import multiplies_bfloat16
from vacli.runtime.options import ExecutionOptions

ROUNDS = 5
FRAMES = 8
FLOPS_A_FRAME = 123e9  # of ViT-L/16 on 224 x 224, products and sums of its matrix products
CPU = torch.device("cpu")


def interleaved(*sides: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Median seconds of each side over alternating rounds, so that both see the same machine."""
    times: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side()
    for _ in range(rounds):
        for side, own in zip(sides, times, strict=True):
            began = time.perf_counter()
            side()
            own.append(time.perf_counter() - began)
    return [median(own) for own in times]


def product(dtype: torch.dtype) -> tuple[Callable[[], object], float]:
    """The largest matrix product of a batch of ViT-L, and its floating-point operations."""
    rows = FRAMES * 197
    a, b = torch.randn(rows, 1024).to(dtype), torch.randn(4096, 1024).to(dtype)
    return lambda: torch.nn.functional.linear(a, b), 2.0 * rows * 1024 * 4096


@pytest.fixture(scope="module")
def vit_l():
    torch.manual_seed(0)
    return timm.create_model("vit_large_patch16_224.mae", num_classes=0).eval()


def test_vit_l_class_token(benchmark, vit_l):
    """FastVit in the dtype that the machine multiplies best, against eager float32 of timm."""
    dtype = torch.bfloat16 if multiplies_bfloat16(CPU) else torch.float32
    fast, images = FastVit(vit_l, dtype, FRAMES), torch.randn(FRAMES, 3, 224, 224)
    multiply, flops = product(dtype)
    with torch.inference_mode():
        expected, ours = vit_l(images), fast(images)
        cosine = torch.cosine_similarity(expected, ours).min().item()
        plain_s, ours_s, product_s = interleaved(lambda: vit_l(images), lambda: fast(images), multiply)
        benchmark.pedantic(fast, (images,), rounds=1)
    rate = flops / product_s
    benchmark.extra_info.update(
        ratio=plain_s / ours_s,
        bound=4.0,
        error=1 - cosine,
        error_bound=1e-3,
        dtype=str(dtype),
        frames_per_s=FRAMES / ours_s,
        product_gflops=rate / 1e9,
        share_of_product_rate=FLOPS_A_FRAME * FRAMES / ours_s / rate,
        share_bound=0.65,
        bfloat16_units=multiplies_bfloat16(CPU),
    )
    assert cosine > 0.999


def test_vit_l_class_token_in_bfloat16(benchmark, vit_l):
    """FastVit over eager timm, both in bfloat16: the gain of packing and fusing."""
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = vit_l(images)
    fast, eager = FastVit(vit_l, torch.bfloat16, 2), vit_l.to(torch.bfloat16)
    half = images.to(torch.bfloat16)
    try:
        with torch.inference_mode():
            cosine = torch.cosine_similarity(expected, fast(images)).min().item()
            plain_s, ours_s = interleaved(lambda: eager(half), lambda: fast(images), rounds=3)
            benchmark.pedantic(fast, (images,), rounds=1)
    finally:
        vit_l.to(torch.float32)
    benchmark.extra_info.update(ratio=plain_s / ours_s, bound=1.0, error=1 - cosine, error_bound=1e-3)
    assert cosine > 0.999


class Int8Linear:
    """A layer with 8-bit weights, scaled by output channel, on rows of 8-bit numbers; no bias."""

    def __init__(self, layer: torch.nn.Linear, rows: int) -> None:
        weight = layer.weight.detach()
        self.scales, self.zeros = weight.abs().amax(1) / 127, torch.zeros(len(weight), dtype=torch.int32)
        numbers = (weight / self.scales[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(numbers, [rows, weight.shape[1]])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in) int8 -> (N, out) bfloat16, without the scales of the rows."""
        arguments = (self.weight, self.scales, self.zeros, None, 1.0, 0, torch.bfloat16, "none", [], "")
        return torch.ops.onednn.qlinear_pointwise(x, 1.0, 0, *arguments)


def int8_rows(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row as numbers from -127 to 127, and its scale."""
    x = x.float()
    scale = x.abs().amax(-1, keepdim=True).clamp(min=1e-8) / 127
    return (x / scale).round().to(torch.int8), scale


def test_vit_l_block_if_its_products_were_of_8_bits(benchmark):
    """A block in bfloat16 over the same block whose products take the time of 8-bit ones, all else free.

    Scaling activations to 8 bits and back costs nothing here, so no implementation reaches this ratio.
    `with_quantisation` adds one pass of torch over the input of each product.
    """
    if not multiplies_bfloat16(CPU):
        pytest.skip("the processor has no bfloat16 units")
    torch.manual_seed(0)
    layers = VitBlock(1024, 16, qkv_bias=True).eval()
    linears = (layers.attn.qkv, layers.attn.proj, layers.mlp.fc1, layers.mlp.fc2)
    rows = FRAMES * 197
    block = Block(layers, torch.bfloat16, rows)
    tokens = torch.randn(FRAMES, 197, 1024).to(torch.bfloat16)
    x, hidden = tokens.view(rows, 1024), torch.randn(rows, 4096).to(torch.bfloat16)
    with torch.inference_mode():
        inputs = [hidden if layer.in_features == 4096 else x for layer in linears]
        numbers = [int8_rows(each) for each in inputs]
        products = [Int8Linear(layer, rows) for layer in linears]
        cosine = 1.0
        for layer, made, (q, scale), each in zip(linears, products, numbers, inputs, strict=True):
            plain = torch.nn.functional.linear(each.float(), layer.weight)
            ours = made(q).float() * scale
            cosine = min(cosine, torch.cosine_similarity(plain, ours).min().item())

        def in_bfloat16() -> None:
            block.qkv(x)
            block.out.add(x, x)
            block.up.gelu(x)
            block.down.add(hidden, x)

        def in_8_bits() -> None:
            for product_, (q, _) in zip(products, numbers, strict=True):
                product_(q)

        def quantise() -> None:
            for each in inputs:
                int8_rows(each)

        sides = interleaved(lambda: block(tokens), in_bfloat16, in_8_bits, quantise, rounds=4 * ROUNDS)
        benchmark.pedantic(block, (tokens,), rounds=1)
    block_s, bfloat16_s, int8_s, quantise_s = sides
    benchmark.extra_info.update(
        ratio=block_s / (block_s - bfloat16_s + int8_s),
        bound=1.5,
        error=1 - cosine,
        error_bound=5e-3,
        products_ratio=bfloat16_s / int8_s,
        products_share=bfloat16_s / block_s,
        with_quantisation=block_s / (block_s - bfloat16_s + int8_s + quantise_s),
    )
    assert cosine > 0.995


def test_compact_face(benchmark, tmp_path):
    """The bundled network in ONNX Runtime in batches, over the trained module frame by frame."""
    torch.manual_seed(0)
    plain = CompactFace().eval()
    plain.load_state_dict({k: v.half() for k, v in plain.state_dict().items()})  # as the file stores them
    path = tmp_path / "face.onnx"
    path.write_bytes(to_onnx(plain.state_dict()))
    extractor = Compact(path, ExecutionOptions(device="cpu"))
    crops = np.random.default_rng(0).integers(0, 256, (64, 224, 224, 3), dtype=np.uint8)

    def one_by_one() -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([plain.rows(small_grey(crop[None])).numpy() for crop in crops])

    error = float(np.abs(one_by_one() - extractor.extract(crops)).max())
    plain_s, ours_s = interleaved(one_by_one, lambda: extractor.extract(crops))
    benchmark.pedantic(extractor.extract, (crops,), rounds=3)
    benchmark.extra_info.update(
        ratio=plain_s / ours_s, bound=1.0, error=error, ms_a_frame=ours_s / len(crops) * 1e3
    )
    assert error < 1e-4


def step(frozen_blocks: int, frames: int) -> dict[str, float]:
    """Two optimiser steps of ViT-L: loss of the first, seconds of the second, peak memory of the process."""
    torch.manual_seed(0)
    model = PartlyFrozen(build_vit("mae-vit-l"), frozen_blocks).train()
    head = torch.nn.Linear(1024, 2)
    trained = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4)
    images, target = torch.randn(frames, 3, 224, 224), torch.rand(frames, 2)
    losses = []
    for _ in range(2):
        began = time.perf_counter()
        loss = (head(model(images)) - target).square().mean()
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "loss": losses[0],
        "seconds": seconds,
        "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def step_in_a_process(frozen_blocks: int, frames: int = 16) -> dict[str, float]:
    """As `step`, in a new process, so that the peak memory is that of this step."""
    command = [sys.executable, __file__, str(frozen_blocks), str(frames)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_partly_frozen_step(benchmark):
    """A training step with 16 of 24 blocks frozen against full fine-tuning; memory is the process's peak."""
    full = step_in_a_process(0)
    ours = benchmark.pedantic(step_in_a_process, (16,), rounds=1)
    error = abs(full["loss"] - ours["loss"])
    benchmark.extra_info.update(
        ratio=full["seconds"] / ours["seconds"],
        bound=1.0,
        error=error,
        error_bound=1e-4,
        memory_ratio=full["bytes"] / ours["bytes"],
        memory_bound=2.0,
        full_gb=full["bytes"] / 1e9,
        partly_frozen_gb=ours["bytes"] / 1e9,
        full_step_s=full["seconds"],
        partly_frozen_step_s=ours["seconds"],
    )
    assert error < 1e-4


if __name__ == "__main__":
    print(json.dumps(step(int(sys.argv[1]), int(sys.argv[2]))))
