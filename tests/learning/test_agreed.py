"""The agreed training on a desk's rows: which it takes, that it learns, and for which models."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from fedvol.errors import ConfigError
from fedvol.lab.federation import PLAN_RULE, Nodes
from fedvol.learning import agreed
from fedvol.learning.model import build
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.protocol.agreed import ROWS, UNIT, Limits
from tests.learning.tapes import LISTED, MODEL, NOW, OPENING, tape

LIMITS = Limits()
START = MODEL.initial_weights()
SEED = bytes(32)


def rows(**kind) -> Rows:
    return rows_from_tape(tape(**kind), MODEL.spec.markets)


def rmse(weights) -> float:
    return MODEL.evaluate(MODEL.spec.to_float(weights), rows(), NOW)["rmse"]


def test_desks_of_one_market_each_find_the_truth_together():
    nodes = Nodes(MODEL, 2, agreed=Limits())
    desks = [rows(markets=(market,)) for market in MODEL.spec.markets]
    weights = START
    assert rmse(weights) > 7
    for _ in range(8):
        weights = nodes.round(weights, OPENING, desks)
    assert rmse(weights) < 0.3


def test_a_market_without_rows_and_the_state_say_nothing():
    p, h = agreed.update(MODEL.spec, START, NOW, rows(markets=("BTC",)), SEED, LIMITS, PLAN_RULE)
    assert not p[MODEL.block(1)].any()
    assert not h[MODEL.block(1)].any()
    assert h[MODEL.block(0)][:-2].all()
    assert not h[MODEL.block(0)][-2:].any()


def test_lanes_are_within_the_rule():
    tight = replace(PLAN_RULE, clamp=1 << 10, weight_cap=1 << 9, weight_shift=4)
    p, h = agreed.update(MODEL.spec, START, NOW, rows(), SEED, LIMITS, tight)
    most = h * tight.clamp >> tight.weight_shift
    assert h.max() == tight.weight_cap
    assert (np.abs(p) <= most).all()
    assert (np.abs(p) == most)[h > 0].any()


def test_rows_are_spread_over_expiries_and_drawn_by_the_seed():
    data = rows()
    many = Rows.joined([data, data, data])
    chosen = agreed.choose(many, LIMITS, SEED)
    assert len(chosen) == ROWS
    counts = np.unique([row.order for row in chosen], return_counts=True)[1]
    assert len(counts) == 8
    assert counts.max() - counts.min() <= 1
    assert agreed.choose(many, LIMITS, SEED) == chosen
    assert agreed.choose(many, LIMITS, b"\x01" * 32) != chosen


def test_rows_outside_the_limits_or_off_the_hour_are_left_out():
    data = rows(markets=("BTC",), listed=(4,))
    assert len(agreed.choose(data, LIMITS, SEED)) == len(data)
    for column, value in (("iv", 3.5), ("iv", 0.01), ("k", -5.0), ("expiry", LISTED[4] + 60), ("weight", 1e-6)):
        changed = getattr(data, column).copy()
        changed[3] = value
        assert len(agreed.choose(replace(data, **{column: changed}), LIMITS, SEED)) == len(data) - 1, column
    row = min(agreed.choose(data, LIMITS, SEED), key=lambda row: row.k)
    assert row.k == round(float(data.k.min()) * UNIT)


def test_other_models_are_refused():
    other = build(mixture_spec(pillars=8))
    with pytest.raises(ConfigError, match="13 expiries"):
        agreed.update(other.spec, other.initial_weights(), NOW, rows(), SEED, LIMITS, PLAN_RULE)


def test_a_round_takes_less_than_half_a_second():
    started = time.process_time()
    agreed.update(MODEL.spec, START, NOW, rows(), SEED, LIMITS, PLAN_RULE)
    assert time.process_time() - started < 0.5
