"""`va bundled-model`: the steps that rebuild the model that the package ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import completion, options, url_paths
from vacli.cli.console import Console
from vacli.cli.report import finish
from vacli.cli.streams import put

CORPORA = ("ferplus", "ravdess", "emodb", "background")


@click.group("bundled-model", short_help="Rebuild the model that the package ships.")
def bundled_model() -> None:
    """Rebuild the model that the package ships, from public corpora.

    The steps and their figures are in the model card, vacli/weights/CARD.md.
    """


@bundled_model.command("import", short_help="FER+, RAVDESS or EmoDB -> store, with mapped labels.")
@click.argument("kind", type=click.Choice(CORPORA))
@click.argument("path", type=click.Path(path_type=Path))
@options.store_out
@click.option(
    "--augment-copies",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Augmented copies of each utterance, beside the original.",
)
@click.option(
    "--augmented-dir", type=click.Path(path_type=Path), help="Folder that augmented copies are written to."
)
@click.option(
    "--degraded",
    is_flag=True,
    help="FER+: copies of the validation faces that are blurred, dark, small, turned, covered, ...",
)
@click.option("--seed", type=int, default=42, show_default=True, help="Seed of the augmentation.")
def import_corpus(kind: str, path: Path, out: Path | None, **chosen: Any) -> None:
    """Import a corpus of emotion categories, with valence and arousal mapped from the categories.

    FER+ faces are aligned like the pictures of `va predict --images`. RAVDESS is licensed
    CC BY-NC-SA 4.0: not for commercial use, and neither are weights trained on it.

    Augmented copies of speech differ in level, noise, reverberation, speed, equalisation and telephone
    band. `background` is a folder of sounds without speech; --augment-copies of them are made first.

    With --degraded, each condition becomes an entry of the store, on which `va calibrate` measures how the
    error grows with the difficulty of a face.

    \b
    Examples:
      va bundled-model import ferplus ferplus.npz --degraded -o degraded.zarr
      va bundled-model import ravdess data/ravdess -o voices.zarr \\
        --augment-copies 2 --augmented-dir augmented
      va bundled-model import background silence --augment-copies 150 -o v.zarr
    """
    from vacli.steps import import_corpus as step

    console = Console()
    settings = step.ImportCorpusSettings(kind=kind, path=path, store=options.store_for((), out), **chosen)
    finish(step.run(settings, console), console)


@bundled_model.command("synthesize", short_help="Faces + utterances -> a store of synthetic sequences.")
@click.argument("faces", type=url_paths.STORE, shell_complete=completion.stores)
@click.argument("voices", type=url_paths.STORE, shell_complete=completion.stores)
@options.store_out
@click.option("--sequences", type=click.IntRange(1), default=600, show_default=True)
@click.option(
    "--groups", type=click.IntRange(2), default=5, show_default=True, help="Disjoint groups of people."
)
@click.option("--seed", type=int, default=42, show_default=True)
@click.option("--holdout", is_flag=True, help="Use only the held-out faces and speakers.")
@click.option("--utterances", is_flag=True, help="Single utterances without faces, for an audio model.")
def synthesize(
    faces: Path, voices: Path, out: Path | None, holdout: bool, utterances: bool, **chosen: Any
) -> None:
    """Synthesize sequences of faces and voices with matching valence and arousal.

    FACES and VOICES are stores made by `va bundled-model import`, with features extracted. Some segments
    have no face, no voice, silence, or a face and a voice that disagree. A sixth of the speakers and the
    faces of the validation split are left out; --holdout uses only these.

    With --utterances no face is shown, one segment in twenty is silence or not speech, and utterances are
    sampled so that valence and arousal do not correlate, which they do in acted speech; with --holdout
    they are sampled uniformly.

    \b
    Examples:
      va bundled-model synthesize faces.zarr voices.zarr -o mix.zarr
      va bundled-model synthesize faces.zarr voices.zarr --utterances -o said.zarr
      va bundled-model synthesize faces.zarr voices.zarr --holdout -o held.zarr
    """
    from vacli.datasets.synthesis import UTTERANCES, SynthesisConfig
    from vacli.steps import synthesize as step

    console = Console()
    settings = step.SynthesizeSettings(
        faces=faces,
        voices=voices,
        store=options.store_for((), out),
        holdout=holdout,
        balanced=utterances and not holdout,
        mixture=UTTERANCES if utterances else SynthesisConfig(),
        **chosen,
    )
    finish(step.run(settings, console), console)


@bundled_model.command("export", short_help="A run -> the weights that the package ships.")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=completion.runs)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder. [default: the package's own]")
def export(run: Path, out: Path | None) -> None:
    """Export a run of `va train` or `va finetune-mae --encoder compact` as the default of `va predict`.

    A run of the preset compact-audio is put beside the audiovisual model; any other replaces that one.
    Weights are stored in half precision, without the state for --resume.

    \b
    Example:
      va bundled-model export runs/compact
    """
    from vacli.steps import export_model as step

    settings = step.ExportSettings(run, out) if out else step.ExportSettings(run)
    put(f"{step.run(settings, Console())}\n")


COMMANDS = (bundled_model,)
