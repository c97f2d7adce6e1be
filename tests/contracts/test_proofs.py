"""Proofs: the statement is the chain's own, and nothing passes for evidence but what shows it."""

from __future__ import annotations

import random
from dataclasses import replace

import ape
import numpy as np
import pytest
from eth_utils import keccak
from tests.contracts.arena import PARAMS, config_of
from tests.contracts.proven import LIMITS, NORM, PROVEN, SURFACE, TRAINED, refused, terms

from fedvol.errors import WireError
from fedvol.protocol import mask
from fedvol.protocol.agreed import PILLARS, PLACES, Limits, Round, training_inputs
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.evidence import NO_PLEDGE, Evidence, Pledge
from fedvol.protocol.grumpkin import public_key
from fedvol.protocol.listing import DAY, expiries
from fedvol.protocol.mask import annex_of_hashes
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.statement import (
    BOUNDED_INPUTS,
    DIMENSION,
    TRAINED_INPUTS,
    WORDS,
    Bounds,
    Subject,
    bounded_inputs,
)
from fedvol.protocol.vector import content_id, pack_model, unpack_model

ZERO = "0x" + "00" * 20
REFUSED = keccak(text="SumcheckFailed()")[:4]


@pytest.fixture(scope="module")
def statements(project, accounts):
    return accounts[0].deploy(project.StatementHarness)


def inputs(arena, node, shown, annex=None, data=None):
    found = arena.proofs.inputs(node, annex or arena.annex(node), data or arena.vector(node), shown.tuple)
    return [int.from_bytes(word, "big") for word in found]


def check(arena, node, shown):
    return arena.proofs.check(node, arena.annex(node), arena.vector(node), shown.encoded())


# ---------------------------------------------------------------------- the twins


@pytest.mark.parametrize("seed", range(6))
def test_proofs_statement_twin_succeeds(statements, seed):
    rng = random.Random(seed)
    m = rng.randrange(3, 9)
    keys = [rng.choice([(0, 0), public_key(rng.randrange(1, FIELD))]) for _ in range(m)]
    hashes = [rng.randbytes(32) for _ in range(m)]
    place = rng.randrange(m)
    where = RoundId(31337, "0x" + rng.randbytes(20).hex(), rng.randrange(2**24), rng.randrange(2**64))
    subject = Subject(where, m * rng.randrange(12), place, keys, rng.randbytes(32), hashes)
    bounds = Bounds(rng.randrange(2**23), rng.randrange(2**23), 1 << rng.randrange(24), rng.randrange(2**64))
    data = b"".join(rng.randrange(FIELD).to_bytes(32, "big") for _ in range(WORDS))
    named = (mask.context(where), subject.first, place, [(x, y, 1) for x, y in keys], subject.self_hash, hashes)
    limits = (bounds.clamp, bounds.weight_cap, bounds.unit, bounds.norm)
    one = [int.from_bytes(word, "big") for word in statements.bounded(named, limits, data)]
    assert one == bounded_inputs(subject, bounds, data)
    assert len(one) == BOUNDED_INPUTS == 72
    assert all(value < FIELD for value in one)


