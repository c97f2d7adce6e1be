"""Random lives of a federation: what must hold after every step, whatever eight desks do in whatever order."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from tests.contracts.life import DEAD, FUNDS, Life
from tests.contracts.wallets import Reverted

LEAST, MOST = 2, 12  # lives; more until every action has succeeded
STEPS = 150
ORDER = ("Draw", "Commit", "Reveal", "Availability", "Propose", "Challenge", "Final")
FORWARD = {name: rank for rank, name in enumerate(ORDER)}
USUAL = {
    "Idle": ["join", "join", "open"],
    "Draw": ["draw"] * 3 + ["unanswered"],
    "Commit": ["commit"] * 4 + ["wait_short", "wait_short", "wait_long", "unanswered"],
    "Reveal": ["reveal"] * 3 + ["absence", "absence", "wait_short", "wait_long"],
    "Availability": ["demand", "demand", "demand", "answer", "answer", "absence", "silence", "silence"]
    + ["wait_short"] * 4,
    "Propose": ["propose"] * 3 + ["silence", "absence", "unanswered", "unanswered", "fund"] + ["wait_short"] * 2,
    "Challenge": ["dispute"] * 4 + ["settle"] * 3 + ["silence", "absence", "unanswered", "wait_long"],
    "Final": ["publish"] * 3
    + ["open"] * 4
    + ["unpause", "unpause", "join", "settle_exits", "withdraw", "claim_wei", "rotate"],
    "Void": ["open"] * 3
    + ["silence", "absence", "unanswered", "unpause", "settle_exits", "join", "withdraw", "rotate"],
    "Settle": ["wait_short"],
}
ANYWHERE = {
    "pause", "unpause", "schedule", "exit", "unanswered", "claim", "claim_wei", "fund", "pledge",
    "name_withdrawal", "hand_on_withdrawal", "retire", "rotate",
}  # fmt: skip
EVERYTHING = sorted({action for actions in USUAL.values() for action in actions} | ANYWHERE)
BY_MANY = ("join", "commit", "reveal", "propose")


class Watch:
    """Plays a life step by step, and checks it after each."""

    def __init__(self, life: Life) -> None:
        self.life, self.dice, self.done = life, life.dice, life.done
        self.round, self.rank, self.failures = 0, -1, 0
        self.versions: list[list[int]] = []

    def step(self) -> None:
        life, dice = self.life, self.dice
        luck = dice.random()
        rarest = min(EVERYTHING, key=lambda action: (self.done[action], dice.random()))
        action = rarest if luck > 0.9 else dice.choice(USUAL[life.phase] if luck < 0.8 else EVERYTHING)
        phase = life.phase
        many = dice.choice([3, 5, 8] if action in BY_MANY else [1, 2])
        for desk in dice.sample(life.desks, many):
            target = dice.choice(life.due(action) if dice.random() < 0.7 else life.desks)
            self.attempt(action, desk, target)
            if life.phase != phase:
                break
        life.serve()

    def attempt(self, action: str, desk: str, target: str) -> None:
        self.life.refresh()
        with suppress(Reverted):
            self.life.act(action, desk, target)
            self.life.refresh()

    # ------------------------------------------------------------------ what must hold

    def check(self) -> None:
        """Reads everything in one request, so that hundreds of steps can be checked."""
        arena, desks, ledger = self.life.arena, self.life.desks, self.life.ledger
        federation, vault, duties, token = arena.federation, arena.vault, arena.duties, arena.token
        methods = (
            federation.memberOf, vault.bondOf, vault.claimable, token.balanceOf,
            duties.demandOf, duties.claimable, duties.recordOf,
        )  # fmt: skip
        page, counts, (in_vault,), (dead,), current, *answers = self.life.wallets.read(
            (federation.membersAt, 0, 100), (federation.memberCounts,), (token.balanceOf, vault.address),
            (token.balanceOf, DEAD), (arena.registry.current,), *((m, d) for m in methods for d in desks),
            *((federation.pledgeBefore, d, number) for number in (1, 2) for d in desks),
        )  # fmt: skip
        count = len(desks)
        members, bonds, rewards, purses, demands, refunds, records, *pledges = (
            answers[i * count : (i + 1) * count] for i in range(len(methods) + 2)
        )
        wei = int(self.life.wallets.rpc("eth_getBalance", [duties.address, "latest"]), 16)

        assert in_vault == sum(b[0] for b in bonds) + sum(r[0] for r in rewards)
        burned = dead - self.life.burned_before
        assert in_vault + burned + sum(p[0] for p in purses) == FUNDS * count, "tokens came or went"
        assert wei == sum(d[2] for d in demands) + sum(r[0] for r in refunds), "coins came or went"

        # To the unit what the model booked: so nothing was taken without a proof or a missed duty.
        assert {d: b[0] for d, b in zip(desks, bonds, strict=True)} == ledger.bond
        assert {d: r[0] for d, r in zip(desks, rewards, strict=True)} == ledger.reward
        assert {d: p[0] for d, p in zip(desks, purses, strict=True)} == ledger.purse
        assert burned == ledger.burned
        for parity, made in enumerate(pledges):
            assert [word for (word,) in made] == [self.life.pledges[d, parity] for d in desks]
        assert [r[0] for r in records] == [ledger.faults[d] for d in desks]
        for desk in self.life.honest:
            assert ledger.purse[desk] + ledger.bond[desk] + ledger.reward[desk] >= FUNDS, "an honest desk lost"

        payees = self.life.wallets.read(*((vault.payeeOf, d) for d in desks))
        assert [p[0] for p in payees] == [int(ledger.payee[d], 16) for d in desks]
        rotations = self.life.wallets.read(*((vault.rotationOf, d) for d in desks))
        heirs = {d: int(to, 16) for d, (to, _) in self.life.moved.items()}
        expected = [(d in self.life.retired, heirs.get(d, 0)) for d in desks]
        assert [(bool(r[0]), r[1]) for r in rotations] == expected, "a key came back, or a bond went elsewhere"

        listed = page[2:]
        assert len(set(listed)) == len(listed) == sum(counts)
        for desk, (status, index, *_), (amount, unlocks_at) in zip(desks, members, bonds, strict=True):
            if int(desk, 16) in listed:
                assert status != 0
                assert listed[index] == int(desk, 16)
                assert unlocks_at == 0, "a member's bond is locked"
            else:
                assert status == 0
                assert amount == 0 or unlocks_at > 0, "no leaver's bond is trapped"

        self.check_phase()
        self.check_versions(latest=current[0])

    def check_phase(self) -> None:
        """Forward only within a round; back to proposing only when a proposal was proven wrong."""
        life = self.life
        selected, _, committed, revealed = life.counters
        assert revealed <= committed <= selected
        if life.round != self.round:
            assert life.round == self.round + 1
            self.round, self.rank, self.failures = life.round, -1, 0
        assert self.failures <= life.failures <= 3
        if life.failures > self.failures:
            self.failures, self.rank = life.failures, FORWARD["Propose"]
            assert life.failures < 3 or life.phase == "Void", "three wrong proposals, and the round goes on"
        if life.phase in FORWARD or life.phase == "Void":
            rank = FORWARD.get(life.phase, len(FORWARD))
            assert rank >= self.rank, f"round {life.round} went back to {life.phase}"
            self.rank = rank

    def check_versions(self, latest: int) -> None:
        registry = self.life.arena.registry
        assert latest in ((len(self.versions), len(self.versions) + 1) if self.versions else (1,))
        history = self.life.wallets.read(*((registry.versionAt, v) for v in range(1, latest + 1)))
        assert history[: len(self.versions)] == self.versions, "a version was rewritten"
        self.versions = history

    # ------------------------------------------------------------------ the end

    def everybody_leaves(self) -> None:
        """Under a pause that nobody lifts, all funds can be had."""
        life = self.life
        self.attempt("pause", *life.desks[:2])
        assert life.paused
        while life.phase not in ("Idle", "Void", "Final"):
            self.attempt("draw", *life.desks[:2]) if life.phase == "Draw" else life.wait(50)
            life.serve()
        keeper = life.desks[0]
        self.attempt("publish", keeper, keeper)
        for action in ("unanswered", "exit"):
            for desk in life.desks:
                self.attempt(action, desk, desk)
        while life.wallets.read((life.arena.federation.membersAt, 0, 1))[0][1]:
            life.act("settle_exits", keeper, keeper)
        life.wait(10_000)
        for action in ("withdraw", "claim", "claim_wei"):
            for desk in life.desks:
                self.attempt(action, desk, desk)
        self.check()
        assert life.arena.token.balanceOf(life.arena.vault) == 0
        assert life.arena.chain.provider.get_balance(life.arena.duties.address) == 0


def test_invariants_hold_in_any_order_succeeds(make_arena):
    done: Counter[str] = Counter()
    for seed in range(MOST):
        watch = Watch(Life(make_arena(epochRounds=2), seed, done))
        for _ in range(STEPS):
            watch.step()
            watch.check()
        watch.everybody_leaves()
        if seed + 1 >= LEAST and not set(EVERYTHING) - set(done):
            return
    raise AssertionError(f"the dice never reached something: {sorted(done.items())}")
