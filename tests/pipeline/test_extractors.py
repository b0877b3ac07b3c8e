"""The extractors of a run are made again with the settings of its training, and refused where they differ."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from synth.vggish_weights import random_net, write_checkpoint, write_pca

from vacli.errors import RunError, UsageError, WeightsError
from vacli.features.backbones.vit import build_vit
from vacli.features.encoder_run import EncoderRun
from vacli.features.registry import create, create_audio, create_visual
from vacli.features.vggish.options import Postprocessing
from vacli.inference.run import Run
from vacli.pipeline.extractors import build_extractors
from vacli.progress import RecordingProgress
from vacli.recipe.schema import Model, Recipe, Stream
from vacli.runtime.options import ExecutionOptions
from vacli.spec import AUDIO, VISUAL, WEIGHTS_FILES, FeatureSpec

CPU = ExecutionOptions(device="cpu")


def run_of(*specs: FeatureSpec, path: Path = Path("run"), **record: object) -> Run:
    """A run that was trained on features; `record` is added to the record of each."""
    streams = tuple(
        Stream(name=modality, features=tuple(s.name for s in chosen), dim=sum(s.dim for s in chosen))
        for modality in (VISUAL, AUDIO)
        if (chosen := [s for s in specs if s.modality == modality])
    )
    features = {spec.name: {**spec.attributes(), **record} for spec in specs}
    return Run(
        path=path, recipe=Recipe(name="r", model=Model(streams=streams)), members=(), features=features
    )


def built(run: Run, **weights: Path) -> dict[str, FeatureSpec]:
    """Feature -> the specification of its extractor, made from a run; `plain` weights have no name."""
    named = {"" if name == "plain" else name: path for name, path in weights.items()}
    extractors = build_extractors(run, "cpu", named, RecordingProgress())
    return {name: e.spec for name, e in {**extractors.visual, **extractors.audio}.items()}


@pytest.fixture
def resnet(tmp_path) -> Path:
    """Weights of timm's `test_resnet`."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "resnet.safetensors")
    return tmp_path / "resnet.safetensors"


@pytest.fixture
def finetuned(tmp_path) -> Path:
    """A run of finetune-mae with a small encoder and statistics of its own."""
    folder = tmp_path / "mae"
    folder.mkdir()
    torch.manual_seed(0)
    vit = build_vit("test_vit")
    save_file({f"encoder.{k}": v for k, v in vit.state_dict().items()}, folder / "weights.safetensors")
    EncoderRun(encoder="test_vit", objective="va", mean=(0.4, 0.3, 0.2), std=(0.2, 0.1, 0.3)).write(folder)
    return folder


@pytest.fixture(scope="module")
def vggish_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vggish")
    net = write_checkpoint(folder / "vggish.pth", random_net())
    yield {"vggish": net, "vggish-pca": write_pca(folder / "pca.pth")}
    net.unlink()  # 288 MB


@pytest.mark.parametrize("normalise", [None, "paper", "per-channel"])
@pytest.mark.parametrize("name", ["test_resnet", "test_resnet@small"])
def test_a_timm_feature_is_made_again_by_name_and_statistics(resnet, name, normalise):
    options = {"weights": resnet, "execution": CPU} | ({"normalise": normalise} if normalise else {})
    spec = create_visual(name, options).spec
    assert spec.name == name
    assert built(run_of(spec), plain=resnet)[name].settings == spec.settings
    assert built(run_of(spec), test_resnet=resnet)[name].settings == spec.settings


def test_a_finetuned_encoder_is_made_again_from_its_run_or_its_weights(finetuned):
    spec = create_visual("test_vit@tuned", {"weights": finetuned, "execution": CPU}).spec
    for weights in (finetuned, finetuned / "weights.safetensors"):
        assert built(run_of(spec), plain=weights)["test_vit@tuned"].settings == spec.settings


@pytest.mark.parametrize(
    ("align", "after"),
    [("causal", {}), ("start", {"final_relu": True}), ("centre", {"pca": True, "final_relu": True})],
)
def test_vggish_is_made_again_with_its_options(vggish_files, align, after):
    steps = Postprocessing(**after, pca_weights=vggish_files["vggish-pca"])
    options = {"weights": vggish_files["vggish"], "align": align, "postprocessing": steps}
    spec = create_audio("vggish", options).spec
    files = vggish_files if "pca" in after else {"vggish": vggish_files["vggish"]}
    made = built(run_of(spec), **files)["vggish"]
    assert (made.settings, made.units) == (spec.settings, spec.units)


