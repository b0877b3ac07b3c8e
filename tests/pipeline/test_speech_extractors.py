"""Speech networks of a run are found where they were: in a folder or in a repository of the hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch (pip install '.[train]')")
pytest.importorskip("transformers", reason="needs transformers (pip install '.[speech]')")

from synth.clips import Clip, steady, write_clip
from synth.speech_checkpoints import published_keys, small_encoder, write_checkpoint

from vacli.errors import RunError, WeightsError
from vacli.inference.run import Run
from vacli.pipeline.extractors import build_extractors
from vacli.progress import RecordingProgress
from vacli.recipe.schema import Model, Recipe, Stream
from vacli.steps import extract_audio
from vacli.store import Store


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    return write_clip(path, Clip(times_s=steady(25, 2.0), sound_spans=((0.0, 2.0),), events=()))


@pytest.fixture
def hubert(tmp_path):
    return write_checkpoint(
        tmp_path / "hubert", published_keys(small_encoder("hubert").state_dict()), model_type="hubert"
    )


def trained_on(store: Path, feature: str) -> Run:
    """A run that was trained on a stored audio feature."""
    record = Store.open(store).videos()[0].part_attrs(f"feature/{feature}")
    streams = (Stream(name="audio", features=(feature,), dim=record["dim"]),)
    model = Model(streams=streams)
    return Run(path=Path("run"), recipe=Recipe(name="r", model=model), members=(), features={feature: record})


def built(run: Run, weights: dict[str, Path] | None = None):
    return build_extractors(run, "cpu", weights or {}, RecordingProgress()).audio


def extract(clip: Path, store: Path, weights: Path, **options: object) -> None:
    settings = extract_audio.ExtractAudioSettings(
        inputs=(clip,), store=store, features=("hubert",), weights=weights, device="cpu", **options
    )
    assert extract_audio.run(settings).done


def test_a_run_finds_the_folder_of_its_checkpoint(clip, hubert, tmp_path):
    extract(clip, tmp_path / "s.zarr", hubert, tag="two", layer=2)
    run = trained_on(tmp_path / "s.zarr", "hubert@two")
    assert built(run)["hubert@two"].spec.settings == run.features["hubert@two"]["settings"]
    hubert.rename(tmp_path / "moved")
    with pytest.raises(WeightsError, match="was trained on hubert@two") as caught:
        built(run)
    assert "--weights hubert@two=FILE" in caught.value.one_line()
    assert built(run, {"hubert": tmp_path / "moved"})
    other = write_checkpoint(
        tmp_path / "other", published_keys(small_encoder("hubert", 1).state_dict()), model_type="hubert"
    )
    with pytest.raises(WeightsError, match="the run was trained on hubert@two"):
        built(run, {"hubert": other})


def test_a_run_fetches_the_repository_of_its_checkpoint(clip, hubert, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda repo, file, **_: str(hubert / file))
    extract(clip, tmp_path / "s.zarr", Path("hub:owner/hubert"))
    run = trained_on(tmp_path / "s.zarr", "hubert")
    assert run.features["hubert"]["weights_files"] == {"weights": "hub:owner/hubert"}
    assert built(run)["hubert"].spec.settings == run.features["hubert"]["settings"]
    changed = published_keys(small_encoder("hubert", 1).state_dict())
    shutil.rmtree(hubert)
    write_checkpoint(hubert, changed, model_type="hubert")
    with pytest.raises(RunError, match="run was trained on hubert with weights"):
        built(run)
