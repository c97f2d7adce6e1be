"""Local training: it learns, moves only what it knows about, and is the same each time."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from fedvol.learning.evaluate import train_alone
from fedvol.learning.model import Before, Opening
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from tests.learning.tapes import LISTED, MODEL, NOW, OPENING, tape, truth

SPEC = MODEL.spec
START = SPEC.to_float(MODEL.initial_weights())
SEED = bytes(32)
SETTINGS = Settings()


def rows(**kind) -> Rows:
    return rows_from_tape(tape(**kind), SPEC.markets)


def alone(data: Rows, rounds: int = 8, settings: Settings = SETTINGS) -> np.ndarray:
    return train_alone(MODEL, OPENING, data, rounds, SEED, settings)


def rmse(weights: np.ndarray, data: Rows | None = None) -> float:
    return MODEL.evaluate(weights, rows() if data is None else data, NOW)["rmse"]


def test_training_alone_on_all_rows_finds_the_truth():
    assert rmse(START) > 7
    assert rmse(alone(rows())) < 0.3
    assert rmse(truth()) < 1e-9


def test_a_market_without_rows_does_not_move_and_is_not_sure():
    data = rows(markets=("BTC",), listed=(1, 4))
    start = truth() + 0.03
    moved = MODEL.train(start, OPENING, data, SEED, SETTINGS) != start
    sure = MODEL.curvature(start, OPENING, data, SEED, SETTINGS)
    assert moved[MODEL.block(0)][:-2].all()
    assert not moved[MODEL.block(1)].any()
    assert not sure[MODEL.block(1)].any()
    pillars = sure[MODEL.block(0)][:-2].reshape(-1, 6)[:, 0]
    assert set(np.argsort(pillars)[-2:]) == {1, 4}
    assert pillars[12] < 1e-3 * pillars[4]


def test_an_expiry_without_rows_follows_its_neighbours():
    """No row tells of three expiries between; stuck at the initial 50% there, the surface would still be quoted."""
    found = alone(rows(markets=("BTC",), listed=(0, 2, 3, 4, 8, 9, 12)), rounds=20)
    at = np.array([LISTED[i] for i in (5, 6, 7)])
    said, true = (MODEL.implied_vol(w, NOW, 0, 0.0, at) for w in (found, truth()))
    assert np.abs(said - true).max() < 0.02


def test_no_rows_no_move():
    nothing = rows_from_tape(tape().iloc[:0], SPEC.markets)
    assert MODEL.train(START, OPENING, nothing, SEED, SETTINGS).tobytes() == START.tobytes()
    assert not MODEL.curvature(START, OPENING, nothing, SEED, SETTINGS).any()


def test_options_that_have_expired_when_the_round_opens_do_not_train():
    late = Opening(LISTED[4])
    data = rows(markets=("BTC",), listed=(1, 4))
    assert MODEL.train(START, late, data, SEED, SETTINGS).tobytes() == START.tobytes()


def test_the_truth_stays_where_it_is():
    assert rmse(MODEL.train(truth(), OPENING, rows(), SEED, SETTINGS)) < 0.05


def test_same_arguments_same_bytes():
    one, other = (MODEL.train(START, OPENING, rows(), SEED, SETTINGS).tobytes() for _ in range(2))
    assert one == other


def test_the_seed_chooses_the_rows_of_a_long_tape():
    settings = Settings(max_rows=30)
    one, again, other = (MODEL.train(START, OPENING, rows(), bytes([s]) * 32, settings).tobytes() for s in (1, 1, 2))
    assert one == again != other


def test_one_row_pulls_less_than_many_and_no_move_is_longer_than_the_clip():
    def length(data: Rows, **change: float) -> float:
        return float(np.linalg.norm(MODEL.train(START, OPENING, data, SEED, Settings(**change)) - START))

    many, one = rows(), rows().select(np.array([5]))
    assert length(one) < 0.5 * length(many)
    assert length(many, prior=1.0) < 0.5 * length(many)
    assert length(many, clip=0.1) == pytest.approx(0.1)


def test_absurd_vols_hardly_matter():
    """0% and 999% never come this far; 299% does, and pulls with constant force."""
    frame = tape()
    frame.loc[[0, 10, 40], "iv"] = 2.99
    assert rmse(alone(rows_from_tape(frame, SPEC.markets))) < 3


def test_a_poisoned_weight_is_pulled_back():
    poisoned = START.copy()
    poisoned[6 * 4] = 50.0
    found = poisoned
    for _ in range(3):
        found = MODEL.train(found, OPENING, rows(), SEED, SETTINGS)
    assert found[6 * 4] < 45.0


def test_moves_of_the_state_teach_how_the_clock_follows():
    """The vol index rose by a fifth and every vol of a week with it, more than the version in force says."""
    moves = np.array([[np.log(1.2), 0.0], [0.0, 0.0]])
    strong = truth()
    strong[MODEL.block(0)][-2:] = 3.5, 0.0
    weak = truth()
    g = MODEL.clocks(strong, moves)
    data = rows(markets=("BTC",), listed=(1, 4, 6))
    data = replace(data, iv=MODEL.implied_vol(truth(), NOW, data.market, data.k, data.expiry, g[0]))
    opening = Opening(NOW, Before(weak, NOW, moves))
    trained = MODEL.train(weak, opening, data, SEED, SETTINGS)
    assert 2.1 < trained[MODEL.block(0)][-2] < 4.0
    assert trained[MODEL.block(0)][-1] == 0.0
    assert (trained[MODEL.block(1)] == weak[MODEL.block(1)]).all()
    sure = MODEL.curvature(weak, opening, data, SEED, SETTINGS)[MODEL.block(0)]
    assert sure[-2] > 0
    assert sure[-1] == 0
    still = MODEL.train(weak, Opening(NOW, Before(weak, NOW, 0 * moves)), data, SEED, SETTINGS)
    assert still[MODEL.block(0)][-2] == weak[MODEL.block(0)][-2]


def test_a_round_takes_less_than_a_second_on_a_long_tape():
    data = rows()
    long = data.select(np.tile(np.arange(len(data)), 500))
    began = time.process_time()
    MODEL.train(START, OPENING, long, SEED, SETTINGS)
    assert time.process_time() - began < 1.0
