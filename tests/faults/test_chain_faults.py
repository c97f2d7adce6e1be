"""RPC endpoints that go away, lag, or change their chain, and chains that take blocks back, in every phase.

All of it befalls one federation, one round after another: what a fault leaves behind would show in the next test.
"""

from __future__ import annotations

from itertools import cycle

import pytest
from scripts._anvil import rpc

from fedvol.chain.client import WrongChain
from fedvol.chain.federation import Phase
from fedvol.errors import ChainError
from fedvol.node.journal import read_journal
from tests.faults.conftest import MUST_ACT, M, Standing
from tests.faults.soundness import assert_no_act_twice, assert_one_commitment_a_round

PHASES = (
    Phase.DRAW, Phase.COMMIT, Phase.REVEAL, Phase.AVAILABILITY, Phase.UNMASK, Phase.PROPOSE, Phase.CHALLENGE,
)  # fmt: skip
LATENESS = {Phase.COMMIT: "AbsenceReported", Phase.REVEAL: "SilenceReported", Phase.UNMASK: "VeiledReported"}
"""What it costs to be away for a whole phase in which one must act. In the others nothing."""
VICTIM = 2

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize("phase", PHASES, ids=lambda p: p.name.lower())
def test_an_endpoint_is_down_for_a_whole_phase(standing: Standing, phase: Phase) -> None:
    number, victim = standing.reach(phase).clock.number, PHASES.index(phase) % M
    with standing.endpoint(victim, "close"):
        standing.turn(1)
        if phase in MUST_ACT:
            standing.lab.pass_time(standing.snapshot().ends_at - standing.snapshot().time)
        standing.live(lambda s: s.phase not in (phase, Phase.SETTLE) or s.clock.number > number)
    assert standing.failures, "nobody noticed"
    assert all(isinstance(error, ChainError) for error in standing.failures)
    if phase is not Phase.UNMASK:  # there are no other clusters
        standing.final(number)
    standing.live(lambda s: s.clock.number > number)
    late = {LATENESS[phase]: [standing.address(victim)]} if phase in LATENESS else {}
    assert standing.penalties(number) == late


@pytest.mark.parametrize(
    "faults",
    [["forward"] * 20 + ["close"] * 8, ["forward"] * 10 + ["429"], ["slow"], ["forward"] * 15 + ["stale"] * 5],
    ids=["flapping", "429", "slow", "stale"],
)
def test_an_endpoint_is_bad_for_a_whole_round(standing: Standing, faults: list[str]) -> None:
    number = standing.reach(Phase.DRAW).clock.number
    standing.proxy.delay, standing.proxy.stale_block = 0.05, standing.snapshot().block - 3
    with standing.endpoint(VICTIM, "forward", cycle(faults)):
        standing.final(number)
    assert standing.penalties(number) == {}


@pytest.mark.parametrize("phase", [Phase.COMMIT, Phase.REVEAL, Phase.UNMASK], ids=lambda p: p.name.lower())
def test_an_endpoint_answers_from_before_a_phase(standing: Standing, phase: Phase) -> None:
    """It shows nothing of what the phase has seen, so the node acts late: never twice, and never on what is past."""
    number = standing.reach(phase).clock.number
    standing.turn(0)
    standing.proxy.stale_block = standing.snapshot().block - 5
    with standing.endpoint(VICTIM, "stale"):
        for _ in range(2):
            standing.turn(0)
    standing.final(number)
    assert standing.penalties(number) == {}


def test_an_endpoint_that_turns_to_another_chain_is_waited_out_and_nothing_is_signed(
    standing: Standing, other_chain: str
) -> None:
    number, node = standing.reach(Phase.COMMIT).clock.number, standing.nodes[VICTIM]

    def traces() -> tuple[int, ...]:
        with read_journal(node._config.data_dir) as journal:
            return tuple(journal._query(f"SELECT count(*) FROM {table}")[0][0] for table in ("outbox", "rounds"))

    before = traces()
    with standing.moved(VICTIM, other_chain):
        for _ in range(3):
            with pytest.raises(WrongChain, match="serves chain 1, not 31337"):
                node.cycle()
    assert traces() == before
    standing.final(number)
    assert standing.penalties(number) == {}


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_blocks_are_taken_back_at_each_border(standing: Standing, depth: int) -> None:
    first = standing.snapshot().clock.number + 1
    for phase in PHASES:
        standing.live(lambda s, p=phase: (s.clock.number >= first and s.phase == p) or s.clock.number > first)
        rpc(standing.lab.url, "anvil_reorg", depth, [])
    last = standing.live(lambda s: s.published).clock.number
    for number in range(first, last + 1):
        standing.final(number)
        assert standing.penalties(number) == {}, f"round {number}"


def test_after_all_of_it_everybody_is_there_and_nobody_did_anything_twice(standing: Standing) -> None:
    number = standing.reach(Phase.COMMIT).clock.number
    standing.final(number)
    revealed = standing.lab.client.reveals(number, standing.snapshot().block)
    assert {r.node for r in revealed} == {standing.address(i) for i in range(M)}
    assert standing.penalties(number) == {}
    assert_one_commitment_a_round(standing.lab, standing.nodes)
    assert_no_act_twice(standing.lab, range(1, M + 1))
