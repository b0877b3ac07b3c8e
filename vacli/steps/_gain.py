"""What a training that started from a run gained over it, on the same held-out videos."""

from __future__ import annotations

from pathlib import Path

from vacli.evaluation import evaluator
from vacli.evaluation.comparison import Comparison, compare
from vacli.files.run_directory import GAIN_FILE
from vacli.inference.run import Run, load_run
from vacli.inference.training_record import training_record
from vacli.output import text_tables
from vacli.output.score_tables import comparison_grid, comparison_values
from vacli.progress import Progress
from vacli.sequences.grouping import identity
from vacli.store import Store
from vacli.training import checkpoint


def report_gain(start: Run, out: Path, store: Store, progress: Progress) -> Comparison:
    """Compare the run in `out` with the run that it started from, show the table and write GAIN_FILE.

    The new models are scored on the videos that they were not trained on, the start with all its models on
    the same videos. A warning appears if the new run is worse, or if the start was trained on the videos.
    """
    trained = load_run(out)
    with progress.task("gain", None, "frames") as advance:
        after = evaluator.evaluate_run(trained, store, evaluator.HELD_OUT, advance)
        videos = [trajectory.video for trajectory in after[1]]
        before = evaluator.evaluate_videos(start, store, videos, f"{start.path.name} (start)", advance)
    comparison = compare(after, before)
    for line in text_tables.text(comparison_grid(comparison)).splitlines():
        progress.info(line)
    for warning in _warnings(comparison, start, store, videos):
        progress.warn(warning)
    checkpoint.write_json(out / GAIN_FILE, comparison_values(comparison))
    return comparison


def _warnings(comparison: Comparison, start: Run, store: Store, videos: list[str]) -> list[str]:
    warnings = []
    mean = comparison.groups[0].differences["mean"]
    if mean.value < 0:
        warnings.append(
            f"{comparison.first} is worse than the run it started from on the held-out videos "
            f"(mean CCC {mean.value:+.3f}): use {start.path}, or annotate more videos"
        )
    elif mean.interval is None or mean.interval[0] <= 0:
        warnings.append("the gain is uncertain: annotate more videos to be sure of it")
    record = training_record(start.folders)
    known = sum(record.includes(v, identity(store.video(v)).sha256) for v in videos)
    if known:
        warnings.append(
            f"{start.path} was trained on {known} of the {len(videos)} videos: the gain is too small"
        )
    return warnings
