"""Real nodes, real contracts, real training: whole rounds, and what comes in their way."""

from __future__ import annotations

import numpy as np
import pytest

from fedvol.chain.federation import Phase
from fedvol.protocol import rule
from fedvol.protocol.vector import unpack_model, unpack_update
from fedvol.storage import open_storage
from tests.node.conftest import BOND, PARAMS, Lab


def test_three_nodes_train_a_model_that_anybody_can_recompute(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    before = lab.client.model(1)

    lab.cycle(*nodes, until=lambda: lab.version == 3)

    snapshot = lab.client.snapshot()
    reveals = lab.client.reveals(1, snapshot.block)
    storage = open_storage(str(lab.folder / "storage"))
    updates = np.array([unpack_update(storage.get(r.content_id), 32) for r in reveals])
    expected = rule.mean(unpack_model(before, 32), updates, PARAMS["clamp"], PARAMS["step"])
    assert len(reveals) == 3
    assert updates.any(axis=1).all()
    assert np.array_equal(unpack_model(lab.client.model(2), 32), expected)
    assert not np.array_equal(expected, unpack_model(before, 32))
