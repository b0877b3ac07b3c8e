"""Categories of emotion as points of the valence-arousal plane (Russell 1980).

The eight points of EMOTION_VA are a fixed convention, so labels and scores that use them are mapped, not
annotated. Calm and boredom follow Russell's circumplex: calm is pleasant with low arousal, opposite to
distress; boredom is mildly unpleasant with the lowest arousal. The points represent strong expressions. An
utterance of normal intensity is put at NORMAL_INTENSITY times its category's point.
"""

from __future__ import annotations

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
EMOTION_VA = (
    (0.0, 0.0),
    (0.85, 0.35),
    (0.15, 0.80),
    (-0.75, -0.35),
    (-0.60, 0.70),
    (-0.70, 0.30),
    (-0.65, 0.75),
    (-0.50, 0.10),
)
CALM_VA = (0.25, -0.45)
BOREDOM_VA = (-0.30, -0.60)
NORMAL_INTENSITY = 0.7


def point(emotion: str, intensity: float = 1.0) -> tuple[float, float]:
    """(valence, arousal) of one of EMOTIONS, "calm" or "boredom"; intensity 0 is neutral."""
    named = dict(zip(EMOTIONS, EMOTION_VA, strict=True)) | {"calm": CALM_VA, "boredom": BOREDOM_VA}
    valence, arousal = named[emotion]
    return valence * intensity, arousal * intensity
