"""Keyring: points of Grumpkin, each from the next epoch on."""

from __future__ import annotations

import ape
import pytest

from fedvol.protocol.grumpkin import public_key
from fedvol.protocol.poseidon2 import FIELD

GOOD = public_key(7)
NONE = (0, 0, 0)


def key(arena, node, epoch):
    return tuple(int(v) for v in arena.keyring.keyOf(node, epoch))


def test_register_holds_from_the_next_epoch_succeeds(joined, nodes):
    receipt = joined.keyring.register(*GOOD, sender=nodes[0])
    assert receipt.events.filter(joined.keyring.KeyRegistered, node=nodes[0].address, x=GOOD[0], y=GOOD[1], since=1)
    assert joined.keyring.has(nodes[0])
    assert not joined.keyring.has(nodes[1])
    assert (key(joined, nodes[0], 0), key(joined, nodes[0], 1)) == (NONE, (*GOOD, 1))


def test_register_again_leaves_the_running_epoch_alone_succeeds(joined, nodes):
    node, epoch_rounds = nodes[0], 4
    joined.keyring.register(*GOOD, sender=node)
    joined.open()
    for secret in (8, 9):
        joined.keyring.register(*public_key(secret), sender=node)
        assert key(joined, node, 1) == (*GOOD, 1)
    assert key(joined, node, 5) == (*public_key(9), 2), "the last one before the epoch"
    for _ in range(epoch_rounds):
        joined.pass_to("Void")
        joined.open()
    assert int(joined.federation.clock().epochStart) == 5
    joined.keyring.register(*public_key(10), sender=node)
    assert key(joined, node, 5) == (*public_key(9), 2)
    assert key(joined, node, 9) == (*public_key(10), 6)
    assert [tuple(map(int, k)) for k in joined.keyring.keysOf([node, nodes[1]], 5)] == [key(joined, node, 5), NONE]


@pytest.mark.parametrize(
    "point",
    [(0, 0), (GOOD[0], GOOD[1] ^ 1), (GOOD[1], GOOD[0]), (GOOD[0] + FIELD, GOOD[1]), (GOOD[0], GOOD[1] + FIELD)],
    ids=["zero", "off the curve", "swapped", "x not reduced", "y not reduced"],
)
def test_register_what_is_no_point_reverts(joined, nodes, point):
    with ape.reverts(joined.keyring.NotOnCurve, error_inputs={"x": point[0], "y": point[1]}):
        joined.keyring.register(*point, sender=nodes[0])
