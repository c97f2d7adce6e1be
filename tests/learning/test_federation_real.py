"""Real quotes, six desks that share no row: together they beat each alone and a flat vol, and near central
training."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from fedvol.learning.model import Model, build
from fedvol.learning.rows import rows_from_tape
from fedvol.learning.ssvi_pillars import ssvi_spec
from fedvol.market.holdout import split_holdout
from fedvol.market.tape import load_tape
from tests.learning.federation import desks_of, errors, federate, until
from tests.realdata import REAL, needs_real_data

pytestmark = needs_real_data
MODEL: Model = build(ssvi_spec())
LAST, STORM = "2026-06-01", "2026-02-01"


@cache
def quotes(partition: str) -> pd.DataFrame:
    return load_tape(REAL / "dev_quotes.parquet", partition).rows


@pytest.mark.parametrize("moment", [LAST, STORM])
@pytest.mark.parametrize("partition", ["participant", "participant_mix85"])
def test_joint_beats_alone_and_flat_and_nears_central(moment, partition):
    found = errors(MODEL, until(quotes(partition), moment))
    assert found["joint"] < 0.5 * found["mean alone"]
    assert found["joint"] < 0.5 * found["flat"]
    assert found["joint"] < 1.4 * found["central"]


@pytest.mark.parametrize("nodes", [1, 4, 10])
def test_any_number_of_desks_with_the_same_market_settles(nodes):
    """The worst case for a step of more than one mean: all desks agree, so each round moves twice what one
    desk asks."""
    frame = until(quotes("participant"), LAST)
    frame = frame.assign(desk=np.random.default_rng(nodes).integers(0, nodes, len(frame)).astype(str))
    desks, _, held = desks_of(frame, MODEL)
    early, late = (
        MODEL.evaluate(MODEL.spec.to_float(federate(MODEL, desks, rounds)), held)["rmse"] for rounds in (5, 12)
    )
    assert late < 1.6
    assert late <= early + 0.05


def test_desks_that_all_know_one_corner_settle():
    frame = until(quotes("participant"), LAST)
    frame = frame[(frame["market"] == "BTC") & (frame["expiry_ms"] - frame["ts_ms"] < 7 * 86_400_000)]
    train, held = split_holdout(frame)
    desk, judge = (rows_from_tape(half, MODEL.spec.markets) for half in (train, held))
    assert MODEL.evaluate(MODEL.spec.to_float(federate(MODEL, [desk] * 6, 12)), judge)["rmse"] < 3
