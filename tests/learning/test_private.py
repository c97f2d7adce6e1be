"""Private training: what one row can add, how much noise there is, and that nothing else depends on the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from fedvol.errors import ConfigError
from fedvol.learning import private
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from tests.learning.tapes import MODEL, tape, truth

SPEC = MODEL.spec
START = SPEC.to_float(MODEL.initial_weights())
SEED = bytes(range(32))
ROWS = rows_from_tape(tape(), SPEC.markets)
NOTHING = ROWS.select(np.arange(0))
QUIET = 1e-9


def settings(**change) -> Settings:
    values = {"epsilon": 4.0, "noise": 1.0, "batch": 80.0} | change
    return Settings(privacy=Privacy(**values))


def train(rows: Rows, seed: bytes = SEED, start: np.ndarray = START, **change) -> np.ndarray:
    return MODEL.train(start, rows, seed, settings(**change))


def noisy_sums(rows: Rows, **change) -> list[np.ndarray]:
    """The sum of clipped row gradients of each step before its noise, as the optimizer holds it."""
    seen = []

    class Spy(private.NoisySum):
        def add_noise(self) -> None:
            seen.append(self.params[0].summed_grad.numpy().copy())
            super().add_noise()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private, "NoisySum", Spy)
        train(rows, **change)
    return seen


def test_it_learns_where_noise_is_small():
    weights = START
    for number in range(20):
        weights = train(ROWS, bytes([number]) * 32, weights, noise=QUIET)
    assert MODEL.evaluate(weights, ROWS)["rmse"] < 0.5 * MODEL.evaluate(START, ROWS)["rmse"]


def test_same_arguments_same_bytes_and_another_secret_another_noise():
    assert train(ROWS).tobytes() == train(ROWS).tobytes()
    assert train(ROWS).tobytes() != train(ROWS, bytes(32)).tobytes()


def test_another_tape_another_noise():
    """Else two updates of one secret would differ by exactly what the tapes do."""
    one, other = (train(rows, clip=1e-9, noise=1e9, steps=1) - START for rows in (ROWS, ROWS.select(np.arange(80))))
    assert np.abs(np.corrcoef(one, other)[0, 1]) < 0.6
    assert not np.isclose(one, other).any()


@pytest.mark.parametrize("clip", [0.5, 30.0])
def test_one_row_moves_the_sum_by_the_clip_at_most(clip):
    wild = Rows(np.array([0]), np.array([-0.4]), np.array([0.1]), np.array([2.9]), np.array([1.0]))
    for row in (wild, *(ROWS.select(np.array([i])) for i in range(0, len(ROWS), 7))):
        with_row = Rows(*(np.append(getattr(ROWS, c), getattr(row, c)) for c in ("market", "k", "T", "iv", "weight")))
        (before,), (after,) = (noisy_sums(rows, steps=1, clip=clip) for rows in (ROWS, with_row))
        assert np.linalg.norm(after - before) <= clip * (1 + 1e-9)
    assert np.linalg.norm(noisy_sums(wild, steps=1, clip=clip)[0]) == pytest.approx(clip, rel=1e-4)


def test_a_row_with_an_absurd_number_adds_nothing_and_spoils_nothing():
    k = ROWS.k.copy()
    k[3] = np.nan
    bad = Rows(ROWS.market, k, ROWS.T, ROWS.iv, ROWS.weight)
    without = ROWS.select(np.arange(len(ROWS)) != 3)
    assert noisy_sums(bad, steps=1)[0] == pytest.approx(noisy_sums(without, steps=1)[0])


def test_the_noise_has_the_scale_and_the_shape_that_the_account_is_made_for():
    """A desk without rows moves by noise alone: learning_rate · noise · clip / batch in each weight."""
    change = {"noise": 3.0, "clip": 7.0, "batch": 50.0, "learning_rate": 1e-3, "steps": 1}
    moves = np.array([train(NOTHING, bytes([i]) * 32, **change) - START for i in range(200)])
    scaled = moves / (1e-3 * 3.0 * 7.0 / 50.0)
    assert stats.kstest(scaled.ravel(), "norm").pvalue > 1e-3
    assert scaled.std() == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.corrcoef(scaled.T) - np.eye(SPEC.dimension)).max() < 0.35


def test_each_step_has_noise_of_its_own():
    one, four = (
        np.array([train(NOTHING, bytes([i]) * 32, steps=steps) - START for i in range(60)]) for steps in (1, 4)
    )
    assert four.std() / one.std() == pytest.approx(2.0, rel=0.1)


def test_rows_are_drawn_one_by_one_at_the_public_rate():
    """Each alone: a sum of a hundred rows at rate 0.3 varies as a binomial does."""
    counts = []

    def count(surface, weights, rows, huber_points):
        counts.append(len(rows))
        return torch.zeros((len(rows), weights.numel()), dtype=weights.dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private, "gradients", count)
        train(ROWS, steps=600, rate=0.3)
    assert np.mean(counts) == pytest.approx(0.3 * len(ROWS), rel=0.03)
    assert np.var(counts) == pytest.approx(0.21 * len(ROWS), rel=0.2)


def test_the_number_of_rows_scales_nothing():
    """The ordinary fit divides by what the rows weigh. Here twice the rows pull twice as far."""
    one, two = (noisy_sums(rows, steps=1)[0] for rows in (ROWS, ROWS.select(np.tile(np.arange(len(ROWS)), 2))))
    assert two == pytest.approx(2 * one)
    moves = [train(ROWS.select(np.tile(np.arange(len(ROWS)), n)), noise=QUIET, steps=1) - START for n in (1, 2)]
    assert moves[1] == pytest.approx(2 * moves[0], rel=1e-5, abs=1e-9)


def test_the_pull_of_neighbours_does_not_ask_where_the_rows_lie():
    rough = truth()
    rough[MODEL.block(1)][4] += 0.3
    change = {"noise": QUIET, "smoothing": 5.0, "steps": 1}
    corner = rows_from_tape(tape(markets=("BTC",), days=(3, 10)), SPEC.markets)
    one, other = (train(rows, start=rough, **change) - rough for rows in (NOTHING, corner))
    assert one[MODEL.block(1)] == pytest.approx(other[MODEL.block(1)], abs=1e-9)
    assert np.abs(one[MODEL.block(1)]).max() > 1e-6


def test_no_move_is_longer_than_the_clip_of_the_whole():
    moved = MODEL.train(START, ROWS, SEED, Settings(clip=0.01, privacy=settings(noise=100.0).privacy))
    assert np.linalg.norm(moved - START) == pytest.approx(0.01)


def test_a_short_secret_is_refused():
    with pytest.raises(ConfigError, match="hides no noise"):
        train(ROWS, b"short")


# ---------------------------------------------------------------------- weight lanes


def sure(rows: Rows, seed: bytes = SEED, **change) -> np.ndarray:
    return MODEL.curvature(START, rows, seed, settings(**({"weighted": True} | change)))


def test_weight_lanes_without_a_share_of_the_budget_are_refused():
    with pytest.raises(ConfigError, match="weighted = true"):
        MODEL.curvature(START, ROWS, SEED, settings())


def test_one_row_adds_at_most_its_clip_to_the_weight_lanes():
    far = Rows(np.array([0]), np.array([0.0]), np.array([300 / 365]), np.array([0.6]), np.array([1.0]))
    assert np.linalg.norm(MODEL.curvature(START, far, SEED, Settings())) > 0.05
    assert np.linalg.norm(sure(far, noise=QUIET, weights_clip=0.05)) == pytest.approx(0.05)
    assert sure(ROWS, noise=QUIET, weights_clip=1e3) == pytest.approx(
        MODEL.curvature(START, ROWS, SEED, Settings()), abs=1e-3
    )


def test_the_noise_of_the_weight_lanes_has_the_scale_that_is_accounted():
    change = {"noise": 3.0, "steps": 4, "rate": 0.5, "weights_clip": 0.2}
    paid = settings(weighted=True, **change).privacy.charge().weights_noise
    lanes = np.array([sure(NOTHING, bytes([i]) * 32, **change) for i in range(200)]).ravel()
    assert paid == pytest.approx(2 * 3.0 / (0.5 * 2))
    assert np.mean(lanes == 0) == pytest.approx(0.5, abs=0.03)
    assert stats.kstest(lanes[lanes > 0] / (paid * 0.2), "halfnorm").pvalue > 1e-3


def test_moves_and_weight_lanes_have_noise_of_their_own():
    change = {"steps": 1, "weighted": True}
    moves = np.array([train(NOTHING, bytes([i]) * 32, **change) - START for i in range(100)])
    lanes = np.array([sure(NOTHING, bytes([i]) * 32, **change) for i in range(100)])
    assert np.abs(np.corrcoef(moves.ravel(), lanes.ravel())[0, 1]) < 0.1
