"""kill -9, and a full disk, at every step of a masked round: the round goes on, and it costs nobody anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedvol.node.journal import Journal
from tests.faults.crash import FULL, died, prepare, seen, sides, writers
from tests.faults.herd import Herd
from tests.faults.soundness import assert_all_rounds_final, assert_no_act_twice, assert_nobody_paid
from tests.node.conftest import Lab

NODES, MOST = 3, 9
PROVEN = {"keep_evidence", "keep_promise"}
"""Only where updates are proven: see `test_disk.test_what_proofs_need_is_whole_wherever_it_dies`."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def rounds() -> dict[str, Any]:
    """Nobody is late while it starts again: what all must do waits for all. Each round has keys of its own."""
    return {
        "seats": NODES, "clusterSize": NODES, "minMembers": NODES, "epochRounds": 1, "interval": 5, "demandWindow": 4,
        "challengeWindow": 6, "commitWindow": 900, "revealWindow": 900, "unmaskWindow": 900, "proposeWindow": 900,
        "leadWindow": 60, "unbonding": 100_000,
    }  # fmt: skip


@pytest.fixture
def herd(lab: Lab, tmp_path: Path) -> Iterator[Herd]:
    marks = tmp_path / "marks"
    prepare(marks)
    herd = Herd(lab, NODES, marks, node1={"privacy": {"epsilon": 4.0, "rounds": 100}})
    yield herd
    herd.stop()


def test_a_node_dies_at_every_side_of_every_step(lab: Lab, herd: Herd) -> None:
    def all_died() -> bool:
        if died(herd.marks) == {(side, step) for step in seen(herd.marks) for side in sides(step)}:
            return lab.version > NODES
        if lab.version > len(herd.indices) and len(herd.indices) < MOST:
            herd.add(len(herd.indices) + 1)  # a node joins once: others come while there are sides left of that
        return False

    herd.run(all_died, seconds=500)
    quiet = lab.version + 1
    herd.run(lambda: lab.version > quiet, seconds=60)

    steps = seen(herd.marks)
    print(f"{len(died(herd.marks))} deaths at {len(steps)} steps in {lab.round} rounds: {sorted(steps)}")
    assert {step.split()[0] for step in steps} >= set(writers(Journal)) - PROVEN | {"send", "create", "forget"}
    assert {"pin to reveal", "pin to propose"} <= steps
    for act in ("approve", "register-key", "join", "open", "draw", "commit", "reveal", "unmask", "propose", "publish"):
        assert {f"record_attempt {act}", f"send {act}", f"settle_attempt {act}"} <= steps
    assert assert_all_rounds_final(lab) >= 4
    assert_no_act_twice(lab, herd.indices)
    assert_nobody_paid(lab)
    full = [step for side, step in died(herd.marks) if side == FULL and not step.startswith("pin")]
    assert herd.ended.count(-9) == len(died(herd.marks)) - len([1 for side, _ in died(herd.marks) if side == FULL])
    assert len(herd.ended) - herd.ended.count(-9) == len(full)
    assert_each_full_disk_is_one_line(herd, len(full))


def assert_each_full_disk_is_one_line(herd: Herd, times: int) -> None:
    lines = [line for i in herd.indices for line in herd.log(i).splitlines()]
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == times, told
    assert all("cannot be written" in line and "ake room" in line for line in told), told
    for line in set(lines) - set(told):
        json.loads(line)  # and no traceback
