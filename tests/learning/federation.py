"""A federation in one process: what desks reach together, against each alone, one flat vol, and pooling all.

`python -m tests.learning.federation TAPE [DESK_COLUMN]` prints a line for each of several windows of a tape.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.learning.evaluate import flat_vol, report, train_alone
from fedvol.learning.model import Model, build
from fedvol.learning.quantize import to_update
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_pillars import ssvi_spec
from fedvol.market.holdout import split_holdout, window
from fedvol.market.tape import load_tape
from fedvol.protocol.rule import Rule, RuleKind, combine

BOUND = 1 << 19  # half a weight unit
STEP = 2 << 16  # twice the mean update
ROUNDS = 6
SETTINGS = Settings()


def desks_of(frame: pd.DataFrame, model: Model) -> tuple[list[Rows], Rows, Rows]:
    """Each desk's training rows, all of them pooled, and the rows that nobody trains on."""
    train, held = split_holdout(frame)
    markets = model.spec.markets
    desks = [rows_from_tape(rows, markets) for _, rows in train.groupby("desk", sort=True)]
    return desks, rows_from_tape(train, markets), rows_from_tape(held, markets)


def federate(model: Model, desks: Sequence[Rows], rounds: int = ROUNDS, step: int = STEP) -> NDArray[np.int64]:
    """The joint fixed-point weights after some rounds from the initial ones."""
    weights = model.initial_weights()
    for number in range(rounds):
        updates = []
        for desk, rows in enumerate(desks):
            seed = hashlib.sha256(bytes([number, desk])).digest()
            local = model.train(model.spec.to_float(weights), rows, seed, SETTINGS)
            updates.append(to_update(local, weights, model.spec, BOUND, seed))
        weights = combine(Rule(RuleKind.MEAN, BOUND, step), weights, np.array(updates))
    return weights


def errors(model: Model, frame: pd.DataFrame, rounds: int = ROUNDS) -> dict[str, float]:
    """RMSE in vol points on held-out rows: joint, mean of desks alone, flat, central."""
    desks, pooled, held = desks_of(frame, model)

    def alone(rows: Rows) -> float:
        return model.evaluate(train_alone(model, rows, rounds, b"alone", SETTINGS), held)["rmse"]

    joint = model.evaluate(model.spec.to_float(federate(model, desks, rounds)), held)
    return {
        "rows": len(held),
        "joint": joint["rmse"],
        "joint put wing": joint["put_wing"],
        "mean alone": float(np.mean([alone(rows) for rows in desks])),
        "flat": report(flat_vol(pooled), held, model.spec.markets)["rmse"],
        "central": alone(pooled),
    }


def until(frame: pd.DataFrame, moment: str) -> pd.DataFrame:
    """The last six hours of a tape as it stood at a moment (ISO, UTC)."""
    return window(frame[frame["ts_ms"] <= pd.Timestamp(moment, tz="UTC").value // 1_000_000], 6)


def main(tape: str, desk_column: str = "participant") -> None:
    model = build(ssvi_spec())
    frame = load_tape(tape, desk_column).rows
    days = np.unique(frame["ts_ms"] // 86_400_000)
    ends = [pd.Timestamp(int(day) + 1, unit="D") for day in days[np.linspace(1, len(days) - 1, 10).astype(int)]]
    table = {f"{end:%Y-%m-%d}": errors(model, until(frame, end.isoformat())) for end in ends}
    print(pd.DataFrame(table).T.round(2).to_string())


if __name__ == "__main__":
    main(*sys.argv[1:])
