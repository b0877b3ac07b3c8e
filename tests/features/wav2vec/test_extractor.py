"""Speech networks at the times of frames: windows, alignment, identity and sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch (pip install '.[train]')")
pytest.importorskip("transformers", reason="needs transformers (pip install '.[speech]')")

from synth.sounds import noise, sound, voice  # noqa: E402
from synth.speech_checkpoints import (  # noqa: E402
    published_keys,
    small_encoder,
    write_checkpoint,
    write_emotion_checkpoint,
)

from vacli.errors import WeightsError  # noqa: E402
from vacli.features.audio_flags import rows_and_flags  # noqa: E402
from vacli.features.flags import MISSING  # noqa: E402
from vacli.features.registry import create_audio, recreate  # noqa: E402
from vacli.features.wav2vec.checkpoint import locate_checkpoint  # noqa: E402
from vacli.features.wav2vec.network import (  # noqa: E402
    hidden_states,
    speech_regressor,
    zero_mean_unit_variance,
)
from vacli.media.audio import Sound  # noqa: E402
from vacli.pipeline.audio_features import AudioFeatures  # noqa: E402
from vacli.progress import RecordingProgress  # noqa: E402
from vacli.runtime.options import ExecutionOptions  # noqa: E402

FAMILIES = ("wav2vec2", "hubert", "wavlm")
SPEECH = voice(40)
ROWS_S = np.arange(1000) / 25


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Feature -> a folder with a small checkpoint of it."""
    base = tmp_path_factory.mktemp("checkpoints")
    found = {
        family: write_checkpoint(
            base / family, published_keys(small_encoder(family).state_dict()), model_type=family
        )
        for family in FAMILIES
    }
    return found | {"wav2vec2-msp-dim": write_emotion_checkpoint(base / "msp")}


@pytest.fixture(scope="module")
def extractors(folders):
    return {name: create_audio(name, {"weights": folder}) for name, folder in folders.items()}


def network(folder: Path, family: str = "wav2vec2"):
    checkpoint = locate_checkpoint(family, folder, family, RecordingProgress())
    return hidden_states(checkpoint, family, None)[0]