@pytest.mark.parametrize("seed", range(6))
def test_proofs_training_twin_succeeds(statements, seed):
    """Weights of any size."""
    rng = random.Random(seed)
    as_of = rng.randrange(1_600_000_000, 2_200_000_000)
    scale = rng.choice([2**18, 2**22, 2**31])
    weights = [rng.randrange(-scale, scale) for _ in range(DIMENSION)]
    at = Round(as_of, [expiry // DAY for expiry in expiries(as_of, PILLARS)], weights)
    limits = Limits.unpack(rng.randrange(2**120))
    root = rng.randrange(FIELD)
    model = pack_model(np.array(weights))
    added = statements.training(root.to_bytes(32, "big"), as_of, limits.packed, model)
    assert [int.from_bytes(word, "big") for word in added] == training_inputs(root, at, limits)
    assert len(added) == TRAINED_INPUTS - BOUNDED_INPUTS
    assert all(int.from_bytes(word, "big") < FIELD for word in added)


def test_proofs_context_twin_succeeds(statements, chain):
    where = RoundId(chain.chain_id, "0x5FbDB2315678afecb367f032d93F642f64180aa3", 7, 2**64 - 1)
    assert int(statements.context(where.federation, where.round, where.seed)) == mask.context(where)


@pytest.mark.parametrize("missing", [0, 0b1, 0b1010])
def test_proofs_annex_twin_succeeds(statements, missing):
    self_key, pairs, place = 5, [11, 12, 0, 14], 2
    hashes = [bytes(32) if j == place else mask.key_hash(k) for j, k in enumerate(pairs)]
    made = mask.annex(self_key, pairs, place)
    assert bytes(statements.annexOf(mask.key_hash(self_key), hashes)) == made
    assert annex_of_hashes(mask.key_hash(self_key), hashes) == made
    opened = mask.opening(self_key, pairs, place, missing)
    assert bytes(statements.annex(opened, missing, 4)) == made == mask.annex_of(opened, missing, 4)


def test_proofs_twin_refuses_what_the_contract_refuses(proven, eight):
    node = eight[0]
    subject = Subject(RoundId(1, ZERO, 1, 1), 0, 0, [], bytes(32), [])
    for data in (bytes(32), FIELD.to_bytes(32, "big") * WORDS):
        with pytest.raises(WireError):
            bounded_inputs(subject, Bounds(1, 1, 1, 1), data)
    shown = proven.shown(node, eight)
    with refused(proven.proofs.WrongWordCount, given=WORDS - 1, expected=WORDS):
        inputs(proven, node, shown, data=proven.vector(node)[32:])
    with refused(proven.proofs.NotInField, value=FIELD):
        inputs(proven, node, shown, data=proven.vector(node)[32:] + FIELD.to_bytes(32, "big"))


# ---------------------------------------------------------------------- what is shown


def test_proofs_inputs_are_the_twins_for_every_node_succeeds(proven, eight):
    for node in eight:
        assert inputs(proven, node, proven.shown(node, eight)) == proven.statement(node, eight)


def test_proofs_check_hands_the_verifier_the_statement_succeeds(proven, eight):
    proven.expect(eight[3], eight)
    check(proven, eight[3], proven.shown(eight[3], eight))


def test_proofs_evidence_survives_its_encoding_succeeds(proven, eight):
    shown = proven.shown(eight[0], eight)
    assert Evidence.read(shown.encoded()) == shown


def test_proofs_another_nodes_proof_reverts(proven, eight):
    proven.expect(eight[0], eight)
    other = replace(proven.shown(eight[1], eight), proof=proven.shown(eight[0], eight).proof)
    with refused(proven.proofs.ProofRefused, reason=REFUSED):
        check(proven, eight[1], other)


def test_proofs_a_verifier_that_says_no_reverts(proven, eight):
    proven.verifier.silence(sender=eight[0])
    with refused(proven.proofs.ProofRefused, reason=b""):
        check(proven, eight[0], proven.shown(eight[0], eight))


def test_proofs_evidence_that_is_missing_or_padded_reverts(proven, eight):
    """What is appended would be refunded at more than it costs."""
    node, shown = eight[0], proven.shown(eight[0], eight)
    proven.expect(node, eight)
    call = node, proven.annex(node), proven.vector(node)
    with refused(proven.proofs.NoEvidence):
        proven.proofs.check(*call, b"")
    with refused(proven.proofs.EvidenceNotCanonical):
        proven.proofs.check(*call, shown.encoded() + bytes(32))
    with ape.reverts():
        proven.proofs.check(*call, shown.encoded()[:64])


# ---------------------------------------------------------------------- the ring


@pytest.mark.parametrize("case", ["stranger", "order", "repeated", "another cluster", "short", "long"])
def test_proofs_a_wrong_ring_reverts(proven, eight, stranger, case):
    shown = proven.shown(eight[0], eight)
    ring, other = list(shown.ring), next(n.address for n in eight if n.address not in shown.ring)
    wrong, place = {
        "stranger": ([*ring[:2], stranger.address, ring[3]], 2),
        "order": ([ring[1], ring[0], *ring[2:]], 0),
        "repeated": ([*ring[:3], ring[0]], 3),
        "another cluster": ([ring[0], other, *ring[2:]], 1),
        "short": (ring[:3], 4),
        "long": ([*ring, other], 4),
    }[case]
    with refused(proven.proofs.WrongRing, place=place):
        inputs(proven, eight[0], replace(shown, ring=tuple(wrong)))


def test_proofs_a_ring_with_one_that_never_committed_succeeds(make_proven, eight):
    """Its seat is drawn, not read off a ballot; its key is part of the statement all the same."""
    arena = make_proven()
    arena.open()
    arena.commit(*eight[1:])
    arena.pass_to("Reveal")
    arena.reveal(*eight[1:])
    node = next(n for n in eight[1:] if eight[0].address in arena.ring(n, eight))
    assert inputs(arena, node, arena.shown(node, eight)) == arena.statement(node, eight)
    with refused(arena.proofs.NothingToProve, node=eight[0].address):
        inputs(arena, eight[0], arena.shown(eight[0], eight))


# ---------------------------------------------------------------------- the keys


def test_proofs_hashes_that_the_annex_does_not_commit_to_reverts(proven, eight):
    node, shown = eight[0], proven.shown(eight[0], eight)
    place = proven.seat(node) % proven.m
    pairs = list(shown.pair_hashes)
    other = (place + 1) % proven.m
    wrong = [
        replace(shown, self_hash=pairs[other]),
        replace(shown, pair_hashes=tuple(h if j != other else shown.self_hash for j, h in enumerate(pairs))),
        replace(shown, pair_hashes=tuple(reversed(pairs))),
    ]
    for evidence in wrong:
        with refused(proven.proofs.WrongKeys, annex=proven.annex(node)):
            inputs(proven, node, evidence)


def test_proofs_a_hash_at_the_own_place_reverts(proven, eight):
    """Though the annex commits to it: the circuit knows no pair of a node with itself."""
    node, shown = eight[0], proven.shown(eight[0], eight)
    place = proven.seat(node) % proven.m
    pairs = tuple(shown.self_hash if j == place else h for j, h in enumerate(shown.pair_hashes))
    annex = annex_of_hashes(shown.self_hash, pairs)
    with refused(proven.proofs.WrongKeys, annex=annex):
        inputs(proven, node, replace(shown, pair_hashes=pairs), annex=annex)


def test_proofs_too_few_hashes_reverts(proven, eight):
    shown = proven.shown(eight[0], eight)
    with refused(proven.proofs.WrongRing, place=proven.m):
        inputs(proven, eight[0], replace(shown, pair_hashes=shown.pair_hashes[:3]))


def test_proofs_keys_are_those_of_the_epoch_succeeds(proven, eight):
    """A key that is rotated meanwhile holds from the next epoch on."""
    before = proven.statement(eight[0], eight)
    for node in eight:
        proven.keyring.register(*public_key(77), sender=node)
    assert inputs(proven, eight[0], proven.shown(eight[0], eight)) == before


# ---------------------------------------------------------------------- the pledge


def test_proofs_rows_that_were_not_pledged_reverts(trained, eight):
    node, shown = eight[0], trained.shown(eight[0], eight)
    pledge = bytes(trained.federation.pledgeBefore(node, 1))
    assert pledge == shown.before.digest
    for wrong in (
        Pledge(shown.before.proof_id, trained.root(node, 2)),
        Pledge(shown.before.data_root, shown.before.proof_id),
        trained.pledge_for(eight[1], 1),
        Pledge(),
    ):
        with refused(trained.proofs.NotPledged, pledge=pledge):
            inputs(trained, node, replace(shown, before=wrong))


def test_proofs_rows_pledged_in_this_round_reverts(trained, eight):
    """They bind in the next."""
    node, shown = eight[0], trained.shown(eight[0], eight)
    assert bytes(trained.federation.pledgeBefore(node, 2)) == trained.pledge_for(node, 2).digest
    with refused(trained.proofs.NotPledged):
        inputs(trained, node, replace(shown, before=trained.pledge_for(node, 2)))
    trained.pass_to("Void")
    trained.reveal_all(eight)
    shown = trained.shown(node, eight)
    assert inputs(trained, node, shown)[BOUNDED_INPUTS] == int.from_bytes(trained.root(node, 2), "big")
    assert inputs(trained, node, shown) == trained.statement(node, eight)
    with refused(trained.proofs.NotPledged):
        inputs(trained, node, replace(trained.shown(node, eight), before=trained.pledge_for(node, 1)))


@pytest.mark.parametrize("when", ["before", "after"])
def test_proofs_a_newcomers_pledge_counts_only_before_the_opening(make_proven, eight, stranger, when):
    """It takes the seat of one that leaves, at the first round of an epoch."""
    arena = make_proven(epochRounds=1)
    arena.reveal_all(eight)
    arena.join(stranger)
    arena.federation.exit(sender=eight[0])
    arena.pass_to("Void")
    if when == "before":
        arena.pledge(stranger)
    arena.pass_to_opening()
    arena.federation.open(sender=arena.founder)
    if when == "after":
        late = arena.pledge_for(stranger, 2).digest
        arena.federation.pledge(late, sender=stranger)
    arena.pass_blocks(2)
    arena.federation.draw(sender=arena.founder)
    arena.pass_settling()
    now = [*eight[1:], stranger]
    arena.commit(*now)
    arena.reveal(*now)
    shown = arena.shown(stranger, now)
    if when == "before":
        assert inputs(arena, stranger, shown) == arena.statement(stranger, now)
    else:
        with refused(arena.proofs.NotPledged, pledge=NO_PLEDGE):
            inputs(arena, stranger, shown)


def test_proofs_a_root_beyond_the_field_reverts(make_proven, eight):
    arena = make_proven()
    before = Pledge(bytes(32), FIELD.to_bytes(32, "big"))
    arena.federation.pledge(before.digest, sender=eight[0])
    arena.reveal_all(eight)
    with refused(arena.proofs.NotInField, value=FIELD):
        inputs(arena, eight[0], replace(arena.shown(eight[0], eight), before=before))


# ---------------------------------------------------------------------- demanded, and shown or not


@pytest.fixture
def asked(proven, eight, stranger):
    """A proof of the first is demanded, and the verifier would take it."""
    proven.demand(eight[0], by=stranger)
    proven.expect(eight[0], eight)
    return proven


def test_proofs_answer_with_the_proof_counts_again_succeeds(asked, eight):
    asked.answer_with(eight[0], asked.shown(eight[0], eight).encoded(), by=eight[4])
    assert asked.ballot_state(eight[0]) == 5
    asked.pass_to("Unmask")
    asked.unmask(*eight)
    assert asked.phase in ("Settle", "Propose")


@pytest.mark.parametrize("case", ["nothing", "another proof", "another ring"])
def test_proofs_answer_without_the_proof_reverts(asked, eight, case):
    """The bytes alone no longer do; and the demand stands."""
    shown = asked.shown(eight[0], eight)
    errors = asked.proofs
    evidence, error = {
        "nothing": (b"", errors.NoEvidence),
        "another proof": (replace(shown, proof=b"another").encoded(), errors.ProofRefused),
        "another ring": (replace(shown, ring=shown.ring[::-1]).encoded(), errors.WrongRing),
    }[case]
    with refused(error):
        asked.answer_with(eight[0], evidence, by=eight[0])
    assert asked.ballot_state(eight[0]) == 4


def test_proofs_answer_is_refunded_in_full_succeeds(asked, eight, stranger):
    receipt = asked.answer_with(eight[0], asked.shown(eight[0], eight).encoded(), by=eight[4])
    refund, cost = asked.duties.claimable(eight[4]), receipt.gas_used * receipt.gas_price
    assert receipt.gas_used > 1_200_000
    assert cost <= refund < 1.1 * cost
    assert refund + asked.duties.claimable(stranger) == int(asked.federation.params().demandBond)


def test_proofs_answer_short_of_gas_changes_nothing_reverts(asked, eight):
    """The verifier fails for want of gas, and so does the answer: the node may still give it."""
    evidence = asked.shown(eight[0], eight).encoded()
    shown = asked.annex(eight[0]), asked.salt(eight[0]), asked.vector(eight[0]), evidence
    with ape.reverts():
        asked.duties.answer(eight[0], *shown, sender=eight[0], gas=1_000_000)
    assert asked.ballot_state(eight[0]) == 4
    asked.answer_with(eight[0], evidence, by=eight[0])
    assert asked.ballot_state(eight[0]) == 5


def test_proofs_demanded_in_vain_drops_the_node_before_anybody_unmasks(asked, eight, stranger):
    """A garbage vector no longer voids its cluster: the other three go on without it, and it pays."""
    liar, others = eight[0], eight[1:]
    asked.pass_to("Unmask")
    assert asked.roll.is_missing(asked.seat(liar))
    opened = asked.roll.missing, content_id(asked.vector(liar)), asked.salt(liar), [bytes(32)] * 2
    with refused(asked.federation.NothingToUnmask):
        asked.federation.unmask(*opened, sender=liar)
    asked.unmask(*others)
    asked.pass_to("Propose")
    assert asked.roll.is_open(asked.seat(liar) // asked.m)
    assert asked.sums(others)[asked.seat(liar) // asked.m].void_word is None
    before = asked.bond(liar)
    asked.duties.reportUnanswered(liar, sender=stranger)
    assert before - asked.bond(liar) == 2 * int(asked.federation.params().silencePenalty)


# ---------------------------------------------------------------------- terms and parameters


def test_proofs_terms_succeeds(proven):
    assert tuple(proven.proofs.terms()) == terms(proven.verifier, proven.kind)
    assert (proven.proofs.federation(), proven.federation.modules().proofs) == (
        proven.federation.address,
        proven.proofs.address,
    )


def test_proofs_clone_and_code_cannot_be_set_up_reverts(proven, stranger):
    code = type(proven.proofs)(proven.factory.proofsCode(), proven.proofs.contract_type)
    for contract in (proven.proofs, code):
        with refused(contract.InvalidInitialization):
            contract.initialize(stranger, stranger, 20, (stranger, 1, 1, 0), sender=stranger)


@pytest.mark.parametrize(
    ("change", "error", "values"),
    [
        ({"clusterSize": 1, "minMembers": 1}, "ClusterNotProvable", {"clusterSize": 1}),
        ({"seats": 9, "clusterSize": 9, "minMembers": 9, "clamp": 1 << 17}, "ClusterNotProvable", {"clusterSize": 9}),
        ({"weighted": False}, "UnweightedNotProvable", {}),
    ],
)
def test_proofs_parameters_without_which_nothing_can_be_proven_reverts(proven, eight, change, error, values):
    """Not even by the governor: a demand would then ask an honest node for what nobody can give."""
    params = dict(zip(PARAMS, proven.federation.params(), strict=True)) | change
    with refused(getattr(proven.proofs, error), **values):
        proven.federation.scheduleParams(params, sender=proven.founder)
    with refused(getattr(proven.proofs, error), **values):
        _create(proven, **change)


def test_proofs_parameters_that_can_be_proven_succeeds(proven):
    params = dict(zip(PARAMS, proven.federation.params(), strict=True)) | {"clamp": 1 << 18, "weightShift": 11}
    proven.federation.scheduleParams(params, sender=proven.founder)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((0, 0, NORM, 0), "KindIsNone"),
        ((0, 1, 0, 0), "NormIsZero"),
        ((0, 1, 1 << 63, 0), "NormTooLarge"),
        ((1, 1, NORM, 0), "NoVerifier"),
    ],
)
def test_proofs_terms_that_mean_nothing_reverts(proven, stranger, given, error):
    verifier = [proven.verifier, stranger][given[0]]
    with refused(getattr(proven.proofs, error)):
        _create(proven, proofs=(verifier.address, *given[1:]))


@pytest.mark.parametrize(
    "change",
    [
        {"least_vol": (1 << 14) - 1}, {"least_vol": LIMITS.most_vol + 1}, {"most_vol": 1 << 23},
        {"most_k": 0}, {"most_k": 1 << 23},
        {"huber": 0}, {"huber": (1 << 20) + 1}, {"prior": 63}, {"prior": (1 << 20) + 1},
    ],
)  # fmt: skip
def test_proofs_limits_that_the_circuit_cannot_keep_reverts(trained, change):
    limits = LIMITS._replace(**change).packed
    with refused(trained.proofs.BadLimits, limits=limits):
        _create(trained, proofs=terms(trained.verifier, TRAINED, limits=limits))


def test_proofs_a_norm_that_honest_training_may_pass_reverts(trained):
    params = dict(zip(PARAMS, trained.federation.params(), strict=True))
    needed = DIMENSION * (int(params["weightCap"]) * int(params["clamp"]) >> int(params["weightShift"])) ** 2
    with refused(trained.proofs.NormTooSmall, norm=needed - 1, needed=needed):
        _create(trained, proofs=terms(trained.verifier, TRAINED, norm=needed - 1))
    _create(trained, label=b"enough".ljust(32, b"\0"), proofs=terms(trained.verifier, TRAINED, norm=needed))


def test_proofs_a_surface_that_the_circuit_does_not_know_reverts(trained):
    finer = pack_model(16 * unpack_model(trained.genesis, DIMENSION))
    for change in ({"fractionBits": PLACES + 4, "genesis": finer}, {"markets": [], "pillars": 0}):
        with refused(trained.proofs.SurfaceNotProvable):
            _create(trained, **change)


def test_proofs_of_another_dimension_reverts(proven):
    with refused(proven.proofs.DimensionNotProvable):
        _create(proven, dimension=168, genesis=pack_model(np.zeros(168, dtype=np.int64)), markets=[], pillars=0)


def _create(arena, **changes):
    """A federation like this one, but for the changes."""
    surface = {}
    if arena.kind == TRAINED:
        surface = SURFACE | {"markets": _markets(arena), "genesis": arena.genesis}
    config = PROVEN | surface | {"proofs": terms(arena.verifier, arena.kind)} | changes
    config = config_of(arena.token, arena.founder, arena.guardian, **config)
    arena.factory.create(config, sender=arena.founder)


def _markets(arena):
    found = arena.engine.configuration().markets
    return [(market, *arena.engine.feedOf(market)) for market in found]
