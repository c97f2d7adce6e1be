"""pause: stops the opening of rounds and nothing else."""

from __future__ import annotations

import ape
from tests.contracts.arena import PARAMS


def test_pause_stops_opening_reverts(joined):
    joined.federation.pause(sender=joined.guardian)
    with ape.reverts(joined.federation.EnforcedPause):
        joined.federation.open(sender=joined.founder)
    joined.federation.unpause(sender=joined.guardian)
    assert joined.open() == 1


def test_pause_by_another_reverts(joined, stranger):
    role = joined.federation.GUARDIAN()
    for caller in (stranger, joined.founder):
        inputs = {"account": caller.address, "neededRole": role}
        with ape.reverts(joined.federation.AccessControlUnauthorizedAccount, error_inputs=inputs):
            joined.federation.pause(sender=caller)
    joined.federation.pause(sender=joined.guardian)
    for caller in (stranger, joined.founder):
        with ape.reverts(joined.federation.AccessControlUnauthorizedAccount):
            joined.federation.unpause(sender=caller)


def test_pause_lets_the_round_and_every_exit_finish_succeeds(joined, nodes, stranger):
    """Paused just after opening: the round runs to its end, bonds and rewards come out, nothing stays trapped."""
    federation, vault = joined.federation, joined.vault
    federation.open(sender=joined.founder)
    federation.pause(sender=joined.guardian)
    joined.pass_blocks(2)
    federation.draw(sender=stranger)
    joined.pass_settling()
    joined.commit(*nodes)
    joined.reveal(*nodes[1:])
    joined.pass_to("Propose")
    joined.pass_time(PARAMS["leadWindow"])
    model = joined.model()
    federation.propose(model, 0, sender=nodes[1])
    joined.duties.reportSilence(nodes[0], sender=stranger)
    joined.pass_phase()
    federation.publish(model, sender=stranger)
    joined.join(stranger)
    for node in [*nodes, stranger]:
        federation.exit(sender=node)
    federation.settleExits(6, sender=stranger)
    joined.pass_time(PARAMS["unbonding"])
    for node in [*nodes, stranger]:
        vault.withdraw(node, sender=node)
    vault.claim(stranger, sender=stranger)
    assert joined.token.balanceOf(vault) == 0
    assert int(joined.registry.current().version) == 2
