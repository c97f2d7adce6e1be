"""Our gas, from gas.json, beside that of peers.

Theirs was measured on Anvil in November 2026 with contracts of theirs, built from their own sources, and is kept as it
was noted, rounded; it is not measured again. Ours is compared by a test and measured by `make gas`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.peers.parts import RESULT

GAS = RESULT.with_name("gas.json")


class Operation(NamedTuple):
    """An operation of a peer, its gas as noted, the keys of gas.json that are summed beside it, and how equal it is."""

    peer: str
    gas: str
    ours: tuple[str, ...]
    equal: str


OPERATIONS = (
    Operation("UMA VotingV2, commit", "84,000–142,000", ("commit",), "equal"),
    Operation("UMA VotingV2, reveal", "79,000", ("reveal",), "equal"),
    Operation(
        "Gensyn SwarmCoordinator, a peer's round",
        "232,000",
        ("commit", "reveal"),
        "ours hides the update until all have committed; theirs does not",
    ),
    Operation("Prime, register", "192,000", ("register_and_bond",), "equal: ours with the bond"),
    Operation("Prime, submitWork", "235,000", ("commit", "reveal"), "one worker's hand-in; ours in two steps"),
    Operation(
        "2CP, addModelUpdate",
        "144,000 in round 5, 366,000 in round 51",
        ("commit", "reveal"),
        "ours is the same in round 1 and 100, with 10 and 200 members",
    ),
    Operation("BlockFLow, an agent's round, n agents", "560,000 + 480,000 · n", ("commit", "reveal"), "flat in n"),
    Operation("UMA OOv3, assert", "217,000", ("propose",), "a claim with a bond; ours carries 160 weights"),
    Operation(
        "UMA OOv3, settle",
        "66,000",
        ("publish",),
        "**theirs wins**: a flag and a payment; ours writes 160 weights and the chart that quotes read",
    ),
    Operation(
        "UMA OOv3, dispute",
        "330,000",
        ("dispute_chunk",),
        "**theirs wins**, and only begins a vote; ours computes the right words on chain and ends the matter",
    ),
    Operation(
        "Chainlink OCR2, transmit, 16 signers",
        "125,000",
        ("propose",),
        "**theirs wins**: one number, signatures checked at once; ours 160 weights, and open to dispute",
    ),
    Operation("Derive, Black-76 call, put, delta", "4,905", ("black76",), "equal: pure"),
    Operation(
        "Derive, SVI.getVol",
        "8,895",
        ("mixture_deviation",),
        "one vol from one SVI slice; ours the one vol that prices two SSVI slices mixed, slices given",
    ),
    Operation(
        "Premia v3, price of one side",
        "100,980",
        ("quote_pure",),
        "ours: slices, iv, call, put and four greeks, pure",
    ),
)


def gas_rows(gas: Mapping[str, int]) -> list[list[str]]:
    return [
        [
            each.peer,
            each.gas,
            " + ".join(f"`{name}`" for name in each.ours),
            f"{sum(gas[name] for name in each.ours):,}",
            each.equal,
        ]
        for each in OPERATIONS
    ]
