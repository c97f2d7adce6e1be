"""The account of what rounds give away: against published figures, closed forms, and itself."""

from __future__ import annotations

import math

import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from fedvol.errors import ConfigError
from fedvol.learning.privacy import Charge, Privacy, epsilon_spent
from fedvol.learning.settings import Settings


def gaussian_epsilon(noise: float, count: int, delta: float) -> float:
    """Exact, of `count` sums with noise. Balle, Wang, "Improving the Gaussian Mechanism", 2018, theorem 8."""
    mu = math.sqrt(count) / noise

    def excess(epsilon: float) -> float:
        return norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta

    return brentq(excess, 0.0, 50.0)


@pytest.mark.parametrize(("noise", "steps", "rounds"), [(20.0, 10, 10), (4.0, 1, 6), (120.0, 10, 100)])
def test_without_sampling_it_is_the_closed_form(noise, steps, rounds):
    found = epsilon_spent([Charge(steps, 1.0, noise)] * rounds, 1e-5)
    assert found == pytest.approx(gaussian_epsilon(noise, steps * rounds, 1e-5), rel=2e-3)


def test_with_sampling_it_is_what_another_accountant_published():
    """Opacus' own test of its PRV accountant: noise 1.5, rate 0.04, 2,250 steps, delta 1e-5; RDP says 7.33 there, and
    GDP 4.59, which is below the truth."""
    assert epsilon_spent([Charge(2_250, 0.04, 1.5)], 1e-5) == pytest.approx(6.7774, abs=0.02)


@pytest.mark.parametrize("rate", [1.0, 0.2])
@pytest.mark.parametrize("epsilon", [0.5, 2.0, 8.0])
def test_the_noise_of_a_budget_keeps_it_and_wastes_little(epsilon, rate):
    charge = Privacy(epsilon=epsilon, rounds=20, steps=5, rate=rate).charge()
    assert 0.99 * epsilon < epsilon_spent([charge] * 20, 1e-5) <= epsilon
    assert epsilon_spent([charge] * 21, 1e-5) > epsilon


def test_rounds_of_different_kinds_add_up_in_any_order():
    one, other = Charge(5, 1.0, 30.0), Charge(3, 0.2, 4.0)
    both = epsilon_spent([one, other, one], 1e-5)
    assert both == epsilon_spent([other, one, one], 1e-5)
    assert max(epsilon_spent([one] * 2, 1e-5), epsilon_spent([other], 1e-5)) < both
    assert epsilon_spent([], 1e-5) == 0.0


def test_a_sum_for_weight_lanes_that_an_old_journal_holds_still_counts():
    """Gaussians compose by the squares of 1 / noise."""
    old = Charge(4, 1.0, 20.0, 20.0)
    assert epsilon_spent([old] * 6, 1e-5) == pytest.approx(gaussian_epsilon(20.0, 30, 1e-5), rel=2e-3)


def test_noise_that_is_chosen_is_used():
    assert Privacy(epsilon=1.0, noise=12.5).charge() == Charge(1, 1.0, 12.5)


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon": 0.0}, {"epsilon": math.inf}, {"epsilon": math.nan}, {"delta": 0.0}, {"delta": 0.1},
        {"delta": math.nan}, {"rounds": None}, {"rounds": 0}, {"noise": 1.0}, {"rounds": None, "noise": 0.0},
        {"rounds": None, "noise": math.inf}, {"rate": 0.0}, {"rate": 1.5}, {"clip": 0.0}, {"clip": math.inf},
        {"batch": -1.0}, {"steps": 0}, {"steps": 1.5}, {"learning_rate": math.nan}, {"smoothing": -1.0}, {"prior": 0.0},
    ],
)  # fmt: skip
def test_values_that_mean_nothing_are_refused(change):
    with pytest.raises(ConfigError):
        Privacy(**({"epsilon": 1.0, "rounds": 10} | change))


def test_steps_are_shorter_where_the_budget_is_to_last_longer():
    assert [Privacy(epsilon=1.0, rounds=rounds).pace for rounds in (1, 12, 120)] == pytest.approx([0.5, 0.5, 0.05])
    assert Privacy(epsilon=1.0, noise=3.0).pace == 0.5
    assert Privacy(epsilon=1.0, rounds=120, learning_rate=0.1).pace == 0.1


def test_settings_have_none_unless_told():
    assert Settings().privacy is None
