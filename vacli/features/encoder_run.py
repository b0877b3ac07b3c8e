"""The record of a `va finetune-mae` run: the network and the normalisation of its images."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vacli.errors import RunError
from vacli.files import digests
from vacli.files.run_directory import ENCODER_FILE, WEIGHTS_FILE

DEFAULT_NORMALISE = "paper"  # the pixel statistics of `va finetune-mae` where none are named


@dataclass(frozen=True, kw_only=True)
class EncoderRun:
    """A fine-tuned encoder. `mean` and `std` are per channel, on pixels in [0, 1]."""

    encoder: str
    objective: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def write(self, folder: Path) -> None:
        """Write the record into a run directory."""
        digests.write(folder / ENCODER_FILE, (json.dumps(asdict(self), indent=2) + "\n").encode("utf-8"))


def read_encoder_run(folder: Path) -> tuple[EncoderRun, Path]:
    """The record of a run directory and its best weights; RunError if the folder is not such a run."""
    try:
        data = (folder / ENCODER_FILE).read_bytes()
        digests.check_bytes(folder / ENCODER_FILE, data)
        values = json.loads(data)
        run = EncoderRun(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})
    except (OSError, ValueError, TypeError, KeyError):
        raise RunError(
            f"{folder} is not a run of finetune-mae", hint="name the folder that `va finetune-mae` wrote"
        ) from None
    if not (folder / WEIGHTS_FILE).is_file():
        raise RunError(f"{folder} has no {WEIGHTS_FILE} yet", hint="let one epoch of `va finetune-mae` end")
    digests.check_file(folder / WEIGHTS_FILE)
    return run, folder / WEIGHTS_FILE
