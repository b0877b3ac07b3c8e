from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate
from scipy.stats import norm

from vacli.inference.ensemble import EnsembleOutput
from vacli.inference.error_model import ErrorModel, crps


def outputs(values: np.ndarray, std: np.ndarray, difficulty: np.ndarray | None = None) -> EnsembleOutput:
    return EnsembleOutput(
        values=values,
        ensemble_std=std,
        states=np.full(len(values), "audio"),
        voice_weight=np.ones(len(values)),
        difficulty=np.zeros_like(values) if difficulty is None else difficulty,
    )


def test_crps_is_the_integral_of_the_squared_difference_of_the_distributions():
    """Gneiting and Raftery 2007, equation 20."""
    for value, std, label in ((0.1, 0.3, 0.4), (-0.5, 0.05, -0.5), (0.0, 1.0, -0.9)):

        def difference(x: float, value=value, std=std, label=label) -> float:
            return (norm.cdf(x, value, std) - (x >= label)) ** 2

        expected = sum(integrate.quad(difference, *ends)[0] for ends in ((-10, label), (label, 10)))
        assert crps(np.array(value), np.array(std), np.array(label)) == pytest.approx(expected, abs=1e-6)


def test_fit_recovers_the_parameters_that_measurements_were_sampled_from():
    rng = np.random.default_rng(1)
    count = 40_000
    std = rng.uniform(0.0, 0.4, (count, 2))
    difficulty = rng.uniform(0, 1, (count, 2))
    labels = rng.normal(0, (0.5, 0.3), (count, 2))
    sd = np.sqrt(0.2**2 + (1.5 * std) ** 2 + (0.6 * difficulty) ** 2)
    model = ErrorModel.fit(outputs(labels + rng.normal(size=sd.shape) * sd, std, difficulty), labels)
    np.testing.assert_allclose(model.floor, 0.2, atol=0.04)
    np.testing.assert_allclose(model.gain, 1.5, atol=0.15)
    np.testing.assert_allclose(model.difficulty_gain, 0.6, atol=0.06)
    np.testing.assert_allclose(model.prior_std, (0.5, 0.3), atol=0.03)


def test_the_estimate_is_the_posterior_of_a_normal_prior():
    """Against a numerical product of the two densities."""
    model = ErrorModel((0.3, 0.2), (2.0, 1.0), (0.5, 0.0), (0.4, 0.6))
    given = outputs(np.array([[0.8, -0.4]]), np.array([[0.1, 0.3]]), np.array([[0.5, 0.7]]))
    made, x = model.estimate(given), np.linspace(-5, 5, 200_001)
    for d, variance in enumerate((0.3**2 + 0.2**2 + 0.25**2, 0.2**2 + 0.3**2)):
        density = norm.pdf(given.values[0, d], x, np.sqrt(variance)) * norm.pdf(x, 0, model.prior_std[d])
        density /= density.sum()
        mean = (x * density).sum()
        assert made.values[0, d] == pytest.approx(mean, abs=1e-4)
        assert made.std[0, d] == pytest.approx(np.sqrt(((x - mean) ** 2 * density).sum()), abs=1e-4)


def test_a_prior_of_valence_that_grows_with_arousal_is_recovered():
    rng = np.random.default_rng(3)
    arousal = rng.normal(0, 0.5, 40_000)
    labels = np.column_stack([rng.normal(0, 0.4 * np.exp(0.6 * arousal)), arousal])
    sd = np.array([0.8, 0.05])
    given = outputs(labels + rng.normal(size=labels.shape) * sd, np.zeros_like(labels))
    model = ErrorModel.fit(given, labels, by_arousal=True)
    assert model.prior_growth == pytest.approx(0.6, abs=0.05)
    assert model.prior_std == pytest.approx((0.4, 0.5), abs=0.03)
    aroused = labels[:, 1] > 0.5
    made, plain = model.estimate(given), ErrorModel.fit(given, labels).estimate(given)
    for got, least, most in ((made, 0.67, 0.70), (plain, 0.0, 0.66)):
        covered = np.abs(got.values - labels)[aroused, 0] <= got.std[aroused, 0]
        assert least < covered.mean() < most


