from __future__ import annotations

import pytest

from vacli.files import digests
from vacli.recipe import io as recipe_io
from vacli.recipe.presets import preset
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


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 3)])
def test_kept_epoch_of_metrics_jsonl(tmp_path, keep, epoch) -> None:
    history = History("mean", [row(1, 0.1), row(2, 0.3), row(3, 0.2)])
    (tmp_path / "metrics.jsonl").write_text(history.jsonl())
    recipe = recipe_io.set_values(preset("compact"), [f"training.keep={keep}"])
    digests.write(tmp_path / "recipe.json", recipe_io.to_json(recipe).encode())
    assert read_best(tmp_path / "metrics.jsonl").epoch == epoch
