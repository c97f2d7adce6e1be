"""Errors in vol points, by group."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fedvol.learning.arbitrage import violations
from fedvol.learning.evaluate import flat_vol, report
from fedvol.learning.model import build
from fedvol.learning.rows import Rows
from fedvol.learning.ssvi_mixture import mixture_spec


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


def test_arbitrage_is_found_where_there_is_some(monkeypatch: pytest.MonkeyPatch):
    model, as_of = build(mixture_spec()), 1_772_452_800
    weights = model.spec.to_float(model.initial_weights())
    assert violations(model, weights, as_of) == {"calendar": 0, "butterfly": 0, "undefined": 0}
    honest = model.implied_vol

    def falls(w, t, market, k, expiry):
        return honest(w, t, market, k, expiry) / np.sqrt(np.maximum((expiry - t) / 3e6, 1.0))

    def dents(w, t, market, k, expiry):
        return honest(w, t, market, k, expiry) * (1 + 0.2 * (np.abs(k - 0.1) < 0.02))

    def is_nothing(w, t, market, k, expiry):
        return np.where(k > 0.5, np.nan, honest(w, t, market, k, expiry))

    for kind, wrong in (("calendar", falls), ("butterfly", dents), ("undefined", is_nothing)):
        monkeypatch.setattr(model, "implied_vol", wrong)
        assert violations(model, weights, as_of)[kind] > 0
