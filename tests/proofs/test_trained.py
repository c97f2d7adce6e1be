"""What the circuit "trained" lets through, judged by the generated verifier in a real EVM. The training alone, row by
row and equation by equation: tests/protocol/test_agreed_training.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fedvol.errors import ProofError
from fedvol.proofs.backend import Backend, Proof
from fedvol.proofs.circuits import named, of_rows, program
from fedvol.protocol.agreed import Limits, Row, fill, root
from fedvol.protocol.agreed_step import Lanes, step
from fedvol.protocol.mask import mask
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.statement import BOUNDED_INPUTS, DIMENSION, Bounds, trained_inputs
from fedvol.protocol.vector import pack_weighted
from tests.proofs.cluster import CAP, CLAMP, PLACE, SHIFT, member
from tests.proofs.conftest import Judge
from tests.proofs.test_bounded import altered
from tests.protocol.agreed_cases import opening, ordinary_row, ordinary_weights

NORM = DIMENSION * (CAP * CLAMP >> SHIFT) ** 2
SALT = 12345
# Where parameters lie in a witness: in the order of `main`, a row's six one after the other.
SLOTS, SOLUTION = 3, 3 + 64 * 6 + 1
SALT_AT, PUBLIC = SOLUTION - 1, SOLUTION + 156
LAST_VOL = SLOTS + 63 * 6 + 4
TRAINING = PUBLIC + BOUNDED_INPUTS


@dataclass(frozen=True)
class Case:
    slots: list[Row]
    made: Lanes
    inputs: list[int]
    secret: int
    self_key: int

    def named(self, **changes: Any) -> dict[str, Any]:
        hidden = {"slots": self.slots, "salt": SALT, "solution": self.made.moves} | changes
        return named(self.inputs, self.secret, self.self_key, of_rows(**hidden))


@pytest.fixture(scope="module")
def honest() -> Case:
    chance, who = random.Random(5), member()
    at = opening(chance, ordinary_weights(chance))
    slots = fill([ordinary_row(chance, at) for _ in range(64)], Limits())
    made = step(slots, at, Limits(), CLAMP, CAP, SHIFT)
    data = mask(pack_weighted(made.p, made.h), who.self_key, who.keys, PLACE)
    committed = root(slots, SALT).to_bytes(32, "big")
    inputs = trained_inputs(who.subject, Bounds(CLAMP, CAP, 1 << SHIFT, NORM), data, committed, at, Limits())
    return Case(slots, made, inputs, who.secret, who.self_key)


@pytest.fixture(scope="module")
def witness(backend: Backend, honest: Case) -> bytes:
    return backend.witness(program("trained"), honest.named())


@pytest.fixture(scope="module")
def key(backend: Backend) -> bytes:
    return program("trained").with_name("InsecureTrained.vk").read_bytes()


@pytest.fixture(scope="module")
def proof(backend: Backend, witness: bytes, key: bytes) -> Proof:
    return backend.prove(program("trained"), witness, key)


@pytest.fixture(scope="module")
def holds(judge_of: Callable[[str], Judge]) -> Judge:
    return judge_of("trained")


def test_an_honest_update_is_proven(proof: Proof, honest: Case, holds: Judge) -> None:
    assert any(honest.made.p)
    assert proof.inputs == honest.inputs
    assert holds(proof.proof, honest.inputs)


def test_no_public_input_can_be_another(proof: Proof, honest: Case, holds: Judge) -> None:
    for i, value in enumerate(honest.inputs):
        assert not holds(proof.proof, [*honest.inputs[:i], (value + 1) % FIELD, *honest.inputs[i + 1 :]]), f"input {i}"


WRONG: dict[str, Callable[[Case], dict[str, Any]]] = {
    "rows in another order": lambda c: {"slots": [*c.slots[1:], c.slots[0]]},
    "a row that was not committed": lambda c: {"slots": [*c.slots[:-1], c.slots[-1]._replace(vol=c.slots[-1].vol + 1)]},
    "another salt": lambda c: {"salt": SALT + 1},
    "another solution": lambda c: {"solution": [c.made.moves[0] + (1 << 50), *c.made.moves[1:]]},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_the_witness_generator_finds_nothing_for(
    backend: Backend, honest: Case, wrong: Callable[[Case], dict[str, Any]]
) -> None:
    with pytest.raises(ProofError, match="no witness"):
        backend.witness(program("trained"), honest.named(**wrong(honest)))


BROKEN: dict[str, Callable[[Case], dict[int, int]]] = {
    "the root is that of the rows": lambda c: {TRAINING: c.inputs[BOUNDED_INPUTS] + 1},
    "the salt": lambda c: {SALT_AT: SALT + 1},
    "a committed row": lambda c: {LAST_VOL: c.slots[-1].vol + 1},
    "the time of the opening": lambda c: {TRAINING + 1: c.inputs[BOUNDED_INPUTS + 1] + 1},
    "the limits of rows": lambda c: {TRAINING + 3: c.inputs[BOUNDED_INPUTS + 3] + (1 << 72)},
    "the round's model": lambda c: {TRAINING + 4: c.inputs[BOUNDED_INPUTS + 4] + 1},
    "the equations": lambda c: {SOLUTION: c.made.moves[0] + (1 << 50)},
    "the vector is what was trained": lambda c: {PUBLIC + 32: c.inputs[32] + 1},
}


@pytest.mark.parametrize("break_", BROKEN.values(), ids=BROKEN.keys())
def test_no_verifier_takes_a_witness_that_breaks(
    backend: Backend, honest: Case, witness: bytes, key: bytes, holds: Judge, break_: Callable[[Case], dict[int, int]]
) -> None:
    try:
        made = backend.prove(program("trained"), altered(witness, break_(honest)), key)
    except ProofError:
        return  # bb itself noticed
    assert not holds(made.proof, made.inputs)
