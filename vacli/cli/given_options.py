"""The options that a user has typed, apart from those that have their default."""

from __future__ import annotations

import click
from click.core import ParameterSource

OF_PREDICTION = ("model", "weights", "allow_mismatch", "face", "audio_track", "backend", "device")


def given_options() -> frozenset[str]:
    """Those of OF_PREDICTION that the running command was given, see `PredictSettings.given`."""
    context = click.get_current_context()
    defaults = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    return frozenset(name for name in OF_PREDICTION if context.get_parameter_source(name) not in defaults)
