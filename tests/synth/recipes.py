"""Assignments that make small models of the presets, for the features of `synth.affwild2`."""

from __future__ import annotations

from synth import affwild2

STREAMS = (
    f"model.streams.visual.features=['{affwild2.VISUAL}']",
    f"model.streams.visual.dim={affwild2.VISUAL_DIM}",
    f"model.streams.audio.features=['{affwild2.AUDIO}']",
    f"model.streams.audio.dim={affwild2.AUDIO_DIM}",
)
TRAINING = (
    "window={length_frames=100, stride_frames=60}",
    "training.batch_size=8",
    "training.schedule.warmup_epochs=1",
    "training.optim.lr=3e-3",
)
COMPACT = (
    *STREAMS,
    *TRAINING,
    "model.tcn={channels=[16, 16], kernel=7, dropout=0.1}",
    "model.temporal={n_layers=1, d_model=16, d_state=4, dropout=0.1}",
)
TRANSFORMER = "model.temporal={n_layers=1, d_model=32, n_heads=2, dim_feedforward=32, dropout=0.1}"
OWN_TCN = (  # of the presets that have a TCN a stream
    "model.streams.visual.tcn={channels=[16, 16], kernel=7, dropout=0.1}",
    "model.streams.audio.tcn={channels=[16, 16], kernel=7, dropout=0.1}",
)
VISUAL_COMPACT = (  # of the preset `visual-only` with the feature `compact`
    "model.streams.visual.features=['compact']",
    "model.streams.visual.dim=128",
    "model.streams.visual.tcn={channels=[16], kernel=3, dropout=0.0}",
    "model.temporal={n_layers=1, d_model=16, n_heads=2, dim_feedforward=16, dropout=0.0}",
    "window={length_frames=2, stride_frames=2}",
    "training.epochs=1",
)
