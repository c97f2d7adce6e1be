"""scheduleParams: checked at once, by the governor alone, in force at the next opening."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS

WINDOWS = {
    "commitWindow": 1,
    "revealWindow": 1,
    "leadWindow": 0,
    "proposeWindow": 1,
    "challengeWindow": 1,
    "demandWindow": 1,
    "unmaskWindow": 1,
}
YEAR = 365 * 86_400
SHORTEST = 2 * (5 * 2 + 100 + 100 + 2 * 50 + 50 + 3 * (2 + 100 + 100))
"""Twice a round with all its gaps, and with three wrong proposals."""
MASKED = {"clusterSize": 3, "minMembers": 3}
REFUSED = [
    ("seats", {"seats": 0}),
    ("seats", {"seats": 129}),
    ("clusterSize", {"clusterSize": 0}),
    ("clusterSize", {"clusterSize": 2}),
    ("clusterSize", {"clusterSize": 4}),
    ("clusterSize", {"seats": 51, "clusterSize": 3, "minMembers": 3}),
    ("clusterSize", {"seats": 104, "clusterSize": 8, "minMembers": 8, "clamp": 1}),
    ("clusterSize", {"seats": 96, "clusterSize": 8, "minMembers": 8, "clamp": 1, "weighted": True, "weightCap": 1}),
    ("clusterSize", {"seats": 34, "clusterSize": 17, "minMembers": 17}),
    ("quorumBps", {"quorumBps": 0}),
    ("quorumBps", {"quorumBps": 10_001}),
    ("epochRounds", {"epochRounds": 0}),
    ("seedDelay", {"seedDelay": 0}),
    ("seedDelay", {"seedDelay": 129}),
    ("interval", {"interval": YEAR + 1}),
    ("finality", {"finality": 0}),
    ("commitWindow", {"commitWindow": 0}),
    ("revealWindow", {"revealWindow": 0}),
    ("leadWindow", {"leadWindow": 100, "proposeWindow": 100}),
    ("leadWindow", {"leadWindow": 0, "proposeWindow": 0}),
    ("challengeWindow", {"challengeWindow": 0}),
    ("unbonding", {"unbonding": SHORTEST - 1}),
    ("unbonding", {"unbonding": YEAR + 1}),
    ("clamp", {"clamp": 0}),
    ("clamp", {"clamp": 1 << 23}),
    ("step", {"step": 0}),
    ("bond", {"bond": 15, "silencePenalty": 0}),
    ("silencePenalty", {"silencePenalty": BOND // 16 + 1}),
    ("minMembers", {"minMembers": 0}),
    ("minMembers", {"minMembers": 7}),
    ("demandWindow", {"demandWindow": 0}),
    ("unmaskWindow", {"unmaskWindow": 0}),
    ("minMembers", {"clusterSize": 3, "minMembers": 2}),
    ("clamp", {"seats": 96, "clusterSize": 16, "minMembers": 16, "clamp": 1 << 19}),
    ("clamp", {"clusterSize": 3, "minMembers": 3, "weighted": True, "weightShift": 9, "clamp": 1 << 20}),
    ("clamp", MASKED | {"weighted": True, "weightCap": 1 << 22, "weightShift": 20, "clamp": 1}),
    ("demandBond", {"demandBond": 1 << 72}),
    ("trimBps", {"trimBps": 5_000}),
    ("weightCap", {"weightCap": 0}),
    ("weightCap", {"weightCap": 1 << 23}),
    ("weightShift", {"weightShift": 24}),
    ("weightShift", {"weightCap": 4_096, "clamp": 1 << 20, "weightShift": 9}),
]
ACCEPTED = [
    {"seats": 128, "quorumBps": 10_000, "epochRounds": 65_535, "seedDelay": 128, "interval": YEAR, "unbonding": YEAR},
    WINDOWS
    | {"leadWindow": 0, "seats": 1, "quorumBps": 1, "epochRounds": 1, "interval": 0, "finality": 1, "unbonding": 38},
    {
        "clamp": (1 << 23) - 1,
        "weightCap": 1_024,
        "step": 2**32 - 1,
        "bond": 2**96 - 1,
        "silencePenalty": (2**96 - 1) // 16,
    },
    {"demandBond": (1 << 72) - 1, "rule": 2, "weighted": True, "trimBps": 4_999},
    {"weightCap": 4_095, "clamp": 1 << 20, "weightShift": 9},
    MASKED | {"seats": 96, "clusterSize": 16, "minMembers": 16, "clamp": (1 << 19) - 1, "closed": True},
    MASKED | {"weighted": True, "weightShift": 11},
    {"clamp": 1, "step": 1, "bond": 16, "silencePenalty": 1, "minMembers": 6},
    {"leadWindow": 99, "proposeWindow": 100, "unbonding": SHORTEST},
]


@pytest.mark.parametrize(("name", "changes"), REFUSED, ids=str)
def test_schedule_params_out_of_range_reverts(joined, name, changes):
    with ape.reverts(joined.federation.BadParameter, error_inputs={"name": name.encode().ljust(32, b"\0")}):
        joined.federation.scheduleParams(PARAMS | changes, sender=joined.founder)


@pytest.mark.parametrize("changes", ACCEPTED, ids=range(len(ACCEPTED)))
def test_schedule_params_at_the_edges_succeeds(joined, changes):
    joined.federation.scheduleParams(PARAMS | changes, sender=joined.founder)


def test_schedule_params_by_another_reverts(joined, stranger):
    role = joined.federation.DEFAULT_ADMIN_ROLE()
    for caller in (stranger, joined.guardian):
        inputs = {"account": caller.address, "neededRole": role}
        with ape.reverts(joined.federation.AccessControlUnauthorizedAccount, error_inputs=inputs):
            joined.federation.scheduleParams(PARAMS, sender=caller)


def test_schedule_params_apply_at_the_next_opening_only_succeeds(joined, nodes):
    joined.open()
    receipt = joined.federation.scheduleParams(PARAMS | {"seats": 3, "clamp": 77}, sender=joined.founder)
    assert len(receipt.events.filter(joined.federation.ParamsScheduled)) == 1
    joined.federation.scheduleParams(PARAMS | {"seats": 4, "clamp": 5}, sender=joined.founder)
    assert int(joined.federation.params().clamp) == PARAMS["clamp"]
    joined.commit(*nodes)
    joined.pass_to("Void")
    assert int(joined.federation.params().seats) == 6
    joined.open()
    assert int(joined.federation.params().seats) == 4
    clock = joined.federation.clock()
    assert (int(clock.number), int(clock.selected), int(clock.epochStart)) == (2, 4, 2)
    joined.pass_to("Void")
    joined.open()
    assert int(joined.federation.clock().epochStart) == 2, "applied once"


def test_schedule_params_leaver_unbonds_under_the_old_ones_succeeds(joined, nodes):
    """Members who leave because of new parameters are not held by them."""
    joined.open()
    joined.federation.scheduleParams(PARAMS | {"unbonding": YEAR}, sender=joined.founder)
    joined.federation.exit(sender=nodes[0])
    joined.pass_to("Void")
    joined.pass_to_opening()
    receipt = joined.federation.open(sender=joined.founder)
    assert int(joined.federation.params().unbonding) == YEAR
    assert int(joined.vault.bondOf(nodes[0]).unlocksAt) == receipt.timestamp + PARAMS["unbonding"]


def test_schedule_params_through_the_timelock_succeeds(project, joined, nodes, stranger):
    federation, governor = joined.federation, nodes[0]
    zero = "0x" + "00" * 20
    timelock = governor.deploy(project.Timelock, 86_400, [governor], [governor], zero)
    admin = federation.DEFAULT_ADMIN_ROLE()
    federation.grantRole(admin, timelock, sender=joined.founder)
    federation.renounceRole(admin, joined.founder, sender=joined.founder)
    with ape.reverts(federation.AccessControlUnauthorizedAccount):
        federation.scheduleParams(PARAMS, sender=joined.founder)

    call = federation.scheduleParams.encode_input(PARAMS | {"seats": 5})
    what = (federation.address, 0, call, bytes(32), bytes(32))
    with ape.reverts(timelock.AccessControlUnauthorizedAccount):
        timelock.schedule(*what, 86_400, sender=stranger)
    timelock.schedule(*what, 86_400, sender=governor)
    with ape.reverts(timelock.TimelockUnexpectedOperationState):
        timelock.execute(*what, sender=governor)
    joined.pass_time(86_400)
    timelock.execute(*what, sender=governor)
    joined.open()
    assert int(federation.params().seats) == 5
