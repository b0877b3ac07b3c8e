from __future__ import annotations

from dataclasses import asdict

import pytest

from vacli.training.temporal.history import HEADER, History, Row


def row(epoch: int, valence: float, arousal: float) -> Row:
    return Row(
        epoch=epoch,
        step=10 * epoch,
        loss=1.5,
        grad_norm=0.5,
        lr=1e-3,
        valence=valence,
        arousal=arousal,
        train_s=2.0,
        validate_s=1.0,
    )


def history(*means: float) -> History:
    return History([row(i + 1, mean + 0.1, mean - 0.1) for i, mean in enumerate(means)])


def test_the_first_of_equal_epochs_is_the_best() -> None:
    assert history(0.1, 0.5, 0.5, 0.2).best.epoch == 2
    assert History().best is None


@pytest.mark.parametrize(("means", "stalled"), [((0.5, 0.4), False), ((0.5, 0.4, 0.3), True), ((), False)])
def test_stalls_when_the_best_is_patience_epochs_ago(means: tuple[float, ...], stalled: bool) -> None:
    assert history(*means).stalled(2) is stalled
    assert history(*means).stalled(None) is False


def test_state_and_jsonl_come_back() -> None:
    before = history(0.25, 0.5)
    assert History.from_state(before.state()).rows == before.rows
    assert History.from_jsonl(before.jsonl()).rows == before.rows
    assert '"mean": 0.5' in before.jsonl()


def test_lines_stand_under_the_header() -> None:
    told = history(0.3, 0.2)
    first, second = (told.line(r) for r in told.rows)
    assert "0.300*" in first
    assert "*" not in second
    assert first.index("0.400") + 5 == HEADER.index("valence") + 7
    assert first.index("0.200") + 5 == HEADER.index("arousal") + 7
    assert asdict(told.rows[0])["peak_bytes"] is None
