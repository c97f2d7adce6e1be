"""What eight desks do with their bonds: whose they are, who may move them, and whose faults they pay for."""

from __future__ import annotations

from tests.contracts.arena import BOND, PARAMS
from tests.contracts.wallets import Reverted

MOST_RETIRED, MOST_ROTATED = 2, 5


class Stakes:
    """A part of `Life`. Honest desks keep what is their own; desks 2 to 4 are others' payees as well."""

    def begin_stakes(self) -> None:
        self.retired: set[str] = set()
        self.moved: dict[str, tuple[str, int]] = {}  # desk -> who has its bond, until when its faults follow it
        for desk in self.desks[3:6]:
            self.name(desk, self.desks[2])

    def fund(self, desk: str, target: str) -> None:
        if desk in self.honest or self.dice.random() < 0.7:
            target = desk
        amount = self.dice.randrange(1, 2 * BOND)
        self.wallets.send(desk, self.arena.vault.fund, target, amount)
        assert target not in self.retired
        self.ledger.pay_in(target, amount, by=desk)

    def withdraw(self, desk: str, _: str) -> None:
        if self.phase in ("Void", "Final"):
            self.wait(self.dice.choice([0, PARAMS["unbonding"]]))
        self.wallets.send(self.either(desk), self.arena.vault.withdraw, desk)
        assert not self.answers_for_others(desk), "a bond left while faults could still follow it"
        self.ledger.withdraw(desk)

    def claim(self, desk: str, _: str) -> None:
        self.wallets.send(self.either(desk), self.arena.vault.claim, desk)
        self.ledger.claim(desk)

    def name_withdrawal(self, desk: str, _: str) -> None:
        if desk in self.honest:
            raise Reverted("an honest desk keeps what is its own")
        self.name(desk, self.dice.choice(self.desks[2:5]))

    def name(self, desk: str, withdrawal: str) -> None:
        self.wallets.send(desk, self.arena.vault.nameWithdrawal, withdrawal)
        self.ledger.payee[desk] = withdrawal

    def hand_on_withdrawal(self, desk: str, _: str) -> None:
        payee, target = self.ledger.payee[desk], self.dice.choice(self.desks[2:5])
        self.wallets.send(payee, self.arena.vault.offerWithdrawal, desk, target)
        self.wallets.send(target, self.arena.vault.acceptWithdrawal, desk)
        self.ledger.payee[desk] = target

    def retire(self, desk: str, _: str) -> None:
        if desk in self.honest or len(self.retired) >= MOST_RETIRED:
            raise Reverted("somebody must go on")
        self.wallets.send(self.ledger.payee[desk], self.arena.vault.retire, desk)
        self.lose(desk)

    def rotate(self, *_: str) -> None:
        """Any two desks of one payee; members, the bare and the retired are for the vault to refuse."""
        payee, bond = self.ledger.payee, self.ledger.bond
        others = [d for d in self.desks if d not in self.honest]
        pairs = [(a, b) for a in others for b in others if a != b and payee[a] == payee[b] and bond[a]]
        out = [d for d, (status, *_) in zip(others, self.statuses(others), strict=True) if status == 0]
        likely = [(a, b) for a, b in pairs if a in out and b not in self.retired]
        if not pairs or len(self.moved) >= MOST_ROTATED:
            raise Reverted("nothing to rotate")
        old, heir = self.dice.choice(likely if likely and self.dice.random() < 0.8 else pairs)
        ((_, unlocks_at),) = self.wallets.read((self.arena.vault.bondOf, old))
        self.wallets.send(payee[old], self.arena.vault.rotate, old, heir)
        assert old in out, "a member's bond moved"
        assert heir not in self.retired
        assert not self.answers_for_others(old), "a fault is two steps from its bond"
        self.moved[old] = (heir, unlocks_at)
        self.ledger.rotate(old, heir)
        if old not in self.retired:
            self.lose(old)

    # ------------------------------------------------------------------ what is so

    def either(self, desk: str) -> str:
        """The desk, or its payee."""
        return self.dice.choice([desk, self.ledger.payee[desk]])

    def statuses(self, desks: list[str]) -> list[list[int]]:
        return self.wallets.read(*((self.arena.federation.memberOf, d) for d in desks))

    def lose(self, desk: str) -> None:
        """Another desk takes the place of one that cannot come back."""
        self.retired.add(desk)
        self.add_desk()

    def answers_for_others(self, desk: str) -> bool:
        return any(heir == desk and self.now() < end for heir, end in self.moved.values())

    def payer(self, desk: str) -> str:
        """Whose bond pays for a fault of the desk, in the last block."""
        heir, end = self.moved.get(desk, (desk, 0))
        return heir if self.now() < end else desk
