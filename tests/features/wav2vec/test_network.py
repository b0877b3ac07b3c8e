"""Speech networks are built without a checkpoint's code, and only from tensors that fit."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (pip install '.[train]')")
transformers = pytest.importorskip("transformers", reason="needs transformers (pip install '.[speech]')")

from synth.speech_checkpoints import (  # noqa: E402
    SMALL,
    published_keys,
    small_encoder,
    small_regressor,
    write_checkpoint,
    write_emotion_checkpoint,
)

from vacli.errors import UsageError, WeightsError  # noqa: E402
from vacli.features.wav2vec.checkpoint import locate_checkpoint  # noqa: E402
from vacli.features.wav2vec.network import (  # noqa: E402
    build_regressor,
    hidden_states,
    speech_regressor,
    zero_mean_unit_variance,
)
from vacli.progress import RecordingProgress  # noqa: E402

PUBLISHED = SMALL | {  # config.json of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim
    "hidden_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_dim": [512] * 7,
    "num_conv_pos_embeddings": 128,
    "num_conv_pos_embedding_groups": 16,
}
SAMPLES = torch.randn(2, 8000, generator=torch.Generator().manual_seed(3))


def located(folder, family="wav2vec2"):
    return locate_checkpoint(family, folder, family, RecordingProgress())


def test_the_published_size_has_the_published_keys_and_shapes():
    shapes = {key: tuple(x.shape) for key, x in build_regressor(PUBLISHED, 3).state_dict().items()}
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 165_335_683
    assert len(shapes) == 233
    layer = "wav2vec2.encoder.layers.11"
    expected = {
        "wav2vec2.feature_extractor.conv_layers.0.conv.weight": (512, 1, 10),
        "wav2vec2.feature_extractor.conv_layers.6.conv.bias": (512,),
        "wav2vec2.feature_extractor.conv_layers.6.layer_norm.weight": (512,),
        "wav2vec2.feature_projection.projection.weight": (1024, 512),
        "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original0": (1, 1, 128),
        "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original1": (1024, 64, 128),
        "wav2vec2.encoder.layer_norm.weight": (1024,),
        f"{layer}.attention.q_proj.weight": (1024, 1024),
        f"{layer}.feed_forward.intermediate_dense.weight": (4096, 1024),
        f"{layer}.final_layer_norm.bias": (1024,),
        "classifier.dense.weight": (1024, 1024),
        "classifier.dense.bias": (1024,),
        "classifier.out_proj.weight": (3, 1024),
        "classifier.out_proj.bias": (3,),
    }
    assert expected.items() <= shapes.items()


@pytest.mark.parametrize("pickled", [False, True])
def test_a_checkpoint_of_the_published_form_gives_its_own_outputs(tmp_path, pickled):
    reference = small_regressor(5)
    folder = write_emotion_checkpoint(tmp_path / "net", 5, pickled=pickled)
    with torch.inference_mode():
        loaded = speech_regressor(located(folder), 3)
        torch.testing.assert_close(loaded(SAMPLES), reference(SAMPLES))
        pooled = reference.wav2vec2(SAMPLES).last_hidden_state.mean(dim=1)
        head = reference.classifier
        by_hand = torch.tanh(pooled @ head.dense.weight.T + head.dense.bias) @ head.out_proj.weight.T
    torch.testing.assert_close(loaded(SAMPLES), by_hand + head.out_proj.bias)


@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
@pytest.mark.parametrize("with_head", [False, True])
def test_each_layer_equals_the_hidden_states_of_transformers(tmp_path, family, with_head):
    reference = small_encoder(family)
    tensors = published_keys(reference.state_dict())
    if with_head:  # keys of a model for recognition
        tensors = {f"{family}.{key}": x for key, x in tensors.items()} | {"lm_head.bias": torch.zeros(4)}
    folder = write_checkpoint(tmp_path / "net", tensors, model_type=family)
    with torch.inference_mode():
        states = reference(SAMPLES, output_hidden_states=True)
        for layer in (1, 2):
            net, used = hidden_states(located(folder, family), family, layer)
            assert used == layer
            torch.testing.assert_close(net(SAMPLES), states.hidden_states[layer])
        net, used = hidden_states(located(folder, family), family, None)
        assert used == 3
        torch.testing.assert_close(net(SAMPLES), states.last_hidden_state)


def test_windows_are_normalised_as_by_the_feature_extractor_of_transformers():
    windows = np.random.default_rng(0).normal(0.3, 0.01, (2, 4000)).astype(np.float32)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    expected = extractor(list(windows), sampling_rate=16_000, return_tensors="np").input_values
    np.testing.assert_allclose(zero_mean_unit_variance(windows), expected, atol=1e-4)


def test_a_missing_layer_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path / "net", published_keys(small_encoder("wav2vec2").state_dict()))
    with pytest.raises(UsageError, match="no layer 4") as caught:
        hidden_states(located(folder), "wav2vec2", 4)
    assert "layers 1 to 3" in caught.value.one_line()


def without(tensors, key):
    return {k: x for k, x in tensors.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: without(t, "classifier.out_proj.bias"), "classifier.out_proj.bias is missing"),
        (lambda t: t | {"surprise.weight": torch.zeros(1)}, "surprise.weight is not expected"),
        (lambda t: t | {"classifier.out_proj.bias": torch.zeros(4)}, "has shape"),
    ],
)
def test_a_regression_checkpoint_with_other_tensors_is_refused(tmp_path, change, message):
    tensors = change(published_keys(small_regressor().state_dict()))
    folder = write_checkpoint(tmp_path / "net", tensors, pooling_mode="mean")
    with pytest.raises(WeightsError, match=message) as caught:
        speech_regressor(located(folder), 3)
    assert "\n" not in caught.value.one_line()


@pytest.mark.parametrize("key", ["surprise.weight", "wav2vec2.surprise.weight"])
def test_an_encoder_checkpoint_with_unknown_keys_is_refused(tmp_path, key):
    tensors = {f"wav2vec2.{k}": x for k, x in published_keys(small_encoder("wav2vec2").state_dict()).items()}
    folder = write_checkpoint(tmp_path / "net", tensors | {key: torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"surprise\.weight is not expected"):
        hidden_states(located(folder), "wav2vec2", None)


def test_a_file_with_code_is_not_executed(tmp_path):
    folder = write_emotion_checkpoint(tmp_path / "net")
    (folder / "model.safetensors").unlink()
    torch.save({"wav2vec2.x": print}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="not readable as tensors"):
        speech_regressor(located(folder), 3)


def test_a_checkpoint_of_another_family_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path / "net", {}, model_type="hubert")
    with pytest.raises(WeightsError, match="model_type is 'hubert', the feature wav2vec2 needs 'wav2vec2'"):
        located(folder)


def test_an_adapter_is_refused(tmp_path):
    folder = write_checkpoint(tmp_path / "net", {}, add_adapter=True)
    with pytest.raises(WeightsError, match="has an adapter"):
        located(folder)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"has no config\.json with model\.safetensors") as caught:
        located(tmp_path)
    assert "\n" not in caught.value.one_line()
    folder = write_emotion_checkpoint(tmp_path / "net")
    (folder / "config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"config\.json: not readable as JSON"):
        located(folder)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"config\.json: no such file"):
        located(folder / "model.safetensors")


def test_normalisation_follows_the_preprocessor_and_is_the_default(tmp_path):
    folder = write_emotion_checkpoint(tmp_path / "net")
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    assert not located(folder).normalise
    (folder / "preprocessor_config.json").unlink()
    assert located(folder).normalise


def test_the_identity_of_a_configuration_ignores_values_of_training(tmp_path):
    first = located(write_emotion_checkpoint(tmp_path / "a", transformers_version="4.17.0"))
    second = located(write_emotion_checkpoint(tmp_path / "b", attention_dropout=0.3))
    other = located(write_emotion_checkpoint(tmp_path / "c", layer_norm_eps=1e-3))
    assert first.config_hash == second.config_hash != other.config_hash
