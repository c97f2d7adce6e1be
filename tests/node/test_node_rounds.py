"""Real nodes, real contracts, real training: whole rounds, and what comes in their way."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import requests
from scripts._anvil import free_port

from fedvol.chain.federation import Phase, Reveal
from fedvol.chain.outbox import NoFunds, WouldRevert
from fedvol.errors import ChainError, ConfigError, FedvolError, KeyfileError, StorageError, TapeError
from fedvol.learning.model import Opening
from fedvol.market.holdout import split_holdout, window
from fedvol.market.tape import load_tape
from fedvol.node.daemon import open_node, passes
from fedvol.node.journal import JournalError, read_journal
from fedvol.node.rounds import NothingToPropose, aggregate
from fedvol.node.trainer import Trainer
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import pack_model, pack_update, unpack_model, unpack_update
from fedvol.storage import LocalFolder, open_storage
from tests.node.conftest import BOND, PARAMS, Lab

D = 160
"""Weights of the lab\'s model."""
MEAN = Rule.from_params(PARAMS)


def test_three_nodes_train_a_model_that_anybody_can_recompute(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    before = lab.client.model(1)

    lab.cycle(*nodes, until=lambda: lab.version == 3)

    reveals = lab.client.reveals(1, lab.client.snapshot().block)
    storage = open_storage(str(lab.folder / "storage"))
    vectors = [storage.get(r.content_id) for r in reveals]
    updates = np.array([unpack_update(data, D) for data in vectors])
    expected = apply(MEAN, unpack_model(before, D), vectors)
    assert len(reveals) == 3
    assert updates.any(axis=1).all()
    assert np.array_equal(unpack_model(lab.client.model(2), D), expected)
    assert not np.array_equal(expected, unpack_model(before, D))
    assert all(vault_bond == BOND for vault_bond in (m.bond for m in lab.client.members(lab.client.snapshot())))


def test_a_node_that_comes_back_reveals_what_its_journal_holds(lab: Lab) -> None:
    """It went away between training and commit, and again between commit and reveal; meanwhile its tape changed."""
    others = [lab.node(i) for i in (1, 2)]
    with open_node(lab.config(3)) as node:
        lab.cycle(*others, node, until=lambda: lab.client.snapshot().phase == Phase.DRAW)
        lab.cycle(*others, until=lambda: lab.client.snapshot().clock.committed == 2)
        trained = node.acts.prepare(lab.client.snapshot(node._account.address))
    with open_node(lab.config(3, desk="wings")) as node:
        lab.cycle(node, until=lambda: lab.client.snapshot().clock.committed == 3)
    with open_node(lab.config(3, desk="eth-long")) as node:
        lab.cycle(*others, node, until=lambda: lab.version == 2)
        revealed = {r.node: r.content_id for r in lab.client.reveals(1, lab.client.snapshot().block)}
        assert revealed[node._account.address] == trained.content_id
    with read_journal(lab.config(3).data_dir) as journal:
        assert [p.step for p in journal.latest(5)] == ["revealed"]


def test_a_silent_node_is_reported_and_the_round_goes_on(lab: Lab) -> None:
    others = [lab.node(i) for i in (1, 2)]
    silent = lab.node(3, keeper=False)
    lab.cycle(*others, silent, until=lambda: lab.client.snapshot().clock.committed == 3)
    lab.cycle(*others, until=lambda: lab.version == 2)

    bond = lab.client.snapshot(silent._account.address).node.bond
    assert bond == BOND - PARAMS["silencePenalty"]
    assert len(lab.client.reveals(1, lab.client.snapshot().block)) == 2
    assert len(lab.client.events("SilenceReported", lab.client.snapshot().block, lab.client.duties)) == 1


def test_without_its_lead_a_round_is_proposed_by_the_next(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == 3)
    lead = next(
        n for n in nodes if lab.client.snapshot(n._account.address).node.seat == lab.client.snapshot().lead_seat
    )
    others = [n for n in nodes if n is not lead]
    lab.cycle(*others, until=lambda: lab.client.snapshot().phase == Phase.CHALLENGE)
    assert lab.client.snapshot().proposal.proposer in {n._account.address for n in others}


def test_a_proposer_names_whose_bytes_are_missing_and_goes_on_when_they_come(lab: Lab) -> None:
    nodes = [lab.node(i, watchtower=False) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == 3)
    head = lab.client.snapshot()
    reveals = lab.client.reveals(1, head.block)
    seats = lab.client.seats([r.node for r in reveals], head.block)
    gone = next(r for r in reveals if seats[r.node] != head.lead_seat)  # whose own it has
    storage = open_storage(str(lab.folder / "storage"))
    data = storage.get(gone.content_id)
    storage.unpin(gone.content_id)
    others = [n for n in nodes if n._account.address != gone.node]  # it would pin them again
    with pytest.raises(StorageError, match=gone.node):
        lab.cycle(*others, until=lambda: False)
    storage.put(data)
    lab.cycle(*nodes, until=lambda: lab.version == 2)


def test_a_lone_keeper_opens_no_round(lab: Lab) -> None:
    node = lab.node(1)
    for _ in range(12):
        node.cycle()
        lab.pass_time(10)
    assert lab.client.snapshot().phase == Phase.IDLE
    assert lab.client.snapshot(node._account.address).node.status == "joining"


# ---------------------------------------------------------------------- without a chain


def revealed(name: str, cid: bytes) -> Reveal:
    return Reveal(name, cid, bytes(32), bytes(32), bytes(32), 1)


def test_a_model_needs_every_counted_vector_and_names_whose_is_missing(tmp_path: Path) -> None:
    storage, model = LocalFolder(tmp_path), pack_model(np.arange(32))
    good, long = pack_update(np.full(32, 1000)), pack_update(np.ones(40, dtype=np.int64))
    one, two = revealed("0xA", storage.put(good)), revealed("0xB", storage.put(long))
    combined = aggregate(model, MEAN, [one], {"0xA": good}, 32)
    assert np.array_equal(unpack_model(combined.model, 32), np.arange(32) + 1000)
    with pytest.raises(NothingToPropose):
        aggregate(model, MEAN, [], {}, 32)
    with pytest.raises(StorageError, match="0xB cannot be used: 160 bytes, not 128"):
        aggregate(model, MEAN, [one, two], {"0xA": good, "0xB": long}, 32)
    with pytest.raises(StorageError, match="0xB cannot be fetched: gone"):
        aggregate(model, MEAN, [one, two], {"0xA": good, "0xB": StorageError("gone", "")}, 32)


def test_training_repeats_to_the_byte_and_keeps_the_bound(lab: Lab) -> None:
    config, spec = lab.config(1), lab.client.deployment.spec

    def trainer() -> Trainer:
        return Trainer(spec, config.tape, config.training, desk="btc-mid")

    model, opening = lab.client.model(1), Opening(lab.client.snapshot().time)
    one = trainer().update(model, opening, MEAN, b"s" * 32)
    assert one == trainer().update(model, opening, MEAN, b"s" * 32)
    assert one != trainer().update(model, opening, MEAN, b"t" * 32)
    assert np.abs(unpack_update(one, D)).max() > 2000
    assert (
        np.abs(unpack_update(trainer().update(model, opening, replace(MEAN, clamp=2000), b"s" * 32), D)).max() == 2000
    )


def test_held_out_rows_never_train(lab: Lab) -> None:
    config, spec = lab.config(1), lab.client.deployment.spec
    trained = Trainer(spec, config.tape, config.training, holdout=0.3).rows()
    train, held = split_holdout(window(load_tape(config.tape).rows, 24.0), 0.3)
    assert sorted(trained.iv) == sorted(train["iv"])
    assert not set(trained.iv) & set(held["iv"])


def test_a_node_outlives_an_rpc_that_goes_away(lab: Lab) -> None:
    node = lab.node(1, poll_seconds=0.1)
    provider = node._client.web3.provider
    alive, provider.endpoint_uri = provider.endpoint_uri, f"http://127.0.0.1:{free_port()}"
    back = threading.Timer(1.0, lambda: setattr(provider, "endpoint_uri", alive))
    back.start()
    end = threading.Timer(4.0, node.stop)
    end.start()
    with pytest.raises(ChainError):
        node.cycle()
    node.run()
    back.join()
    assert lab.client.snapshot(node._account.address).node.status == "joining"


def test_only_what_waiting_may_mend_is_waited_for() -> None:
    def caused(error: FedvolError, cause: Exception) -> FedvolError:
        error.__cause__ = cause
        return error

    assert passes(StorageError("", ""))
    assert passes(WouldRevert("", "", ""))
    assert passes(caused(ChainError("", ""), requests.ConnectionError()))
    for error in (NoFunds, TapeError, KeyfileError, ConfigError, JournalError, ChainError):
        assert not passes(error("", "")), error
