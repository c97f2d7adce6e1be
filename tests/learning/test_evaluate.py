"""Errors in vol points, by group."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fedvol.learning.evaluate import flat_vol, report
from fedvol.learning.rows import Rows


def rows() -> Rows:
    days = np.array([3.0, 20.0, 60.0, 200.0])
    T = days / 365
    iv = np.array([0.5, 0.4, 0.6, 0.5])
    k = np.array([0.0, -1.5, 0.1, 0.2]) * iv * np.sqrt(T)
    expiry = (T * 365 * 86_400).astype(np.int64)
    return Rows(np.array([0, 0, 1, 1]), k, T, expiry, iv, np.array([1.0, 0.5, 0.5, 1.0]))


def test_groups_and_units():
    found = report(0.5, rows(), ("BTC", "ETH", "SOL"))
    assert found["rows"] == 4
    assert found["rmse"] == pytest.approx(np.sqrt(50))
    assert found["by_market"] == {
        "BTC": pytest.approx(np.sqrt(50)),
        "ETH": pytest.approx(np.sqrt(50)),
        "SOL": None,
    }
    assert [round(e, 9) for e in found["by_maturity"].values()] == [0, 10, 10, 0]
    assert found["put_wing"] == pytest.approx(10)
    assert found["put_wing_bias"] == pytest.approx(10)
    assert json.loads(json.dumps(found)) == found


def test_flat_vol_is_the_weighted_mean():
    assert flat_vol(rows()) == pytest.approx((0.5 + 0.2 + 0.3 + 0.5) / 3)
