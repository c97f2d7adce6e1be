"""Local training: it learns, moves only what it knows about, and is the same each time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fedvol.learning.evaluate import train_alone
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from tests.learning.tapes import MODEL, tape, truth

SPEC = MODEL.spec
START = SPEC.to_float(MODEL.initial_weights())
SEED = bytes(32)
SETTINGS = Settings()


def rows(**kind) -> Rows:
    return rows_from_tape(tape(**kind), SPEC.markets)


def test_training_alone_on_all_rows_finds_the_truth():
    found = train_alone(MODEL, rows(), 12, SEED, SETTINGS)
    assert MODEL.evaluate(START, rows())["rmse"] > 10
    assert MODEL.evaluate(found, rows())["rmse"] < 0.5
    assert MODEL.evaluate(truth(), rows())["rmse"] < 1e-9


def test_a_weight_without_data_does_not_move():
    start = truth() + 0.03
    moved = MODEL.train(start, rows(markets=("BTC",), days=(3, 10)), SEED, SETTINGS) != start
    pillars = np.array(SPEC.pillars) / 86_400
    assert moved[: pillars.size].tolist() == ((pillars >= 2) & (pillars <= 14)).tolist()
    assert moved[MODEL.block(0)][-2:].all()
    assert not moved[MODEL.block(1)].any()


def test_a_level_in_a_gap_between_expiries_follows_its_neighbours():
    """No row tells of 60 to 120 days; stuck at the initial 60% there, the surface would still be quoted."""
    data = rows(markets=("BTC",), days=(7, 14, 21, 30, 180, 270))
    filled = train_alone(MODEL, data, 20, SEED, SETTINGS)
    stuck = train_alone(MODEL, data, 20, SEED, Settings(smoothing=0.0))
    T = np.array([60, 90, 120]) / 365

    def error(weights):
        return np.abs(MODEL.implied_vol(weights, 0, 0.0, T) - MODEL.implied_vol(truth(), 0, 0.0, T)).max()

    assert error(filled) < 0.02
    assert error(stuck) > 0.05


def test_no_rows_no_move():
    nothing = rows_from_tape(tape().iloc[:0], SPEC.markets)
    assert MODEL.train(START, nothing, SEED, SETTINGS).tobytes() == START.tobytes()


def test_the_truth_stays_where_it_is():
    """But for Adam's unit steps at the start, of which a tenth of a vol point may remain."""
    kept = MODEL.train(truth(), rows(), SEED, SETTINGS)
    assert MODEL.evaluate(kept, rows())["rmse"] < 0.1


def test_same_arguments_same_bytes():
    one, other = (MODEL.train(START, rows(), SEED, SETTINGS).tobytes() for _ in range(2))
    assert one == other


def test_the_seed_chooses_the_rows_of_a_long_tape():
    settings = Settings(max_rows=30)
    one, again, other = (MODEL.train(START, rows(), bytes([s]) * 32, settings).tobytes() for s in (1, 1, 2))
    assert one == again != other


def test_one_row_pulls_less_than_many_and_no_move_is_longer_than_the_clip():
    def length(data, **change):
        return np.linalg.norm(MODEL.train(START, data, SEED, Settings(**change)) - START)

    many, one = rows(), rows().select(np.array([5]))
    assert length(one) < 0.5 * length(one, few_rows=1.0)
    assert length(many, clip=0.1) == pytest.approx(0.1)


def test_absurd_vols_hardly_matter():
    frame = tape()
    frame.loc[[0, 10, 40], "iv"] = 2.99
    found = train_alone(MODEL, rows_from_tape(frame, SPEC.markets), 12, SEED, SETTINGS)
    assert MODEL.evaluate(found, rows())["rmse"] < 3


def test_a_poisoned_level_is_pulled_back():
    poisoned = START.copy()
    poisoned[5] = 100.0
    assert MODEL.train(poisoned, rows(), SEED, SETTINGS)[5] < 100.0


def test_a_round_takes_less_than_a_second_on_a_long_tape():
    data = rows()
    long = data.select(np.tile(np.arange(len(data)), 500))
    began = time.process_time()
    MODEL.train(START, long, SEED, SETTINGS)
    assert time.process_time() - began < 1.0
