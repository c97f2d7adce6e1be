"""Attacks on a federation of real daemons on a real Anvil: the right party pays, the round is final, all goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Thread
from typing import TypeVar

import pytest
from eth_account import Account
from scripts._localnet import Localnet, localnet
from scripts.attacker import Attacker
from web3.contract.contract import ContractFunction

from fedvol.chain.federation import Phase, Snapshot
from fedvol.market.synthetic import DEFAULT_END_MS, generate
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import pack_model, unpack_model
from fedvol.storage import open_storage

HONEST = 4
SEATS_FOR_ATTACKERS = 3
WINDOW_HOURS = 6.0
BURNED = "0x000000000000000000000000000000000000dEaD"
#: Every round is an epoch, so that an attacker is in the next round after it has joined.
PLAN = {
    "rounds": {"epoch_rounds": 1, "challenge_window": 12, "demand_window": 5, "interval": 4, "unbonding": 400},
    "rule": {"kind": "median"},
}

T = TypeVar("T")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    home = tmp_path_factory.mktemp("attacked")
    rows = generate(seed=5, hours=6, snapshots=2)
    tapes = [part.drop(columns="desk") for _, part in rows.groupby("desk")]
    with localnet(
        home, WINDOW_HOURS, HONEST, rogues=SEATS_FOR_ATTACKERS, changes=PLAN, start=DEFAULT_END_MS // 1000
    ) as net:
        for index in range(HONEST):
            net.add_desk(f"desk-{index}", tapes[index])
        for desk in net.desks:
            net.start(desk)
        yield net


def wait(net: Localnet, look: Callable[[Snapshot], T], seconds: float = 120) -> T:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        snapshot = net.snapshot()
        if found := look(snapshot):
            return found
        stopped = [desk for desk in net.desks if not desk.alive]
        assert not stopped, f"{stopped[0].name} stopped:\n{stopped[0].log.read_text()[-3000:]}"
        time.sleep(0.1)
    logs = "\n".join(f"== {desk.name}\n{desk.log.read_text()[-1500:]}" for desk in net.desks)
    raise AssertionError(f"still in {net.snapshot()}\n{logs}")


def attacker(net: Localnet, tip_gwei: float = 1.0) -> Attacker:
    """A funded account that has not joined."""
    account = Account.create()
    net.client.web3.provider.make_request("anvil_setBalance", [account.address, hex(10**20)])
    net.send("BondToken", net.client.deployment.token, "mint", account.address, 4 * bond_of(net))
    return Attacker(net.client, account, open_storage(str(net.home / "storage")), tip_gwei)


def member(net: Localnet) -> Attacker:
    """One that has joined and waits in the commit phase of its first round."""
    new = attacker(net)
    new.join()
    wait(net, lambda s: s.phase == Phase.COMMIT and seated(new))
    return new


def seated(who: Attacker) -> bool:
    s = who.look()
    return s.node is not None and s.node.seat is not None and s.node.seat < s.clock.selected


def revealed(net: Localnet, who: Attacker, **how: bool) -> int:
    """Commits and reveals; returns the round."""
    who.commit()
    wait(net, lambda s: s.phase == Phase.REVEAL)
    who.reveal(**how)
    return who.look().clock.number


def bond_of(net: Localnet) -> int:
    return net.snapshot().params["bond"]


def bond(net: Localnet, address: str) -> int:
    return net.client.vault.functions.bondOf(address).call()[0]


def faults(net: Localnet, address: str) -> int:
    return net.client.duties.functions.recordOf(address).call()[0]


def events(net: Localnet, name: str, round_number: int, contract: object = None) -> list:
    source = getattr((contract or net.client.federation).events, name)
    return list(source.get_logs(from_block=0, argument_filters={"round": round_number}))


def propose_first(net: Localnet, who: Attacker, model: Callable[[], bytes]) -> None:
    """While every honest desk stands still, as if all were slow, the attacker is the first to propose."""
    wait(net, lambda s: s.phase == Phase.AVAILABILITY)
    with net.halted(net.desks):
        wait(
            net,
            lambda s: (
                s.phase == Phase.PROPOSE and s.time >= s.ends_at - s.params["proposeWindow"] + s.params["leadWindow"]
            ),
        )
        who.must(who.client.federation.functions.propose(model(), 0))


def assert_final_and_right(net: Localnet, number: int) -> list[str]:
    """The round is final with exactly what the rule makes of the reveals that count. Returns whose they are."""
    final = wait(net, lambda s: events(net, "RoundFinal", number))[0]
    version, client = final["args"]["version"], net.client
    dropped = {e["args"]["node"] for e in events(net, "Demanded", number, client.duties)}
    dropped -= {e["args"]["node"] for e in events(net, "Answered", number, client.duties)}
    reveals = [r for r in client.reveals(number, client.web3.eth.block_number) if r.node not in dropped]
    storage = open_storage(str(net.home / "storage"))
    dimension = client.registry.functions.dimension().call()
    before = unpack_model(client.model(version - 1), dimension)
    expected = apply(Rule.from_params(net.snapshot().params), before, [storage.get(r.content_id) for r in reveals])
    assert client.model(version) == pack_model(expected)
    return [r.node for r in reveals]


def assert_honest_lost_nothing(net: Localnet) -> None:
    for desk in net.desks:
        assert desk.alive
        assert bond(net, desk.address) >= bond_of(net)
        assert faults(net, desk.address) == 0


def assert_caught(net: Localnet, liar: Attacker, number: int, accuser: str | None = None) -> None:
    """Its whole bond is gone: half to the accuser, half burned."""
    caught = wait(net, lambda s: events(net, "Overturned", number))[0]["args"]
    assert caught["proposer"] == liar.address
    assert caught["accuser"] in ([accuser] if accuser else [desk.address for desk in net.desks])
    assert caught["taken"] == bond_of(net)
    slashed = net.client.vault.events.Slashed.get_logs(from_block=0, argument_filters={"node": liar.address})
    assert [(e["args"]["burned"], e["args"]["reward"]) for e in slashed] == [(bond_of(net) // 2, bond_of(net) // 2)]
    assert bond(net, liar.address) == 0


def test_a_proposer_that_moves_one_weight_by_one_unit(net: Localnet) -> None:
    liar = member(net)
    number = revealed(net, liar)
    propose_first(net, liar, lambda: liar.wrong_model(weight=17, by=-1))
    assert_caught(net, liar, number)
    assert_final_and_right(net, number)
    assert_honest_lost_nothing(net)


def test_a_proposer_of_a_model_from_other_bytes_that_exits_with_the_dispute_open(net: Localnet) -> None:
    liar = member(net)
    number = revealed(net, liar)

    def other() -> bytes:
        s = liar.look()
        vectors = [liar.vector(fill=700) for _ in liar.counted()]
        weights = unpack_model(net.client.model(s.version), liar.dimension)
        return pack_model(apply(Rule.from_params(s.params), weights, vectors))

    wait(net, lambda s: s.phase == Phase.AVAILABILITY)
    propose_first(net, liar, other)
    liar.must(net.client.federation.functions.exit())
    assert_caught(net, liar, number)
    assert_final_and_right(net, number)
    assert_honest_lost_nothing(net)


def test_bytes_that_nobody_can_fetch(net: Localnet) -> None:
    miser = member(net)
    number = revealed(net, miser, pin=False)
    counted = assert_final_and_right(net, number)
    assert miser.address not in counted
    assert set(counted) <= {desk.address for desk in net.desks}
    report = wait(net, lambda s: events(net, "UnansweredReported", number, net.client.duties))[0]["args"]
    penalty = 2 * net.snapshot().params["silencePenalty"]
    assert (report["node"], report["taken"]) == (miser.address, penalty)
    assert bond(net, miser.address) == bond_of(net) - penalty
    miser.must(net.client.federation.functions.exit())
    assert_honest_lost_nothing(net)


def test_a_copier_of_another_commit_cannot_open_it_and_pays(net: Localnet) -> None:
    copier = member(net)
    number = copier.look().clock.number
    victim = wait(
        net, lambda s: next((e for e in events(net, "Committed", number) if e["args"]["node"] != copier.address), None)
    )
    sent = net.client.web3.eth.get_transaction(victim["transactionHash"])
    _, arguments = net.client.federation.decode_function_input(sent["input"])
    copier.must(net.client.federation.functions.commit(arguments["commitment"]))
    opened = wait(
        net, lambda s: next((r for r in net.client.reveals(number, s.block) if r.node == victim["args"]["node"]), None)
    )
    copied = net.client.federation.functions.reveal(opened.content_id, opened.annex, opened.salt, opened.pledge)
    assert copier.send(copied)["status"] == 0
    counted = assert_final_and_right(net, number)
    assert copier.address not in counted
    wait(net, lambda s: events(net, "SilenceReported", number, net.client.duties))
    assert bond(net, copier.address) == bond_of(net) - net.snapshot().params["silencePenalty"]

    # The same with what it opened in the round before: a commitment binds its round.
    wait(net, lambda s: s.clock.number > number and s.phase == Phase.COMMIT)
    later = copier.look().clock.number
    copier.must(net.client.federation.functions.commit(arguments["commitment"]))
    wait(net, lambda s: s.phase == Phase.REVEAL)
    assert copier.send(copied)["status"] == 0
    assert copier.address not in assert_final_and_right(net, later)
    copier.must(net.client.federation.functions.exit())
    assert_honest_lost_nothing(net)


def test_a_front_runner_takes_the_reward_and_the_round_goes_on(net: Localnet) -> None:
    liar, thief = member(net), attacker(net, tip_gwei=50.0)
    number = revealed(net, liar)
    target = net.client.settlement.address.lower()
    stolen: list[int] = []

    def watch_the_pool() -> None:
        """Repeats the first dispute that waits in the pool, for more."""
        deadline = time.monotonic() + 60
        while not stolen and time.monotonic() < deadline:
            pool = net.client.web3.provider.make_request("txpool_content", [])["result"]["pending"]
            for waiting in (tx for queue in pool.values() for tx in queue.values()):
                if (waiting["to"] or "").lower() == target:
                    stolen.append(thief.send(Raw(net.client.settlement.address, waiting["input"]))["status"])
                    return
            time.sleep(0.02)

    propose_first(net, liar, lambda: liar.wrong_model(weight=3))
    spy = Thread(target=watch_the_pool)
    spy.start()
    spy.join()
    assert stolen == [1]
    assert_caught(net, liar, number, accuser=thief.address)
    assert_final_and_right(net, number)
    assert_honest_lost_nothing(net)


def test_a_wrong_accuser_pays_its_gas_and_no_more(net: Localnet) -> None:
    accuser = attacker(net)
    s = wait(net, lambda s: s if s.phase == Phase.CHALLENGE and s.ends_at - s.time >= 5 else None)
    model = net.client.proposed_model(s.clock.number, s.block)
    before = net.client.web3.eth.get_balance(accuser.address)
    receipt = accuser.send(net.client.settlement.functions.dispute(model, accuser.vectors(), 0, 1))
    assert receipt["status"] == 0
    paid = before - net.client.web3.eth.get_balance(accuser.address)
    assert paid == receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert not events(net, "Overturned", s.clock.number)
    assert_final_and_right(net, s.clock.number)
    assert_honest_lost_nothing(net)


def test_a_griefer_that_demands_everything_pays_for_every_answer(net: Localnet) -> None:
    griefer = attacker(net)
    duties, put_up = net.client.duties, net.snapshot().params["demandBond"]
    number = wait(net, lambda s: s.clock.number if s.phase == Phase.COMMIT else 0)
    s = wait(net, lambda s: s if s.phase == Phase.AVAILABILITY else None)
    asked = [r.node for r in griefer.counted()]
    threads = []
    nonce = net.client.web3.eth.get_transaction_count(griefer.address)
    for offset, node in enumerate(asked):  # all in one block
        signed = griefer.account.sign_transaction(
            {
                "type": 2, "chainId": net.client.web3.eth.chain_id, "to": duties.address, "value": put_up,
                "data": duties.functions.demand(node)._encode_transaction_data(), "nonce": nonce + offset,
                "gas": 500_000, "maxFeePerGas": 50 * 10**9, "maxPriorityFeePerGas": 10**9,
            }
        )  # fmt: skip
        threads.append(net.client.web3.eth.send_raw_transaction(signed.raw_transaction))
    for sent in threads:
        assert net.client.web3.eth.wait_for_transaction_receipt(sent, timeout=30)["status"] == 1
    counted = assert_final_and_right(net, number)
    assert set(asked) <= set(counted), "every demand was answered"
    assert s.clock.number == number
    answered = events(net, "Answered", number, duties)
    assert {e["args"]["node"] for e in answered} == set(asked)
    for event in answered:
        receipt = net.client.web3.eth.get_transaction_receipt(event["transactionHash"])
        cost = receipt["gasUsed"] * receipt["effectiveGasPrice"]
        assert cost <= event["args"]["refund"] <= put_up
    refunds = sum(e["args"]["refund"] for e in answered)
    assert duties.functions.claimable(griefer.address).call() == len(asked) * put_up - refunds
    assert_honest_lost_nothing(net)


@pytest.mark.timeout(700)
def test_sybils_pay_a_bond_each_and_shut_nobody_out_of_the_running_epoch(net: Localnet) -> None:
    number = wait(net, lambda s: s.clock.number if s.phase == Phase.COMMIT else 0)
    sybils = [attacker(net) for _ in range(SEATS_FOR_ATTACKERS)]
    for sybil in sybils:
        sybil.join()
        assert bond(net, sybil.address) == bond_of(net)
    counted = assert_final_and_right(net, number)
    assert {desk.address for desk in net.desks} <= set(counted)
    # In their own epoch they hold seats and do nothing: two absences each, and they are out; the rounds go on.
    statuses = lambda: {sybil.look().node.status for sybil in sybils}  # noqa: E731
    wait(net, lambda s: statuses() == {"active"})
    wait(net, lambda s: "active" not in statuses(), seconds=500)
    for sybil in sybils:
        assert bond(net, sybil.address) < bond_of(net)
    latest = net.snapshot().clock.number
    wait(net, lambda s: s.clock.number > latest and events(net, "RoundFinal", s.clock.number))
    assert_honest_lost_nothing(net)


class Raw(ContractFunction):
    """Somebody else's calldata."""

    def __init__(self, to: str, data: str) -> None:
        self.address, self.data = to, data

    def _encode_transaction_data(self) -> str:  # type: ignore[override]
        return self.data


def test_the_attacks_have_used_the_rule_that_they_were_meant_for(net: Localnet) -> None:
    assert Rule.from_params(net.snapshot().params).kind.name == "MEDIAN"
