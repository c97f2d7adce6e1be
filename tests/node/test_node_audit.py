"""`fedvol audit` on rounds of real nodes: honest ones, disputed ones, and ones that nobody watched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from fedvol.chain.federation import Phase
from fedvol.cli import app
from fedvol.errors import ConfigError
from fedvol.node.audit import Verdict
from fedvol.storage import open_storage
from tests.node.conftest import Lab
from tests.node.test_node_watch import lead_first, mint, off_by_one, propose_wrong, unpin, until_phase, until_revealed


def audited(lab: Lab, number: int = 1, *more: str) -> tuple[int, Any]:
    """(exit code, document)."""
    options = ["--round", str(number), "--rpc", lab.url, "--storage", str(lab.folder / "storage"), "--json", *more]
    result = CliRunner().invoke(app, ["audit", "--deployments", str(lab.folder / "deployments.json"), *options])
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


def verdicts(document: Any, step: str) -> list[str]:
    return [f["verdict"] for f in document["steps"] if f["step"] == step]


def test_an_honest_round_holds_and_a_running_one_is_said_to_run(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_phase(lab, *nodes, phase=Phase.CHALLENGE)
    code, document = audited(lab)
    assert (code, verdicts(document, "end")) == (10, [Verdict.RUNNING])
    lab.cycle(*nodes, until=lambda: lab.version == 3, seconds=4)
    for number in (1, 2):
        code, document = audited(lab, number)
        assert code == 0, document
        assert {f["verdict"] for f in document["steps"]} == {Verdict.HOLDS}
        assert verdicts(document, "vector") == [Verdict.HOLDS] * 3
        steps = {f["step"] for f in document["steps"]}
        assert steps == {"opening", "seed", "seats", "commits", "vector", "proposal", "model"}
    with pytest.raises(ConfigError, match="Round 9 was never opened"):
        audited(lab, 9)


def test_a_wrong_proposal_that_was_overturned_leaves_a_round_that_holds(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3, 4)]
    until_revealed(lab, *nodes)
    liar, *honest = lead_first(lab, nodes)
    for node in honest:
        mint(lab, node, 10**21)
    until_phase(lab, *honest, phase=Phase.PROPOSE)
    propose_wrong(lab, liar, off_by_one)
    lab.cycle(*honest, until=lambda: lab.version == 2, seconds=2)
    code, document = audited(lab)
    assert code == 0, document
    assert verdicts(document, "proposal") == [Verdict.HOLDS] * 2
    assert verdicts(document, "dispute") == [Verdict.HOLDS]
    assert any("wrong at word 2, overturned" in f["what"] for f in document["steps"])


def test_a_wrong_model_that_nobody_disputed_is_found(lab: Lab) -> None:
    nodes = [lab.node(i, watchtower=False) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    liar, *others = lead_first(lab, nodes)
    until_phase(lab, *others, phase=Phase.PROPOSE)
    propose_wrong(lab, liar, off_by_one)
    lab.cycle(*others, until=lambda: lab.version == 2, seconds=4)
    code, document = audited(lab)
    assert code == 8
    assert verdicts(document, "proposal") == verdicts(document, "model") == [Verdict.WRONG]


def test_missing_bytes_are_told_from_wrong_ones_and_name_their_node(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=4)
    data = unpin(lab, nodes[1])
    code, document = audited(lab)
    assert code == 9
    (named,) = [f for f in document["steps"] if f["verdict"] == Verdict.MISSING]
    assert nodes[1]._account.address in named["what"]
    assert verdicts(document, "model") == [Verdict.UNCHECKABLE]
    open_storage(str(lab.folder / "storage")).put(data)
    assert audited(lab)[0] == 0


def test_a_dropped_node_and_an_answered_one_are_audited(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    lead, owner, gone = lead_first(lab, nodes)
    unpin(lab, owner)
    unpin(lab, gone)
    lab.cycle(lead, owner, until=lambda: lab.version == 2, seconds=1)
    unpin(lab, owner)  # the chain has them
    code, document = audited(lab)
    assert code == 0, document
    assert len(verdicts(document, "demand")) == 2
    assert sum("dropped" in f["what"] for f in document["steps"]) == 1
