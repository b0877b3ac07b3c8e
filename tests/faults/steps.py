"""Every step that writes: what it needs, how it is called, and what it must leave whole at any instant."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faults import media, snapshot, stores
from faults.harness import CommandOutcome
from faults.lab import Lab
from faults.test_stores import copy
from faults.world import FINETUNE, TRAIN, make_data, make_runs
from synth.sounds import voice

from vacli.datasets.audio_augmentation import write_wav
from vacli.store import Store, VideoView


@dataclass(frozen=True)
class Step:
    """A command of `va`.

    needs: what is copied from the world. before: commands whose results are there already. results: paths
    that must be as they were, or as they are to be, at any instant; stores: those that must be whole.
    after: commands that follow once it is through.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    stores: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()


CLIPS = ("a.mp4", "b.mp4")
STEPS = (
    Step("align", ("align", *CLIPS, "-o", "n.zarr"), CLIPS, ("n.zarr",)),
    Step(
        "align --force",
        ("align", *CLIPS, "-o", "n.zarr", "--face", "all", "--force"),
        CLIPS,
        ("n.zarr",),
        before=(("align", *CLIPS, "-o", "n.zarr"), ("extract-visual", "n.zarr")),
        after=(("extract-visual", "n.zarr"),),
    ),
    Step("extract-visual", ("extract-visual", "faces.zarr"), ("faces.zarr",), ("faces.zarr",)),
    Step(
        "extract-audio", ("extract-audio", "a.mp4", "c.wav", "-o", "n.zarr"), ("a.mp4", "c.wav"), ("n.zarr",)
    ),
    Step(
        "import-feature",
        ("import-feature", "own", "own", "s.zarr", "--force"),
        ("own", "other", "s.zarr"),
        ("s.zarr",),
        before=(("import-feature", "own", "other", "s.zarr"),),
    ),
    Step("repack", ("repack", "s.zarr", "-o", "small.zarr"), ("s.zarr",), ("small.zarr",)),
    Step("labels", ("import-labels", "labels", "bare.zarr"), ("labels", "bare.zarr"), ("bare.zarr",)),
    Step(
        "compose",
        (
            "bundled-model",
            "synthesize",
            "stills.zarr",
            "voices.zarr",
            "-o",
            "mix.zarr",
            "--sequences",
            "6",
            "--groups",
            "2",
        ),
        ("stills.zarr", "voices.zarr"),
        ("mix.zarr",),
    ),
    Step(
        "corpus",
        (
            "bundled-model",
            "import",
            "emodb",
            "emodb",
            "-o",
            "n.zarr",
            "--augment-copies",
            "2",
            "--augmented-dir",
            "worse",
        ),
        ("emodb",),
        ("n.zarr",),
    ),
    Step("train", ("train", "s.zarr", "-o", "run", *TRAIN), ("s.zarr",)),
    Step(
        "finetune-mae",
        ("finetune-mae", "faces.zarr", "-o", "run", *FINETUNE),
        ("faces.zarr", "vit.safetensors"),
    ),
    Step(
        "calibrate",
        ("calibrate", "runs/folds", "held.zarr"),
        ("runs/folds", "held.zarr"),
        results=("runs/folds/calibration.json",),
    ),
    Step(
        "bundle",
        ("bundled-model", "export", "runs/folds", "-o", "out"),
        ("runs/a", "runs/folds"),
        results=("out/compact",),
        before=(("bundled-model", "export", "runs/a", "-o", "out"),),
    ),
    Step(
        "predict -o",
        ("predict", "a.mp4", "c.wav", "-o", "va.csv", "--force"),
        ("a.mp4", "c.wav"),
        results=("va.csv",),
        before=(("predict", "c.wav", "-o", "va.csv"),),
    ),
    Step(
        "predict folder",
        ("predict", *CLIPS, "c.wav", "-o", "out/", "--also", ".vtt"),
        (*CLIPS, "c.wav"),
        results=tuple(f"out/{name}" for name in ("a.csv", "b.csv", "c.csv", "a.vtt", "c.vtt", "index.csv")),
        before=(("predict", "c.wav", "-o", "out/"),),
    ),
    Step(
        "predict folder --force",
        ("predict", *CLIPS, "c.wav", "-o", "out/", "--also", ".vtt", "--fill", "--jobs", "2", "--force"),
        (*CLIPS, "c.wav"),
        results=tuple(f"out/{name}" for name in ("a.csv", "b.csv", "c.csv", "a.vtt", "c.vtt", "index.csv")),
        before=(("predict", "c.wav", "a.mp4", "-o", "out/", "--also", ".vtt"),),
    ),
    Step(
        "convert",
        ("convert", "va.csv", "--to", "va.jsonl", "--force"),
        ("c.wav",),
        results=("va.csv", "va.jsonl"),
        before=(
            ("predict", "c.wav", "-o", "va.csv"),
            ("convert", "va.csv", "--to", "va.jsonl", "--smooth", "0.5s"),
        ),
    ),
    Step(
        "summarize",
        ("summarize", "va.csv", "-o", "means.csv", "--bin", "0.4s", "--force"),
        ("c.wav",),
        results=("va.csv", "means.csv"),
        before=(
            ("predict", "c.wav", "-o", "va.csv"),
            ("summarize", "va.csv", "-o", "means.csv"),
        ),
    ),
    Step(
        "overlay",
        ("overlay", "a.mp4", "-o", "drawn.mp4", "--force"),
        ("a.mp4",),
        results=("drawn.mp4",),
        before=(("overlay", "a.mp4", "-o", "drawn.mp4", "--width", "200"),),
    ),
    Step(
        "plot",
        ("plot", "va.csv", "-o", "figures"),
        ("c.wav",),
        before=(("predict", "c.wav", "-o", "va.csv"),),
    ),
    Step(
        "report",
        ("report", "va.csv", "-o", "pages"),
        ("c.wav",),
        before=(("predict", "c.wav", "-o", "va.csv"),),
    ),
    Step(
        "submit",
        ("submit", "runs/a", "--store", "s.zarr", "--frame-list", "list.txt", "-o", "out.txt"),
        ("runs/a", "s.zarr", "list.txt", "preds.csv"),
        results=("out.txt",),
        before=(("submit", "preds.csv", "--frame-list", "list.txt", "-o", "out.txt"),),
    ),
)
WITH_RUNS = ("calibrate", "bundle", "submit", "finetune-mae")


