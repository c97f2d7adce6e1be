"""What the circuit "bounded" lets through: judged by the generated verifier in a real EVM.

A prover need not run the witness generator and its checks: the last tests alter solved witnesses, one value or two at a
time, and have them proven all the same. Each alteration leaves one constraint broken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toolchain.circuits import compile_program

from fedvol.errors import ProofError
from fedvol.proofs.backend import Backend, Proof
from fedvol.proofs.circuits import program
from fedvol.protocol.poseidon2 import FIELD
from tests.proofs.cluster import CAP, CLAMP, PLACE, SHIFT, WHERE, Case, case, wide
from tests.proofs.conftest import Judge
from tests.proofs.forge import forged
from tests.protocol.noir import mutated

LANES = 160
# Where parameters lie in a witness: in the order of `main`.
SECRET, SELF_KEY, MOVES, WEIGHTS = 0, 2, 3, 3 + LANES
PUBLIC = 3 + 2 * LANES
CONTEXT, FIRST_SEAT, OWN_PLACE, RING, SELF_HASH, PAIR_HASHES = (PUBLIC + i for i in (0, 1, 2, 3, 19, 20))
CLAMP_AT, CAP_AT, UNIT_AT, NORM_AT, VECTOR = (PUBLIC + i for i in (28, 29, 30, 31, 32))


@pytest.fixture(scope="module")
def key(backend: Backend) -> bytes:
    return backend.vk(program("bounded"))


@pytest.fixture(scope="module")
def holds(judge_of: Callable[[str], Judge]) -> Judge:
    return judge_of("bounded")


@pytest.fixture(scope="module")
def honest() -> Case:
    return case()


@pytest.fixture(scope="module")
def witness(backend: Backend, honest: Case) -> bytes:
    return backend.witness(program("bounded"), honest.named())


@pytest.fixture(scope="module")
def proof(backend: Backend, witness: bytes, key: bytes) -> Proof:
    return backend.prove(program("bounded"), witness, key)


def test_an_honest_update_is_proven(proof: Proof, honest: Case, holds: Judge) -> None:
    assert proof.inputs == honest.inputs
    assert holds(proof.proof, honest.inputs)


def test_no_public_input_can_be_another(proof: Proof, honest: Case, holds: Judge) -> None:
    for i, value in enumerate(honest.inputs):
        changed = [*honest.inputs[:i], (value + 1) % FIELD, *honest.inputs[i + 1 :]]
        assert not holds(proof.proof, changed), f"public input {i}"


def test_a_proof_holds_for_one_node_and_one_round(proof: Proof, holds: Judge) -> None:
    for other in (case(where=replace(WHERE, round=8)), case(seed=2), case(place=PLACE + 1)):
        assert not holds(proof.proof, other.inputs)


@pytest.mark.parametrize("spoil", [lambda p: p[:-1], lambda p: p[:-32], lambda p: p + bytes(32), lambda p: b""])
def test_a_proof_of_another_length_is_none(
    proof: Proof, honest: Case, holds: Judge, spoil: Callable[[bytes], bytes]
) -> None:
    assert not holds(spoil(proof.proof), honest.inputs)


def test_a_flipped_bit_spoils_a_proof(proof: Proof, honest: Case, holds: Judge) -> None:
    for at in range(31, len(proof.proof), 32 * 9 + 1):
        spoilt = bytearray(proof.proof)
        spoilt[at] ^= 1
        assert not holds(bytes(spoilt), honest.inputs), f"byte {at}"


@pytest.mark.parametrize(
    ("m", "keyless", "place"), [(3, (), 0), (5, (), 4), (8, (0, 5), 2), (4, (0, 1, 3), 2), (8, (2,), 2), (8, (), 7)]
)
def test_clusters_of_every_kind_have_a_witness(backend: Backend, m: int, keyless: tuple[int, ...], place: int) -> None:
    """Smaller ones, and ones in which some, or the node itself, have no key."""
    found = case(m, keyless, place=place, seed=m)
    assert backend.witness(program("bounded"), found.named())


def changed(found: Case, index: int, value: int) -> Case:
    return replace(found, inputs=[*found.inputs[:index], value, *found.inputs[index + 1 :]])


def knowing(found: Case, **changes: Any) -> Case:
    return replace(found, **changes)


def with_lane(lanes: list[int], index: int, value: int) -> list[int]:
    return [*lanes[:index], value, *lanes[index + 1 :]]


WRONG: dict[str, Callable[[Case], Case]] = {
    "the norm is one less than the sum of squares": lambda c: changed(c, 31, c.inputs[31] - 1),
    "a weight above the cap": lambda c: changed(c, 29, CAP - 1),
    "a move one above the clamp": lambda c: changed(c, 28, CLAMP - 1),
    "a move of no weight": lambda c: knowing(c, moves=with_lane(c.moves, 2, 1)),
    "a negative weight": lambda c: knowing(c, weights=with_lane(c.weights, 3, -1)),
    "another move than the vector hides": lambda c: knowing(c, moves=with_lane(c.moves, 0, CLAMP - 1)),
    "another vector": lambda c: changed(c, 50, (c.inputs[50] + 1) % FIELD),
    "a mask of its own that it did not commit to": lambda c: knowing(c, self_key=c.self_key + 1),
    "the secret of another key": lambda c: knowing(c, secret=c.secret + 1),
    "another key of a peer": lambda c: changed(changed(c, 3, c.inputs[5]), 4, c.inputs[6]),
    "a peer's key that is left out": lambda c: changed(changed(c, 3, 0), 4, 0),
    "another round": lambda c: changed(c, 0, c.inputs[0] + 1),
    "another cluster": lambda c: changed(c, 1, c.inputs[1] + 8),
    "another place": lambda c: changed(c, 2, 3),
    "another hash of a pair's key": lambda c: changed(c, 22, c.inputs[21]),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_the_witness_generator_finds_nothing_for(backend: Backend, honest: Case, wrong: Callable[[Case], Case]) -> None:
    found = wrong(honest)
    with pytest.raises(ProofError, match="no witness"):
        backend.witness(program("bounded"), found.named())


def altered(witness: bytes, values: dict[int, int]) -> bytes:
    return forged(witness, {index: value % FIELD for index, value in values.items()})


Alteration = Callable[[Case], dict[int, int]]
BROKEN: dict[str, Alteration] = {
    "Σ p² <= norm": lambda c: {NORM_AT: c.inputs[31] - 1},
    "h <= H": lambda c: {CAP_AT: CAP - 1},
    "|p| · 2^s <= h · B, by the clamp": lambda c: {CLAMP_AT: CLAMP - 1},
    "|p| · 2^s <= h · B, by the unit": lambda c: {UNIT_AT: (1 << SHIFT) + 1},
    "h < 2^23: a lane that its neighbour lends a unit": lambda c: {
        WEIGHTS + 9: c.weights[9] + (1 << 31),
        WEIGHTS + 8: c.weights[8] - 1,
    },
    "0 <= h: a lane that lends its neighbour": lambda c: {
        WEIGHTS + 9: c.weights[9] - (1 << 31),
        WEIGHTS + 8: c.weights[8] + 1,
    },
    "y = words + masks": lambda c: {VECTOR + 7: c.inputs[39] + 1},
    "the last word of y": lambda c: {VECTOR + 39: c.inputs[71] + 1},
    "the hash of the self key": lambda c: {SELF_HASH: c.inputs[19] + 1},
    "the self key": lambda c: {SELF_KEY: c.self_key + 1},
    "the hash of the first pair's key": lambda c: {PAIR_HASHES: c.inputs[20] + 1},
    "the hash of the last pair's key": lambda c: {PAIR_HASHES + 7: c.inputs[27] + 1},
    "no hash at the own place": lambda c: {PAIR_HASHES + PLACE: 1},
    "secret · G = the registered key": lambda c: {SECRET: (c.secret & (1 << 128) - 1) ^ 1},
    "the registered key": lambda c: {RING + 2 * PLACE: c.inputs[3], RING + 2 * PLACE + 1: c.inputs[4]},
    "a peer's key": lambda c: {RING: c.inputs[5], RING + 1: c.inputs[6]},
    "the context": lambda c: {CONTEXT: c.inputs[0] + 1},
    "the seats": lambda c: {FIRST_SEAT: c.inputs[1] + 1},
    "the place": lambda c: {OWN_PLACE: PLACE + 1},
}


@pytest.mark.parametrize("break_", BROKEN.values(), ids=BROKEN.keys())
def test_no_verifier_takes_a_witness_that_breaks(
    backend: Backend,
    honest: Case,
    witness: bytes,
    key: bytes,
    holds: Judge,
    break_: Alteration,
) -> None:
    try:
        made = backend.prove(program("bounded"), altered(witness, break_(honest)), key)
    except ProofError:
        return  # bb itself noticed
    assert not holds(made.proof, made.inputs)


def test_an_unaltered_witness_passes_the_same_way(
    backend: Backend, honest: Case, witness: bytes, key: bytes, holds: Judge
) -> None:
    made = backend.prove(program("bounded"), altered(witness, {SELF_KEY: honest.self_key}), key)
    assert holds(made.proof, honest.inputs)


def loosened(folder: Path) -> Path:
    """The circuit with wider lanes: nothing else differs, not even where values lie in a witness."""
    looser_hint = ("x.lt(0x800000)", "x.lt(0x10000000000)")
    looser = ("size.assert_max_bit_size::<23>()", "size.assert_max_bit_size::<40>()")
    circuits = mutated("bounded", folder, "bounds.nr", looser, looser_hint).parent
    compile_program(circuits, "bounded", folder / "loosened.json")
    return folder / "loosened.json"


def test_a_lane_is_no_wider_than_it_is(backend: Backend, key: bytes, holds: Judge, tmp_path: Path) -> None:
    """One lane takes a whole unit of its neighbour's, so that the word stays. Solved by a circuit with wider lanes, it
    breaks nothing but the width; an honest witness that is solved there is proven."""
    solver, honest = loosened(tmp_path), wide()
    lent = [*honest.moves[:8], honest.moves[8] - 1, honest.moves[9] + (1 << 31), *honest.moves[10:]]
    for found, accepted in ((honest, True), (replace(honest, moves=lent), False)):
        made = backend.prove(program("bounded"), backend.witness(solver, found.named()), key)
        assert made.inputs == honest.inputs
        assert holds(made.proof, made.inputs) == accepted


def test_the_secret_is_that_of_the_registered_key(backend: Backend) -> None:
    """In a cluster of which nobody else has a key, nothing else hangs on it."""
    alone = case(m=4, keyless=(0, 1, 3))
    with pytest.raises(ProofError, match="not the secret of the registered key"):
        backend.witness(program("bounded"), replace(alone, secret=alone.secret ^ 1).named())
