"""A masked federation whose updates carry proofs: eight desks, and a verifier that takes what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ape.exceptions import ContractLogicError, CustomError
from eth_abi import encode
from eth_utils import keccak
from tests.contracts.masked import MASKED, MaskedArena, key_from

from fedvol.protocol.agreed import PILLARS, PLACES, Limits, Round
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.evidence import NO_PLEDGE, Evidence, Pledge
from fedvol.protocol.grumpkin import Point, public_key
from fedvol.protocol.listing import DAY, expiries
from fedvol.protocol.mask import key_hash
from fedvol.protocol.statement import DIMENSION, Bounds, Subject, bounded_inputs, trained_inputs
from fedvol.protocol.vector import unpack_model

BOUNDED, TRAINED = 1, 2
NORM = 1 << 50
LIMITS = Limits()
VERIFY_GAS = 1_200_000
PROVEN = MASKED | {"dimension": DIMENSION, "weighted": True}
SURFACE = {"pillars": PILLARS, "fractionBits": PLACES}


def terms(verifier: Any, kind: int, **changes: int) -> tuple[Any, int, int, int]:
    """`IProofs.Terms`."""
    values = {"norm": NORM, "limits": LIMITS.packed if kind == TRAINED else 0} | changes
    return verifier.address, kind, values["norm"], values["limits"]


@contextmanager
def refused(error: type[CustomError], **inputs: Any) -> Iterator[None]:
    """This error and no other; `ape.reverts` passes any that ape cannot decode, as those of inner calls."""
    with pytest.raises(ContractLogicError) as caught:
        yield
    found = caught.value
    if isinstance(found, CustomError):
        assert type(found).__name__ == error.__name__
        assert {name: found.inputs[name] for name in inputs} == inputs
        return
    # The selector, and the rest in hex or, where it happens to be UTF-8, as text.
    assert keccak(text=error.abi.selector)[:4].hex() in str(found)
    if inputs:
        shown = encode([field.type for field in error.abi.inputs], [inputs[field.name] for field in error.abi.inputs])
        assert shown.hex() in str(found) or shown.decode(errors="replace") in str(found)


class ProvenArena(MaskedArena):
    """Desks pledge rows out of a hat; their proofs are bytes that the verifier is told to take."""

    verifier: Any = None

    @property
    def kind(self) -> int:
        return int(self.proofs.terms().kind)

    def root(self, node: Any, number: int) -> bytes:
        """Of the rows from which the node's update in round `number` comes."""
        return key_from("rows", number, node.address).to_bytes(32, "big")

    def pledge_for(self, node: Any, number: int) -> Pledge:
        return Pledge(key_from("proof", number - 1, node.address).to_bytes(32, "big"), self.root(node, number))

    def pledged(self, node: Any) -> bytes:
        if self.kind == BOUNDED:
            return NO_PLEDGE
        return self.pledge_for(node, int(self.federation.clock().number) + 1).digest

    def pledge(self, *nodes: Any) -> list[Any]:
        """Aside from a reveal, for the next round."""
        return [self.federation.pledge(self.pledged(n), sender=n) for n in nodes]

    # ------------------------------------------------------------------ what is proven

    def ring(self, node: Any, nodes: list[Any]) -> tuple[str, ...]:
        first = self.seat(node) - self.seat(node) % self.m
        seats = {self.seat(n): n.address for n in nodes}
        return tuple(seats[s] for s in range(first, first + self.m))

    def shown(self, node: Any, nodes: list[Any]) -> Evidence:
        self_key, pairs, place = self.keys(node)
        hashes = tuple(bytes(32) if j == place else key_hash(k) for j, k in enumerate(pairs))
        number = int(self.federation.clock().number)
        before = self.pledge_for(node, number) if self.kind == TRAINED else Pledge()
        return Evidence(
            b"proof of " + node.address.encode(), key_hash(self_key), hashes, self.ring(node, nodes), before
        )

    def point(self, address: str) -> Point:
        return public_key(key_from("secret", address))

    def statement(self, node: Any, nodes: list[Any]) -> list[int]:
        """By the twin."""
        clock, params, shown = self.federation.clock(), self.federation.params(), self.shown(node, nodes)
        where = RoundId(self.chain.chain_id, self.federation.address, int(clock.number), int(clock.seed))
        place, keys = self.seat(node) % self.m, [self.point(address) for address in shown.ring]
        subject = Subject(where, self.seat(node) - place, place, keys, shown.self_hash, shown.pair_hashes)
        bounds = Bounds(int(params.clamp), int(params.weightCap), 1 << int(params.weightShift), NORM)
        if self.kind == BOUNDED:
            return bounded_inputs(subject, bounds, self.vector(node))
        return trained_inputs(subject, bounds, self.vector(node), shown.before.data_root, self.opened(), LIMITS)

    def opened(self) -> Round:
        """What the round's training starts from."""
        as_of = int(self.federation.proposal().openedAt)
        weights = unpack_model(bytes(self.registry.carried(as_of)), self.weights).tolist()
        return Round(as_of, [expiry // DAY for expiry in expiries(as_of, PILLARS)], weights)

    def expect(self, node: Any, nodes: list[Any]) -> None:
        """The verifier takes this node's proof, of what it should say, and no other."""
        words = [value.to_bytes(32, "big") for value in self.statement(node, nodes)]
        self.verifier.expect(self.shown(node, nodes).proof, words, sender=self.founder)

    def answer_with(self, node: Any, evidence: bytes, *, by: Any) -> Any:
        shown = self.annex(node), self.salt(node), self.vector(node), evidence
        return self.duties.answer(node, *shown, sender=by)


@pytest.fixture(scope="session")
def make_proven(project: Any, make_arena: Callable[..., Any], eight: list[Any]) -> Callable[..., ProvenArena]:
    """Deploys a federation with proofs that eight desks have joined, with pledges for its first round."""

    def make(kind: int = TRAINED, **changes: Any) -> ProvenArena:
        verifier = eight[0].deploy(project.StubVerifier, VERIFY_GAS)
        surface = SURFACE if kind == TRAINED else {}
        arena = ProvenArena(**vars(make_arena(**PROVEN | surface | {"proofs": terms(verifier, kind)} | changes)))
        arena.m = int(arena.federation.params().clusterSize)
        arena.verifier = verifier
        arena.join(*eight)
        if kind == TRAINED:
            arena.pledge(*eight)
        return arena

    return make


@pytest.fixture(scope="module", params=[BOUNDED, TRAINED], ids=["bounded", "trained"])
def proven(request: pytest.FixtureRequest, make_proven: Callable[..., ProvenArena], eight: list[Any]) -> ProvenArena:
    """All have revealed in the first round; bytes can be demanded."""
    arena = make_proven(request.param)
    arena.reveal_all(eight)
    return arena


@pytest.fixture(scope="module")
def trained(make_proven: Callable[..., ProvenArena], eight: list[Any]) -> ProvenArena:
    """Likewise, of kind Trained."""
    arena = make_proven()
    arena.reveal_all(eight)
    return arena
