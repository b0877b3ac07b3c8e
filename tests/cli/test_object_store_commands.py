"""Each command gives on a store in S3, whose server fails at times, what it gives on a local one."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from synth import affwild2, recipes
from synth.face_stores import face_store
from synth.faces import scene, write_video
from synth.object_stores import Killed, S3Server, death_at, memory_folder, upload

from vacli.cli.main import run
from vacli.store import Store, lease
from vacli.store.repack import arrays_of

pytestmark = pytest.mark.torch
FAILING = 0.05  # of the requests
SMALL = (*recipes.COMPACT, "training.epochs=1", "training.batch_size=4")
TINY = [word for assignment in SMALL for word in ("--set", assignment)]
CPU = ("--device", "cpu")
RUN = ("--model", "{work}/run", *CPU)
TRAIN = ["train", "{store}", "--preset", "compact", *CPU, *TINY]
FINETUNE = ["finetune-mae", "{store}", "--encoder", "compact", "--epochs", "1", *CPU]
CROSSVAL = [
    *("crossval", "{store}", "--encoder", "compact", "--encoder-epochs", "1", "--frame-stride", "2"),
    *("--preset", "visual-only", "--folds", "2", "--fold", "1", *CPU),
    *(word for assignment in recipes.VISUAL_COMPACT for word in ("--set", assignment)),
]
FRAMES = ("--frame-list", "{work}/frames.txt")
# {store}: the store. {work}: a folder with runs and other files. {other}: a store that does not exist.
# {media}: a folder of recordings beside the store.
COMMANDS = {
    "info": ["info", "{store}"],
    "info, data": ["info", "--check", "{store}"],
    "finalize": ["finalize", "{store}"],
    "import-feature": ["import-feature", "mine", "{work}/arrays", "{store}"],
    "import-labels": ["import-labels", "{work}/labels", "{store}", "--force"],
    "plot": ["plot", "{store}", "-o", "{work}/figures"],
    "repack": ["repack", "{store}"],
    "repack into another": ["repack", "{store}", "-o", "{other}"],
    "train, dry run": [*TRAIN, "-o", "{work}/new", "--dry-run"],
    "train": [*TRAIN, "-o", "{work}/new"],
    "evaluate": ["evaluate", "{work}/run", "--store", "{store}"],
    "compare": ["compare", "{work}/run", "{work}/second", "--store", "{store}"],
    "calibrate": ["calibrate", "{work}/run", "{store}", "--allow-training-data"],
    "submit": ["submit", "{work}/run", "--store", "{store}", *FRAMES, "-o", "{work}/s.txt"],
    "predict": ["predict", "{store}", *RUN, "-o", "{work}/p.csv"],
    "predict, dry run": ["predict", "{store}", *RUN, "-o", "{work}/p.csv", "--dry-run"],
    "predict into a folder": ["predict", "{store}", *RUN, "-o", "{work}/p/"],
    "summarize": ["summarize", "{store}", *RUN, "-o", "{work}/summary.csv"],
    "ablate": ["ablate", "{store}", "--row", "compact", *CPU, *TINY, "-o", "{work}/ablation"],
    "report": ["report", "{store}", *RUN, "-o", "{work}/report"],
}
FACE_COMMANDS = {
    "align": ["align", "{work}/media", "-o", "{store}"],
    "align, recording": ["align", "{media}/a.mp4", "-o", "{store}"],
    "align, dry run": ["align", "{work}/media", "-o", "{store}", "--dry-run"],
    "extract-visual": ["extract-visual", "{store}", *CPU],
    "extract-visual, dry run": ["extract-visual", "{store}", "--dry-run"],
    "extract-audio": ["extract-audio", "{work}/media", "-o", "{store}", "--feature", "speech"],
    "extract-audio, part": [
        *("extract-audio", "{work}/media", "-o", "{store}", "--feature", "speech", "--part", "1/1")
    ],
    "finetune-mae": [*FINETUNE, "-o", "{work}/face"],
    "crossval": [*CROSSVAL, "-o", "{work}/folds"],
    "overlay, recording": ["overlay", "{media}/a.mp4", *CPU, "-o", "{work}/overlay.mp4"],
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder with two stores, two runs, labels, arrays of features, and a video."""
    folder = tmp_path_factory.mktemp("prepared")
    trials = affwild2.make(affwild2.World(videos=4, frames=220))
    store = affwild2.write_store(folder / "s.zarr", trials)
    assert run(filled([*TRAIN, "-o", str(folder / "run")], {"store": str(store.path)})) == 0
    shutil.copytree(folder / "run", folder / "second")
    for name in ("labels", "arrays", "media"):
        (folder / name).mkdir()
    for view in store.videos():
        rows = [f"{t:.6f},{t / 10:.3f},{-t / 10:.3f}" for t in view.times_s]
        (folder / "labels" / f"{view.id}.csv").write_text("\n".join(["time_s,valence,arousal", *rows]) + "\n")
        np.save(folder / "arrays" / f"{view.id}.npy", np.outer(view.times_s, [1, 2]).astype(np.float32))
    frames = [f"{view.id}/{i + 1:05d}.jpg,," for i in range(len(view.times_s))]
    (folder / "frames.txt").write_text("\n".join(["image_location,valence,arousal", *frames]) + "\n")
    face_store(folder / "f.zarr", videos=4, frames=6)
    write_video(folder / "media" / "a.mp4", [scene((110 + i, 110)) for i in range(8)])
    return folder


