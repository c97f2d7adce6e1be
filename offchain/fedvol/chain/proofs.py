"""What a proof-carrying federation asks of a proof, and what it says of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from web3.exceptions import ContractLogicError

from fedvol.chain.client import readable
from fedvol.chain.federation import FederationClient, Reveal
from fedvol.chain.outbox import call_rpc, explain_revert
from fedvol.protocol.agreed import Limits
from fedvol.protocol.evidence import Evidence


class Kind(IntEnum):
    """As `IProofs.Kind`."""

    BOUNDED = 1
    TRAINED = 2


@dataclass(frozen=True)
class Claim:
    """A vector that is claimed to be well made, and what it was committed to with."""

    node: str
    annex: bytes
    data: bytes
    evidence: Evidence

    @classmethod
    def of(cls, reveal: Reveal, data: bytes, evidence: Evidence) -> Claim:
        return cls(reveal.node, reveal.annex, data, evidence)


@dataclass(frozen=True)
class Terms:
    """As `IProofs.Terms`.

    Attributes:
        verifier: contract that `bb` generated for the circuit.
        norm: bound on the sum of the squared lanes of moves.
        limits: what rows may say; of kind TRAINED.
    """

    verifier: str
    kind: Kind
    norm: int
    limits: Limits


def terms_of(client: FederationClient) -> Terms | None:
    """What the federation asks to be proven; None where it asks for nothing."""
    if client.proofs is None:
        return None
    with readable("what must be proven"):
        verifier, kind, norm, limits = client.proofs.functions.terms().call()
    return Terms(verifier, Kind(kind), norm, Limits.unpack(limits))


def public_inputs(client: FederationClient, claim: Claim, block: int) -> list[int]:
    """The statement, as the chain would have it judged. The evidence needs no proof yet."""
    with readable("what is to be proven"):
        found = client.proofs.functions.inputs(claim.node, claim.annex, claim.data, claim.evidence.tuple).call(
            block_identifier=block
        )
    return [int.from_bytes(word, "big") for word in found]


def refusal(client: FederationClient, claim: Claim, block: int) -> str | None:
    """Why the chain would refuse the proof; None where it holds. The judge is the chain's own verifier, in a call that
    costs nothing: whatever it finds, a demand would."""
    check = client.proofs.functions.check(claim.node, claim.annex, claim.data, claim.evidence.encoded())
    try:
        call_rpc(lambda: check.call({"gas": VERIFY_GAS}, block_identifier=block))
    except ContractLogicError as error:
        return explain_revert(error)[1]
    return None


VERIFY_GAS = 10_000_000
"""Ample: a refusal must not be for want of gas."""
