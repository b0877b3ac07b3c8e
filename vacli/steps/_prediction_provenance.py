"""What a predicted table depends on: version, model, settings, format and inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli import __version__
from vacli.errors import InputError
from vacli.features.weights import short_hash
from vacli.features.weights_search import weights_file
from vacli.files.digests import file_sha256, recorded_sha256
from vacli.files.run_directory import (
    CALIBRATION_FILE,
    DATA_FILE,
    FACE_ERROR_FILE,
    FEATURES_FILE,
    NORMALIZATION_FILE,
    RECIPE_FILE,
    SPEECH_FILE,
    WEIGHTS_FILE,
)
from vacli.inference.run import BUNDLED_AUDIO, trained_folders
from vacli.inference.training_record import TrainingRecord, training_record
from vacli.media.kinds import MediaInput
from vacli.output.formats import TableOptions
from vacli.output.provenance import IN_TRAINING
from vacli.spec import HUB, fingerprint
from vacli.steps._prediction_settings import PredictSettings

if TYPE_CHECKING:
    from vacli.steps._recordings import Origin
    from vacli.store import VideoView

MODEL_FILES = (
    RECIPE_FILE, WEIGHTS_FILE, NORMALIZATION_FILE, FEATURES_FILE, CALIBRATION_FILE, SPEECH_FILE,
    FACE_ERROR_FILE,
)  # fmt: skip
# The values of a table depend on these.
VALUE_SETTINGS = ("face", "images", "backend", "audio_track", "fill", "min_quality", "raw")


def conditions(settings: PredictSettings, options: TableOptions) -> dict[str, Any]:
    """What a table depends on except for its input: version, model, settings and format."""
    return {
        "va": __version__,
        "model": _model(settings),
        "settings": {
            **{name: getattr(settings, name) for name in VALUE_SETTINGS},
            "speech_model": _speech_model(settings),
        },
        "output": {
            "columns": None if options.columns is None else list(options.columns),
            "decimal_comma": options.decimal_comma,
        },
    }


def _model(settings: PredictSettings) -> dict[str, str]:
    runs = [settings.run, BUNDLED_AUDIO] if settings.is_bundled else [settings.run]
    name = "bundled" if settings.is_bundled else settings.run.resolve().name
    return {"name": name, "fingerprint": fingerprint([_run_digests(run) for run in runs])}


def trained_on(settings: PredictSettings) -> TrainingRecord | None:
    """The training videos of the run; None for the bundled one."""
    if settings.is_bundled:
        return None
    return training_record(f for f in trained_folders(settings.run) if (f / DATA_FILE).is_file())


def in_training(record: TrainingRecord | None, inputs: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The names of the inputs that the run was trained on, which must not be scored; {} without any."""
    if record is None:
        return {}
    names = [str(one["name"]) for one in inputs if record.includes(one["name"], one.get("sha256", ""))]
    return {IN_TRAINING: names} if names else {}


def _speech_model(settings: PredictSettings) -> str | None:
    """The name of the speech model, with the hash of its weights if they are given."""
    name = settings.speech_model
    given = settings.weights.get(name) if name else None
    if given is None or str(given).startswith(HUB):
        return name if given is None else f"{name} {given}"
    return f"{name} {short_hash(weights_file(given))}"


def _run_digests(run: Path) -> dict[str, str]:
    """File -> SHA-256 of the files of a run that its predictions depend on."""
    folders = dict.fromkeys([run, *trained_folders(run)])
    files = [folder / name for folder in folders for name in MODEL_FILES if (folder / name).is_file()]
    return {file.relative_to(run).as_posix(): recorded_sha256(file) for file in files}


def input_record(origin: Origin) -> dict[str, Any]:
    """The name, size and SHA-256 of an input, or the features of a stored video.

    modified_ns: of the newest file, nanoseconds since 1970. Raises InputError if a file cannot be read.
    """
    if not isinstance(origin, MediaInput):
        return _stored_record(origin)
    files = _files(origin)
    try:
        digests = [file_sha256(file) for file in files]
        record = _size_record(origin, files)
    except OSError as error:
        raise InputError(f"{origin.path}: cannot be read ({error.strerror})") from None
    whole = digests[0] if origin.kind != "crops" else sha256("".join(digests).encode()).hexdigest()
    return record | {"sha256": whole}


def _size_record(origin: MediaInput, files: Sequence[Path]) -> dict[str, Any]:
    states = [file.stat() for file in files]
    return {
        "name": origin.path.name,
        "size_bytes": sum(state.st_size for state in states),
        "modified_ns": max((state.st_mtime_ns for state in states), default=0),
    }


def _files(origin: MediaInput) -> list[Path]:
    if origin.kind != "crops":
        return [origin.path]
    return sorted(path for path in origin.path.iterdir() if path.is_file())


def _stored_record(view: VideoView) -> dict[str, Any]:
    names = ("size_bytes", "sha256")
    source: dict[str, Any] = {name: view.source[name] for name in names if name in view.source}
    parts = [*(["face"] if view.has("face") else []), *(f"feature/{name}" for name in view.feature_names())]
    return {
        "name": view.id,
        **source,
        "features": fingerprint({part: view.part_attrs(part) for part in parts}),
    }


def is_unchanged(record: Mapping[str, Any], origin: Origin) -> bool:
    """Whether an input equals the one of a record; it is hashed only if its name or time is another one."""
    if not isinstance(origin, MediaInput):
        return record == _stored_record(origin)
    try:
        now = _size_record(origin, _files(origin))
    except OSError:
        return False
    if record.get("size_bytes") != now["size_bytes"]:
        return False
    return {**record, **now} == record or record.get("sha256") == input_record(origin)["sha256"]
