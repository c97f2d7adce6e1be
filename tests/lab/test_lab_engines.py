"""Engines: whichever trains the participants, they send the same, and none dies unseen."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.errors import ConfigError, WireError
from fedvol.lab.engine import Engine, InTurn, Job, Parts, check, engine
from fedvol.lab.engines.batched import Batched
from fedvol.lab.engines.on_ray import OnRay, RayFailed
from fedvol.lab.engines.processes import Processes, WorkerLost
from fedvol.lab.engines.shares import shares
from fedvol.lab.federation import PLAN_RULE, Nodes
from fedvol.lab.replay.replay import walk
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.terms import Plan
from fedvol.learning.contribution import Contribution, packed
from fedvol.learning.model import Before, Model, Opening, build
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import generate
from fedvol.protocol.agreed import Limits

pytestmark = pytest.mark.timeout(120)

MARKETS = ("BTC", "ETH")
RARE = 1e-3
"""Share of lanes that may differ by one unit where they are batched; about 1e-7 is expected."""


@pytest.fixture(scope="module")
def model() -> Model:
    return build(mixture_spec())


@pytest.fixture(scope="module")
def found() -> list[Snapshot]:
    frame = generate(seed=4, hours=48, snapshots=8)
    return snapshots(frame, MARKETS, sorted(frame["desk"].unique()), 6, 6.0)


@pytest.fixture
def job(model: Model, found: list[Snapshot]) -> Job:
    """The round in which also the state's weights are trained."""
    start = model.initial_weights()
    before = Before(model.spec.to_float(start), found[0].as_of, np.array([[0.1, -0.02], [-0.05, 0.03]]))
    return Job(model, start, Opening(found[1].as_of, before), Settings(max_rows=40), PLAN_RULE)


@pytest.fixture
def parts(found: list[Snapshot]) -> Parts:
    """Desks of few and many rows, more than a round takes among them; of one market; of none."""
    pooled = found[1].pooled
    one_market, nothing = pooled.select(pooled.market == 1), pooled.select(np.zeros(len(pooled), dtype=bool))
    backwards = pooled.select(np.arange(len(pooled))[::-1][:30])  # not in the order of markets
    desks = [*found[1].desks, nothing, pooled, one_market, pooled.select(np.array([3])), backwards]
    return [(rows, bytes([number]) * 32) for number, rows in enumerate(desks)]


def to_bytes(sent: list[Contribution]) -> list[bytes]:
    return [packed(one) for one in sent]


def rounds_agree(tried: Engine, job: Job, parts: Parts) -> None:
    """Three rounds: the same rows, another model and other secrets; then rows of which one has changed."""
    later = replace(job, weights=job.weights + 1000, opening=Opening(job.opening.as_of))
    anew = [(rows, secret[::-1][:31] + b"!") for rows, secret in parts]
    swapped = [(parts[1][0], parts[0][1]), *parts[1:]]
    for one, who in ((job, parts), (later, anew), (job, swapped), (job, parts[:1])):
        assert to_bytes(tried.train(one, who)) == to_bytes(InTurn().train(one, who))
    assert tried.train(job, []) == []


@dataclass(frozen=True)
class Deadly(Job):
    """Kills the process that trains, as often as there are files to take away."""

    lives: Path = Path()

    def send(self, rows: Rows, secret: bytes) -> Contribution:
        for life in self.lives.iterdir():
            try:
                life.unlink()
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)
        return super().send(rows, secret)


def deadly(job: Job, folder: Path, times: int) -> Deadly:
    for life in range(times):
        (folder / str(life)).touch()
    return Deadly(**vars(job), lives=folder)


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_processes_send_the_same_bytes(workers, job, parts):
    tried = Processes(workers)
    rounds_agree(tried, job, parts)
    assert len(tried.pids) == min(workers, len(parts))
    tried.close()


def test_processes_stay_and_rows_travel_once(job, parts, monkeypatch):
    tried = Processes(2)
    tried.train(job, parts)
    pids, told = tried.pids, []
    monkeypatch.setattr(tried, "_send", lambda worker, task: (told.append(task), worker.pipe.send(task)))
    tried.train(job, parts)
    assert tried.pids == pids
    assert [desks for _, desks, _ in told] == [None, None]
    assert all(len(pickle.dumps(task)) < 10_000 for task in told)
    tried.close()


def test_a_killed_process_is_named_and_replaced(job, parts, tmp_path):
    tried = Processes(2)
    with pytest.raises(WorkerLost, match=r"ended by signal 9 while it trained \d participants.*fewer workers"):
        tried.train(deadly(job, tmp_path, 1), parts)
    rounds_agree(tried, job, parts)
    os.kill(tried.pids[0], signal.SIGKILL)
    with pytest.raises(WorkerLost, match="signal 9"):
        tried.train(job, parts)
    tried.close()


