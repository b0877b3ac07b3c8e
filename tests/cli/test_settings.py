"""A full command line of each command gives the step exactly the expected settings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path

import click
import pytest

from vacli.cli.main import va
from vacli.datasets.annotation_options import AnnotationOptions
from vacli.datasets.label_columns import ColumnNames
from vacli.datasets.label_tables import TableFormat
from vacli.datasets.synthesis import UTTERANCES, SynthesisConfig
from vacli.features.registry import default_names
from vacli.output.formats import TableOptions
from vacli.recipe import io, presets
from vacli.spec import AUDIO
from vacli.steps._parts import Part
from vacli.steps._prediction_settings import PredictSettings


@dataclass(frozen=True)
class Case:
    """A command line, the step that it runs, and every field of the settings that the step gets."""

    command: str
    arguments: str
    step: str
    settings: Mapping[str, object]

    @property
    def words(self) -> list[str]:
        """The arguments as a shell passes them."""
        return self.arguments.split()

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """Steps whose modules import torch are skipped where it is not installed."""
        return [pytest.mark.torch] if self.step in ("train", "ablate", "export_model", "crossval") else []


class Recorded(Exception):
    """Ends a command when it has called its step."""

    def __init__(self, settings: object) -> None:
        super().__init__(settings)
        self.settings = settings


def record(settings: object, *others: object) -> None:
    raise Recorded(settings)


PATHS = (Path("a"), Path("b"))
READING = (
    "--time-column t --valence-column v1 --arousal-column a1 --valence-column v2 --arousal-column a2 "
    "--video-column f --unit ms --range 1 7 --delay 2.5 --raters ewe --rater-pattern r\\d"
)
READ = AnnotationOptions(
    table_format=TableFormat(
        columns=ColumnNames(time="t", valence=("v1", "v2"), arousal=("a1", "a2"), video="f"),
        unit="ms",
        value_range=(1.0, 7.0),
    ),
    delay_s=2.5,
    raters="ewe",
    rater_pattern="r\\d",
)
IMPORT_LABELS_DEFAULTS: dict[str, object] = {
    "annotations": Path("a"),
    "store": Path("feats.zarr"),
    "refine": "fill",
    "table_format": TableFormat(),
    "delay_s": 0.0,
    "raters": "mean",
    "rater_pattern": None,
    "subjects": None,
    "subject_pattern": None,
    "force": False,
}
VISUAL_DEFAULTS: dict[str, object] = {
    "inputs": PATHS,
    "store": Path("feats.zarr"),
    "feature": "compact",
    "tag": None,
    "weights": None,
    "normalise": None,
    "frame_stride": 1,
    "dtype": "auto",
    "batch_size": None,
    "device": "auto",
    "force": False,
    "part": None,
    "dask": None,
}
AUDIO_DEFAULTS: dict[str, object] = {
    "inputs": PATHS,
    "store": Path("feats.zarr"),
    "features": default_names(AUDIO),
    "tag": None,
    "align": "centre",
    "weights": None,
    "final_relu": False,
    "pca": False,
    "pca_weights": None,
    "window_s": 1.0,
    "layer": None,
    "batch_size": None,
    "device": "auto",
    "dtype": "auto",
    "audio_track": None,
    "workers": None,
    "force": False,
    "part": None,
    "dask": None,
}
FINETUNE_DEFAULTS: dict[str, object] = {
    "stores": PATHS,
    "out": Path("r"),
    "encoder": "mae-vit-l",
    "objective": "va",
    "weights": None,
    "from_scratch": False,
    "freeze_blocks": None,
    "normalise": None,
    "frame_stride": 1,
    "max_frames_per_video": None,
    "validation": (),
    "validation_share": 0.1,
    "exclude": (),
    "exclude_subjects": (),
    "subjects": None,
    "subject_pattern": None,
    "frame_list": None,
    "epochs": None,
    "batch_size": None,
    "grad_accum": None,
    "lr": None,
    "weight_decay": None,
    "layer_decay": None,
    "warmup_epochs": None,
    "patience_epochs": None,
    "ema_decay": 0.0,
    "amp": True,
    "seed": 42,
    "device": "auto",
    "resume": False,
    "force": False,
}
TRAIN_DEFAULTS: dict[str, object] = {
    "store": Path("feats.zarr"),
    "out": Path("runs/compact"),
    "preset": None,
    "recipe_file": None,
    "assignments": (),
    "temporal": None,
    "fusion": None,
    "folds": None,
    "fold": None,
    "subjects": None,
    "subject_pattern": None,
    "exclude_encoder_frames": None,
    "resume": False,
    "device": "auto",
    "init": None,
    "freeze": None,
    "bundle_encoder": False,
    "weights": {},
}
EVALUATE_DEFAULTS: dict[str, object] = {
    "inputs": PATHS,
    "store": None,
    "labels": None,
    "annotation_options": AnnotationOptions(),
    "split": "held-out",
    "paper": None,
    "format": "table",
    "table_width": None,
    "figures": None,
    "figure_formats": ("png",),
    "device": "auto",
    "allow_mismatch": False,
}
COMPARE_DEFAULTS: dict[str, object] = {
    "first": Path("a"),
    "second": Path("b"),
    "store": None,
    "labels": None,
    "annotation_options": AnnotationOptions(),
    "split": "held-out",
    "format": "table",
    "table_width": None,
    "device": "auto",
    "allow_mismatch": False,
}
PREDICT_DEFAULTS: dict[str, object] = {
    "inputs": PATHS,
    "model": None,
    "weights": {},
    "face": "largest",
    "images": False,
    "backend": "auto",
    "device": "auto",
    "audio_track": None,
    "live": False,
    "allow_mismatch": False,
    "one_recording": False,
    "fill": False,
    "record_inputs": False,
    "raw": False,
    "speech_model": None,
    "min_quality": None,
    "part": None,
    "dask": None,
    "given": frozenset(),
}
PREDICTION_OPTIONS = frozenset(
    {"model", "weights", "allow_mismatch", "face", "audio_track", "backend", "device"}
)
CORPUS_DEFAULTS: dict[str, object] = {
    "kind": "ferplus",
    "path": Path("a"),
    "store": Path("feats.zarr"),
    "augment_copies": 0,
    "augmented_dir": None,
    "degraded": False,
    "seed": 42,
}
SYNTHESIZE_DEFAULTS: dict[str, object] = {
    "faces": Path("a"),
    "voices": Path("b"),
    "store": Path("feats.zarr"),
    "sequences": 600,
    "groups": 5,
    "seed": 42,
    "holdout": False,
    "balanced": False,
    "mixture": SynthesisConfig(),
}
LIVE_DEFAULTS: dict[str, object] = {
    "source": "0",
    "audio": None,
    "demuxer": None,
    "options": {},
    "audio_track": None,
    "drop": None,
    "timeout_s": None,
    "duration_s": None,
    "prediction": PredictSettings(inputs=()),
    "record": None,
    "record_media": False,
    "force": False,
    "serve_port": None,
    "host": "127.0.0.1",
    "lsl": False,
    "delay_s": 0.0,
}
CASES = (
    Case(
        "align",
        "a b",
        "align",
        {
            "inputs": PATHS,
            "store": Path("feats.zarr"),
            "face": "largest",
            "crops": True,
            "backend": "auto",
            "force": False,
            "part": None,
            "dask": None,
        },
    ),
    Case(
        "align",
        "a b --out s.zarr --face left --no-crops --backend pyav --part 2/7 --dask local:3 --force",
        "align",
        {
            "inputs": PATHS,
            "store": Path("s.zarr"),
            "face": "left",
            "crops": False,
            "backend": "pyav",
            "force": True,
            "part": Part(2, 7),
            "dask": "local:3",
        },
    ),
    Case("extract-visual", "a b", "extract_visual", VISUAL_DEFAULTS),
    Case(
        "extract-visual",
        "a b --out s.zarr --feature resnet50 --tag t --weights w --frame-stride 2 --normalise per-channel "
        "--dtype bfloat16 --batch-size 8 --device cuda:1 --part 1/3 --dask tcp://head:8786 --force",
        "extract_visual",
        {
            "inputs": PATHS,
            "store": Path("s.zarr"),
            "feature": "resnet50",
            "tag": "t",
            "weights": Path("w"),
            "normalise": "per-channel",
            "frame_stride": 2,
            "dtype": "bfloat16",
            "batch_size": 8,
            "device": "cuda:1",
            "force": True,
            "part": Part(1, 3),
            "dask": "tcp://head:8786",
        },
    ),
    Case("extract-audio", "a b", "extract_audio", AUDIO_DEFAULTS),
    Case("extract-audio", "a b --dask local:2", "extract_audio", {**AUDIO_DEFAULTS, "dask": "local:2"}),
    Case(
        "extract-audio",
        "a b --out s.zarr --feature vggish --feature mfcc39 --tag t --align causal --weights w --final-relu "
        "--pca --pca-weights p --window 2.5 --layer 9 --dtype bfloat16 --batch-size 4 --workers 3 "
        "--audio-track 2 --device cpu --part 3/3 --force",
        "extract_audio",
        {
            "inputs": PATHS,
            "store": Path("s.zarr"),
            "features": ("vggish", "mfcc39"),
            "tag": "t",
            "align": "causal",
            "weights": Path("w"),
            "final_relu": True,
            "pca": True,
            "pca_weights": Path("p"),
            "window_s": 2.5,
            "layer": 9,
            "batch_size": 4,
            "device": "cpu",
            "dtype": "bfloat16",
            "audio_track": 2,
            "workers": 3,
            "force": True,
            "part": Part(3, 3),
            "dask": None,
        },
    ),
    Case(
        "import-feature",
        "f a",
        "import_feature",
        {
            "name": "f",
            "arrays": Path("a"),
            "store": Path("feats.zarr"),
            "modality": "visual",
            "rate_hz": None,
            "version": "1",
            "force": False,
        },
    ),
    Case(
        "import-feature",
        "f a t.zarr --modality audio --rate 50 --version 2 --force",
        "import_feature",
        {
            "name": "f",
            "arrays": Path("a"),
            "store": Path("t.zarr"),
            "modality": "audio",
            "rate_hz": 50.0,
            "version": "2",
            "force": True,
        },
    ),
    Case(
        "import-labels",
        "a",
        "import_labels",
        IMPORT_LABELS_DEFAULTS,
    ),
    Case(
        "import-labels",
        "a b --out s.zarr --refine fill+repair --force",
        "import_labels",
        IMPORT_LABELS_DEFAULTS | {"store": Path("s.zarr"), "refine": "fill+repair", "force": True},
    ),
    Case(
        "import-labels",
        f"a {READING} --subjects p.csv --subject-pattern s\\d",
        "import_labels",
        IMPORT_LABELS_DEFAULTS
        | vars(READ)
        | {
            "subjects": Path("p.csv"),
            "subject_pattern": "s\\d",
        },
    ),
    Case("finetune-mae", "a b --out r", "finetune_mae", FINETUNE_DEFAULTS),
    Case(
        "finetune-mae",
        "a b --out r --encoder compact --objective reconstruct --weights w --from-scratch --freeze-blocks 4 "
        "--normalise model --frame-stride 3 --max-frames-per-video 9 --validation v* --validation w* "
        "--exclude x* --exclude-subject ann --exclude-subject bob --subjects p.csv --subject-pattern p "
        "--frame-list f.csv --epochs 2 --batch-size 8 --grad-accum 5 --lr 0.001 --weight-decay 0.05 "
        "--layer-decay 0.75 --warmup-epochs 0.5 --patience-epochs 6 --ema-decay 0.998 --seed 7 --resume "
        "--device cpu --force",
        "finetune_mae",
        {
            "stores": PATHS,
            "out": Path("r"),
            "encoder": "compact",
            "objective": "reconstruct",
            "weights": Path("w"),
            "from_scratch": True,
            "freeze_blocks": 4,
            "normalise": "model",
            "frame_stride": 3,
            "max_frames_per_video": 9,
            "validation": ("v*", "w*"),
            "validation_share": 0.1,
            "exclude": ("x*",),
            "exclude_subjects": ("ann", "bob"),
            "subjects": Path("p.csv"),
            "subject_pattern": "p",
            "frame_list": Path("f.csv"),
            "epochs": 2,
            "batch_size": 8,
            "grad_accum": 5,
            "lr": 0.001,
            "weight_decay": 0.05,
            "layer_decay": 0.75,
            "warmup_epochs": 0.5,
            "patience_epochs": 6,
            "ema_decay": 0.998,
            "amp": True,
            "seed": 7,
            "device": "cpu",
            "resume": True,
            "force": True,
        },
    ),
    Case("train", "", "train", TRAIN_DEFAULTS),
    Case(
        "train",
        "s.zarr --out r --preset bdca --recipe t.toml --set training.epochs=3 --set seed=1 "
        "--temporal mamba --fusion concat --folds 5 --fold 2 --subjects p.csv --subject-pattern p "
        "--exclude-encoder-frames --resume --device cpu --bundle-encoder "
        "--weights f --weights vggish=v",
        "train",
        {
            "store": Path("s.zarr"),
            "out": Path("r"),
            "preset": "bdca",
            "recipe_file": Path("t.toml"),
            "assignments": ("training.epochs=3", "seed=1"),
            "temporal": "mamba",
            "fusion": "concat",
            "folds": 5,
            "fold": 2,
            "subjects": Path("p.csv"),
            "subject_pattern": "p",
            "exclude_encoder_frames": True,
            "resume": True,
            "device": "cpu",
            "init": None,
            "freeze": None,
            "bundle_encoder": True,
            "weights": {"": Path("f"), "vggish": Path("v")},
        },
    ),
    Case("train", "--include-encoder-frames", "train", {**TRAIN_DEFAULTS, "exclude_encoder_frames": False}),
    Case(
        "train",
        "--init bundled --freeze all-but-last",
        "train",
        {**TRAIN_DEFAULTS, "out": Path("runs/adapted"), "init": "bundled", "freeze": "all-but-last"},
    ),
    Case(
        "crossval",
        "",
        "crossval",
        {
            "train": {"store": Path("feats.zarr"), "out": Path("runs/crossval"), "folds": 5},
            "encoder": {"stores": (Path("feats.zarr"),), "out": Path("runs/crossval")},
            "dtype": "auto",
            "force": False,
        },
    ),
    Case(
        "crossval",
        "s.zarr --out r --preset bdca --recipe t.toml --set training.epochs=3 --temporal mamba "
        "--fusion concat --folds 3 --fold 2 --subjects p.csv --subject-pattern p --include-encoder-frames "
        "--encoder compact --weights w --from-scratch --freeze-blocks 4 --normalise signed --frame-stride 3 "
        "--max-frames-per-video 9 --encoder-epochs 2 --encoder-batch-size 8 --encoder-lr 0.001 "
        "--encoder-seed 7 --dtype float32 --device cpu --force --exclude-encoder-frames",
        "crossval",
        {
            "train": {
                "store": Path("s.zarr"),
                "out": Path("r"),
                "preset": "bdca",
                "recipe_file": Path("t.toml"),
                "assignments": ("training.epochs=3",),
                "temporal": "mamba",
                "fusion": "concat",
                "folds": 3,
                "fold": 2,
                "subjects": Path("p.csv"),
                "subject_pattern": "p",
                "exclude_encoder_frames": True,
                "device": "cpu",
            },
            "encoder": {
                "stores": (Path("s.zarr"),),
                "out": Path("r"),
                "encoder": "compact",
                "weights": Path("w"),
                "from_scratch": True,
                "freeze_blocks": 4,
                "normalise": "signed",
                "frame_stride": 3,
                "max_frames_per_video": 9,
                "epochs": 2,
                "batch_size": 8,
                "lr": 0.001,
                "seed": 7,
                "device": "cpu",
            },
            "dtype": "float32",
            "force": True,
        },
    ),
    Case(
        "plot",
        "",
        "plot",
        {
            "inputs": (Path("feats.zarr"),),
            "out": Path("figures"),
            "model": None,
            "face": "all",
            "given": frozenset(),
            "force": False,
            "formats": ("png",),
        },
    ),
    Case(
        "plot",
        "a b --out f --format pdf --format svg --model r --face left --force",
        "plot",
        {
            "inputs": PATHS,
            "out": Path("f"),
            "model": Path("r"),
            "face": "left",
            "given": frozenset({"model", "face"}),
            "force": True,
            "formats": ("pdf", "svg"),
        },
    ),
    Case("finalize", "s.zarr", "finalize", {"path": Path("s.zarr"), "parts": None}),
    Case("finalize", "out/ --parts 7", "finalize", {"path": Path("out"), "parts": 7}),
    Case("repack", "", "repack", {"store": Path("feats.zarr"), "out": None}),
    Case("repack", "s.zarr --out t.zarr", "repack", {"store": Path("s.zarr"), "out": Path("t.zarr")}),
    Case(
        "calibrate",
        "r a b",
        "calibrate",
        {
            "run": Path("r"),
            "stores": PATHS,
            "device": "auto",
            "speech_reference": None,
            "face_reference": None,
            "left_out": (),
            "allow_training_data": False,
        },
    ),
    Case(
        "calibrate",
        "r a b --speech-reference s.zarr --face-reference f.zarr --left-out r2 c --left-out r3 d "
        "--allow-training-data",
        "calibrate",
        {
            "run": Path("r"),
            "stores": PATHS,
            "device": "auto",
            "speech_reference": Path("s.zarr"),
            "face_reference": Path("f.zarr"),
            "left_out": ((Path("r2"), Path("c")), (Path("r3"), Path("d"))),
            "allow_training_data": True,
        },
    ),
    Case("evaluate", "a b", "evaluate", EVALUATE_DEFAULTS),
    Case(
        "evaluate",
        "a b --store s.zarr --labels l --split test --paper bdca --format latex --figures f --device cpu "
        f"--figure-format pdf --figure-format svg --allow-mismatch --wide {READING}",
        "evaluate",
        {
            "inputs": PATHS,
            "store": Path("s.zarr"),
            "labels": Path("l"),
            "annotation_options": READ,
            "split": "test",
            "paper": "bdca",
            "format": "latex",
            "table_width": None,
            "figures": Path("f"),
            "figure_formats": ("pdf", "svg"),
            "device": "cpu",
            "allow_mismatch": True,
        },
    ),
    Case("compare", "a b", "compare", COMPARE_DEFAULTS),
    Case(
        "compare",
        "a b --store s.zarr --labels l --split test --format latex --device cpu --allow-mismatch --wide "
        f"{READING}",
        "compare",
        {
            "first": Path("a"),
            "second": Path("b"),
            "store": Path("s.zarr"),
            "labels": Path("l"),
            "annotation_options": READ,
            "split": "test",
            "format": "latex",
            "table_width": None,
            "device": "cpu",
            "allow_mismatch": True,
        },
    ),
    Case("live", "0", "live", LIVE_DEFAULTS),
    Case("live", "0 --csv --watch --columns time_s,flag", "live", LIVE_DEFAULTS),
    Case("live", "0 --audio-track 2", "live", {**LIVE_DEFAULTS, "audio_track": 2}),
    Case(
        "live",
        "udp://h:1 --audio none --format mpegts --input-option a=b --input-option c=d=e --drop newest "
        "--timeout 500ms --duration 2min --delay 0.5s --json --serve 8000 --host ::1 --lsl --record o "
        "--record-media --force --model r --weights w --face all --fill --raw --min-quality 0.3 --device cpu",
        "live",
        {
            "source": "udp://h:1",
            "audio": "none",
            "demuxer": "mpegts",
            "options": {"a": "b", "c": "d=e"},
            "audio_track": None,
            "drop": "newest",
            "timeout_s": 0.5,
            "duration_s": 120.0,
            "delay_s": 0.5,
            "prediction": PredictSettings(
                inputs=(),
                model=Path("r"),
                weights={"": Path("w")},
                face="all",
                fill=True,
                raw=True,
                min_quality=0.3,
                device="cpu",
            ),
            "record": Path("o"),
            "record_media": True,
            "force": True,
            "serve_port": 8000,
            "host": "::1",
            "lsl": True,
        },
    ),
    Case("predict", "a b --csv", "predict", {**PREDICT_DEFAULTS, "live": True}),
    Case("predict", "a b --json", "predict", {**PREDICT_DEFAULTS, "live": True}),
    Case(
        "predict",
        "a b --out t.csv --summary --model r --weights w --weights vggish=v --allow-mismatch "
        "--images --fill --raw --face 1 --min-quality 0.3 --audio-track 2 --backend decord --device cpu "
        "--speech-model wav2vec2-msp-dim",
        "predict",
        {
            "inputs": PATHS,
            "model": Path("r"),
            "weights": {"": Path("w"), "vggish": Path("v")},
            "face": "1",
            "images": True,
            "backend": "decord",
            "device": "cpu",
            "audio_track": 2,
            "live": False,
            "allow_mismatch": True,
            "one_recording": False,
            "fill": True,
            "record_inputs": True,
            "raw": True,
            "speech_model": "wav2vec2-msp-dim",
            "min_quality": 0.3,
            "part": None,
            "dask": None,
            "given": PREDICTION_OPTIONS,
        },
    ),
    Case(
        "predict",
        "a b --columns valence,arousal --decimal-comma",
        "predict",
        {**PREDICT_DEFAULTS, "live": True},
    ),
    Case(
        "predict",
        "a b -o t.TextGrid",
        "predict",
        {**PREDICT_DEFAULTS, "one_recording": True, "record_inputs": True},
    ),
    Case("predict", "a b --dask local:2", "predict", {**PREDICT_DEFAULTS, "live": True, "dask": "local:2"}),
    Case(
        "predict",
        "a b -o out/",
        "predict_folder",
        {
            "prediction": PredictSettings(inputs=PATHS),
            "folder": Path("out"),
            "ending": ".csv",
            "also": (),
            "options": TableOptions(),
            "jobs": 1,
            "force": False,
        },
    ),
    Case(
        "predict",
        "a b -o out/ --json --also .eaf --also vtt --columns valence --fill --face all --force --jobs 3 "
        "--part 1/2",
        "predict_folder",
        {
            "prediction": PredictSettings(
                inputs=PATHS, face="all", fill=True, part=Part(1, 2), given=frozenset({"face"})
            ),
            "folder": Path("out"),
            "ending": ".jsonl",
            "also": (".eaf", ".vtt"),
            "options": TableOptions(columns=("valence",)),
            "jobs": 3,
            "force": True,
        },
    ),
    Case(
        "summarize",
        "a b",
        "summarize",
        {
            "prediction": PredictSettings(inputs=PATHS),
            "out": None,
            "per": "face",
            "bin_s": None,
            "intervals": None,
            "groups": None,
            "above": (),
            "baseline": None,
            "smooth_s": None,
            "rate_hz": None,
            "decimal_comma": False,
            "force": False,
        },
    ),
    Case(
        "summarize",
        "a b --out s.tsv --per group --bin 200ms --intervals t.csv --groups g.csv --above arousal 0.3 "
        "--above valence -0.5 --baseline 0:10 --smooth 0.5s --rate 10 --min-quality 0.3 --decimal-comma "
        "--force --model r --weights w --allow-mismatch --face all --audio-track 2 --backend pyav "
        "--device cpu --wide",
        "summarize",
        {
            "prediction": PredictSettings(
                inputs=PATHS,
                model=Path("r"),
                weights={"": Path("w")},
                face="all",
                backend="pyav",
                device="cpu",
                audio_track=2,
                allow_mismatch=True,
                min_quality=0.3,
                given=PREDICTION_OPTIONS,
            ),
            "out": Path("s.tsv"),
            "per": "group",
            "bin_s": 0.2,
            "intervals": Path("t.csv"),
            "groups": Path("g.csv"),
            "above": (("arousal", 0.3), ("valence", -0.5)),
            "baseline": "0:10",
            "smooth_s": 0.5,
            "rate_hz": 10.0,
            "decimal_comma": True,
            "force": True,
        },
    ),
    Case(
        "convert",
        "a --to t.tsv",
        "convert",
        {
            "table": Path("a"),
            "out": Path("t.tsv"),
            "recording": None,
            "columns": None,
            "decimal_comma": False,
            "smooth_s": None,
            "rate_hz": None,
            "force": False,
        },
    ),
    Case(
        "convert",
        "a --to t.csv --input b --columns valence --decimal-comma --smooth 0.5s --rate 10 --force",
        "convert",
        {
            "table": Path("a"),
            "out": Path("t.csv"),
            "recording": "b",
            "columns": "valence",
            "decimal_comma": True,
            "smooth_s": 0.5,
            "rate_hz": 10.0,
            "force": True,
        },
    ),
    Case(
        "report",
        "a b",
        "report",
        {"predict": PredictSettings(inputs=PATHS, face="all"), "out": Path("report"), "embed": False},
    ),
    Case(
        "report",
        "a b --out o --embed --model m --weights w --allow-mismatch --face 1 --audio-track 2 --backend pyav "
        "--device cpu --min-quality 0.3 --dask local:2",
        "report",
        {
            "predict": PredictSettings(
                inputs=PATHS,
                min_quality=0.3,
                model=Path("m"),
                weights={"": Path("w")},
                allow_mismatch=True,
                face="1",
                audio_track=2,
                backend="pyav",
                device="cpu",
                dask="local:2",
                given=PREDICTION_OPTIONS,
            ),
            "out": Path("o"),
            "embed": True,
        },
    ),
    Case(
        "overlay",
        "a b -o v.mp4",
        "overlay",
        {
            "predict": PredictSettings(inputs=PATHS, face="all"),
            "out": Path("v.mp4"),
            "table": None,
            "blur": False,
            "width_px": None,
            "force": False,
        },
    ),
    Case(
        "overlay",
        "a b --out o --table t.csv --blur --width 640 --force --model m --weights w --allow-mismatch "
        "--face 1 --min-quality 0.2 --audio-track 2 --backend pyav --device cpu",
        "overlay",
        {
            "predict": PredictSettings(
                inputs=PATHS,
                model=Path("m"),
                weights={"": Path("w")},
                allow_mismatch=True,
                face="1",
                min_quality=0.2,
                audio_track=2,
                backend="pyav",
                device="cpu",
                given=PREDICTION_OPTIONS,
            ),
            "out": Path("o"),
            "table": Path("t.csv"),
            "blur": True,
            "width_px": 640,
            "force": True,
        },
    ),
    Case(
        "ablate",
        "s.zarr --out r --row bdca --row concat --set a=1 --folds 5 --fold 2 --skip-missing --resume "
        "--format json --device cpu --wide",
        "ablate",
        {
            "store": Path("s.zarr"),
            "out": Path("r"),
            "rows": ["bdca", "concat"],
            "assignments": ("a=1",),
            "folds": 5,
            "fold": 2,
            "skip_missing": True,
            "resume": True,
            "device": "cpu",
            "format": "json",
            "table_width": None,
        },
    ),
    Case(
        "submit",
        "a b --frame-list l --out o --store s.zarr --device cpu --allow-mismatch",
        "submit",
        {
            "inputs": PATHS,
            "frame_list": Path("l"),
            "out": Path("o"),
            "store": Path("s.zarr"),
            "device": "cpu",
            "allow_mismatch": True,
        },
    ),
    Case("weights fetch", "vggish mae-vit-l", "weights", {"names": ("vggish", "mae-vit-l")}),
    Case("info", "a", "info", {"path": Path("a"), "check": False}),
    Case("info", "a b --check --json --wide", "info", {"path": Path("a"), "check": True}),
    Case("demo", "", "demo", {"out": Path("va-demo")}),
    Case("demo", "--out o", "demo", {"out": Path("o")}),
    Case("bundled-model import", "ferplus a", "import_corpus", CORPUS_DEFAULTS),
    Case(
        "bundled-model import",
        "background a --out s.zarr --augment-copies 2 --augmented-dir d --seed 7",
        "import_corpus",
        {
            "kind": "background",
            "path": Path("a"),
            "store": Path("s.zarr"),
            "augment_copies": 2,
            "augmented_dir": Path("d"),
            "degraded": False,
            "seed": 7,
        },
    ),
    Case(
        "bundled-model import", "ferplus a --degraded", "import_corpus", {**CORPUS_DEFAULTS, "degraded": True}
    ),
    Case("bundled-model synthesize", "a b", "synthesize", SYNTHESIZE_DEFAULTS),
    Case(
        "bundled-model synthesize",
        "a b --utterances",
        "synthesize",
        {**SYNTHESIZE_DEFAULTS, "balanced": True, "mixture": UTTERANCES},
    ),
    Case(
        "bundled-model synthesize",
        "a b --out s.zarr --sequences 9 --groups 3 --seed 7 --holdout --utterances",
        "synthesize",
        {
            "faces": Path("a"),
            "voices": Path("b"),
            "store": Path("s.zarr"),
            "sequences": 9,
            "groups": 3,
            "seed": 7,
            "holdout": True,
            "balanced": False,
            "mixture": UTTERANCES,
        },
    ),
    Case("bundled-model export", "r --out o", "export_model", {"run": Path("r"), "out": Path("o")}),
)
PRESETS_ARGUMENTS = "bdca --set training.epochs=3 --format toml --wide"


def commands(group: click.Group = va, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Each command that is not a group, with its path."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def call(command: str, arguments: str) -> object:
    """The settings that a command line passes to the step, which is replaced by `record`."""
    with pytest.raises(Recorded) as call:
        va.main([*command.split(), *arguments.split()], "va", standalone_mode=False, obj={})
    return call.value.settings


def default_of(field: Field[object]) -> object:
    """The default value of a dataclass field."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def plain(value: object) -> object:
    """Rows of an ablation as the names of their presets, and settings of another step as those that were
    changed; other values as they are."""
    if type(value).__name__ in ("TrainSettings", "FinetuneMaeSettings"):
        given = {f.name: getattr(value, f.name) for f in fields(value)}
        return {f.name: given[f.name] for f in fields(value) if given[f.name] != default_of(f)}
    if isinstance(value, tuple) and value and hasattr(value[0], "preset"):
        return [row.preset for row in value]
    return value


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=c.marks, id=f"{c.command} {c.arguments}") for c in CASES]
)
def test_command_line_gives_exact_settings(case, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VA_STORE", raising=False)
    monkeypatch.setattr(importlib.import_module(f"vacli.steps.{case.step}"), "run", record)
    settings = call(case.command, case.arguments)
    assert {f.name: plain(getattr(settings, f.name)) for f in fields(settings)} == case.settings


@pytest.mark.torch
def test_train_without_a_store_uses_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("VA_STORE", "mine.zarr")
    monkeypatch.setattr(importlib.import_module("vacli.steps.train"), "run", record)
    assert call("train", "--temporal mamba").store == Path("mine.zarr")


def test_presets_prints_the_changed_recipe(monkeypatch):
    expected = io.set_values(presets.preset("bdca"), ["training.epochs=3"])
    monkeypatch.setattr(io, "to_toml", record)
    assert call("presets", PRESETS_ARGUMENTS) == call("presets", "bdca --set training.epochs=3") == expected
    monkeypatch.setattr(io, "to_json", record)
    assert call("presets", "bdca --set training.epochs=3 --format json") == expected


@pytest.mark.parametrize(
    ("name", "command"), list(commands()), ids=lambda value: getattr(value, "name", value)
)
def test_every_option_has_a_case(name, command):
    if name in ("doctor", "weights"):  # their steps have no settings
        return
    used = {word for case in CASES if case.command == name for word in case.words}
    used |= set(PRESETS_ARGUMENTS.split()) if name == "presets" else set()
    long = [text for option in command.params if isinstance(option, click.Option) for text in option.opts]
    assert used or not long
    planning = {"--dry-run", "--list-devices"}  # they replace the step
    assert {text for text in long if text.startswith("--")} - planning <= used
