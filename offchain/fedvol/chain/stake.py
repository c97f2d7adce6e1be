"""One node's stake: its bond, whose it is, and amounts of the bond token as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fedvol.chain.deployment import NOWHERE
from fedvol.chain.federation import STATUSES, FederationClient
from fedvol.errors import ConfigError


@dataclass(frozen=True)
class Stake:
    """As `IStakeVault` has it at one block. Amounts in smallest token units, `refunds` in wei, times in seconds.

    Attributes:
        status: "none", "joining", "active" or "leaving".
        unlocks_at: 0 while the node is a member.
        withdrawal: the withdrawal address that it has named; None without one.
        offered_to: to whom that place is offered.
        payee: whom bond and rewards are paid to.
        successor: who has its bond since it was rotated out.
        liable_until: until when its bond answers for a node that was rotated out.
    """

    node: str
    block: int
    time: int
    status: str
    bond: int
    unlocks_at: int
    withdrawal: str | None
    offered_to: str | None
    payee: str
    retired: bool
    successor: str | None
    liable_until: int
    rewards: int
    refunds: int

    @property
    def is_member(self) -> bool:
        return self.status != "none"


@dataclass(frozen=True)
class Unit:
    """The bond token, for people."""

    symbol: str
    decimals: int

    def parse(self, text: str) -> int:
        """Smallest units of an amount in tokens, exactly.

        Raises:
            ConfigError: no positive decimal number, or finer than the token.
        """
        if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            raise ConfigError(
                f"{text!r} is no amount.", f"Give {self.symbol} as a decimal number, such as 1000 or 0.5."
            )
        whole, _, part = text.partition(".")
        part = part.rstrip("0")
        if len(part) > self.decimals:
            raise ConfigError(f"{text} is finer than {self.symbol}.", f"It has {self.decimals} decimals.")
        amount = int(whole + part.ljust(self.decimals, "0"))
        if not amount:
            raise ConfigError(f"{text} is nothing.", "Give an amount above 0.")
        return amount

    def show(self, amount: int) -> str:
        """All digits, none rounded."""
        whole, part = divmod(amount, 10**self.decimals)
        digits = f"{part:0{self.decimals}d}".rstrip("0") if self.decimals else ""
        return f"{whole:,}{'.' if digits else ''}{digits} {self.symbol}"


def read_stake(client: FederationClient, node: str, block: int | None = None) -> Stake:
    """A node's stake, at the latest block by default."""
    vault, duties = client.vault.functions, client.duties.functions
    calls = [
        client.federation.functions.memberOf(node), vault.bondOf(node), vault.rotationOf(node),
        vault.withdrawalOf(node), vault.offeredTo(node), vault.payeeOf(node), vault.claimable(node),
        duties.claimable(node),
    ]  # fmt: skip
    seen = client.look("the stake", calls, block)
    (status, _), (bond, unlocks_at), rotation, withdrawal, offered_to, payee, rewards, refunds = seen.answers
    retired, successor, liable_until = rotation
    return Stake(
        node=node,
        block=seen.block,
        time=seen.time,
        status=STATUSES[status],
        bond=bond,
        unlocks_at=unlocks_at,
        withdrawal=_somebody(withdrawal),
        offered_to=_somebody(offered_to),
        payee=payee,
        retired=retired,
        successor=_somebody(successor),
        liable_until=liable_until,
        rewards=rewards,
        refunds=refunds,
    )


def read_unit(client: FederationClient) -> Unit:
    """Symbol and decimals, as the token states them."""
    token = client.token.functions
    symbol, decimals = client.look("the bond token", [token.symbol(), token.decimals()]).answers
    return Unit("".join(filter(str.isprintable, symbol))[:16], decimals)


def when(seconds: int) -> str:
    """A time of the chain, in UTC, as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _somebody(address: object) -> str | None:
    return None if address == NOWHERE else str(address)