@pytest.mark.parametrize("name", ["gemaps-functionals", "egemaps-functionals@long"])
def test_functionals_are_made_again_with_their_window(name):
    pytest.importorskip("opensmile")
    spec = create_audio(name, {"window_s": 0.4}).spec
    assert spec.name == name
    assert built(run_of(spec))[name].settings == spec.settings


def test_other_weights_than_in_training_are_refused_before_use(resnet, tmp_path):
    spec = create_visual("test_resnet", {"weights": resnet, "execution": CPU}).spec
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not even weights")
    with pytest.raises(WeightsError) as caught:
        built(run_of(spec), plain=other)
    line = caught.value.one_line()
    assert f"weights {spec.settings['weights']}" in line
    assert "--weights test_resnet=FILE" in line


def test_weights_are_found_where_they_were_when_the_feature_was_extracted(resnet, tmp_path):
    spec = create_visual("test_resnet", {"weights": resnet, "execution": CPU}).spec
    run = run_of(spec, **{WEIGHTS_FILES: {"weights": str(resnet)}})
    assert built(run)["test_resnet"].settings == spec.settings
    resnet.rename(tmp_path / "moved.safetensors")
    with pytest.raises(WeightsError, match=rf"weights {spec.settings['weights']} \(they were {resnet}\)"):
        built(run)
    assert built(run, plain=tmp_path / "moved.safetensors")


@pytest.mark.parametrize("place", ["run", "run/fold_1"])
def test_weights_that_a_run_carries_are_used(resnet, tmp_path, place):
    spec = create_visual("test_resnet", {"weights": resnet, "execution": CPU}).spec
    carried = tmp_path / "run" / "encoders" / "test_resnet" / "weights.safetensors"
    carried.parent.mkdir(parents=True)
    shutil.move(resnet, carried)
    run = run_of(spec, path=tmp_path / place, **{WEIGHTS_FILES: {"weights": str(resnet)}})
    assert built(run)["test_resnet"].settings == spec.settings
    carried.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=rf"{carried} has the SHA-256 "):
        built(run)


def test_weights_known_not_to_be_published_are_not_fetched(monkeypatch):
    monkeypatch.setattr("vacli.features.vggish.extractor.locate", pytest.fail)
    spec = FeatureSpec(
        name="vggish", version="1", modality=AUDIO, dim=128, settings={"weights": "0123456789ab"}
    )
    with pytest.raises(WeightsError, match="weights 0123456789ab, not the published 10086976"):
        built(run_of(spec))


def test_another_version_of_an_extractor_is_refused(resnet):
    spec = create_visual("test_resnet", {"weights": resnet, "execution": CPU}).spec
    with pytest.raises(RunError, match="trained on test_resnet with version 0, not 1"):
        built(run_of(spec, version="0"), plain=resnet)


def test_an_imported_feature_needs_a_store(resnet):
    spec = FeatureSpec(name="mine", version="1", modality=VISUAL, dim=3, settings={"imported": True})
    with pytest.raises(RunError, match="mine, which was imported") as caught:
        built(run_of(spec))
    assert "give a store" in caught.value.one_line()


def test_weights_are_given_by_the_name_of_a_feature(resnet, finetuned):
    first = create_visual("test_resnet", {"weights": resnet, "execution": CPU}).spec
    second = create_visual("test_vit", {"weights": finetuned, "execution": CPU}).spec
    run = run_of(first, second)
    assert list(built(run, test_resnet=resnet, test_vit=finetuned)) == ["test_resnet", "test_vit"]
    with pytest.raises(UsageError, match="2 visual features") as caught:
        built(run, plain=resnet)
    assert "test_resnet, test_vit" in caught.value.one_line()
    with pytest.raises(UsageError, match="--weights test_vitt=") as caught:
        built(run, test_vitt=resnet)
    assert "did you mean 'test_vit'" in caught.value.one_line()


def test_the_probability_of_speech_is_extracted_with_audio_features():
    pytest.importorskip("opensmile", reason="openSMILE is not installed")
    assert list(built(run_of(create("egemaps").spec))) == ["egemaps", "speech"]
    assert list(built(run_of(create("speech").spec))) == ["speech"]
    assert list(built(run_of(create("compact").spec))) == ["compact"]
