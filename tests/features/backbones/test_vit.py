from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vacli.errors import UsageError, WeightsError
from vacli.features.backbones import vit as vits
from vacli.features.backbones.vit import PartlyFrozen, build_vit, load_encoder, sincos_positions
from vacli.features.weights import load_tensors


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def official_layout(vit):
    """A checkpoint in the layout of the MAE repository: encoder, decoder and mask token under `model`."""
    tensors = {k: torch.randn_like(v) * 0.02 for k, v in vit.state_dict().items()}
    tensors["mask_token"] = torch.zeros(1, 1, 8)
    tensors["decoder_embed.weight"] = torch.zeros(8, 64)
    tensors["decoder_blocks.0.norm1.weight"] = torch.zeros(8)
    tensors["decoder_pos_embed"] = torch.zeros(1, 197, 8)
    return tensors


def test_positions_equal_those_of_the_mae_repository():
    width, side = 16, 3
    expected = np.zeros((side * side, width))
    for row in range(side):
        for column in range(side):
            for half, place in enumerate((column, row)):
                for k in range(width // 4):
                    angle = place / 10000 ** (k / (width // 4))
                    expected[row * side + column, half * 8 + k] = np.sin(angle)
                    expected[row * side + column, half * 8 + 4 + k] = np.cos(angle)
    assert np.allclose(sincos_positions(width, side).numpy(), expected, atol=1e-6)


def test_a_new_encoder_has_fixed_positions():
    vit = build_vit("test_vit")
    assert not vit.pos_embed.requires_grad
    assert vit.pos_embed[0, 0].abs().max() == 0
    assert torch.equal(vit.pos_embed[0, 1:], sincos_positions(64, 14))


@pytest.mark.parametrize("name", ["test_vit", "deit3_small_patch16_224", "vit_small_patch14_reg4_dinov2"])
def test_tokens_equal_those_of_timm(name):
    """Seen with timm 1.0, whose private method is the reference."""
    import timm

    if not hasattr(timm.models.vision_transformer.VisionTransformer, "_pos_embed"):
        pytest.skip(f"timm {timm.__version__} has no _pos_embed")
    vit = timm.create_model(name, num_classes=0).eval()
    if vit.cls_token is None or vit.pos_embed is None:
        pytest.skip(f"{name} has no class token or no positions")
    images = torch.randn(2, 3, *vit.patch_embed.img_size)
    with torch.inference_mode():
        expected = vit._pos_embed(vit.patch_embed(images))
        torch.testing.assert_close(vits.add_positions(vit, vit.patch_embed(images)), expected)


def test_parameters_of_vit_l_frozen_and_trained():
    vit = build_vit("mae-vit-l", empty=True)
    model = PartlyFrozen(vit, 16)
    front = [vit.patch_embed, *vit.blocks[:16]]
    back = list(vit.blocks[16:])
    count = lambda modules: sum(p.numel() for m in modules for p in m.parameters())  # noqa: E731
    assert count(front) == 202_327_040
    assert count(back) == 100_769_792
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert {n.split(".")[2] for n in trained if ".blocks." in n} == {str(i) for i in range(16, 24)}
    assert {n for n in trained if ".blocks." not in n} == {"encoder.norm.weight", "encoder.norm.bias"}
    assert sum(p.numel() for p in model.parameters()) == 303_301_632


def test_frozen_blocks_keep_no_graph_and_stay_in_eval_mode():
    model = PartlyFrozen(build_vit("test_vit", 0.2), 4).train()
    seen = []
    model.encoder.blocks[3].register_forward_hook(lambda m, i, o: seen.append((m.training, o.requires_grad)))
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    assert seen == [(False, False)]
    assert model.encoder.blocks[4].training
    assert all(p.grad is None for p in model.encoder.blocks[3].parameters())
    assert all(p.grad is not None for p in model.encoder.blocks[4].parameters())


def test_freezing_does_not_change_the_output():
    vit = build_vit("test_vit").eval()
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        whole = vit(images)
    assert torch.allclose(PartlyFrozen(vit, 3).eval()(images), whole, atol=1e-5)
    assert torch.allclose(vits.class_token(vit, images), whole, atol=1e-5)


def test_freezing_too_many_blocks_names_the_depth():
    with pytest.raises(UsageError, match="6"):
        PartlyFrozen(build_vit("test_vit"), 7)


@pytest.mark.parametrize("wrapper", [None, "model"])
def test_official_checkpoint_loads(tmp_path, wrapper):
    vit = build_vit("test_vit", empty=True)
    tensors = official_layout(build_vit("test_vit"))
    torch.save({wrapper: tensors} if wrapper else tensors, tmp_path / "mae.pth")
    load_encoder(vit, load_tensors(tmp_path / "mae.pth"), tmp_path / "mae.pth")
    assert torch.equal(vit.blocks[2].mlp.fc1.weight, tensors["blocks.2.mlp.fc1.weight"])
    assert torch.equal(vit.pos_embed, tensors["pos_embed"])
    assert not vit.pos_embed.requires_grad


def test_a_timm_checkpoint_without_positions_gets_fixed_positions(tmp_path):
    source = build_vit("test_vit")
    tensors = {k: v for k, v in source.state_dict().items() if k != "pos_embed"}
    tensors["head.weight"] = torch.zeros(2, 64)
    save_file(tensors, tmp_path / "model.safetensors")
    vit = build_vit("test_vit", empty=True)
    load_encoder(vit, load_tensors(tmp_path / "model.safetensors"), tmp_path)
    images = torch.randn(1, 3, 224, 224)
    assert torch.allclose(vit.eval()(images), source.eval()(images))


def test_a_run_loads_the_encoder_tensors(tmp_path):
    source = build_vit("test_vit")
    tensors = {f"encoder.{k}": v for k, v in source.state_dict().items()} | {"head.bias": torch.zeros(2)}
    vit = build_vit("test_vit", empty=True)
    load_encoder(vit, tensors, tmp_path)
    assert torch.equal(vit.cls_token, source.cls_token)


def test_the_first_differing_key_is_named(tmp_path):
    vit = build_vit("test_vit", empty=True)
    tensors = official_layout(build_vit("test_vit"))
    tensors["blocks.1.attn.qkv.weight"] = torch.zeros(3, 3)
    tensors["blocks.4.attn.qkv.weight"] = torch.zeros(3, 3)
    shape = r"blocks\.1\.attn\.qkv\.weight has shape \(3, 3\), not \(192, 64\)"
    with pytest.raises(WeightsError, match=shape):
        load_encoder(vit, tensors, tmp_path)
    del tensors["blocks.0.norm1.bias"]
    with pytest.raises(WeightsError, match=r"blocks\.0\.norm1\.bias is missing"):
        load_encoder(vit, tensors, tmp_path)


def test_a_network_without_class_token_is_an_error():
    with pytest.raises(UsageError, match="not a vision transformer"):
        build_vit("resnet10t")
