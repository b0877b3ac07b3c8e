from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from vacli.errors import RunError, UsageError, WeightsError
from vacli.features.backbones.backbone import TimmBackbone, load_network
from vacli.features.backbones.vit import build_vit
from vacli.features.encoder_run import EncoderRun
from vacli.progress import RecordingProgress
from vacli.runtime.options import ExecutionOptions

PLAIN = ExecutionOptions(dtype="float32", device="cpu", batch_size=2)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def crops(count=3):
    return np.random.default_rng(1).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def saved(model, path):
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
    return path


@pytest.fixture
def run(tmp_path):
    """The folder of a fine-tuned small encoder, and the encoder."""
    vit = build_vit("test_vit")
    save_file({f"encoder.{k}": v for k, v in vit.state_dict().items()}, tmp_path / "weights.safetensors")
    EncoderRun(encoder="test_vit", objective="va", mean=(0.389,) * 3, std=(0.198,) * 3).write(tmp_path)
    return tmp_path, vit.eval()


def test_a_timm_model_gives_the_output_of_timm(tmp_path):
    model = timm.create_model("test_resnet", num_classes=7).eval()
    path = saved(model, tmp_path / "model.safetensors")
    config = model.pretrained_cfg
    side = config["input_size"][-1]
    images = torch.from_numpy(crops()).permute(0, 3, 1, 2).float() / 255
    images = torch.nn.functional.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(config[k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    model.reset_classifier(0)
    with torch.no_grad():
        expected = model((images - mean) / std).numpy()
    for name in ("test_resnet", "timm:test_resnet"):
        extractor = TimmBackbone(name, path, PLAIN)
        assert np.allclose(extractor.extract(crops()), expected, atol=1e-4)
        assert extractor.spec.name == "test_resnet"
        assert extractor.spec.dim == expected.shape[1]


def test_a_model_with_a_convolutional_head_gives_all_of_its_outputs(tmp_path):
    model = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    extractor = TimmBackbone("mobilenetv3_small_050", saved(model, tmp_path / "model.safetensors"), PLAIN)
    with torch.no_grad():
        expected = model(torch.zeros(1, 3, 224, 224)).shape[-1]
    assert expected != model.num_features
    assert extractor.spec.dim == expected
    assert extractor.extract(crops(1)).shape == (1, expected)


def test_a_run_is_loaded_with_its_normalisation(run):
    folder, vit = run
    extractor = TimmBackbone("test_vit", folder, PLAIN)
    images = torch.from_numpy(crops()).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = vit((images - 0.389) / 0.198).numpy()
    assert np.allclose(extractor.extract(crops()), expected, atol=1e-4)
    assert extractor.spec.settings["mean"] == [0.389] * 3


def test_identity_depends_on_weights_and_normalisation_not_on_the_batch(run):
    folder, _ = run
    spec = TimmBackbone("test_vit", folder, PLAIN).spec
    again = TimmBackbone("test_vit", folder, ExecutionOptions(dtype="float32", batch_size=5)).spec
    channels = TimmBackbone("test_vit", folder, PLAIN, "per-channel").spec
    assert spec.fingerprint() == again.fingerprint()
    assert spec.fingerprint() != channels.fingerprint()
    assert channels.settings["std"] == [0.220, 0.193, 0.180]


def test_signed_normalisation_maps_pixels_to_minus_1_and_1(run):
    folder, vit = run
    extractor = TimmBackbone("test_vit", folder, PLAIN, "signed")
    images = torch.from_numpy(crops()).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = vit(images * 2 - 1).numpy()
    assert np.allclose(extractor.extract(crops()), expected, atol=1e-4)


def test_a_run_of_another_encoder_is_an_error(run):
    with pytest.raises(WeightsError, match="test_vit, not mae-vit-l"):
        TimmBackbone("mae-vit-l", run[0], PLAIN)


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(RunError, match="not a run"):
        load_network("test_vit", tmp_path, None, RecordingProgress())


def test_weights_of_another_network_are_an_error(tmp_path):
    path = saved(timm.create_model("test_resnet"), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="does not fit test_efficientnet"):
        TimmBackbone("test_efficientnet", path, PLAIN)


def test_an_unknown_model_is_a_usage_error():
    with pytest.raises(UsageError, match="resnet5O"):
        TimmBackbone("resnet5O", None, PLAIN)


def test_sources_of_mae_vit_l_and_resnet50():
    from vacli.features.weights import WEIGHTS

    assert (
        WEIGHTS["mae-vit-l"].source == "hub:" + timm.get_pretrained_cfg("vit_large_patch16_224.mae").hf_hub_id
    )
    assert WEIGHTS["mae-vit-l"].licence == "CC-BY-NC-4.0"
    assert WEIGHTS["resnet50"].source == "hub:" + timm.get_pretrained_cfg("resnet50").hf_hub_id
