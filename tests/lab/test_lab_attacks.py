"""What attacks send, what of it passes, and that an attacked replay says so and goes on after a stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.commands import lab as commands
from fedvol.errors import ConfigError
from fedvol.lab.attacks import ATTACKS, Attacker, Scene, attack_named
from fedvol.lab.attacks.vectors import MinMax
from fedvol.lab.backend import Seeded
from fedvol.lab.federation import PLAN_BOUNDS, PLAN_RULE, Nodes
from fedvol.lab.replay import replay as replays
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.terms import BURN, MASKED, NORM, PLAIN, PROVEN, RULES, Plan
from fedvol.learning.contribution import Contribution, packed
from fedvol.learning.model import Opening, build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.tape import load_tape
from fedvol.protocol.vector import BIAS

MODEL = build(mixture_spec())
START = MODEL.initial_weights()
MOST = PLAN_RULE.weight_cap * PLAN_RULE.clamp >> PLAN_RULE.weight_shift


@pytest.fixture(scope="module")
def found(tape: Path) -> list[Snapshot]:
    rows = load_tape(tape, "desk").rows
    return snapshots(rows, MODEL.spec.markets, sorted(rows["desk"].unique()), 6, 6.0)


class Caught(Attacker):
    """Keeps the scene of the last round."""

    scene: Scene

    def __init__(self, name: str, share: float = 0.34, **options: int) -> None:
        self.seen: list[dict[int, Contribution]] = []
        super().__init__(attack_named(name), share, 6, 0, options.pop("rounds", 4), **options)

    def tampered(self, nodes, job, sent):
        self.scene = Scene(nodes, job, sent, self.hostile, job.weights, 1.0, np.random.default_rng(0))
        self.seen.append(super().tampered(nodes, job, sent))
        return self.seen[-1]


def play(found: Sequence[Snapshot], attacker: Attacker | None, rounds: int = 1, **terms) -> tuple[np.ndarray, Nodes]:
    nodes, weights = Nodes(MODEL, 6, masks=False, attacker=attacker, **terms), START
    for _ in range(rounds):
        weights = nodes.round(weights, Opening(found[0].as_of), found[0].desks)
    return weights, nodes


@pytest.mark.parametrize(
    "terms", [{}, {"cluster_size": 3}, {"cluster_size": 3, "norm": NORM}], ids=["plain", "masked", "proven"]
)
@pytest.mark.parametrize("name", ATTACKS)
def test_whatever_an_attack_asks_for_it_sends_what_passes(found, name, terms):
    attacker = Caught(name)
    weights, nodes = play(found, attacker, rounds=2, **terms)
    assert len(attacker.hostile) == 2
    for sent in attacker.seen:
        assert set(sent) >= set(attacker.scene.honest)
        for node in set(attacker.hostile) & set(sent):
            moves, sure = sent[node]
            packed((moves, sure))
            if nodes.m == 1 or nodes.norm is not None:
                assert np.abs(moves).max() <= MOST
                assert sure.max() <= PLAN_RULE.weight_cap
            if nodes.norm is not None:
                assert (moves.astype(object) ** 2).sum() <= NORM
    clean, _ = play(found, None, rounds=2, **terms)
    assert weights.tolist() != clean.tolist()


def test_a_cluster_without_proofs_lets_one_member_speak_for_all(found):
    moves = {}
    for kind, terms in (("masked", {}), ("proven", {"norm": NORM})):
        attacker = Caught("scaled")
        play(found, attacker, cluster_size=3, **terms)
        moves[kind] = np.abs(attacker.seen[0][attacker.hostile[0]][0]).max()
    assert moves["proven"] <= MOST < moves["masked"] < BIAS


def test_vector_attacks_are_what_their_papers_say(found):
    sent: dict[str, Caught] = {}
    for name in ("sign-flip", "alie", "ipm", "min-max", "mimic", "rider-zero"):
        sent[name] = Caught(name)
        play(found, sent[name])
    first = {name: attacker.seen[0][attacker.hostile[0]] for name, attacker in sent.items()}
    scene, node = sent["alie"].scene, sent["alie"].hostile[0]

    own, sure = scene.sent[node]
    assert (first["sign-flip"][0].tolist(), first["sign-flip"][1].tolist()) == ((-own).tolist(), sure.tolist())
    assert not first["rider-zero"][0].any()
    assert first["rider-zero"][1].any()
    assert any(first["mimic"][0].tolist() == scene.sent[honest][0].tolist() for honest in scene.honest)
    others = {name: attacker.seen[0][attacker.hostile[1]] for name, attacker in sent.items()}
    for name in ("alie", "ipm", "min-max", "mimic", "rider-zero"):
        assert first[name][0].tolist() == others[name][0].tolist()

    for name in ("alie", "ipm", "min-max"):
        tuned = attack_named(name)
        vectors = [scene.vector(move) for move in tuned.candidates(scene)]
        assert scene.damage(first[name]) == max(map(scene.damage, vectors)) > 0
    ipm = scene.asked(first["ipm"])
    assert ipm @ scene.mean < 0
    lie = (scene.mean - scene.asked(first["alie"])) / np.where(scene.deviation > 1, scene.deviation, np.inf)
    far = np.abs(scene.asked(first["alie"])) < 0.9 * PLAN_RULE.clamp
    assert np.ptp(lie[far & (scene.deviation > 1_000)]) < 0.01


def test_min_max_goes_as_far_as_honest_nodes_lie_apart():
    draws = np.random.default_rng(1)
    moves = draws.normal(size=(7, 40))
    mean, direction = moves.mean(axis=0), np.eye(40)[3]
    most = max(np.linalg.norm(a - b) for a in moves for b in moves)
    step = MinMax.farthest(mean, moves, direction, most)
    assert np.linalg.norm(mean + step * direction - moves, axis=1).max() == pytest.approx(most)
    assert step > 0


def test_poisoned_tapes_bias_what_they_should(found):
    desk = found[0].desks[5]
    biased = attack_named("label-bias").rows(None, desk)
    cheap = desk.k < -desk.iv * np.sqrt(desk.T)
    assert cheap.any()
    np.testing.assert_allclose(biased.iv - desk.iv, np.where(cheap, 0.10, 0.0))
    caught = Caught("wash-trades")
    play(found, caught)
    scene = caught.scene
    rows = attack_named("wash-trades").rows(scene.job, desk)
    made = rows.select(np.arange(len(desk), len(rows)))
    weights = MODEL.spec.to_float(scene.job.weights)
    model = MODEL.implied_vol(weights, found[0].as_of, made.market, made.k, made.expiry)
    np.testing.assert_allclose(made.iv - model, 0.03)
    _, sure = caught.seen[0][caught.hostile[0]]
    honest = scene.sure.max(axis=0)
    assert np.median(sure[honest > 0] / honest[honest > 0]) > 3


def test_a_little_share_is_part_of_a_larger_one_and_a_majority_is_refused():
    sizes = [set(Attacker(attack_named("alie"), share, 12, 3, 10).hostile) for share in (0.1, 0.2, 0.3, 0.4)]
    assert [len(hostile) for hostile in sizes] == [1, 2, 4, 5]
    assert sizes[0] < sizes[1] < sizes[2] < sizes[3]
    with pytest.raises(ConfigError, match="no minority"):
        Attacker(attack_named("alie"), 0.5, 12, 3, 10)
    with pytest.raises(ConfigError, match="no attack named 'nice'"):
        attack_named("nice")


def test_they_are_honest_until_they_turn_and_late_joiners_are_missing_until_half(found):
    attacker = Caught("sign-flip", begins=2)
    play(found, attacker, rounds=3)
    honest = [node for node in range(6) if node not in attacker.hostile]
    clean = Caught("sign-flip", begins=9)
    play(found, clean, rounds=3)
    same = [
        all(a[n][0].tolist() == b[n][0].tolist() for n in range(6))
        for a, b in zip(attacker.seen, clean.seen, strict=True)
    ]
    assert same == [True, True, False]
    late = Caught("late-joiner", begins=9)
    play(found, late, rounds=4)
    assert [sorted(sent) for sent in late.seen] == [honest, honest, [*range(6)], [*range(6)]]


def test_a_version_that_breaks_the_engines_bounds_is_refused_and_the_last_one_stays(found):
    bounded, nodes = play(found, Caught("scaled"), bounds=PLAN_BOUNDS._replace(most_move_bps=11_000))
    free, _ = play(found, Caught("scaled"))
    assert (nodes.refused, bounded.tolist()) == (1, START.tolist())
    assert free.tolist() != START.tolist()
    _, honest = play(found, None, rounds=3, bounds=PLAN_BOUNDS)
    assert honest.refused == 0


def test_seats_are_drawn_by_the_epoch():
    backend = Seeded(seed=5, epoch=4)
    drawn = [tuple(backend.seats(number, 12)) for number in range(1, 13)]
    assert len(set(drawn)) == 3
    assert drawn[0] == drawn[3] != drawn[4]
    assert all(sorted(seats) == list(range(12)) for seats in drawn)
    assert tuple(Seeded(5).seats(1, 4)) == (0, 1, 2, 3)


def test_the_command_offers_every_rule_and_attack():
    assert set(get_args(commands.Attacks)) == set(ATTACKS)
    assert set(get_args(commands.Rules)) == set(RULES)
    assert RULES["mean"] == PLAN_RULE
    assert {rule.weighted for name, rule in RULES.items() if name.startswith("equal")} == {False}


def test_an_attacked_replay_says_what_it_did_and_goes_on_after_a_stop(tape, tmp_path, monkeypatch):
    asked = [
        "lab", "replay", "--tape", str(tape), "--workers", "1", "--out", str(tmp_path), "--rounds", "1", "--nodes", "6",
        "--cluster-size", "3", "--attack", "scaled", "--hostile", "0.34", "--rule", "trimmed-mean",
    ]  # fmt: skip
    walk, walked = replays.walk, []

    def stopped(name, *rest):
        if name == f"{MASKED} 0":
            raise KeyboardInterrupt
        return walk(name, *rest)

    monkeypatch.setattr(replays, "walk", stopped)
    first = CliRunner().invoke(app, asked)
    assert first.exit_code != 0
    assert not (tmp_path / "report.json").exists()
    kept = {path.stem for path in tmp_path.rglob("*.npz")}
    assert f"{PROVEN}-0" in kept
    assert f"{MASKED}-0" not in kept

    def counted(name, *rest):
        path = tmp_path / "walked"
        path.write_text(path.read_text() + name + "\n" if path.exists() else name + "\n")
        return walk(name, *rest)

    monkeypatch.setattr(replays, "walk", counted)
    again = CliRunner().invoke(app, asked)
    assert again.exit_code == 0, again.output
    walked = (tmp_path / "walked").read_text().split("\n")
    assert f"{MASKED} 0" in walked
    assert f"{PROVEN} 0" not in walked
    assert "scaled by 2 of 6 nodes, rule trimmed-mean" in again.output
    assert "masked, proven" in again.output
    html = (tmp_path / "report.html").read_text()
    assert "plotly" in html
    assert "RMSE by snapshot" in html


def test_a_record_that_was_kept_is_what_was_walked(tape, tmp_path, monkeypatch):
    plan = Plan(tape, "desk", rounds=1).filled(6)
    whole = replays.replay(plan, 1, lambda *_: None, tmp_path)
    monkeypatch.setattr(replays, "walk", None)
    again = replays.replay(plan, 1, lambda *_: None, tmp_path)
    assert whole | {"seconds": 0} == again | {"seconds": 0}
    assert len(whole["methods"][PLAIN]["error_by_snapshot"]) == whole["snapshots"] > BURN


def test_a_budget_of_privacy_costs_and_is_told(found, tape):
    plan = Plan(tape, "desk", rounds=1, epsilon=4.0).filled(6)
    nodes = plan.federation(PLAIN, MODEL, 6)
    assert (nodes.settings.privacy.epsilon, nodes.settings.privacy.rounds) == (4.0, plan.rounds_of(6))
    noisy = nodes.round(START, Opening(found[0].as_of), found[0].desks)
    clean = Plan(tape, "desk", rounds=1).filled(6).federation(PLAIN, MODEL, 6)
    assert noisy.tolist() != clean.round(START, Opening(found[0].as_of), found[0].desks).tolist()


def test_plans_that_cannot_be_are_refused(tape):
    with pytest.raises(ConfigError, match="no rule named 'krum'"):
        Plan(tape, "desk", rule="krum").filled(6)
    with pytest.raises(ConfigError, match="no minority"):
        Plan(tape, "desk", attack="alie", hostile=0.7).filled(6)
