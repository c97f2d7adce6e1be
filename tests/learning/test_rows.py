"""Rows from a tidy tape: what is kept, in which order, with which weight."""

from __future__ import annotations

import numpy as np
import pytest

from fedvol.errors import TapeError
from fedvol.learning.rows import Rows, rows_from_tape
from tests.learning.tapes import LISTED, NOW, YEAR, tape


def test_keeps_markets_of_the_spec_and_counts_what_it_drops():
    frame = tape()
    frame.loc[0, "iv"] = 9.99
    frame.loc[1, "iv"] = 0.0
    frame.loc[2, "iv"] = np.nan
    frame.loc[3, "expiry_ms"] = frame.loc[3, "ts_ms"]
    frame.loc[4, "forward"] = np.nan
    frame.loc[5, "strike"] = 0.0
    rows = rows_from_tape(frame, ("BTC",))
    assert rows.dropped == {
        "another market": 44,
        "expired": 1,
        "no usable strike or forward": 2,
        "vol not between 0 and 300%": 3,
    }
    assert len(rows) == 88 - 50
    assert set(rows.market) == {0}


def test_the_order_depends_on_the_set_of_rows_alone():
    frame = tape()
    one, other = (
        rows_from_tape(frame, ("ETH", "BTC")),
        rows_from_tape(frame.sample(frac=1, random_state=1), ("ETH", "BTC")),
    )
    for name in Rows.COLUMNS:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_k_and_T_are_those_of_the_tidy_schema():
    frame = tape(("BTC",), (9,))
    rows = rows_from_tape(frame, ("BTC",))
    np.testing.assert_allclose(rows.T, (LISTED[9] - NOW) / YEAR, rtol=1e-12)
    assert set(rows.expiry) == {LISTED[9]}
    np.testing.assert_allclose(np.sort(rows.k), np.sort(np.log(frame["strike"] / frame["forward"])), rtol=1e-12)


def test_wings_and_placeholder_vols_weigh_less_than_the_body():
    frame = tape(("BTC",), (7,))
    frame.loc[10, "iv"] = 0.01
    rows = rows_from_tape(frame, ("BTC",))
    assert rows.weight[np.abs(rows.k).argmin()] == 1.0
    assert rows.weight[rows.iv == 0.01] <= 1e-6
    assert np.all(rows.weight > 0)
    assert rows.weight[rows.k.argmin()] < 0.6


def test_a_tape_without_a_column_is_refused_by_name():
    with pytest.raises(TapeError, match="forward"):
        rows_from_tape(tape().drop(columns="forward"), ("BTC",))


def test_an_empty_tape_makes_no_rows():
    assert len(rows_from_tape(tape().iloc[:0], ("BTC",))) == 0
