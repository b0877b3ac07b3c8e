from __future__ import annotations

import pytest

from vacli.errors import RunError
from vacli.training.history import History, Row


def row(epoch: int, score: float) -> Row:
    return Row(
        epoch=epoch,
        step=10 * epoch,
        loss=1.5,
        scores={"score": score, "other": 1 - score},
        train_s=2.0,
        validate_s=1.0,
        grad_norm=0.5,
        lr=1e-3,
    )


def history(*scores: float) -> History:
    return History("score", [row(i + 1, score) for i, score in enumerate(scores)])


def test_first_of_equal_epochs_is_the_best() -> None:
    assert history(0.1, 0.5, 0.5, 0.2).best.epoch == 2
    with pytest.raises(RunError, match="no epoch"):
        assert history().best


@pytest.mark.parametrize(("scores", "stalled"), [((0.5, 0.4), False), ((0.5, 0.4, 0.3), True), ((), False)])
def test_training_stalls_when_the_best_epoch_is_patience_epochs_ago(
    scores: tuple[float, ...], stalled: bool
) -> None:
    assert history(*scores).stalled(2) is stalled
    assert history(*scores).stalled(None) is False


def test_state_and_jsonl_restore_the_rows() -> None:
    before = history(0.25, 0.5)
    assert History.from_state(before.state(), "score").rows == before.rows
    assert History.from_jsonl(before.jsonl(), "score").rows == before.rows
    assert '"score": 0.5' in before.jsonl()
