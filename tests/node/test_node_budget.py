"""The privacy budget of a node: paid before anything leaves, once a round, never beyond what its owner allows."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from fedvol.chain.federation import Phase
from fedvol.cli import app
from fedvol.errors import ConfigError, TapeError
from fedvol.learning.model import Opening
from fedvol.learning.privacy import Privacy, epsilon_spent
from fedvol.market.synthetic import DEFAULT_END_MS, generate, write_parquet
from fedvol.node.budget import Account, Budget, BudgetSpent, account
from fedvol.node.config import PrivacyBudget, load_config
from fedvol.node.daemon import open_node
from fedvol.node.journal import open_journal, read_journal
from fedvol.node.trainer import Trainer
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import unpack_update, unpack_weighted
from tests.node.conftest import PARAMS, Lab
from tests.node.test_node_config import write
from tests.node.test_node_journal import OWNER, SEED, in_a_child_that_is_killed, part

TWO_ROUNDS = Privacy(epsilon=1.0, rounds=2)
SECTION = {"epsilon": 4.0, "rounds": 1, "steps": 2}
MEAN = Rule.from_params(PARAMS)


def test_the_third_of_two_rounds_is_refused_and_not_charged(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        budget = Budget(journal, TWO_ROUNDS)
        for number in (1, 2):
            assert budget.allows(number, SEED)
            budget.charge(number, SEED)
        assert not budget.allows(3, SEED)
        with pytest.raises(BudgetSpent, match="epsilon 1 of one trade"):
            budget.charge(3, SEED)
        assert len(journal.charges()) == 2
        assert epsilon_spent(journal.charges(), 1e-5) == pytest.approx(1.0, abs=0.01)


def test_charges_survive_a_restart_and_kill_9(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        Budget(journal, TWO_ROUNDS).charge(1, SEED)

    def work() -> None:
        with open_journal(tmp_path, OWNER) as journal:
            Budget(journal, TWO_ROUNDS).charge(2, SEED)
            os.kill(os.getpid(), 9)

    in_a_child_that_is_killed(work)
    with open_journal(tmp_path, OWNER) as journal:
        assert journal.charges() == [TWO_ROUNDS.charge()] * 2
        assert not Budget(journal, TWO_ROUNDS).allows(3, SEED)


def test_a_round_is_paid_for_once_and_its_other_seed_again(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        for _ in range(3):
            Budget(journal, TWO_ROUNDS).charge(1, SEED)
        assert len(journal.charges()) == 1
        Budget(journal, TWO_ROUNDS).charge(1, 7)
        assert len(journal.charges()) == 2
        assert Budget(journal, TWO_ROUNDS).allows(1, 7)
        assert not Budget(journal, TWO_ROUNDS).allows(1, 8)


def test_a_changed_configuration_pays_for_what_earlier_rounds_took(tmp_path: Path) -> None:
    """Less noise from now on: what is left buys fewer rounds, and the past is not forgotten."""
    with open_journal(tmp_path, OWNER) as journal:
        Budget(journal, TWO_ROUNDS).charge(1, SEED)
        louder = Privacy(epsilon=1.0, noise=TWO_ROUNDS.charge().noise / 1.5)
        assert not Budget(journal, louder).allows(2, SEED)
        assert Budget(journal, replace(louder, epsilon=1.5)).allows(2, SEED)
        Budget(journal, replace(louder, epsilon=1.5)).charge(1, SEED)  # the round is trained again, with less noise
        assert journal.charges() == [louder.charge()]


def test_that_it_sits_out_is_said_once_a_round(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal, capture_logs() as logs:
        budget = Budget(journal, replace(TWO_ROUNDS, rounds=1))
        budget.charge(1, SEED)
        for number in (2, 2, 2, 3):
            assert not budget.allows(number, SEED)
    assert [(line["event"], line["number"]) for line in logs] == [("sits out", 2), ("sits out", 3)]
    assert "exit" in logs[0]["next"]


def test_an_update_from_before_the_budget_does_not_leave(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal, capture_logs() as logs:
        budget = Budget(journal, TWO_ROUNDS)
        assert not budget.allows(1, SEED, trained=True)
        assert "before there was a privacy budget" in logs[0]["why"]
        for number in (2, 3):
            budget.charge(number, SEED)
        assert budget.allows(3, SEED, trained=True)  # paid for, though nothing is left
        assert Budget(journal, None).allows(1, SEED, trained=True)


def test_no_budget_asks_for_nothing(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        assert Budget(journal, None).allows(1, SEED)
        Budget(journal, None).charge(1, SEED)
        assert journal.charges() == []


def test_the_account_counts_what_is_left_and_what_was_never_protected(tmp_path: Path) -> None:
    ten = Privacy(epsilon=2.0, rounds=10)
    assert account(None, ten) == Account(2.0, 1e-5, 0.0, 10, 0, 0)
    with open_journal(tmp_path, OWNER) as journal:
        journal.prepare(part(1))
        for number in (2, 3, 4):
            Budget(journal, ten).charge(number, SEED)
            journal.prepare(part(number))
        found = account(journal, ten)
    assert (found.charged, found.left, found.unprotected) == (3, 7, 1)
    assert 0 < found.spent < 2.0
    assert found.facts()["privacy_unit"] == "one trade"
    assert found.facts()["privacy_epsilon_left"] == pytest.approx(2.0 - found.spent, abs=1e-4)


# ---------------------------------------------------------------------- configuration


def test_the_section_is_read_and_trains(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "[training]\nclip = 1.5\n[privacy]\nepsilon = 2\nrounds = 50\nsteps = 4\n"))
    assert config.settings().privacy == PrivacyBudget(epsilon=2.0, rounds=50, steps=4)
    assert config.settings().clip == 1.5
    assert load_config(write(tmp_path)).settings().privacy is None


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("[privacy]\nepsilon = 1.0\n", ("rounds or noise",)),
        ("[privacy]\nepsilon = 1.0\nrounds = 5\nnoise = 2.0\n", ("rounds or noise",)),
        ("[privacy]\nrounds = 5\n", ("'privacy.epsilon' is missing",)),
        ("[privacy]\nepsilon = nan\nrounds = 5\n", ("epsilon", "nan")),
        ("[privacy]\nepsilon = inf\nrounds = 5\n", ("epsilon", "inf")),
        ("[privacy]\nepsilon = 1.0\nrounds = 5\ndelta = 0.5\n", ("delta", "0.5")),
        ("[privacy]\nepsilon = 1.0\nrounds = 5\nsigma = 2.0\n", ("unknown key 'privacy.sigma'", "noise")),
        ("[training.privacy]\nepsilon = 1.0\nrounds = 5\n", ("training", "[privacy]")),
    ],
)
def test_a_bad_budget_is_refused_in_one_line(tmp_path: Path, extra: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, extra))
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), str(refused.value)


# ---------------------------------------------------------------------- the trainer


OPENING = Opening(DEFAULT_END_MS // 1000)


def trainer(lab: Lab, tape: Path | None = None, at_ms: float = DEFAULT_END_MS, **change: Any) -> Trainer:
    config = lab.config(1, privacy=SECTION | change)
    spec = lab.client.deployment.spec
    return Trainer(spec, tape or config.tape, config.settings(), desk="btc-mid", hours=6, clock=lambda: at_ms / 1000)


def test_a_desk_without_rows_sends_noise(lab: Lab) -> None:
    late = trainer(lab, at_ms=DEFAULT_END_MS + 7 * 86_400_000)
    assert len(late.rows()) == 0
    update = unpack_update(late.update(lab.client.model(1), OPENING, MEAN, b"s" * 32), 160)
    assert np.count_nonzero(update) > 140
    assert len(trainer(lab).rows()) > 0


def test_one_newer_row_pushes_no_other_out(lab: Lab, tmp_path: Path) -> None:
    frame = generate(seed=3, hours=6, snapshots=2)
    newer = frame[frame["desk"] == "btc-mid"].tail(1).assign(ts_ms=DEFAULT_END_MS + 5 * 3_600_000)
    write_parquet(frame.merge(newer, how="outer"), tmp_path / "longer.parquet")
    before, after = trainer(lab), trainer(lab, tmp_path / "longer.parquet")
    assert len(after.rows()) - len(before.rows()) in (0, 1)  # held out, or not


def test_a_tape_whose_rows_hang_together_is_refused(lab: Lab, tmp_path: Path) -> None:
    frame = generate(seed=3, hours=6, snapshots=2)
    frame.loc[frame.index % 2 == 0, "forward"] = np.nan
    write_parquet(frame, tmp_path / "gaps.parquet")
    with pytest.raises(TapeError, match="no forward of their own"):
        trainer(lab, tmp_path / "gaps.parquet").rows()


def test_weight_lanes_say_nothing_of_the_tape(lab: Lab) -> None:
    weighted, model = replace(MEAN, weighted=True), lab.client.model(1)
    full, empty = (trainer(lab, at_ms=DEFAULT_END_MS + days * 86_400_000) for days in (0, 7))
    said = [unpack_weighted(each.update(model, OPENING, weighted, b"s" * 32), 160)[1] for each in (full, empty)]
    assert (said[0] == said[1]).all()
    assert said[0].any()


# ---------------------------------------------------------------------- whole rounds


def test_a_node_sits_out_what_it_cannot_pay_and_goes_on_working(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [lab.node(i) for i in (1, 2)]
    with open_node(lab.config(3, privacy=SECTION)) as node, capture_logs() as logs:
        lab.cycle(*others, node, until=lambda: lab.version == 2)
        assert len(lab.client.reveals(1, lab.client.snapshot().block)) == 3
        lab.cycle(*others, node, until=lambda: lab.version == 3)
        assert len(lab.client.reveals(2, lab.client.snapshot().block)) == 2
        sits = [line for line in logs if line["event"] == "sits out"]
        assert [line["number"] for line in sits if line["number"] == 2] == [2]
        assert lab.client.snapshot(node._account.address).node.status == "active"
    with read_journal(lab.config(3).data_dir) as journal:
        assert [p.number for p in journal.latest(9)] == [1]
        assert len(journal.charges()) == 1
    path = write(
        tmp_path,
        "[privacy]\n" + "".join(f"{name} = {value}\n" for name, value in SECTION.items()),
        **{
            n: str(getattr(lab.config(3), n)) for n in ("rpc", "deployments", "keystore", "tape", "storage", "data_dir")
        },
    )
    monkeypatch.delenv("FEDVOL_PASSWORD")
    result = CliRunner().invoke(app, ["node", "status", "--config", str(path), "--json"])
    assert result.exit_code == 0, result.exception
    found = json.loads(result.stdout)
    assert (found["privacy_unit"], found["privacy_rounds_charged"], found["privacy_rounds_left"]) == ("one trade", 1, 0)
    assert found["privacy_epsilon_spent"] == pytest.approx(4.0, abs=0.01)
    assert found["privacy_epsilon_left"] == pytest.approx(0.0, abs=0.01)
    assert "privacy_epsilon_spent" in CliRunner().invoke(app, ["node", "status", "--config", str(path)]).stdout


def test_a_round_is_paid_before_it_is_trained_and_a_second_try_is_free(lab: Lab) -> None:
    others = [lab.node(i) for i in (1, 2)]
    with open_node(lab.config(3, privacy=SECTION)) as node:
        lab.cycle(*others, node, until=lambda: lab.client.snapshot().phase == Phase.DRAW)
        lab.cycle(*others, until=lambda: lab.client.snapshot().clock.committed == 2)

        def dies(*_: object) -> bytes:
            assert len(node.acts._journal.charges()) == 1
            raise KeyboardInterrupt

        trained = node.acts._trainer.update
        node.acts._trainer.update = dies
        with pytest.raises(KeyboardInterrupt):
            node.cycle()
        node.acts._trainer.update = trained
        lab.cycle(*others, node, until=lambda: lab.client.snapshot().clock.committed == 3)
        assert len(node.acts._journal.charges()) == 1
