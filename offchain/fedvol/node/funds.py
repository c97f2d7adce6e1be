"""What taking part costs in gas, and whether the account can pay."""

from __future__ import annotations

from fedvol.chain.federation import Snapshot
from fedvol.chain.outbox import NoFunds

OWN_GAS = 120_000
"""Of a node's own part in a round: commit and reveal, each with a first seat or pledge (benchmarks/gas.json)."""

UNMASK_GAS = 50_000

SHARED_GAS = 1_100_000
"""Of what one node does for all in a round: open, draw, propose, publish. By turns."""


def round_gas(s: Snapshot) -> int:
    """Gas that a round takes of one node, on the average."""
    own = OWN_GAS + (UNMASK_GAS if s.masked else 0)
    return own + SHARED_GAS // max(1, s.members + s.joining)


def epoch_gas(s: Snapshot) -> int:
    """Gas of an epoch of rounds, and of one turn for all: a node of many cannot count on others' turns."""
    return s.params["epochRounds"] * round_gas(s) + SHARED_GAS


def require_funds(s: Snapshot) -> None:
    """
    Raises:
        NoFunds: the account is empty.
    """
    assert s.node is not None
    if not s.node.balance_wei:
        raise NoFunds(f"{s.node.address} holds no ETH.", "Send it some for gas.")
