"""The tables of both papers, each score with its evaluation protocol.

Numbers are copied from LightMamba (tables I to III) and BDCA (tables I to IV). Where the papers do not
state the protocol, it was derived from their tables, the challenge's rules and the cited papers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FOLD = "one fold of cross-validation on the training set"
BEST_FOLD = "best of five folds, not a test score"
FOLD_MEAN = "mean of folds 1 to 5, computed from this table"
TEST = "official test set, by the organisers' server"
BASELINE = "the challenge's baseline; set not stated"
UNSTATED = "set not stated"


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """A published row. `fold`, `fold_mean` or `preset` selects the results of ours to compare with it.

    `fold` and `fold_mean` take runs of the paper's own model (HEADLINE) only, `preset` those with the model
    of that preset. protocol: the data and procedure behind the scores. extra: further columns as printed.
    """

    label: str
    valence: float | None
    arousal: float | None
    mean: float
    protocol: str
    fold: int | None = None
    fold_mean: bool = False
    preset: str = ""
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True)
class PublishedTable:
    """A published table, with a note on its interpretation."""

    number: str
    title: str
    rows: tuple[PublishedRow, ...]
    note: str = ""


def _row(label: str, valence: float, arousal: float, mean: float, protocol: str, **keys: Any) -> PublishedRow:
    return PublishedRow(label=label, valence=valence, arousal=arousal, mean=mean, protocol=protocol, **keys)


_BASELINE = _row("Baseline", 0.240, 0.200, 0.220, BASELINE, preset="baseline")
_CHALLENGE = (
    _BASELINE,
    _row("CAS-MAIS", 0.327, 0.304, 0.316, TEST),
    _row("Charon", 0.504, 0.412, 0.458, TEST + "; 0.536 / 0.431 on the validation set", preset="charon"),
    _row("AIWELL-UOC", 0.468, 0.492, 0.480, TEST),
    _row("HSEmotion", 0.494, 0.551, 0.522, TEST),
    _row("CtyunAI", 0.546, 0.611, 0.578, TEST),
    _row("DeepAVER-CRIM", 0.561, 0.620, 0.590, TEST + "; 0.623 / 0.660 on the validation set"),
    _row("USTC-IAT-United", 0.577, 0.623, 0.600, TEST),
)
_MIXED = "The paper's own row is its best fold, the others are test scores: they cannot be compared."

LIGHTMAMBA = (
    PublishedTable(
        "I",
        "CCC of each fold",
        (
            _row("Fold 1", 0.543, 0.575, 0.559, FOLD, fold=1),
            _row("Fold 2", 0.516, 0.579, 0.548, FOLD, fold=2),
            _row("Fold 3", 0.610, 0.664, 0.637, BEST_FOLD, fold=3),
            _row("Fold 4", 0.569, 0.663, 0.616, FOLD, fold=4),
            _row("Fold 5", 0.567, 0.648, 0.608, FOLD, fold=5),
            _row("Mean of folds", 0.561, 0.626, 0.593, FOLD_MEAN, fold_mean=True),
            _BASELINE,
        ),
        "The headline 0.637 is fold 3; the five folds' mean is 0.593. Fold numbers of different splits "
        "are not the same videos.",
    ),
    PublishedTable(
        "II",
        "Submissions to the 8th ABAW challenge",
        (*_CHALLENGE, _row("LightMamba", 0.610, 0.664, 0.637, BEST_FOLD, preset="lightmamba")),
        _MIXED,
    ),
    PublishedTable(
        "III",
        "Mamba and Transformer as temporal module",
        (
            PublishedRow(
                label="Transformer",
                valence=None,
                arousal=None,
                mean=0.593,
                protocol="called validation set; equals the mean of LightMamba's own folds",
                preset="lightmamba-transformer",
                extra={"parameters": "85.7M", "GPU memory": "7.8 GB", "time an epoch": "23 s"},
            ),
            PublishedRow(
                label="LightMamba",
                valence=None,
                arousal=None,
                mean=0.637,
                protocol=BEST_FOLD,
                preset="lightmamba",
                extra={"parameters": "116.5M", "GPU memory": "4.8 GB", "time an epoch": "24 s"},
            ),
        ),
        "The counts are reproduced with TCNs of 72.9M and 114.6M parameters, so the rows differ in more "
        "than the temporal module.",
    ),
)

BDCA = (
    PublishedTable(
        "I",
        "CCC of each fold",
        (
            _row(
                "Fold 0",
                0.582,
                0.646,
                0.614,
                "called official test set, whose labels are secret: a server's score or validation",
                fold=0,
            ),
            _row("Fold 1", 0.562, 0.613, 0.588, FOLD, fold=1),
            _row("Fold 2", 0.556, 0.605, 0.581, FOLD, fold=2),
            _row("Fold 3", 0.605, 0.658, 0.632, BEST_FOLD, fold=3),
            _row("Fold 4", 0.539, 0.689, 0.614, FOLD, fold=4),
            _row("Fold 5", 0.582, 0.650, 0.616, FOLD, fold=5),
            _row("Mean of folds", 0.569, 0.643, 0.606, FOLD_MEAN, fold_mean=True),
            _BASELINE,
        ),
        "The headline 0.632 is fold 3; the mean of folds 1 to 5 is 0.606. Fold numbers of different "
        "splits are not the same videos.",
    ),
    PublishedTable(
        "II",
        "Submissions to the 8th ABAW challenge",
        (*_CHALLENGE, _row("BDCA", 0.605, 0.658, 0.632, BEST_FOLD, preset="bdca")),
        _MIXED,
    ),
    PublishedTable(
        "III",
        "Visual features",
        (
            _row("MAE w/o FT", 0.348, 0.419, 0.384, UNSTATED, preset="mae-pretrained"),
            _row("Fuxi", 0.540, 0.557, 0.549, UNSTATED + "; its authors report 0.637 for their full system"),
            _row("MAE", 0.554, 0.595, 0.575, UNSTATED, preset="visual-only"),
        ),
        "Without BDCA.",
    ),
    PublishedTable(
        "IV",
        "Parts of BDCA",
        (
            _BASELINE,
            _row("Only Audio", 0.212, 0.334, 0.273, UNSTATED, preset="audio-only"),
            _row("Only Visual", 0.554, 0.595, 0.575, UNSTATED, preset="visual-only"),
            _row("Concat w/o BDCA", 0.551, 0.635, 0.593, UNSTATED, preset="concat"),
            _row("BDCA w/o DW", 0.598, 0.640, 0.619, UNSTATED, preset="bdca-no-gate"),
            _row("BDCA", 0.605, 0.658, 0.632, BEST_FOLD, preset="bdca"),
        ),
        'The text\'s "+1.94 %" for the gate is 1.25 points of CCC, 2.0 % of it.',
    ),
)

PAPERS: Mapping[str, tuple[PublishedTable, ...]] = {"lightmamba": LIGHTMAMBA, "bdca": BDCA}
HEADLINE: Mapping[str, str] = {"lightmamba": "lightmamba", "bdca": "bdca"}  # the preset of the paper's model
VARIANTS: Mapping[str, str] = {  # presets that stand beside the row of another one, under their own name
    "lightmamba-text": "lightmamba",
    "bdca-text": "bdca",
    "baseline-finetuned": "baseline",
}


def row_preset(preset: str) -> str:
    """The preset of the published row to which a run with the model of `preset` belongs."""
    return VARIANTS.get(preset, preset)


def has_row(paper: str, preset: str) -> bool:
    """Whether a table of the paper has a row for the model of `preset`."""
    rows = (row for table in PAPERS[paper] for row in table.rows)
    return bool(preset) and row_preset(preset) in {row.preset for row in rows}


def is_of_other_paper(paper: str, preset: str) -> bool:
    """Whether only another paper has a row for the model of `preset`."""
    return not has_row(paper, preset) and any(has_row(other, preset) for other in PAPERS)
