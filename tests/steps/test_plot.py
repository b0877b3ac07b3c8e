"""Figures of a labelled store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from synth import stores

from vacli.datasets.annotations import ANNOTATED, FROM_EXPRESSION, INTERPOLATED, NOT_ANNOTATED
from vacli.datasets.audio_augmentation import write_wav
from vacli.errors import LabelError, OutputError, UsageError
from vacli.output import plot as figures
from vacli.progress import RecordingProgress
from vacli.steps import plot


def labelled(path, source=None):
    """A store with one video of 200 frames; source: the origin of each label."""
    store = stores.empty(path)
    stores.add_video(store, "a", 200)
    labels = np.stack([np.sin(np.arange(200) / 20), np.cos(np.arange(200) / 30)], axis=1).astype(np.float32)
    with store.stage("a", "label", {"split": ""}) as writer:
        writer.append("valence", labels[:, 0])
        writer.append("arousal", labels[:, 1])
        if source is not None:
            writer.append("source", source)
    return store


@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_every_format_is_written_for_each_figure(tmp_path, form, magic):
    store = labelled(tmp_path / "s.zarr")
    result = plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / "f", formats=(form,)))
    names = [f"f/labels.{form}", f"f/plane.{form}", f"f/videos/a.{form}"]
    assert sorted(str(p.relative_to(tmp_path)) for p in result.figures) == names
    assert all(path.read_bytes().startswith(magic) for path in result.figures)


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_equal_labels_give_equal_files(tmp_path, form):
    store = labelled(tmp_path / "s.zarr")
    for out in ("one", "two"):
        plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / out, formats=(form,)))
    for name in ("labels", "plane", "videos/a"):
        assert (tmp_path / f"one/{name}.{form}").read_bytes() == (
            tmp_path / f"two/{name}.{form}"
        ).read_bytes()


def test_filled_labels_are_drawn_as_filled(tmp_path, monkeypatch):
    source = np.full(200, ANNOTATED, np.uint8)
    source[50:60], source[100:120], source[150:] = INTERPOLATED, FROM_EXPRESSION, NOT_ANNOTATED
    store, drawn = labelled(tmp_path / "s.zarr", source), []
    monkeypatch.setattr(figures, "trajectory", lambda path, title, curves: drawn.append(curves.filled))
    panels = []
    monkeypatch.setattr(figures, "plane", lambda path, shown: panels.append(shown))
    plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / "f"))
    assert np.array_equal(np.flatnonzero(drawn[0]), [*range(50, 60), *range(100, 120), *range(150, 200)])
    assert {title: len(values) for title, values in panels[0].items()} == {"Annotated": 120, "Filled": 80}


def test_filled_labels_have_a_legend_entry(tmp_path):
    source = np.full(200, ANNOTATED, np.uint8)
    source[50:60] = INTERPOLATED
    store = labelled(tmp_path / "s.zarr", source)
    plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / "f", formats=("svg",)))
    for name in ("videos/a", "labels"):
        assert "Filled" in (tmp_path / f"f/{name}.svg").read_text()
    whole = labelled(tmp_path / "whole.zarr")
    plot.run(plot.PlotSettings(inputs=(whole.path,), out=tmp_path / "g", formats=("svg",)))
    assert "Filled" not in (tmp_path / "g/videos/a.svg").read_text()


def test_store_without_labels_is_an_error(tmp_path):
    store = stores.empty(tmp_path / "s.zarr")
    stores.add_video(store, "a", 10)
    with pytest.raises(LabelError, match="no video has labels"):
        plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / "f"))
    assert not (tmp_path / "f").exists()


def test_unknown_format_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="--format bmp"):
        plot.run(plot.PlotSettings(inputs=(tmp_path / "s.zarr",), out=tmp_path / "f", formats=("bmp",)))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("one.PDF", "give a folder, such as -o figures/ --format pdf"),
        ("one.html", "give a folder, such as -o figures/"),
    ],
)
def test_a_folder_that_is_named_like_a_file_is_refused(name, hint, tmp_path):
    store = labelled(tmp_path / "s.zarr")
    with pytest.raises(UsageError, match=f"-o names a folder; {name} looks like a file") as caught:
        plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / name))
    assert caught.value.hint == hint
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    assert plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / name)).figures


def test_each_recording_of_a_table_has_a_figure(tmp_path):
    rows = [f"{i / 25},0.1,0.2,{name}" for name in ("a/x.mp4", "b/x.mp4") for i in range(3)]
    (tmp_path / "va.csv").write_text("\n".join(["time_s,valence,arousal,input", *rows]))
    out = tmp_path / "f"
    result = plot.run(plot.PlotSettings(inputs=(tmp_path / "va.csv",), out=out, formats=("svg", "pdf")))
    assert sorted(path.name for path in result.figures) == ["a_x.pdf", "a_x.svg", "b_x.pdf", "b_x.svg"]
    assert ">x.mp4</text>" in (out / "a_x.svg").read_text()


def test_a_recording_is_predicted_and_drawn(tmp_path):
    write_wav(tmp_path / "quiet.wav", np.zeros(16_000, np.float32))
    result = plot.run(plot.PlotSettings(inputs=(tmp_path / "quiet.wav",), out=tmp_path / "f"))
    assert [path.name for path in result.figures] == ["quiet.png"]
    with Image.open(result.figures[0]) as figure:
        about = json.loads(figure.text["Description"])
    assert about["source"]["sha256"] == hashlib.sha256((tmp_path / "quiet.wav").read_bytes()).hexdigest()
    assert about["model"]["name"] == "bundled"
    assert about["settings"]["face"] == "all"


def test_a_store_among_other_inputs_is_refused(tmp_path):
    store = labelled(tmp_path / "s.zarr")
    with pytest.raises(UsageError, match="a store among other inputs"):
        plot.run(plot.PlotSettings(inputs=(store.path, tmp_path / "va.csv"), out=tmp_path / "f"))


@pytest.mark.parametrize("form", figures.FORMATS)
def test_only_figures_of_va_are_replaced_without_force(tmp_path, form):
    rows = [f"{i / 25},0.1,0.2,x.mp4" for i in range(3)]
    (tmp_path / "va.csv").write_text("\n".join(["time_s,valence,arousal,input", *rows]))
    settings = plot.PlotSettings(inputs=(tmp_path / "va.csv",), out=tmp_path / "f", formats=(form,))
    (figure,) = plot.run(settings).figures
    written = figure.read_bytes()
    assert plot.run(settings).done, "a figure of before"
    for foreign in (b"", b"mine"):
        figure.write_bytes(foreign)
        with pytest.raises(OutputError, match=rf"x\.{form} exists") as caught:
            plot.run(settings)
        assert "--force" in caught.value.one_line()
        assert figure.read_bytes() == foreign
    plot.run(replace(settings, force=True))
    assert figure.read_bytes() == written


@pytest.mark.parametrize("name", ["labels.png", "plane.png", "videos/a.png"])
def test_figures_of_a_store_replace_no_other_files(tmp_path, name):
    settings = plot.PlotSettings(inputs=(labelled(tmp_path / "s.zarr").path,), out=tmp_path / "f")
    figure = tmp_path / "f" / name
    figure.parent.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(figure)
    before = figure.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        plot.run(settings)
    assert [path for path in (tmp_path / "f").rglob("*") if path.is_file()] == [figure]
    assert figure.read_bytes() == before
    assert len(plot.run(replace(settings, force=True)).figures) == 3
    assert len(plot.run(settings).figures) == 3


def test_options_without_effect_on_labels_are_named(tmp_path):
    store, progress = labelled(tmp_path / "s.zarr"), RecordingProgress()
    plot.run(plot.PlotSettings(inputs=(store.path,), out=tmp_path / "f", given=frozenset({"face"})), progress)
    assert progress.warnings == [
        f"--face: no effect on {store.path}, because only the labels of a store are drawn"
    ]