def make_sources(lab: Lab) -> Path:
    """The world with recordings, corpora and stores to compose from."""
    folder = lab.once(make_data)
    for name, frames in zip(CLIPS, (10, 7), strict=True):
        media.write(folder / name, media.PACKINGS["h264.mp4"], frames)
    write_wav(folder / "c.wav", voice(0.8, seed=7))
    (folder / "emodb").mkdir()
    for seed, name in enumerate(("03a01Wa", "08b02Fa")):
        write_wav(folder / "emodb" / f"{name}.wav", voice(0.6, seed=seed))
    bare = Path(shutil.copytree(folder / "s.zarr", folder / "bare.zarr"))
    for labels in bare.glob("*/label"):
        shutil.rmtree(labels)
    _write_parts(folder)
    _write_arrays(folder)
    return folder


def _write_parts(folder: Path) -> None:
    """stills.zarr and voices.zarr, out of which `va bundled-model synthesize` makes sequences."""
    source = Store.open(folder / "s.zarr")
    stills, voices = (Store.open_or_create(folder / name) for name in ("stills.zarr", "voices.zarr"))
    view = source.videos()[0]
    _copy_part(stills, "stills", view, ("compact",), {"split": "train"})
    for number in range(6):
        _copy_part(voices, f"u{number}", view, ("egemaps", "mfcc39"), {"subject": f"speaker{number}"})


def _write_arrays(folder: Path) -> None:
    """own/ and other/: arrays of one feature for the videos of s.zarr."""
    rng = np.random.default_rng(11)
    for place in ("own", "other"):
        (folder / place).mkdir()
        for view in Store.open(folder / "s.zarr").videos():
            rows = rng.normal(size=(len(view.times_s), 3)).astype("f4")
            np.save(folder / place / f"{view.id}.npy", rows)


def _copy_part(
    store: Store, name: str, view: VideoView, features: Sequence[str], about: dict[str, str]
) -> None:
    store.add_video(name, view.times_s, source={"name": name, "sha256": name}, stream={})
    for feature in features:
        values, flags = view.feature(feature)
        store.put_feature(name, view.part_attrs(f"feature/{feature}"), np.nan_to_num(values), flags * 0)
    with store.stage(name, "label", about) as writer:
        for side in ("valence", "arousal"):
            writer.append(side, np.nan_to_num(view.read(f"label/{side}")))


def prepare(lab: Lab, step: Step, folder: Path) -> None:
    """Fill a folder with what the step needs and with the results that are there already."""
    world = lab.once(make_sources)
    if step.name in WITH_RUNS:
        lab.once(make_runs)
    for name in step.needs:
        copy(world / name, folder / name)
    for arguments in step.before:
        outcome = lab.run(arguments, folder)
        assert outcome.code == 0, outcome.stderr


def torn(step: Step, folder: Path) -> list[str]:
    """What is not whole under its final name."""
    found = [
        what for name in step.stores if (folder / name).exists() for what in stores.complaints(folder / name)
    ]
    return [*found, *snapshot.unreadable(folder)]


def resume(run: Callable[[Sequence[str]], CommandOutcome], step: Step) -> tuple[CommandOutcome, list[str]]:
    """The same command again; where it asks for --resume or --force, with that, once each."""
    arguments, tried = list(step.arguments), [""]
    while True:
        outcome = run(arguments)
        offers = [o for o in ("--resume", "--force") if o in outcome.stderr and o not in tried]
        if outcome.code == 0 or not offers:
            return outcome, tried
        tried.append(offers[0])
        arguments = [*step.arguments, offers[0]]