def filled(words: list[str], places: dict[str, str]) -> list[str]:
    """The words of a command with the paths of the places."""
    for name, place in places.items():
        words = [word.replace(f"{{{name}}}", place) for word in words]
    return words


def contents(path: Path) -> dict[str, dict[str, bytes]]:
    """Every array of every video of a store, nothing if there is none."""
    if not (path / "zarr.json").is_file():
        return {}
    views = Store.open(path).videos()
    return {view.id: {name: view.read(name).tobytes() for name in arrays_of(view)} for view in views}


def outcome(words: list[str], store: Path, work: Path, capsys) -> tuple[object, ...]:
    """The stores, the tables and the weights after a command."""
    other = store.parent / "other.zarr"
    capsys.readouterr()
    media = store.parent / "media"
    places = {"store": store, "work": work, "other": other, "media": media}
    code = run(filled(words, {name: str(path) for name, path in places.items()}))
    out, err = capsys.readouterr()
    assert code == 0, err
    assert not any(secret in out + err for secret in ("the-key-id", "the-secret"))
    files = (path for path in work.rglob("*") if path.suffix in (".csv", ".txt", ".safetensors"))
    return (
        contents(store),
        contents(other),
        {str(path.relative_to(work)): path.read_bytes() for path in files},
    )


@pytest.fixture(autouse=True)
def _staging(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VA_STAGING", str(tmp_path / "staging"))


def check(words: list[str], source: Path, prepared: Path, tmp_path: Path, s3: S3Server, capsys) -> None:
    works = []
    for name in ("here", "there"):
        works.append(tmp_path / name)
        shutil.copytree(prepared, works[-1], ignore=shutil.ignore_patterns("*.zarr"))
    shutil.copytree(prepared / "media", tmp_path / "local" / "media")
    store = Path(shutil.copytree(source, tmp_path / "local" / "s.zarr"))
    remote = upload(tmp_path / "local", s3.folder()) / "s.zarr"
    expected = outcome(words, store, works[0], capsys)
    s3.failing = FAILING
    assert outcome(words, remote, works[1], capsys) == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, prepared: Path, tmp_path: Path, s3: S3Server, capsys):
    check(COMMANDS[name], prepared / "s.zarr", prepared, tmp_path, s3, capsys)


@pytest.mark.parametrize("name", FACE_COMMANDS)
def test_commands_on_faces(name: str, prepared: Path, tmp_path: Path, s3: S3Server, capsys):
    check(FACE_COMMANDS[name], prepared / "f.zarr", prepared, tmp_path, s3, capsys)


def test_overlay_of_a_store(prepared: Path, tmp_path: Path, s3: S3Server, capsys):
    """The recording is found beside the store."""
    media, store = str(prepared / "media"), str(prepared / "m.zarr")
    assert run(["align", media, "-o", store]) == 0
    assert run(["extract-visual", store, "--feature", "compact", *CPU]) == 0
    assert run(["extract-audio", media, "-o", store, "--feature", "egemaps", "--feature", "mfcc39"]) == 0
    words = ["overlay", "{store}", *CPU, "-o", "{work}/drawn/"]
    check(words, prepared / "m.zarr", prepared, tmp_path, s3, capsys)
    here, there = (read_video(tmp_path / name / "drawn" / "a.overlay.mp4") for name in ("here", "there"))
    assert here[0] == there[0]
    # The bytes may differ: x264 with AVX-512 encodes the same pictures in slightly different ways.
    np.testing.assert_allclose(here[1], there[1], atol=16, rtol=0)
    assert np.abs(here[1] - there[1]).mean() < 0.05


def read_video(path: Path) -> tuple[dict[str, str], np.ndarray]:
    """The metadata and the pictures of a file."""
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return dict(container.metadata), np.stack(pictures).astype(int)


WRITING = (
    "align",
    "extract-visual",
    "extract-audio",
    "import-feature",
    "import-labels",
    "repack into another",
)
KILLS = 4  # points in the writes of a command at which it is killed


@pytest.mark.parametrize("name", WRITING)
def test_a_command_that_is_killed_between_two_writes_is_completed_by_the_next(
    name: str, prepared: Path, tmp_path: Path, monkeypatch, capsys
):
    pytest.importorskip("obstore")
    words = (COMMANDS | FACE_COMMANDS)[name]
    source = prepared / ("s.zarr" if name in COMMANDS else "f.zarr")
    reference = upload(source, memory_folder() / "s.zarr")
    before = contents(reference)
    with death_at(10_000) as changed:
        expected = outcome(words, reference, prepared, capsys)
    assert len(changed) > KILLS
    for number in np.linspace(1, len(changed) - 1, KILLS).astype(int).tolist():
        store = upload(source, memory_folder() / "s.zarr")
        with death_at(number), pytest.raises(Killed):
            outcome(words, store, prepared, capsys)
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_process", lambda pid: "")  # the process of the lease is dead
            found = contents(store)
            contents(store.parent / "other.zarr")
        for video, arrays in (before | expected[0]).items():
            for array, data in found.get(video, {}).items():
                assert data in (before.get(video, {}).get(array), arrays.get(array))
        assert outcome(words, store, prepared, capsys) == expected
