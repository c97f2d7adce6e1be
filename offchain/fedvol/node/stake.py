"""What a node or its payee does with a stake by hand: which transactions that takes, and why the vault refuses one."""

from __future__ import annotations

from dataclasses import dataclass

from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError

from fedvol.chain.client import readable
from fedvol.chain.federation import FederationClient
from fedvol.chain.outbox import Attempt, NoFunds, WouldRevert, call_rpc, ether, explain_revert
from fedvol.chain.stake import Stake, Unit, read_stake, when
from fedvol.errors import ChainError, ConfigError


class Refused(ChainError):
    """What the contracts do not allow; nothing was sent."""


@dataclass(frozen=True)
class Step:
    """One transaction. `says`: what it does, for who is asked. `purpose`: see `Outbox.deliver`."""

    purpose: str
    says: str
    call: ContractFunction


class Memory:
    """The attempts of one command, for a key that nothing else uses while it runs (`AttemptLog`)."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []

    def record_attempt(self, attempt: Attempt) -> None:
        self._attempts.append(attempt)

    def attempts(self, purpose: str) -> list[Attempt]:
        return [a for a in self._attempts if a.purpose == purpose]

    def dearest_attempt(self, nonce: int) -> Attempt | None:
        return max((a for a in self._attempts if a.nonce == nonce), key=lambda a: a.max_fee, default=None)

    def settle_attempt(self, tx_hash: bytes, block: int, succeeded: bool) -> None: ...


class Moves:
    """The steps of each move, from what the chain says; none is sent here.

    Args:
        by: who signs.
    """

    def __init__(self, client: FederationClient, stake: Stake, unit: Unit, by: str) -> None:
        self._client, self._stake, self._unit, self._by = client, stake, unit, by
        self._vault = client.vault.functions

    def add(self, amount: int) -> list[Step]:
        """Raises the bond of a member, or funds in advance what a node joins with."""
        stake, token, by = self._stake, self._client.token.functions, self._by
        if stake.retired:
            raise self.refusal("NodeRetired")
        with readable("the tokens of the account"):
            held = token.balanceOf(by).call()
            allowed = token.allowance(by, self._client.vault.address).call()
        shown = self._unit.show(amount)
        if held < amount:
            raise NoFunds(
                f"{by} holds {self._unit.show(held)}, and is to add {shown}.",
                f"Send it some; the token is at {self._client.token.address}.",
            )
        approve = token.approve(self._client.vault.address, amount)
        steps = [self._step(f"approves the vault to take {shown} from {by}", approve)] if allowed < amount else []
        says = f"adds {shown} of {by} to the bond of {stake.node}, then {self._unit.show(stake.bond + amount)}"
        return [*steps, self._step(f"{says}; it is paid out to {stake.payee}", self._vault.fund(stake.node, amount))]

    def exit(self) -> list[Step]:
        """Queues the node to leave."""
        stake = self._stake
        self._require(stake.node, "leaves the federation by its own key")
        params = self._client.snapshot(block=stake.block).params
        moment = "at once" if stake.status == "joining" else "at the next opening of a round"
        says = (
            f"{stake.node} leaves {moment}; from then on its {self._unit.show(stake.bond)} unbond for "
            f"{params['unbonding']:,} seconds, still liable, and are then withdrawn to {stake.payee}"
        )
        return [self._step(says, self._client.federation.functions.exit())]

    def withdraw(self) -> list[Step]:
        """Pays the bond to the payee."""
        stake = self._stake
        says = f"pays the bond of {stake.node}, {self._unit.show(stake.bond)}, to {stake.payee}"
        return [self._step(says, self._vault.withdraw(stake.node))]

    def claim(self) -> list[Step]:
        """Pays rewards to the payee; coins too, where the node itself signs."""
        stake, steps = self._stake, []
        if stake.rewards:
            says = f"pays the rewards of {stake.node}, {self._unit.show(stake.rewards)}, to {stake.payee}"
            steps.append(self._step(says, self._vault.claim(stake.node)))
        if stake.refunds and self._by == stake.node:
            says = f"pays refunds and returned demand bonds, {ether(stake.refunds)} ETH, to {stake.node}"
            steps.append(self._step(says, self._client.duties.functions.claim()))
        if not steps and stake.refunds:
            raise Refused(
                f"{stake.node} has earned no tokens, and {ether(stake.refunds)} ETH that only its own key can claim.",
                "Its daemon does so between two rounds.",
            )
        if not steps:
            raise self.refusal("NothingToWithdraw")
        return steps

    def rotate(self, to: str) -> list[Step]:
        """Puts the key out of use, and once the node has left hands its bond to another of the same payee."""
        stake, heir = self._stake, read_stake(self._client, to, self._stake.block)
        self._require(stake.payee, "may retire that key and move its bond")
        if heir.payee != self._by:
            raise Refused(
                f"{to} has not named {self._by} as its withdrawal address.",
                f"Let it: `withdrawal = {self._by!r}` in its node.toml, or `fedvol stake withdrawal` with its key.",
            )
        if stake.is_member and stake.retired:
            raise self.refusal("StillLocked")
        if stake.is_member:
            says = (
                f"retires the key of {stake.node}: once it has left, it joins no more. Then let it leave "
                "(`fedvol stake exit`), and run this command again to hand its bond over"
            )
            return [self._step(says, self._vault.retire(stake.node))]
        says = f"retires the key of {stake.node} and hands its bond, {self._unit.show(stake.bond)}, to {to}"
        if stake.unlocks_at > stake.time:
            says += f", which answers for what {stake.node} did until {when(stake.unlocks_at)}"
        return [self._step(says, self._vault.rotate(stake.node, to))]

    def withdrawal(self, to: str) -> list[Step]:
        """Names the withdrawal address, or offers its place to another."""
        stake = self._stake
        if stake.withdrawal is None:
            self._require(stake.node, "names its withdrawal address")
            if to == stake.node:
                raise ConfigError(f"{to} is the operator's own address.", "Name one whose key lies elsewhere.")
            says = f"{stake.node} names {to}, for good: bond and rewards are paid there, and only {to} can change that"
            return [self._step(says, self._vault.nameWithdrawal(to))]
        self._require(stake.withdrawal, "may hand on its place")
        says = f"offers {to} to be the withdrawal address of {stake.node}, once it accepts (`fedvol stake accept`)"
        return [self._step(says, self._vault.offerWithdrawal(stake.node, to))]

    def accept(self) -> list[Step]:
        """Takes the place that was offered."""
        says = f"makes {self._stake.offered_to} the withdrawal address of {self._stake.node}"
        return [self._step(says, self._vault.acceptWithdrawal(self._stake.node))]

    # ------------------------------------------------------------------ refusals

    def try_out(self, steps: list[Step]) -> None:
        """Raises Refused where the contracts refuse the first step as things stand."""
        try:
            call_rpc(lambda: steps[0].call.estimate_gas({"from": self._by}))
        except ContractLogicError as error:
            raise self.refusal(*explain_revert(error)) from error

    def explain(self, error: WouldRevert) -> Refused:
        """What the outbox met, in words."""
        return self.refusal(error.error, error.message)

    def refusal(self, name: str, reason: str = "") -> Refused:
        """A custom error of the contracts, in words; `reason`: the error itself, for those without any."""
        stake = self._stake
        if name == "StillLocked" and stake.is_member:
            message, hint = "is a member, and its bond is locked", "Let it leave first (`fedvol stake exit`)."
        elif name == "StillLocked":
            message, hint = f"has a bond that is locked until {when(stake.unlocks_at)}", "Try again then."
        elif name == "StillLiable":
            until = when(stake.liable_until)
            message = f"has a bond that answers for its former key until {until}"
            hint = "It moves on after that; what is retired meanwhile stays out."
        elif name in ("NotPayee", "NotOffered"):
            whose = f"{stake.offered_to or 'nobody'} may take" if name == "NotOffered" else f"{stake.payee} may move"
            message, hint = f"has a stake that {whose}, not {self._by}", "Sign with that key (--keystore)."
        elif name == "NodeRetired":
            where = f"; its bond is with {stake.successor}" if stake.successor else ""
            message, hint = f"was retired by its payee{where}", "A retired key takes no bond and joins no more."
        elif name == "NotMember":
            message, hint = f"is no member that could leave (status: {stake.status})", "See `fedvol stake show`."
        elif name in ("NothingToWithdraw", "NothingToClaim", "ZeroAmount"):
            message, hint = "has nothing there", "See `fedvol stake show`."
        else:
            return Refused(f"The contracts refuse: {reason}", "See `fedvol stake show`.")
        return Refused(f"{stake.node} {message}.", hint)

    def _require(self, signer: str, what: str) -> None:
        if self._by != signer:
            raise Refused(f"Only {signer} {what}, and {self._by} signs.", "Sign with that key (--keystore).")

    def _step(self, says: str, call: ContractFunction) -> Step:
        # The bond is part of the name: added again, the same amount is another act.
        return Step(f"stake-{call.fn_name}:{self._stake.node}:{self._stake.bond}:{call.args}", says, call)
