from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from vacli.circumplex import EMOTION_VA, EMOTIONS
from vacli.features.compact.layout import EMBEDDING
from vacli.inference import face_error
from vacli.inference.face_error import MIN_STD, FaceErrorModel

COUNT = 6_000


def faces(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (COUNT, 128), their true error (COUNT, 2), which two activations determine, and labels."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(len(EMOTIONS), 0.5), COUNT)
    points = shares @ np.array(EMOTION_VA)
    active = rng.normal(size=(COUNT, EMBEDDING))
    std = np.exp(-1.6 + 0.4 * active[:, 3:5])
    labels = points + rng.normal(size=std.shape) * std
    return np.hstack([points, shares, active]).astype(np.float32), std, labels


@pytest.fixture(scope="module")
def model() -> FaceErrorModel:
    rows, std, labels = faces(seed=1)
    return FaceErrorModel.fit(rows, labels, np.where(std[:, 0] > 0.2, "hard", "easy"))


def test_the_expected_error_of_new_faces_is_the_true_one(model):
    rows, std, labels = faces(seed=2)
    expected = model.expected(rows)
    np.testing.assert_allclose(np.exp(np.log(expected / std).mean(axis=0)), 1.0, atol=0.1)
    for d in (0, 1):
        assert np.corrcoef(np.log(expected[:, d]), np.log(std[:, d]))[0, 1] > 0.93
        inside = np.abs(labels - rows[:, :2])[:, d] <= expected[:, d]
        for part in (std[:, d] < 0.15, std[:, d] > 0.25):
            assert inside[part].mean() == pytest.approx(0.683, abs=0.06)


def test_the_gradient_is_the_derivative_of_the_loss():
    rng = np.random.default_rng(3)
    inputs = np.column_stack([rng.normal(size=(300, 4)), np.ones(300)])
    given = face_error._Faces(inputs, np.abs(rng.normal(0, 0.2, 300)), rng.integers(0, 3, 300), 0.05)
    weights = np.append(rng.normal(0, 0.3, 4), -1.5)
    numeric = approx_fprime(weights, lambda w: given.loss(w)[0], 1e-7)
    np.testing.assert_allclose(given.loss(weights)[1], numeric, atol=1e-6)


def test_expected_errors_lie_between_bounds_and_are_missing_with_their_rows(model):
    rows = faces(seed=4)[0][:3]
    rows[0, -EMBEDDING:], rows[1, -EMBEDDING:], rows[2] = -100, 100, np.nan
    made = model.expected(rows)
    np.testing.assert_allclose(made[:2].max(axis=0), np.hypot(MIN_STD, np.exp(model.highest)))
    assert (made[:2] >= MIN_STD).all()
    assert np.isnan(made[2]).all()


def test_a_stored_model_gives_the_same_errors(model):
    read = FaceErrorModel.from_arrays(model.arrays())
    rows = faces(seed=5)[0]
    np.testing.assert_allclose(read.expected(rows), model.expected(rows), rtol=1e-4)
    with pytest.raises(ValueError, match="no model of the error of faces"):
        FaceErrorModel.from_arrays({"mean": np.zeros(2)})
