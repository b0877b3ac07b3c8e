"""Prediction from Python: the same values as `va predict`, from files and from arrays."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synth.faces import scene, somebody_else, write_video
from synth.sounds import RATE_HZ

import vacli
from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import InputError, UsageError, VaError
from vacli.media.audio import read_sound
from vacli.media.demo_clip import write_demo_clip
from vacli.media.synthetic_speech import syllables
from vacli.media.video import open_video
from vacli.output.frame_table import COLUMNS, FrameTable
from vacli.steps import _recordings
from vacli.steps.predict import PredictSettings, run

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Six seconds of a face and a voice, with a time without the face."""
    pytest.importorskip("opensmile")
    path = tmp_path_factory.mktemp("api") / "clip.mp4"
    write_demo_clip(path)
    return path


@pytest.fixture(scope="module")
def predictor() -> vacli.Predictor:
    return vacli.Predictor(device="cpu")


@pytest.fixture(params=[True, False], ids=["pandas", "no-pandas"])
def with_pandas(request, monkeypatch) -> bool:
    if request.param:
        pytest.importorskip("pandas")
    else:
        real = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *a: None if name == "pandas" else real(name, *a)
        )
    return request.param


def predicted(path: Path, **more: object) -> FrameTable:
    tables: list[FrameTable] = []
    batch = run(PredictSettings(inputs=(path,), device="cpu", **more), tables.append)
    assert not batch.failed
    (table,) = tables
    return table


@pytest.fixture(scope="module")
def table(clip) -> FrameTable:
    return predicted(clip)


def test_a_file_gives_the_columns_of_va_predict(clip, table, predictor, with_pandas):
    made, expected = predictor.predict(clip), table
    assert list(made) == list(made.columns) == list(COLUMNS)
    assert len(made) == len(expected)
    assert isinstance(made, vacli.Table) is not with_pandas
    for name, column in expected.columns.items():
        np.testing.assert_array_equal(np.asarray(made[name]), column)
    assert set(made["input"]) == {str(clip)}


def test_arrays_of_a_file_give_its_values(clip, table, predictor):
    with open_video(clip) as video:
        times_s, pictures = video.times_s, np.stack([frame.rgb for frame in video])
    sound = read_sound(clip)
    samples = sound.samples[: round(sound.present[-1][1] * sound.rate_hz)]
    made = predictor.predict_frames(pictures, times_s, samples, sound.rate_hz)
    for name, column in table.columns.items():
        np.testing.assert_array_equal(np.asarray(made[name]), column)
    assert set(made["input"]) == {"frames"}


def test_an_iterator_may_reuse_its_array(predictor):
    pictures = [scene((110 + 4 * i, 120)) for i in range(12)]
    buffer = np.empty_like(pictures[0])

    def reused():
        for picture in pictures:
            buffer[:] = picture
            yield buffer

    times_s = np.arange(12) / 25
    made, expected = (predictor.predict_frames(f, times_s) for f in (reused(), np.stack(pictures)))
    np.testing.assert_array_equal(np.asarray(made["valence"]), np.asarray(expected["valence"]))
    assert set(made["modality"]) == {"visual"}


def test_frames_without_a_face_are_predicted_from_the_voice(tmp_path, predictor):
    pytest.importorskip("opensmile")
    samples, path = syllables(4.0), tmp_path / "voice.wav"
    write_wav(path, samples)
    stored = np.round(samples * 32768).astype(np.int16)
    grey = np.full((100, 48, 64, 3), 90, np.uint8)
    made = predictor.predict_frames(grey, np.arange(100) / 25, stored, RATE_HZ)
    expected = predictor.predict(path)
    assert set(made["modality"]) == {"audio"}
    np.testing.assert_allclose(np.asarray(made["arousal"]), np.asarray(expected["arousal"]), atol=2e-3)


def test_all_faces_follow_each_other(tmp_path):
    left, right = scene((80, 120), zoom=0.7), scene((240, 120), somebody_else(), zoom=0.8)
    both = [np.hstack([left[:, :160], right[:, 160:]])] * 10
    made = vacli.Predictor(face="all", device="cpu").predict_frames(both, np.arange(10) / 25)
    ids = np.asarray(made["face_id"]).tolist()
    assert sorted(ids[::10]) == [0, 1]
    assert ids == [ids[0]] * 10 + [ids[10]] * 10
    assert np.asarray(made["frame"]).tolist() == [*range(10)] * 2


def test_values_of_frames_without_face_and_speech_need_fill():
    frames = [scene((110, 120))] * 8 + [scene(None)] * 12
    made = vacli.predict_frames(frames, np.arange(20) / 25, device="cpu")
    assert np.isnan(np.asarray(made["valence"])).tolist() == [False] * 8 + [True] * 12
    filled = vacli.predict_frames(frames, np.arange(20) / 25, device="cpu", fill=True)
    assert np.isfinite(np.asarray(filled["valence"])).all()


