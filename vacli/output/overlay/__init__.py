"""Drawing of predictions on the pictures of a video: boxes, curves, the valence-arousal plane."""
