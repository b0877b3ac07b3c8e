from __future__ import annotations

from vacli.training.history import History, Row
from vacli.training.temporal.history import HEADER, line, read_best


def row(epoch: int, mean: float) -> Row:
    return Row(
        epoch=epoch,
        step=10 * epoch,
        loss=1.5,
        scores={"valence": mean + 0.1, "arousal": mean - 0.1, "mean": mean},
        train_s=2.0,
        validate_s=1.0,
        grad_norm=0.5,
        lr=1e-3,
    )


def test_lines_align_with_the_header() -> None:
    history = History("mean", [row(1, 0.3), row(2, 0.2)])
    first, second = (line(history, r) for r in history.rows)
    assert "0.300*" in first
    assert "*" not in second
    assert first.index("0.400") + 5 == HEADER.index("valence") + 7
    assert first.index("0.200") + 5 == HEADER.index("arousal") + 7


def test_best_epoch_of_metrics_jsonl(tmp_path) -> None:
    history = History("mean", [row(1, 0.1), row(2, 0.3), row(3, 0.2)])
    (tmp_path / "metrics.jsonl").write_text(history.jsonl())
    assert read_best(tmp_path / "metrics.jsonl").epoch == 2
