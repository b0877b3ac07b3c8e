"""The figure of a recording's predictions: what it names, and how long recordings are thinned."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vacli.output.frame_table import FrameTable
from vacli.output.plot import FORMATS
from vacli.output.prediction_figure import BINS, MAX_POINTS, _curve, draw_predictions


def table(frames: int = 60, face_id: int = 0, **columns: np.ndarray) -> FrameTable:
    times_s = np.arange(frames) / 25
    known = {
        "time_s": times_s,
        "valence": 0.5 * np.sin(times_s),
        "arousal": 0.5 * np.cos(times_s),
        "valence_uncertainty": np.full(frames, 0.1),
        "arousal_uncertainty": np.full(frames, 0.2),
        "modality": np.full(frames, "audiovisual"),
        "face_id": np.full(frames, face_id),
    }
    return FrameTable("clip.mp4", {**known, **columns})


def texts(path) -> str:
    return path.read_text()


@pytest.mark.parametrize("form", FORMATS)
def test_equal_tables_give_equal_files(tmp_path, form):
    for name in ("one", "two"):
        draw_predictions(tmp_path / f"{name}.{form}", "clip", [table(), table(face_id=1)])
    assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes()


def test_the_legend_names_faces_uncertainty_and_the_modalities_that_occur(tmp_path):
    modality = np.repeat(["visual", "audio", "none"], 20)
    draw_predictions(tmp_path / "f.svg", "a title", [table(face_id=3, modality=modality)])
    text = texts(tmp_path / "f.svg")
    expected = ("a title", "face 3", "1 SD of the expected error", "visual", "audio", "no face and no speech")
    assert all(f">{name}</text>" in text for name in expected)
    assert ">audiovisual</text>" not in text


def test_tables_of_few_columns_are_drawn(tmp_path):
    few = {name: table().columns[name] for name in ("time_s", "valence", "arousal")}
    draw_predictions(tmp_path / "f.svg", "x", [FrameTable("clip.mp4", few)])
    text = texts(tmp_path / "f.svg")
    assert ">no face</text>" in text
    assert "expected error" not in text


def test_frames_without_a_prediction_are_gaps(tmp_path):
    modality = np.full(60, "visual")
    modality[20:40] = "none"
    for name, values in (("zero", np.zeros(60)), ("one", np.where(modality == "none", 1.0, 0.0))):
        draw_predictions(tmp_path / f"{name}.png", "x", [table(valence=values, modality=modality)])
    with Image.open(tmp_path / "zero.png") as zero, Image.open(tmp_path / "one.png") as one:
        np.testing.assert_array_equal(np.asarray(zero), np.asarray(one))


def test_long_recordings_are_means_over_equal_times_and_say_so(tmp_path):
    frames = 20 * MAX_POINTS
    noisy = np.random.default_rng(0).normal(0, 0.2, frames)
    draw_predictions(tmp_path / "long.svg", "x", [table(frames, valence=noisy)])
    text = texts(tmp_path / "long.svg")
    assert f"each point is a mean over {(frames - 1) / 25 / BINS:.2g} s" in text
    assert len(text) < 2_000_000


def pixels(path, colour: tuple[int, int, int] = (0, 0x72, 0xB2)) -> int:
    """Return how many pixels have the colour of the first face."""
    with Image.open(path) as picture:
        return int((np.asarray(picture.convert("RGB")) == colour).all(axis=2).sum())


@pytest.mark.parametrize("frames", [1, 60])
def test_a_frame_without_neighbours_is_a_point(tmp_path, frames):
    valence = np.full(frames, np.nan)
    valence[frames // 2] = 0.5
    arousal = np.full(frames, np.nan)
    draw_predictions(tmp_path / "none.png", "x", [table(frames, valence=arousal, arousal=arousal)])
    draw_predictions(tmp_path / "one.png", "x", [table(frames, valence=valence, arousal=arousal)])
    draw_predictions(tmp_path / "both.png", "x", [table(frames, valence=valence, arousal=valence)])
    none, one, both = (pixels(tmp_path / f"{name}.png") for name in ("none", "one", "both"))
    assert none < one < both


def test_a_gap_of_the_recording_has_no_curve_and_its_own_shade(tmp_path):
    times_s = np.arange(60) / 25 + np.where(np.arange(60) < 30, 0, 20)
    draw_predictions(tmp_path / "gap.svg", "x", [table(time_s=times_s)])
    draw_predictions(tmp_path / "whole.svg", "x", [table()])
    assert ">no frames</text>" in texts(tmp_path / "gap.svg")
    assert ">no frames</text>" not in texts(tmp_path / "whole.svg")
    drawn = _curve(table(time_s=times_s), 0, None)
    assert np.isnan(drawn.values[30]).all()
    assert drawn.times_s[30] == pytest.approx(times_s[29] + 1.0)  # a frame is shown for 1 s at most


def test_an_empty_table_is_drawn(tmp_path):
    draw_predictions(tmp_path / "f.png", "x", [table(0)])
    assert (tmp_path / "f.png").is_file()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["$x^$.mp4", "a$b$c.mp4", "\udcff.mp4", "<script>.mp4", "a\nb.mp4"])
def test_hostile_names_are_titles(tmp_path, form, name):
    draw_predictions(tmp_path / f"f.{form}", name, [table()])
    assert (tmp_path / f"f.{form}").stat().st_size > 1000


def test_dollar_signs_of_a_name_are_no_formula(tmp_path):
    draw_predictions(tmp_path / "f.svg", "a$b$c.mp4", [table()])
    assert ">a$b$c.mp4</text>" in texts(tmp_path / "f.svg")


def test_a_long_name_is_shortened_in_its_middle(tmp_path):
    name = "study/" + 170 * "x" + "/P01_day2.mp4"
    for path, title in ((tmp_path / "long.png", name), (tmp_path / "short.png", "P01_day2.mp4")):
        draw_predictions(path, title, [table()])
    with Image.open(tmp_path / "long.png") as long, Image.open(tmp_path / "short.png") as short:
        assert long.size == short.size
        below = np.asarray(short)[80:], np.asarray(long)[80:]
    np.testing.assert_array_equal(*below)  # the axes are as large as ever
    draw_predictions(tmp_path / "long.svg", name, [table()])
    assert "P01_day2.mp4</text>" in texts(tmp_path / "long.svg")


def test_more_faces_than_colours_have_other_lines():
    drawn = [_curve(table(face_id=number), number, None) for number in range(24)]
    assert len({(face.colour, face.line_style) for face in drawn}) == 24
