"""What every account should hold: recomputed from who did what, never read from the chain."""

from __future__ import annotations

from collections import Counter


class Ledger:
    """Bond tokens of one federation's accounts, in token units; and every fault that was reported."""

    def __init__(self, accounts: list[str], purse: int) -> None:
        self.purse: dict[str, int] = {}
        self.bond: dict[str, int] = {}
        self.reward: dict[str, int] = {}
        self.payee: dict[str, str] = {}
        for account in accounts:
            self.add(account, purse)
        self.burned = 0
        self.faults: Counter[str] = Counter()
        self.absences: Counter[str] = Counter()  # since the last commit

    def add(self, account: str, purse: int) -> None:
        self.purse[account], self.bond[account], self.reward[account] = purse, 0, 0
        self.payee[account] = account

    def pay_in(self, account: str, amount: int, by: str | None = None) -> None:
        self.purse[by or account] -= amount
        self.bond[account] += amount

    def withdraw(self, account: str) -> None:
        self.purse[self.payee[account]] += self.bond[account]
        self.bond[account] = 0

    def claim(self, account: str) -> None:
        self.purse[self.payee[account]] += self.reward[account]
        self.reward[account] = 0

    def rotate(self, old: str, heir: str) -> None:
        self.bond[heir] += self.bond[old]
        self.bond[old] = 0

    def slash(self, account: str, amount: int, reserve: int, beneficiary: str) -> None:
        """Half of what is taken is burned, rounded up."""
        taken = min(amount, max(self.bond[account] - reserve, 0))
        self.bond[account] -= taken
        self.reward[beneficiary] += taken // 2
        self.burned += taken - taken // 2

    def penalise(self, account: str, payer: str, halves: int, params: dict[str, int], beneficiary: str) -> None:
        """A missed duty, out of the bond of `payer`: so many halves of the silence penalty, doubled with each of the
        first three faults."""
        amount = -(-halves * params["silencePenalty"] // 2) << min(self.faults[account], 3)
        self.faults[account] += 1
        self.slash(payer, amount, params["bond"] // 2, beneficiary)
