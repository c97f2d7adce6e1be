"""The compiled circuits, and proofs made with them from a statement and what only the node knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from fedvol.proofs.backend import Backend, Proof
from fedvol.proofs.reference import IGNITION, INSECURE_LOCAL, PROJECT, reference
from fedvol.proofs.verifier import LOCAL_CHAINS
from fedvol.protocol.agreed import Row
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.statement import PLACES, WORDS

Inputs = dict[str, Any]
"""Of a circuit, by the names of its parameters; numbers as hexadecimal strings."""


def program(name: str) -> Path:
    """The compiled circuit "bounded" or "trained"; `make circuits` compiles them."""
    return PROJECT / "circuits" / "artifacts" / f"{name}.json"


def backend_for(chain_id: int, scratch: Path) -> Backend:
    """The prover of a chain's federations: on the INSECURE local reference string on a local chain, else on Ignition.

    Raises:
        CeremonyError: that string is not here.
    """
    return Backend(reference(INSECURE_LOCAL if chain_id in LOCAL_CHAINS else IGNITION), scratch)


def make(backend: Backend, name: str, inputs: Inputs, tell: Callable[[str], None] = lambda step: None) -> Proof:
    """Solves a circuit and proves it, in processes of their own; the seconds are those of both.

    Args:
        tell: is called with the name of each step as it begins.

    Raises:
        ProofError: inputs that break a constraint, or a tool is missing.
    """
    began = time.monotonic()
    tell("witness")
    witness = backend.witness(program(name), inputs)
    tell("verification key")
    key = _key(backend, name)
    tell("proof")
    made = backend.prove(program(name), witness, key)
    return replace(made, seconds=time.monotonic() - began)


@cache
def _key(backend: Backend, name: str) -> bytes:
    """As `make circuits` left it; else made anew, which takes as long as half a proof."""
    title = ("Insecure" if backend.string.name == INSECURE_LOCAL else "") + name.title()
    kept = program(name).with_name(f"{title}.vk")
    return kept.read_bytes() if kept.exists() else backend.vk(program(name))


def of_lanes(moves: Sequence[int], weights: Sequence[int]) -> Inputs:
    """What "bounded" proves to lie under the masks."""
    return {"moves": [_element(move) for move in moves], "weights": [_element(weight) for weight in weights]}


def of_rows(slots: Sequence[Row], salt: int, solution: Sequence[int]) -> Inputs:
    """What "trained" proves to have been trained on, and the solution of its equations (`agreed_step.Lanes.moves`)."""
    return {
        "slots": [
            {
                "market": bool(row.market),
                "day": _element(row.day),
                "k": _element(abs(row.k)),
                "left": row.k < 0,
                "vol": _element(row.vol),
                "weight": _element(row.weight),
            }
            for row in slots
        ],
        "salt": _element(salt),
        "solution": [_element(move) for move in solution],
    }


def named(inputs: Sequence[int], secret: int, self_key: int, hidden: Inputs) -> Inputs:
    """As the circuits take them.

    Args:
        inputs: the public ones, in the order of docs/proofs.md.
        secret: of the node's registered key; 1..ORDER - 1 of Grumpkin.
        self_key: of its own mask.
        hidden: `of_lanes` or `of_rows`.
    """
    left = [_element(number) for number in inputs]

    def take(count: int) -> list[str]:
        taken = left[:count]
        del left[:count]
        return taken

    def one() -> str:
        return left.pop(0)

    return hidden | {
        "secret_low": _element(secret & (1 << 128) - 1),
        "secret_high": _element(secret >> 128),
        "self_key": _element(self_key),
        "context": one(),
        "first": one(),
        "place": one(),
        "ring": [{"x": one(), "y": one()} for _ in range(PLACES)],
        "self_hash": one(),
        "pair_hashes": take(PLACES),
        "clamp": one(),
        "cap": one(),
        "unit": one(),
        "norm": one(),
        "vector": take(WORDS),
        **({"training": left} if left else {}),
    }


def _element(number: int) -> str:
    return hex(number % FIELD)