def test_the_estimate_with_a_prior_that_grows_is_the_posterior():
    """Against a numerical product of the two densities."""
    model = ErrorModel((0.5, 0.2), (1.0, 1.0), prior_std=(0.4, 0.6), prior_growth=0.7)
    given = outputs(np.array([[0.8, -0.4]]), np.zeros((1, 2)))
    made, x = model.estimate(given), np.linspace(-5, 5, 200_001)
    prior_std = 0.4 * np.exp(0.7 * made.values[0, 1])
    density = norm.pdf(0.8, x, 0.5) * norm.pdf(x, 0, prior_std)
    density /= density.sum()
    mean = (x * density).sum()
    assert made.values[0, 0] == pytest.approx(mean, abs=1e-4)
    assert made.std[0, 0] == pytest.approx(np.sqrt(((x - mean) ** 2 * density).sum()), abs=1e-4)


def test_useless_outputs_are_shrunk_to_neutral():
    rng = np.random.default_rng(2)
    labels = rng.normal(-0.1, 0.4, (4_000, 2))
    values = np.column_stack([rng.normal(-0.6, 0.3, 4_000), labels[:, 1] + rng.normal(0, 0.1, 4_000)])
    given = outputs(values, np.full_like(values, 0.1))
    made = ErrorModel.fit(given, labels).estimate(given)
    error = np.sqrt(np.square(made.values - labels).mean(axis=0))
    constant = np.sqrt(np.square(labels[:, 0]).mean())
    assert error[0] <= constant
    assert made.values[:, 0].std() < 0.06
    assert np.corrcoef(made.values[:, 1], labels[:, 1])[0, 1] > 0.95
    assert made.values[:, 1].std() > 0.9 * values[:, 1].std()


def test_no_output_is_scaled_up():
    rng = np.random.default_rng(3)
    labels = rng.normal(0, 0.5, (4_000, 2))
    given = outputs(labels / 4, np.zeros_like(labels))  # varies too little
    made = ErrorModel.fit(given, labels).estimate(given)
    assert (np.abs(made.values) <= np.abs(given.values) + 1e-6).all()


def test_a_model_without_a_prior_keeps_the_values():
    given = outputs(np.array([[0.8, -0.4], [1.2, -1.3]]), np.zeros((2, 2)))
    made = ErrorModel((0.3, 0.2), (1.0, 1.0)).estimate(given)
    np.testing.assert_allclose(made.values, given.values.clip(-1, 1), rtol=1e-6)
    np.testing.assert_allclose(made.std, [[0.3, 0.2]] * 2, rtol=1e-6)
    single = replace(given, ensemble_std=None)
    np.testing.assert_array_equal(ErrorModel((0.3, 0.2), (1.0, 1.0)).estimate(single).std, made.std)


def test_a_fit_to_conditions_has_better_coverage_in_each():
    """The standard deviation of the models does not show which of two conditions is the hard one."""
    rng = np.random.default_rng(2)
    conditions = np.repeat(["easy", "hard"], 4_000)
    difficulty = np.where(conditions == "easy", 0.1, 0.6)[:, np.newaxis] * rng.uniform(0, 2, (8_000, 2))
    labels = rng.normal(0, 0.5, (8_000, 2))
    error = rng.standard_t(3, (8_000, 2)) * np.where(conditions == "easy", 0.05, 0.25)[:, np.newaxis]
    given = outputs(labels + error, np.full((8_000, 2), 0.2), difficulty)

    def miscoverage(model: ErrorModel) -> float:
        made = model.estimate(given)
        z = np.abs(labels - made.values) / made.std
        shares = [
            (z[conditions == name] <= bound).mean() - wanted
            for name in ("easy", "hard")
            for bound, wanted in ((1, 0.683), (2, 0.954))
        ]
        return float(np.square(shares).mean())

    plain, fitted = (ErrorModel.fit(given, labels, conditions=names) for names in (None, conditions))
    assert miscoverage(fitted) < 0.8 * miscoverage(plain)
    single = ErrorModel.fit(given, labels, conditions=np.full(8_000, "easy"))
    assert single == plain
