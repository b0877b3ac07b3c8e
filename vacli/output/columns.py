"""The columns of the table of `va predict`, apart from NumPy for `--columns` and completion."""

from __future__ import annotations

COLUMNS = {
    "frame": "index of the frame in the file, from 0",
    "time_s": "presentation time in the container, seconds",
    "valence": "unpleasant -1 to pleasant 1",
    "arousal": "calm -1 to excited 1",
    "face_detected": "1 if a face was detected",
    "audio_present": "1 if there was sound",
    "speech_present": "1 if the sound was speech; empty if not known",
    "speaking": "1 if this face speaks, else 0; empty without sound, without any face, and from a store",
    "modality": "what the prediction is based on: audiovisual, visual, audio or none",
    "valence_uncertainty": "standard deviation of the expected error; if uncalibrated, over the models",
    "arousal_uncertainty": "the same for arousal",
    "quality": "reliability of the prediction, 0 to 1; 0 without a face or speech",
    "quality_limit": "the factor that limits the quality; empty if it is 1",
    "face_score": "confidence of the face detector, 0 to 1",
    "face_x": "left edge of the face's box, pixels of the upright picture",
    "face_y": "top edge",
    "face_w": "width",
    "face_h": "height",
    "face_id": "number of the face within the file, from 0; empty if no face was detected in all of it",
    "input": "the file",
}
LIVE_COLUMNS = {  # of `va live`
    **{name: text for name, text in COLUMNS.items() if name != "input"},
    "latency_s": "seconds from the capture or arrival of the frame to its row",
    "flag": "what is unusual about the frame, joined by +; empty if nothing is",
    "input": "the source",
}
# Below it the error of a face is about twice that of clear faces, see `pipeline.frame_quality`.
RECOMMENDED_MIN_QUALITY = 0.3