def frames_of(net, samples: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        scaled = zero_mean_unit_variance(samples[np.newaxis].astype(np.float32))
        return net(torch.from_numpy(scaled))[0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_short_sound_equal_the_network_on_all_of_it(extractors, folders, family):
    samples = voice(6)
    frames = frames_of(network(folders[family], family), samples)
    centres_s = 0.0125 + 0.02 * np.arange(len(frames))
    found = extractors[family].extract(sound(samples), centres_s)
    np.testing.assert_allclose(found, frames, atol=2e-4)
    between = extractors[family].extract(sound(samples), centres_s[:-1] + 0.01)
    np.testing.assert_allclose(between, (frames[1:] + frames[:-1]) / 2, atol=2e-4)


def test_the_middle_of_a_long_sound_agrees_with_the_network_on_all_of_it(extractors, folders):
    frames = frames_of(network(folders["wav2vec2"]), SPEECH)
    centres_s = 0.0125 + 0.02 * np.arange(len(frames))
    middle = (centres_s > 9) & (centres_s < 31)
    found = extractors["wav2vec2"].extract(sound(SPEECH), centres_s[middle])
    error = np.sqrt(np.mean((found - frames[middle]) ** 2) / frames[middle].var(axis=0).mean())
    shifted = np.sqrt(np.mean((found[1:] - frames[middle][:-1]) ** 2) / frames[middle].var(axis=0).mean())
    assert error < 0.1 < shifted


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-msp-dim"])
def test_rows_do_not_depend_on_chunks_or_batches(extractors, folders, name):
    whole, rows_s = sound(SPEECH[: 26 * 16_000]), np.arange(100) / 4
    expected = extractors[name].extract(whole, rows_s)
    chunked = AudioFeatures({name: extractors[name]}, whole, rows_s).extract_chunked()
    np.testing.assert_allclose(chunked.features[name], expected, atol=2e-4)
    batched = create_audio(
        name, {"weights": folders[name], "execution": ExecutionOptions(device="cpu", batch_size=3)}
    )
    np.testing.assert_allclose(batched.extract(whole, rows_s), expected, atol=2e-4)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-msp-dim"])
def test_a_row_does_not_depend_on_sound_beyond_its_context(extractors, name):
    context, at_s = extractors[name].context, np.array([20.04])
    first, last = (round((20.04 + d) * 16_000) for d in (-context.before_s, context.after_s))
    changed = noise(40, seed=9)
    changed[first:last] = SPEECH[first:last]
    expected = extractors[name].extract(sound(SPEECH), at_s)
    np.testing.assert_array_equal(extractors[name].extract(sound(changed), at_s), expected)
    changed[(first + last) // 2 :] = 0
    assert np.abs(extractors[name].extract(sound(changed), at_s) - expected).max() > 1e-3


def test_emotion_rows_are_the_outputs_for_windows_of_3_s(extractors, folders):
    checkpoint = locate_checkpoint(
        "wav2vec2-msp-dim", folders["wav2vec2-msp-dim"], "wav2vec2", RecordingProgress()
    )
    net = speech_regressor(checkpoint, 3)

    def output(start_s: float, end_s: float) -> np.ndarray:
        window = SPEECH[np.newaxis, round(start_s * 16_000) : round(end_s * 16_000)]
        with torch.inference_mode():
            return net(torch.from_numpy(zero_mean_unit_variance(window)))[0].numpy()

    found = extractors["wav2vec2-msp-dim"].extract(sound(SPEECH), np.array([0, 7, 7.25, 8, 39.9]))
    before, after = output(5.5, 8.5), output(6.5, 9.5)
    expected = [output(0, 1.5), before, 0.75 * before + 0.25 * after, after]
    np.testing.assert_allclose(found[:4], expected, atol=1e-5)
    last = 0.1 * output(37.5, 40) + 0.9 * output(38.5, 40)
    np.testing.assert_allclose(found[4], last, atol=1e-5)
    assert extractors["wav2vec2-msp-dim"].spec.columns == ("arousal", "dominance", "valence")


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-msp-dim"])
def test_rows_without_sound_are_missing(extractors, name):
    rows, flags = rows_and_flags(extractors[name], sound(voice(2), start_s=1, total_s=6), np.arange(6.0))
    assert np.isnan(rows[[0, 3, 4, 5]]).all()
    assert np.isfinite(rows[[1, 2]]).all()
    assert flags[0] == MISSING


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-msp-dim"])
def test_a_sound_shorter_than_a_frame_is_padded(extractors, name):
    short = Sound(noise(0.01), 16_000, ((0.0, 0.01),))
    assert np.isfinite(extractors[name].extract(short, np.zeros(1))).all()


def test_bfloat16_is_used_only_where_it_is_asked_for(extractors, folders):
    options = {"weights": folders["wav2vec2"], "execution": ExecutionOptions(dtype="bfloat16")}
    half = create_audio("wav2vec2", options)
    assert extractors["wav2vec2"].spec.settings["dtype"] == "float32"
    assert half.spec.settings["dtype"] == "bfloat16"
    expected = extractors["wav2vec2"].extract(sound(voice(3)), ROWS_S[:75])
    difference = np.abs(half.extract(sound(voice(3)), ROWS_S[:75]) - expected)
    assert 0 < np.median(difference) < 0.1 * np.std(expected)


@pytest.mark.parametrize("name", [*FAMILIES, "wav2vec2-msp-dim"])
def test_an_extractor_is_made_again_from_its_settings(extractors, folders, name):
    spec = extractors[name].spec
    again = recreate(name, spec.settings, {"weights": folders[name]}, {"progress": RecordingProgress()})
    assert again.spec.fingerprint() == spec.fingerprint()


def test_a_layer_is_part_of_the_identity(extractors, folders):
    second = create_audio("hubert", {"weights": folders["hubert"], "layer": 2})
    assert second.spec.settings["layer"] == 2
    assert extractors["hubert"].spec.settings["layer"] == 3
    again = recreate("hubert", second.spec.settings, {"weights": folders["hubert"]}, {})
    assert again.spec.settings["layer"] == 2


@pytest.mark.parametrize(
    "options",
    [{"id2label": {"0": "valence", "1": "dominance", "2": "arousal"}}, {"id2label": {}}],
)
def test_other_outputs_than_the_three_dimensions_are_refused(tmp_path, options):
    folder = write_emotion_checkpoint(tmp_path / "net", **options)
    with pytest.raises(WeightsError, match="not arousal, dominance, valence") as caught:
        create_audio("wav2vec2-msp-dim", {"weights": folder})
    assert "\n" not in caught.value.one_line()


def test_a_repository_of_the_hub_is_fetched_by_name(folders, monkeypatch):
    asked = []

    def download(repo, file, local_files_only=False):
        asked.append((repo, file, local_files_only))
        return str(folders["wavlm"] / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    extractor = create_audio("wavlm", {"weights": Path("hub:owner/net")})
    assert extractor.spec.settings["layer"] == 3
    assert asked == [("owner/net", "model.safetensors", True)]
