"""The hold-out is the same on every machine, for every participant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fedvol.market.holdout import row_hash, split_holdout, window
from fedvol.market.synthetic import generate


@pytest.fixture(scope="module")
def tape() -> pd.DataFrame:
    return generate(seed=1, snapshots=4)


def test_hashes_are_pinned() -> None:
    """These numbers may never change: a node with others would train on what its peers hold out."""
    frame = pd.DataFrame(
        {
            "ts_ms": [1_582_296_978_501, 1_582_296_978_501],
            "market": ["BTC", "ETH"],
            "expiry_ms": [1_582_876_800_000, 1_582_876_800_000],
            "strike": [9750.0, 0.625],
            "is_call": [True, False],
        }
    )
    assert row_hash(frame).tolist() == [3539781299282902884, 17865213041379278811]


def test_rows_are_dealt_completely_and_by_share(tape: pd.DataFrame) -> None:
    train, held = split_holdout(tape, 0.5)
    assert sorted([*train.index, *held.index]) == tape.index.tolist()
    assert abs(len(held) / len(tape) - 0.5) < 0.06
    assert len(split_holdout(tape, 0.0)[1]) == 0
    assert len(split_holdout(tape, 1.0)[0]) == 0


def test_a_row_keeps_its_side_in_any_company_and_any_order(tape: pd.DataFrame) -> None:
    _, held = split_holdout(tape)
    shuffled = tape.sample(frac=1.0, random_state=0)
    assert set(split_holdout(shuffled)[1].index) == set(held.index)
    for _, desk in tape.groupby("desk"):
        assert set(split_holdout(desk)[1].index) == set(held.index) & set(desk.index)


def test_only_what_was_observed_decides(tape: pd.DataFrame) -> None:
    other = tape.assign(iv=tape["iv"] + 0.1, desk="x", amount=0.0, strike=tape["strike"].astype(np.float32))
    assert (row_hash(other) == row_hash(tape)).all()
    for column in ("ts_ms", "expiry_ms", "strike"):
        assert (row_hash(tape.assign(**{column: tape[column] + 1})) != row_hash(tape)).all()


def test_window_keeps_the_last_hours(tape: pd.DataFrame) -> None:
    kept = window(tape, 12.0)
    last = tape["ts_ms"].max()
    assert kept["ts_ms"].max() == last
    assert kept["ts_ms"].min() > last - 12 * 3_600_000
    assert len(kept) == int((tape["ts_ms"] > last - 12 * 3_600_000).sum()) < len(tape)
    assert window(tape.iloc[:0], 1.0).empty
