"""Which snapshots of a tape were stress: told by the data, not by a calendar."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.replay.snapshots import Snapshot
from fedvol.lab.replay.walkers import moves

STRESS_QUANTILE = 0.8


def index_moves(found: Sequence[Snapshot]) -> NDArray[np.float64]:
    """How far the index went since the snapshot before, as the largest |ln| of any market, (snapshots,); 0 for the
    first."""
    since = [np.abs(moves(then, now)[:, 1]).max() for then, now in pairwise(found)]
    return np.array([0.0, *since])


def stress(found: Sequence[Snapshot], burn: int) -> tuple[NDArray[np.bool_], float]:
    """Snapshots whose index moved more than in four of five, and the least move that was not stress.

    Args:
        burn: snapshots at the start that only warm up; they count as calm and set no bar.
    """
    moved = index_moves(found)
    bar = float(np.quantile(moved[burn:], STRESS_QUANTILE))
    return (moved > bar) & (np.arange(len(found)) >= burn), bar
