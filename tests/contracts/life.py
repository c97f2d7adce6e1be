"""One federation, its eight desks, and the dice: what they do, and what should come of it."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from typing import Any

import numpy as np
from tests.contracts.arena import BOND, PARAMS, PHASES, WEIGHTS, Arena
from tests.contracts.ledger import Ledger
from tests.contracts.stakes import Stakes
from tests.contracts.wallets import Reverted, Wallets

from fedvol.protocol import commitment as twin
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.rule import Rule, combine
from fedvol.protocol.vector import content_id, pack_model, pack_update, unpack_model, unpack_update

DEAD = "0x000000000000000000000000000000000000dEaD"
FUNDS = 10 * BOND
NO_ANNEX = bytes(32)
WORDS = WEIGHTS // 8


class Life(Stakes):
    """The first two desks are honest: they meet their duties in time. The others do what the dice say."""

    def __init__(self, arena: Arena, seed: int, done: Counter[str]) -> None:
        self.arena, self.dice, self.done = arena, random.Random(seed), done
        self.seed_of_life, self.desks = seed, []
        self.wallets = Wallets(arena)
        self.ledger = Ledger([], FUNDS)
        for _ in range(8):
            self.add_desk()
        self.honest = self.desks[:2]
        self.begin_stakes()
        self.burned_before = arena.token.balanceOf(DEAD)
        self.committed: dict[str, int] = {}  # desk -> round
        self.revealed: dict[str, int] = {}
        self.answered: dict[str, int] = {}
        self.reported: set[tuple[str, str, int]] = set()  # what, desk, round
        self.demands: dict[str, tuple[str, int]] = {}  # desk -> who demanded, round
        self.pledges: Counter[tuple[str, int]] = Counter()  # (desk, parity of the round)
        self.unpaid: dict[str, tuple[str, int]] = {}  # those whose bond the contract still holds
        self.model, self.paused = arena.genesis, False
        self.refresh()

    def add_desk(self) -> None:
        desk = "0x" + hashlib.sha256(b"%d %d" % (self.seed_of_life, len(self.desks))).hexdigest()[:40]
        self.desks.append(desk)
        self.ledger.add(desk, FUNDS)
        self.wallets.rpc("anvil_setBalance", [desk, hex(10**20)])
        self.wallets.fund(desk, FUNDS)

    # ------------------------------------------------------------------ what is so

    def refresh(self) -> None:
        federation = self.arena.federation
        clock, phase, params, proposal = self.wallets.read(
            (federation.clock,), (federation.phase,), (federation.params,), (federation.proposal,)
        )
        self.round, self.selected, self.seed = clock[2], clock[9], clock[13]
        self.counters = clock[9:13]
        self.phase, self.ends_at = PHASES[phase[0]], phase[1]
        self.params = dict(zip(PARAMS, params, strict=True))
        self.proposer, self.failures = f"0x{proposal[0]:040x}", proposal[3]

    def demanded(self, desk: str, number: int) -> bool:
        """Whether the desk's bytes of that round were asked for and never came."""
        return self.demands.get(desk, ("", 0))[1] == number and self.answered.get(desk) != number

    def counted(self) -> list[str]:
        here = [d for d in self.desks if self.revealed.get(d) == self.round and not self.demanded(d, self.round)]
        return sorted(here, key=lambda d: int(d, 16))

    def due(self, action: str) -> list[str]:
        """Desks that the action may be meant for; all of them where it has no target, or nobody fits."""
        pending = {
            "silence": [d for d in self.desks if self.committed.get(d) == self.round != self.revealed.get(d)],
            "absence": [d for d in self.desks if self.committed.get(d) != self.round],
            "demand": self.counted(),
            "answer": [d for d in self.desks if self.demanded(d, self.round)],
            "unanswered": list(self.unpaid),
        }
        return pending.get(action) or self.desks

    def current(self) -> bytes:
        registry = self.arena.registry
        ((version, *_),) = self.wallets.read((registry.current,))
        ((_, _, *words),) = self.wallets.read((registry.modelOf, version))
        return b"".join(word.to_bytes(32, "big") for word in words)

    def right_model(self) -> bytes:
        """What the rule makes of the counted vectors; where none count, the model as it is."""
        vectors = [unpack_update(self.update(d), WEIGHTS) for d in self.counted()]
        old = unpack_model(self.current(), WEIGHTS)
        if not vectors:
            return self.current()
        return pack_model(combine(Rule.from_params(self.params), old, np.array(vectors)))

    def update(self, desk: str) -> bytes:
        """The desk's bytes in this round; hostile lanes beyond the clamp among them."""
        rng = np.random.default_rng([int(desk, 16) % 2**32, self.round])
        return pack_update(rng.integers(-(2**22), 2**22, WEIGHTS))

    def opening(self, desk: str) -> tuple[int, bytes, bytes]:
        where = twin.RoundId(self.arena.chain.chain_id, self.arena.federation.address, self.round, self.seed)
        content, salt = content_id(self.update(desk)), hashlib.sha256(desk.encode()).digest()
        return twin.commitment(where, desk, content, salt), content, salt

    def vectors(self, desks: list[str]) -> tuple[tuple[Any, ...], ...]:
        return tuple((d, NO_ANNEX, self.opening(d)[2], self.update(d), ()) for d in desks)

    # ------------------------------------------------------------------ time

    def now(self) -> int:
        return int(self.wallets.rpc("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)

    def wait(self, seconds: int) -> None:
        """Time passes from one phase's end to the next, so that the honest have each phase to act in."""
        while seconds > 0:
            left = self.ends_at - self.now()
            hop = min(seconds, left) if left > 0 else seconds
            self.wallets.wait(hop)
            seconds -= hop
            self.serve()

    def serve(self) -> None:
        """The honest do what they owe by now."""
        self.refresh()
        acts = {"Commit": "commit", "Reveal": "reveal", "Availability": "answer"}
        for desk in self.honest if self.phase in acts else ():
            owes = {
                "Commit": self.committed.get(desk) != self.round and self.seat(desk) < self.selected,
                "Reveal": self.committed.get(desk) == self.round and self.revealed.get(desk) != self.round,
                "Availability": self.demanded(desk, self.round),
            }
            if owes[self.phase]:
                self.act(acts[self.phase], desk, desk)
        self.refresh()

    def seat(self, desk: str) -> int:
        return self.wallets.read((self.arena.federation.seatOf, desk))[0][0]

    # ------------------------------------------------------------------ acts

    def act(self, action: str, desk: str, target: str) -> None:
        """Does it and books it.

        Raises:
            Reverted: the contracts refused. What they accept although nobody owed it fails an assertion.
        """
        getattr(self, action)(desk, target)
        self.done[action] += 1

    def join(self, desk: str, _: str) -> None:
        amount = self.dice.choice([max(self.params["bond"] - self.ledger.bond[desk], 0), BOND, 4 * BOND, 5])
        self.wallets.send(desk, self.arena.federation.join, amount)
        assert desk not in self.retired, "a retired key came back"
        self.ledger.pay_in(desk, amount)

    def exit(self, desk: str, _: str) -> None:
        self.wallets.send(desk, self.arena.federation.exit)

    def settle_exits(self, desk: str, _: str) -> None:
        self.wallets.send(desk, self.arena.federation.settleExits, self.dice.randrange(4))

    def open(self, desk: str, _: str) -> None:
        self.wait(PARAMS["interval"])
        self.wallets.send(desk, self.arena.federation.open)
        assert not self.paused

    def draw(self, desk: str, _: str) -> None:
        late = self.phase == "Draw" and self.dice.random() < 0.1
        self.wallets.rpc("anvil_mine", [hex(300 if late else 2)])
        self.wallets.send(desk, self.arena.federation.draw)

    def commit(self, desk: str, _: str) -> None:
        self.wallets.send(desk, self.arena.federation.commit, self.opening(desk)[0])
        assert desk not in self.unpaid, "a demand was left behind"
        self.committed[desk] = self.round
        self.ledger.absences[desk] = 0

    def reveal(self, desk: str, _: str) -> None:
        _, content, salt = self.opening(desk)
        pledged = self.dice.choice([NO_PLEDGE, content])
        self.wallets.send(desk, self.arena.federation.reveal, content, NO_ANNEX, salt, pledged)
        if pledged != NO_PLEDGE:
            self.pledges[desk, self.round % 2] = int.from_bytes(pledged, "big")
        self.revealed[desk] = self.round

    def pledge(self, desk: str, _: str) -> None:
        pledged = self.dice.randbytes(32)
        self.wallets.send(desk, self.arena.federation.pledge, pledged)
        self.pledges[desk, self.round % 2] = int.from_bytes(pledged, "big")

    def propose(self, desk: str, _: str) -> None:
        model = self.right_model()
        if desk not in self.honest and self.dice.random() < 0.8:
            model = self.wrong(model)
        self.wallets.send(desk, self.arena.federation.propose, model, 0)
        self.model = model

    def wrong(self, model: bytes) -> bytes:
        """Off by one in one weight, toward zero as the largest move is bounded."""
        weights = unpack_model(model, WEIGHTS)
        i = self.dice.randrange(WEIGHTS)
        weights[i] -= 1 if weights[i] > unpack_model(self.current(), WEIGHTS)[i] else -1
        return pack_model(weights)

    def publish(self, desk: str, _: str) -> None:
        self.wallets.send(desk, self.arena.federation.publish, self.model)

    def dispute(self, desk: str, _: str) -> None:
        counted, forged = self.counted(), self.dice.random() < 0.1
        if forged:
            counted = counted[1:]
        first = self.dice.randrange(WORDS)
        words = self.dice.choice([WORDS - first] * 2 + [1])
        due = self.phase == "Challenge" and not forged and self.is_wrong(first, words)
        liar, failures = self.proposer, self.failures
        try:
            self.wallets.send(desk, self.arena.settlement.dispute, self.model, self.vectors(counted), first, words)
        except Reverted:
            self.refresh()
            assert not due or self.phase != "Challenge", "a wrong proposal was not disproved"
            raise
        assert due, "a right proposal was disproved"
        self.refresh()
        assert self.failures == failures + 1
        culprit = next(d for d in self.desks if int(d, 16) == int(liar, 16))
        assert culprit not in self.honest
        self.ledger.slash(culprit, self.ledger.bond[culprit], 0, desk)

    def settle(self, desk: str, _: str) -> None:
        ((done,),) = self.wallets.read((self.arena.settlement.settledWords,))
        words = self.dice.choice([1, 2, WORDS, WORDS, 99])
        counted, forged = self.counted(), self.dice.random() < 0.1
        if forged:
            counted = counted[1:]
        wrong = self.is_wrong(done, min(words, WORDS - done))
        due = self.phase == "Challenge" and not forged and not wrong
        try:
            self.wallets.send(desk, self.arena.settlement.settle, self.model, self.vectors(counted), words)
        except Reverted:
            self.refresh()
            assert not due or self.phase != "Challenge", "a right proposal was not settled"
            raise
        assert due, "a wrong proposal was settled"
        if done + words >= WORDS:
            assert self.current() == self.model == self.right_model_of_last, "what was settled is not the result"

    def is_wrong(self, first: int, words: int) -> bool:
        """Whether the standing proposal differs from the rule's result in these words."""
        here = slice(32 * first, 32 * (first + words))
        self.right_model_of_last = self.right_model()
        return self.model[here] != self.right_model_of_last[here]

    def silence(self, desk: str, target: str) -> None:
        self.wallets.send(desk, self.arena.duties.reportSilence, target)
        assert self.committed[target] == self.round != self.revealed.get(target)
        self.fault("silence", target, 2, desk)

    def absence(self, desk: str, target: str) -> None:
        had_seat = self.seat(target) < self.selected
        self.wallets.send(desk, self.arena.duties.reportAbsence, target)
        assert had_seat
        assert self.committed.get(target) != self.round
        self.fault("absence", target, 1, desk)
        self.ledger.absences[target] += 1
        if self.ledger.absences[target] == 2:
            self.ledger.absences[target] = 0
            (status, *_) = self.wallets.read((self.arena.federation.memberOf, target))[0]
            assert status in (0, 3), "two absences in a row did not suspend"

    def demand(self, desk: str, target: str) -> None:
        self.wallets.send(desk, self.arena.duties.demand, target, value=self.params["demandBond"])
        assert self.revealed[target] == self.round
        assert self.demands.get(target, ("", 0))[1] != self.round, "demanded twice"
        self.demands[target] = self.unpaid[target] = (desk, self.round)

    def answer(self, desk: str, target: str) -> None:
        salt, data = self.opening(target)[2], self.update(target)
        forged = desk not in self.honest and self.dice.random() < 0.1
        shown = self.update(self.desks[0])[::-1] if forged else data
        self.wallets.send(desk, self.arena.duties.answer, target, NO_ANNEX, salt, shown, b"")
        assert not forged
        assert self.demanded(target, self.round)
        self.answered[target] = self.round
        del self.unpaid[target]

    def unanswered(self, desk: str, target: str) -> None:
        by, number = self.unpaid.get(target, ("", 0))
        self.wallets.send(desk, self.arena.duties.reportUnanswered, target)
        assert self.demanded(target, number)
        self.fault("unanswered", target, 4, by, number)
        del self.unpaid[target]

    def fault(self, what: str, target: str, halves: int, beneficiary: str, number: int = 0) -> None:
        once = (what, target, number or self.round)
        assert once not in self.reported, "penalised twice"
        assert target not in self.honest, "an honest desk was penalised"
        self.reported.add(once)
        self.ledger.penalise(target, self.payer(target), halves, self.params, beneficiary)

    def claim_wei(self, desk: str, _: str) -> None:
        self.wallets.send(desk, self.arena.duties.claim)

    def pause(self, *_: str) -> None:
        self.wallets.send(self.arena.guardian.address, self.arena.federation.pause)
        self.paused = True

    def unpause(self, *_: str) -> None:
        self.wallets.send(self.arena.guardian.address, self.arena.federation.unpause)
        self.paused = False

    def schedule(self, *_: str) -> None:
        bond = self.dice.choice([BOND, BOND, BOND * 11 // 10])
        changes = {
            "bond": bond,
            "silencePenalty": bond // self.dice.choice([16, 21, 40]) + self.dice.choice([0, -1]),
            "demandWindow": self.dice.choice([30, 50]),
            "seats": self.dice.choice([5, 6, 8]),
        }
        params: dict[str, Any] = PARAMS | {"epochRounds": 2} | changes
        self.wallets.send(self.arena.founder.address, self.arena.federation.scheduleParams, tuple(params.values()))

    def wait_short(self, *_: str) -> None:
        self.wait(self.dice.randrange(1, 50))

    def wait_long(self, *_: str) -> None:
        self.wait(110)
