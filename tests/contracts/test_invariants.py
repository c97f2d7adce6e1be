"""Random lives of a federation: what must hold after every step, whatever eight desks do in whatever order."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from contextlib import suppress

import pytest
from tests.contracts.arena import BOND, PARAMS, PHASES
from tests.contracts.wallets import Reverted, Wallets

from fedvol.protocol import commitment as twin
from fedvol.protocol.vector import content_id

DEAD = "0x000000000000000000000000000000000000dEaD"
STEPS = 120
FORWARD = {name: rank for rank, name in enumerate(("Draw", "Commit", "Reveal", "Propose", "Challenge", "Final"))}
USUAL = {
    "Idle": ["join", "join", "exit", "open"],
    "Draw": ["draw"] * 6 + ["exit", "join"],
    "Commit": ["commit"] * 4 + ["wait", "exit", "join", "wait_long"],
    "Reveal": ["reveal"] * 4 + ["wait", "exit", "wait_long"],
    "Propose": ["propose"] * 4 + ["report", "wait", "top_up", "wait_long"],
    "Challenge": ["report", "wait_long", "wait_long", "exit"],
    "Final": ["publish"] * 3 + ["open"] * 2 + ["exit", "join", "settle", "withdraw", "claim"],
    "Void": ["open"] * 3 + ["report", "settle", "join", "withdraw", "claim", "exit"],
    "Settle": ["wait"] * 6 + ["exit", "join"],
}
EVERYTHING = sorted({action for actions in USUAL.values() for action in actions})


class Life:
    """One federation, its eight desks, and the dice."""

    def __init__(self, arena, desks: list[str], seed: int) -> None:
        self.arena, self.desks, self.dice = arena, desks, random.Random(seed)
        self.wallets = Wallets(arena)
        self.chain_id = arena.chain.chain_id
        self.burned = arena.token.balanceOf(DEAD)
        self.minted = 0
        self.model = arena.genesis
        self.round, self.rank = 0, -1
        self.versions: list[list[int]] = []
        self.phase = "Idle"
        for desk in desks:
            self.wallets.fund(desk, 10 * BOND)
            self.minted += 10 * BOND

    # ------------------------------------------------------------------ acts

    def step(self, done: Counter[str]) -> None:
        usual = USUAL[self.phase]
        action = self.dice.choice(usual if self.dice.random() < 0.9 else EVERYTHING)
        many = self.dice.choice([2, 8, 8]) if action in ("join", "commit", "reveal", "propose", "report") else 1
        for desk in self.dice.sample(self.desks, many):
            with suppress(Reverted):
                self.act(action, desk)
                done[action] += 1

    def act(self, action: str, desk: str) -> None:
        federation, vault, send = self.arena.federation, self.arena.vault, self.wallets.send
        match action:
            case "join":
                ((held, _),) = self.wallets.read((vault.bondOf, desk))
                send(desk, federation.join, self.dice.choice([max(BOND - held, 0), BOND, 5]))
            case "exit":
                send(desk, federation.exit)
            case "settle":
                send(desk, federation.settleExits, self.dice.randrange(4))
            case "open":
                self.wallets.wait(PARAMS["interval"])
                send(desk, federation.open)
            case "draw":
                self.wallets.rpc("anvil_mine", [hex(self.dice.choice([1, 2, 2, 2, 2, 2, 300]))])
                send(desk, federation.draw)
            case "commit":
                send(desk, federation.commit, self.opening(desk)[0])
            case "reveal":
                _, content, salt = self.opening(desk)
                send(desk, federation.reveal, content, bytes(32), salt)
            case "propose":
                self.wallets.wait(self.dice.choice([0, PARAMS["leadWindow"]]))
                model = self.arena.model(self.dice.randrange(-3, 4))
                send(desk, federation.propose, model)
                self.model = model
            case "publish":
                send(desk, federation.publish, self.model)
            case "report":
                send(desk, federation.reportSilence, self.dice.choice(self.desks))
            case "withdraw":
                self.wallets.wait(self.dice.choice([0, PARAMS["unbonding"]]))
                send(desk, vault.withdraw, desk)
            case "claim":
                send(desk, vault.claim)
            case "top_up":
                send(desk, vault.topUp, self.dice.randrange(1, BOND // 10))
            case "wait":
                self.wallets.wait(self.dice.randrange(1, 30))
            case "wait_long":
                self.wallets.wait(110)

    def opening(self, desk: str) -> tuple[int, bytes, bytes]:
        (clock,) = self.wallets.read((self.arena.federation.clock,))
        where = twin.RoundId(self.chain_id, self.arena.federation.address, clock[1], clock[11])
        content, salt = content_id(desk.encode()), hashlib.sha256(desk.encode()).digest()
        return twin.commitment(where, desk, content, salt), content, salt

    # ------------------------------------------------------------------ what must hold

    def check(self) -> None:
        """Reads everything in one request, so that hundreds of steps can be checked."""
        federation, vault, token, registry = (
            self.arena.federation, self.arena.vault, self.arena.token, self.arena.registry,
        )  # fmt: skip
        count = len(self.desks)
        per_desk = [(m, d) for m in (vault.bondOf, vault.claimable, token.balanceOf) for d in self.desks]
        (page, counts, clock, phase, (in_vault,), (dead,), current, *answers) = self.wallets.read(
            (federation.membersAt, 0, 100), (federation.memberCounts,), (federation.clock,), (federation.phase,),
            (token.balanceOf, vault.address), (token.balanceOf, DEAD), (registry.current,),
            *((federation.memberOf, d) for d in self.desks), *per_desk,
        )  # fmt: skip
        members, bonds, claims, purses = (answers[i * count : (i + 1) * count] for i in range(4))

        assert in_vault == sum(b[0] for b in bonds) + sum(c[0] for c in claims)
        assert in_vault + dead - self.burned + sum(p[0] for p in purses) == self.minted

        listed = page[2:]
        assert len(set(listed)) == len(listed) == sum(counts)
        for desk, (status, index, _), (amount, unlocks_at) in zip(self.desks, members, bonds, strict=True):
            if int(desk, 16) in listed:
                assert status != 0
                assert listed[index] == int(desk, 16)
                assert unlocks_at == 0, "a member's bond is locked"
            else:
                assert status == 0
                assert amount == 0 or unlocks_at > 0, "no leaver's bond is trapped"

        self.check_phase(number=clock[1], counters=clock[7:11], phase=PHASES[phase[0]])
        self.check_versions(latest=current[0])

    def check_phase(self, number: int, counters: list[int], phase: str) -> None:
        selected, _, committed, revealed = counters
        assert revealed <= committed <= selected
        if number != self.round:
            assert number == self.round + 1
            self.round, self.rank = number, -1
        if phase in FORWARD or phase == "Void":
            rank = FORWARD.get(phase, len(FORWARD))
            assert rank >= self.rank, f"round {number} went back to {phase}"
            self.rank = rank
        self.phase = phase

    def check_versions(self, latest: int) -> None:
        registry = self.arena.registry
        assert latest in ((len(self.versions), len(self.versions) + 1) if self.versions else (1,))
        history = self.wallets.read(*((registry.versionAt, v) for v in range(1, latest + 1)))
        assert history[: len(self.versions)] == self.versions
        self.versions = history


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_invariants_hold_in_any_order_succeeds(make_arena, accounts, seed):
    life = Life(make_arena(epochRounds=2), [accounts[i].address for i in range(2, 10)], seed)
    done: Counter[str] = Counter()
    for _ in range(STEPS):
        life.step(done)
        life.check()
    assert len(done) >= 12, f"the dice reached too little: {done}"