def test_frames_of_low_quality_can_be_left_out():
    frames, times_s = [scene((110, 120))] * 8, np.arange(8) / 25
    quality = np.asarray(vacli.predict_frames(frames, times_s, device="cpu")["quality"])
    threshold = float(np.median(quality))
    assert 0 < (quality < threshold).sum() < 8
    made = vacli.predict_frames(frames, times_s, device="cpu", min_quality=threshold)
    is_left_out = np.asarray(made["modality"]) == "none"
    assert is_left_out.tolist() == (quality < threshold).tolist()
    assert np.isnan(np.asarray(made["valence"])).tolist() == is_left_out.tolist()
    with pytest.raises(UsageError, match="is not from 0 to 1"):
        vacli.Predictor(min_quality=2)


def test_the_model_is_loaded_once(monkeypatch, tmp_path):
    loads: list[object] = []
    real = _recordings.load_model
    monkeypatch.setattr(_recordings, "load_model", lambda *given: loads.append(given) or real(*given))
    path = write_video(tmp_path / "a.mp4", [scene((110, 120))] * 4)
    predictor = vacli.Predictor(device="cpu")
    for _ in range(3):
        assert len(predictor.predict(path)) == 4
    assert len(loads) == 1


def test_a_folder_is_predicted_and_a_broken_file_is_an_error(tmp_path):
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", [scene((110, 120))] * 4)
    made = vacli.predict(tmp_path, device="cpu")
    assert list(dict.fromkeys(made["input"])) == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
    (tmp_path / "bad.mp4").write_bytes(bytes(1000))
    with pytest.raises(VaError, match=r"bad\.mp4"):
        vacli.predict(tmp_path / "bad.mp4", device="cpu")


TIMES_S = np.arange(3) / 25
PICTURES = np.zeros((3, 48, 64, 3), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((PICTURES, TIMES_S[:2]), "there are 3 frames and 2 times_s"),
        ((iter(PICTURES), TIMES_S[:2]), "there are 3 or more frames and 2 times_s"),
        ((iter(PICTURES[:2]), TIMES_S), "there are 2 frames and 3 times_s"),
        ((PICTURES, []), "times_s is empty"),
        ((None, TIMES_S), "frames are no pictures; give an array"),
        ((PICTURES, ["a", "b", "c"]), "times_s are not numbers"),
        ((PICTURES, [0, 1, 1]), "times_s must have finite, strictly ascending seconds"),
        ((PICTURES, [0, 1, np.nan]), "times_s must have finite, strictly ascending seconds"),
        ((PICTURES / 255, TIMES_S), "frame 0 has the shape .* and type float64; give RGB pictures"),
        ((PICTURES[..., 0], TIMES_S), r"frame 0 has the shape \(48, 64\) and type uint8; give RGB"),
        ((PICTURES, TIMES_S, np.zeros(9)), "audio needs rate_hz"),
        ((PICTURES, TIMES_S, np.zeros((2, 2, 2)), 16_000), r"audio has the shape \(2, 2, 2\)"),
        ((PICTURES, TIMES_S, np.array([np.nan]), 16_000), "audio must have finite numbers"),
        ((PICTURES, TIMES_S, np.zeros(9), 16), "16 Hz is no sample rate of audio"),
    ],
)
def test_wrong_arrays_are_errors_of_one_line(arguments, message, predictor):
    with pytest.raises(VaError) as caught:
        predictor.predict_frames(*arguments)
    assert re.search(message, caught.value.one_line())


def test_the_example_of_the_readme_runs(clip, tmp_path, monkeypatch, capsys):
    section = README.read_text(encoding="utf-8").partition("### From Python")[2]
    example = section.partition("```python\n")[2].partition("```")[0]
    shutil.copy(clip, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(example, names)
    assert capsys.readouterr().out.startswith("150 ")
    assert set(names["rows"]["modality"]) == {"none"}


def test_wrong_settings_and_files_are_errors(tmp_path, predictor):
    with pytest.raises(UsageError):
        vacli.Predictor(face="nose")
    with pytest.raises(UsageError):
        vacli.Predictor(face=-1)
    with pytest.raises(VaError, match="is not a trained run"):
        vacli.Predictor(model=tmp_path)
    with pytest.raises(InputError, match="absent"):
        predictor.predict(tmp_path / "absent.mp4")


def test_importing_the_package_loads_no_large_library():
    code = (
        "import sys, vacli; print(*sys.modules); vacli.__all__; "
        "assert not {'numpy', 'torch', 'pandas', 'av'} & sys.modules.keys(); print(vacli.Predictor.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "Predictor"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = vacli.nothing
