"""From a trained run to a trajectory of valence and arousal."""
