"""Training happens beside the node: what the node is rid of, what its helper is told, and what ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fedvol.errors import TapeError
from fedvol.learning.model import Opening, build
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import DEFAULT_END_MS, generate, write_parquet
from fedvol.node import workshop
from fedvol.node.trainer import Trainer
from fedvol.node.workshop import Workshop
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import pack_model
from tests.node.conftest import PARAMS, PASSWORD

RULE = Rule.from_params(PARAMS)
SECRET = b"the secret of a round, 32 bytes!"
OPENING = Opening(DEFAULT_END_MS // 1000)


@pytest.fixture
def recipe(tmp_path: Path) -> tuple[Any, ...]:
    path = tmp_path / "tape.parquet"
    write_parquet(generate(seed=3, hours=6, snapshots=2), path)
    return json.loads(mixture_spec().to_json()), path, Settings(steps=2)


def helpers() -> list[int]:
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in mine if b"fedvol.node.workshop" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def start_bytes() -> bytes:
    return pack_model(build(mixture_spec()).initial_weights())


def test_it_gives_what_the_trainer_gives(recipe: tuple[Any, ...]) -> None:
    there, here = Workshop(*recipe, hours=6.0), Trainer(*recipe, hours=6.0)
    assert there.count() == len(there.rows()) == len(here.rows()) > 0
    made = there.update(start_bytes(), OPENING, RULE, SECRET)
    assert made == here.update(start_bytes(), OPENING, RULE, SECRET)


def test_a_trainers_refusal_comes_back_as_it_was(recipe: tuple[Any, ...], tmp_path: Path) -> None:
    spec, _, settings = recipe
    with pytest.raises(TapeError, match=r"none.csv") as refused:
        Workshop(spec, tmp_path / "none.csv", settings, hours=6.0).count()
    assert refused.value.hint


def test_killed_between_two_rounds_it_starts_again(recipe: tuple[Any, ...]) -> None:
    trainer = Workshop(*recipe, hours=6.0)
    rows = trainer.count()
    (first,) = helpers()
    os.kill(first, signal.SIGKILL)
    assert trainer.count() == rows
    assert helpers() != [first]


def test_no_secret_is_in_its_arguments_or_environment(recipe: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDVOL_PASSWORD", PASSWORD)
    monkeypatch.setattr(workshop._worker, "_connection", None)
    Workshop(*recipe, hours=6.0).update(start_bytes(), OPENING, RULE, SECRET)
    for pid in helpers():
        shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert b"workshop" in shown
        assert PASSWORD.encode() not in shown
        assert SECRET not in shown


def test_it_ends_with_its_node_however_that_dies(recipe: tuple[Any, ...]) -> None:
    spec, tape, _ = recipe
    code = f"""
import os, pathlib
from fedvol.learning.settings import Settings
from fedvol.node.workshop import Workshop
Workshop({spec!r}, pathlib.Path({str(tape)!r}), Settings(), hours=6.0).count()
print(pathlib.Path(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children").read_text(), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    (helper,) = done.stdout.split()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{helper}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_waiting_node_holds_neither_torch_nor_pandas() -> None:
    code = (
        "import sys, fedvol.node.daemon; "
        "sys.exit(' '.join({'torch', 'opacus', 'pandas', 'scipy', 'pyarrow'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