def test_what_goes_wrong_in_a_process_comes_out_of_it(job, parts):
    tried = Processes(2)
    with pytest.raises(WireError, match="rounding seed has 1 bytes"):
        tried.train(job, [*parts, (parts[0][0], b"x")])
    rounds_agree(tried, job, parts)
    tried.close()


def test_batched_lanes_differ_by_one_unit_at_most_and_rarely(job, parts):
    for one in (job, replace(job, opening=Opening(job.opening.as_of), norm=1 << 30)):
        lanes, tried = (
            np.stack([np.concatenate(sent) for sent in engine.train(one, parts)]) for engine in (InTurn(), Batched())
        )
        assert np.abs(lanes - tried).max() <= 1
        assert np.mean(lanes != tried) <= RARE
        assert np.abs(lanes).max() > 1000
    assert Batched().train(job, []) == []
    plain = replace(job, rule=replace(PLAN_RULE, weighted=False))
    assert all(weights is None for _, weights in Batched().train(plain, parts))


def test_batched_rounds_end_within_two_units(model, found):
    ends = []
    for tried in (InTurn(), Batched()):
        nodes, weights = Nodes(model, 6, engine=tried), model.initial_weights()
        for at in (found[1], found[2]):
            for _ in range(4):
                weights = nodes.round(weights, Opening(at.as_of), at.desks)
        ends.append(weights)
    assert np.abs(ends[0] - ends[1]).max() <= 2
    assert np.abs(ends[0] - model.initial_weights()).max() > 1000


def test_batched_blocks_do_not_depend_on_who_else_is_there(job, parts):
    many = Batched().train(job, list(parts) * 30)
    alone = [Batched().train(job, [part])[0] for part in parts]
    for number, (moves, _) in enumerate(many):
        assert np.abs(moves - alone[number % len(parts)][0]).max() <= 1


@pytest.mark.parametrize(
    "change", [{"limits": Limits()}, {"settings": Settings(privacy=Privacy(8.0, 1e-5, rounds=4))}], ids=str
)
def test_what_cannot_be_batched_is_refused(change, job, parts):
    with pytest.raises(ConfigError, match="Use the engine processes"):
        Batched().train(replace(job, **change), parts)


def test_shares_are_equal_and_in_order():
    for count, most in ((0, 4), (3, 4), (10, 4), (1000, 7)):
        dealt = shares(list(range(count)), most)
        assert [part for share in dealt for part in share] == list(range(count))
        assert len(dealt) == min(count, most)
        assert not dealt or max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_engines_have_names_and_a_missing_ray_is_told_before_the_work(tmp_path, monkeypatch):
    kinds = {name: type(engine(name)) for name in ("in-turn", "processes", "batched", "ray")}
    assert list(kinds.values()) == [InTurn, Processes, Batched, OnRay]
    with pytest.raises(ConfigError, match="0 processes"):
        Processes(0)
    with pytest.raises(ConfigError, match="cannot be batched"):
        check("batched", special=True)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'fedvol\[ray\]'"):
        OnRay().train(None, [(None, b"")])
    done = CliRunner().invoke(app, ["lab", "replay", "--tape", str(tmp_path / "none"), "--engine", "ray"])
    assert isinstance(done.exception, ConfigError) or "fedvol[ray]" in done.output


@pytest.mark.parametrize("name", ["processes", "batched", "ray"])
def test_a_replay_is_the_same_with_every_engine(name, model, found):
    """In a forked process, as methods are walked."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        tried, plain = (
            pool.submit(walk, "federated 0", model, found[:2], Plan(Path(), "desk", 6, 3, rounds=1, engine=one))
            for one in (name, "in-turn")
        )
        for ours, theirs in zip(tried.result().same, plain.result().same, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6 if name == "batched" else 0, rtol=0)


def test_an_address_without_ray_is_named(job, parts, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(RayFailed, match=r"No Ray answers at 127.0.0.1:1.*unset RAY_ADDRESS"):
        OnRay().train(job, parts)


# From here on Ray lives in this process, and forks of it would not be safe.


@pytest.fixture(scope="module")
def on_ray() -> Iterator[OnRay]:
    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # its workers cannot import a test
    tried = OnRay("local")
    yield tried
    tried.close()
    assert not ray.is_initialized()


def test_a_local_ray_sends_the_same_bytes(on_ray, job, parts):
    rounds_agree(on_ray, job, parts)
    with pytest.raises(WireError, match="rounding seed has 1 bytes"):
        on_ray.train(job, [(parts[0][0], b"x")])


def test_ray_trains_anew_what_is_killed_and_names_what_is_lost_for_good(on_ray, job, parts, tmp_path):
    assert to_bytes(on_ray.train(deadly(job, tmp_path, 1), parts)) == to_bytes(InTurn().train(job, parts))
    assert not list(tmp_path.iterdir())
    with pytest.raises(RayFailed, match="lost participants for good"):
        on_ray.train(deadly(job, tmp_path, 4), parts[:1])
    rounds_agree(on_ray, job, parts[:3])
