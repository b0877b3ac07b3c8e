"""The training loop on a small linear regression, without features or images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vacli.errors import RunError
from vacli.progress import RecordingProgress
from vacli.recipe import schema as recipe
from vacli.training import checkpoint
from vacli.training.distributed import World
from vacli.training.history import History
from vacli.training.trainer import Trainer, TrainerConfig, TrainerContext, peak_bytes, reset_peak

X = torch.linspace(-1, 1, 24).reshape(8, 3)
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]])
CONFIG = TrainerConfig(
    epochs=4,
    patience_epochs=None,
    optim=recipe.Optim(lr=0.05, weight_decay=0.0),
    schedule=recipe.Schedule(shape="constant", warmup_epochs=0.0),
)


class Regression:
    """Two batches a step, four examples each; dropout makes the seed matter."""

    best_by = "score"

    def __init__(self, scores: tuple[float, ...] = ()) -> None:
        torch.manual_seed(0)
        self._net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self._scores = iter(scores)

    @property
    def model(self) -> nn.Module:
        return self._net

    @property
    def steps_per_epoch(self) -> int:
        return 2

    def lr_scale(self, name: str) -> float:
        return 1.0

    def epoch(self, number: int) -> Iterator[list[int]]:
        torch.manual_seed(number)
        yield from ([0, 1], [2, 3])

    def loss(self, batch: int) -> Tensor:
        part = slice(2 * batch, 2 * batch + 2)
        return (self._net(X[part]) - Y[part]).square().mean()

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        model.eval()
        with torch.inference_mode():
            error = (model(X) - Y).square().mean().item()
        return {"score": next(self._scores, -error)}

    def export(self, model: nn.Module) -> Mapping[str, Tensor]:
        return model.state_dict()

    def upgrade(self, state: checkpoint.State, folder: Path) -> checkpoint.State:
        return state


class StopAfter(RecordingProgress):
    """Interrupts in the epoch after `epochs`."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.title = f"epoch {epochs + 1}"

    @contextmanager
    def task(self, title, total, unit):
        def advance(amount):
            if title == self.title:
                raise KeyboardInterrupt

        yield advance


def context(folder: Path, **changes) -> TrainerContext:
    fixed = TrainerContext(
        folder=folder,
        state_file="state.pt",
        world=World(),
        on_epoch_end=lambda history: None,
        lr_option="--lr ",
    )
    return replace(fixed, **changes)


def fit(folder: Path, config: TrainerConfig = CONFIG, task: Regression | None = None) -> History:
    trainer = Trainer(task or Regression(), config, context(folder))
    trainer.resume()
    return trainer.run(RecordingProgress())


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_interrupted_training_resumes_bit_by_bit(tmp_path, ema_decay):
    config = replace(CONFIG, ema_decay=ema_decay)
    whole = fit(tmp_path / "whole", config)
    with pytest.raises(KeyboardInterrupt):
        Trainer(Regression(), config, context(tmp_path / "cut")).run(StopAfter(2))
    resumed = fit(tmp_path / "cut", config)
    for one, other in zip(whole.rows, resumed.rows, strict=True):
        assert (one.loss, one.grad_norm, one.scores) == (other.loss, other.grad_norm, other.scores)
    for name in ("weights.safetensors", "last.safetensors"):
        expected, got = (load_file(tmp_path / run / name) for run in ("whole", "cut"))
        assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_gradients_of_the_batches_of_a_step_are_averaged(tmp_path):
    task = Regression()
    task.model.eval()  # no dropout
    error = (task.model(X[:4]) - Y[:4]).square().mean()
    grads = torch.autograd.grad(error, list(task.model.parameters()))
    loss, norm = Trainer(task, CONFIG, context(tmp_path))._step(0, [0, 1])
    assert loss == pytest.approx(error.item(), rel=1e-6)
    assert norm == pytest.approx(torch.cat([g.flatten() for g in grads]).norm().item(), rel=1e-5)


def test_moving_average_is_validated_and_kept(tmp_path):
    task = Regression()
    trainer = Trainer(task, replace(CONFIG, ema_decay=0.5), context(tmp_path))
    trainer.run(RecordingProgress())
    last = load_file(tmp_path / "last.safetensors")
    kept = load_file(tmp_path / "weights.safetensors")
    assert trainer.eval_model is not task.model
    assert not torch.equal(last["0.weight"], kept["0.weight"])


def test_training_stops_after_patience_epochs_and_keeps_the_best(tmp_path):
    config = replace(CONFIG, epochs=9, patience_epochs=2)
    history = fit(tmp_path, config, Regression(scores=(0.1, 0.5, 0.3, 0.4, 0.9)))
    assert (len(history.rows), history.best.epoch) == (4, 2)


def test_diverged_training_names_a_lower_rate(tmp_path):
    config = replace(CONFIG, optim=recipe.Optim(lr=1e30))
    with pytest.raises(RunError, match="diverged at step") as caught:
        fit(tmp_path, config)
    assert "--lr 1e+29" in caught.value.hint


def test_non_finite_scores_are_divergence(tmp_path):
    with pytest.raises(RunError, match="validation score nan"):
        fit(tmp_path, CONFIG, Regression(scores=(float("nan"),)))


def test_resume_refuses_other_data(tmp_path):
    Trainer(Regression(), CONFIG, context(tmp_path, data={"videos": 3})).run(RecordingProgress())
    with pytest.raises(RunError, match="other videos, labels or features"):
        Trainer(Regression(), CONFIG, context(tmp_path, data={"videos": 4})).resume()


def test_resume_without_state_starts_at_the_first_epoch(tmp_path):
    assert Trainer(Regression(), CONFIG, context(tmp_path)).resume() == 0


def test_metrics_ahead_of_the_state_are_written_again(tmp_path):
    fit(tmp_path)
    metrics = tmp_path / "metrics.jsonl"
    expected = metrics.read_text()
    metrics.write_text(expected + expected)
    Trainer(Regression(), CONFIG, context(tmp_path)).resume()
    assert metrics.read_text() == expected


def test_peak_memory_is_positive_where_known():
    reset_peak(torch.device("cpu"))
    peak = peak_bytes(torch.device("cpu"))
    assert peak is None or peak > 1 << 20
