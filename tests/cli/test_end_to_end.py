"""All commands in one line, as a user types them: on real clips and on the clip that the demo makes."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vacli.cli.main import run
from vacli.output.columns import COLUMNS
from vacli.output.provenance import digests_of, read_sidecar
from vacli.store import Store

CLIPS = ("04_cremad_1001_DFA_ANG_XX.flv", "05_cremad_1001_DFA_HAP_XX.flv", "22_derived_no_audio_track.mp4")
README = Path(__file__).parents[2] / "README.md"
VALUES = ("valence", "arousal")
FRAMES = {"04": 67, "05": 56, "22": 75}


def va(*arguments: str, cwd: Path, stdin: str = "") -> str:
    """Run `va` in a process of its own; its stdout. Fails the test unless it exits with 0."""
    done = subprocess.run(
        [sys.executable, "-m", "vacli", *arguments], cwd=cwd, input=stdin, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def typed(tmp_path, capsys, monkeypatch):
    """As `va`, in this process, which has the libraries loaded already."""
    monkeypatch.chdir(tmp_path)

    def type_in(*arguments: str, stdin: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = run(list(arguments))
        captured = capsys.readouterr()
        assert code == 0, captured.err
        assert "\x1b" not in captured.out + captured.err
        return captured.out

    return type_in


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def write_labels(folder: Path, store: Path) -> None:
    """A plain CSV a clip: valence falls, arousal rises, in another way for every clip."""
    folder.mkdir()
    for number, view in enumerate(Store.open(store).videos()):
        span = view.times_s - view.times_s[0]
        lines = [
            f"{t:.6f},{0.5 - 0.2 * number - 0.1 * s:.4f},{0.1 * number + 0.2 * s:.4f}"
            for t, s in zip(view.times_s, span, strict=True)
        ]
        (folder / f"{view.id}.csv").write_text("time_s,valence,arousal\n" + "\n".join(lines) + "\n")


@pytest.mark.torch
def test_seven_commands_on_real_clips(clips, tmp_path, typed):
    for name in CLIPS:
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / name).symlink_to(clips / name)
    store = typed("align", "videos", "-o", "s.zarr")
    assert store == "s.zarr\n"
    assert typed("extract-visual", "-", stdin=store) == store
    assert typed("extract-audio", "-", stdin=store) == store
    write_labels(tmp_path / "labels", tmp_path / "s.zarr")
    assert typed("import-labels", "labels", "-", stdin=store) == store
    tuned = typed(
        "finetune-mae", "-", "--encoder", "compact", "--epochs", "1", "--frame-stride", "4",
        "-o", "runs/face",
        stdin=store,
    )  # fmt: skip
    assert tuned == "runs/face\n"
    small = (
        "--set",
        "training.epochs=2",
        "--set",
        "window.length_frames=50",
        "--set",
        "window.stride_frames=25",
    )
    trained = typed("train", "-", "--temporal", "mamba", *small, "-o", "runs/a", stdin=store)
    assert trained == "runs/a\n"
    assert "CCC" in typed("evaluate", "runs/a")
    typed("predict", "videos", "--model", "runs/a", "-o", "va.csv")
    rows = rows_of(tmp_path / "va.csv")
    counted = {name[:2]: sum(Path(r["input"]).name == name for r in rows) for name in CLIPS}
    assert counted == FRAMES
    assert {r["modality"] for r in rows if "22_" in r["input"]} == {"visual"}


def test_the_demo_runs_every_step(tmp_path):
    said = va("demo", cwd=tmp_path)
    for name in ("demo.mp4", "demo.zarr", "demo.csv", "demo.png", "demo.overlay.mp4", "report/demo.html"):
        assert f"va-demo/{name}" in said
        assert (tmp_path / "va-demo" / name).exists()
    table = tmp_path / "va-demo" / "demo.csv"
    made = read_sidecar(table)
    assert made["inputs"][0]["name"] == "demo.mp4"
    assert made["files"] == digests_of({table.name: table})
    rows = rows_of(table)
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 150
    times = np.array([float(r["time_s"]) for r in rows])
    np.testing.assert_allclose(times, np.arange(150) / 25, atol=1e-6)
    away = [r["face_detected"] for r in rows if 4.6 < float(r["time_s"]) < 5.1]
    assert set(away) == {"0"}
    seen = [float(r["valence"]) for r in rows if r["face_detected"] == "1"]
    assert np.mean(seen) > 0.3, "the photographed face smiles"
    shown = README.read_text(encoding="utf-8").splitlines()
    for row in rows[1:3]:
        (line,) = (line for line in shown if line.startswith(f"{row['frame']},{row['time_s']},"))
        cells = [row[name] for name in (*VALUES, "face_detected", "audio_present", "speech_present")]
        numbers = [*cells, row["speaking"], *(row[f"{name}_uncertainty"] for name in VALUES)]
        is_number = [cell for cell in line.split(",")[2:] if cell[0].isdigit()]
        np.testing.assert_allclose(np.array(is_number, float), np.array(numbers, float), atol=0.02)
    summary = io.StringIO(va("summarize", str(table), "--bin", "2s", cwd=tmp_path))
    for row in csv.DictReader(summary):
        (line,) = (line for line in shown if line.startswith(f"{row['start_s']},{row['end_s']},"))
        names = ("quality_mean", *(f"valence_{n}" for n in ("mean", "se", "effective_n", "sd")))
        numbers = np.array([row[name] for name in names], float)
        np.testing.assert_allclose(np.array(line.split(",")[2:], float), numbers, atol=0.05)


def test_one_bad_clip_does_not_stop_the_rest(tmp_path, capsys, monkeypatch):
    from vacli.media.demo_clip import write_demo_clip

    monkeypatch.chdir(tmp_path)
    write_demo_clip(tmp_path / "good.mp4")
    Path("bad.mp4").write_text("this is text")
    assert run(["predict", "bad.mp4", "absent.mp4", "good.mp4", "-o", "va.csv"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("bad.mp4: ")]
    assert [line for line in said if "absent.mp4" in line]
    assert {r["input"] for r in rows_of(Path("va.csv"))} == {"good.mp4"}


@pytest.mark.parametrize("name", ["01_grid_swiz3n_male.mpg", "24_derived_video_starts_0.5s_late.mp4"])
def test_predict_gives_a_row_a_frame(name, clips, tmp_path, capsys):
    assert run(["predict", str(clips / name)]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 75
    times = [float(r["time_s"]) for r in rows]
    assert times == sorted(times)
    assert times[0] == (0.5 if name.startswith("24") else 0.0)
    assert all(-1 <= float(r[c]) <= 1 for r in rows for c in ("valence", "arousal"))
