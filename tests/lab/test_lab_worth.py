"""Values of participants: right where values are known, honest about names and riders; gains, split by weather."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from tests.realdata import REAL, needs_real_data
from typer.testing import CliRunner

from fedvol.cli import app
from fedvol.errors import ConfigError, TapeError
from fedvol.lab.federation import Nodes
from fedvol.lab.replay import report
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.terms import BURN
from fedvol.lab.replay.walkers import Surface
from fedvol.lab.replay.weather import index_moves, stress
from fedvol.lab.worth.guises import Guise, play
from fedvol.lab.worth.score import Scorer, error
from fedvol.lab.worth.values import banzhaf, coalitions, is_exact, sampling_variance
from fedvol.lab.worth.worth import RULES, Plan, worth
from fedvol.learning.contribution import packed
from fedvol.learning.head import private_head
from fedvol.learning.model import Opening, build
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import generate

MODEL = build(mixture_spec())
Worth = Callable[[frozenset[int]], float]


def quiet(_share: float) -> None:
    pass


# Games


def values(players: int, worth_of: Worth) -> np.ndarray:
    inside = coalitions(players, 1 << players, np.random.default_rng(0))
    return banzhaf(inside, np.array([worth_of(frozenset(np.flatnonzero(row).tolist())) for row in inside]))


def by_definition(players: int, worth_of: Worth) -> list[float]:
    found = []
    for i in range(players):
        others = [j for j in range(players) if j != i]
        without = [frozenset(s) for size in range(players) for s in combinations(others, size)]
        found.append(sum(worth_of(s | {i}) - worth_of(s) for s in without) / len(without))
    return found


def any_game(players: int, seed: int) -> Worth:
    rng = np.random.default_rng(seed)
    table = {frozenset(s): rng.normal() for size in range(players + 1) for s in combinations(range(players), size)}
    return lambda s: table[s] if s else 0.0


@pytest.mark.parametrize(("players", "seed"), [(2, 1), (3, 2), (5, 3)])
def test_values_are_those_of_the_definition(players, seed):
    game = any_game(players, seed)
    np.testing.assert_allclose(values(players, game), by_definition(players, game), atol=1e-12)


@pytest.mark.parametrize(
    ("players", "game", "expected"),
    [
        (3, lambda s: float(len(s) >= 2), [1 / 2] * 3),
        (4, lambda s: float(len(s) == 4), [1 / 8] * 4),
        (4, lambda s: float(len(s) > 0), [1 / 8] * 4),
        (4, lambda s: float(sum((5, 3, 1, 0)[i] for i in s)), [5, 3, 1, 0]),
        (4, lambda s: float(sum((4, 3, 2, 1)[i] for i in s) >= 6), [5 / 8, 3 / 8, 3 / 8, 1 / 8]),
        (3, lambda s: float(bool(s & {0, 1})), [1 / 2, 1 / 2, 0]),
    ],
)  # fmt: skip
def test_values_of_games_that_are_known(players, game, expected):
    np.testing.assert_allclose(values(players, game), expected, atol=1e-12)


def test_two_that_become_one_get_what_they_got_and_three_do_not():
    game = any_game(4, 9)
    grown = [frozenset({0, 1}), frozenset({2}), frozenset({3})]
    merged = values(3, lambda s: game(frozenset().union(*(grown[i] for i in s))))
    apart = values(4, game)
    assert merged[0] == pytest.approx(apart[0] + apart[1], abs=1e-12)
    needed = values(3, lambda s: float(len(s) == 3))
    assert needed.sum() == pytest.approx(3 / 4)
    assert values(1, lambda s: float(len(s) == 1))[0] == 1.0


def test_drawn_values_are_unbiased_within_the_error_that_they_state():
    players, draws, times = 14, 256, 300
    rng = np.random.default_rng(5)
    alone, pairs = rng.normal(size=players), np.triu(rng.normal(size=(players, players)), 1)
    truth = alone + (pairs + pairs.T).sum(axis=1) / 2
    off, stated = [], []
    for _ in range(times):
        inside = coalitions(players, draws, rng)
        assert inside.shape == (draws, players)
        told = inside @ alone + np.einsum("ki,ij,kj->k", inside, pairs, inside)
        off.append(banzhaf(inside, told) - truth)
        stated.append(sampling_variance(inside, told))
    off, stated = np.array(off), np.array(stated)
    assert np.all(np.abs(off.mean(axis=0)) < 4 * off.std(axis=0) / np.sqrt(times))
    np.testing.assert_allclose((off**2).mean(axis=0) / stated.mean(axis=0), 1.0, atol=0.35)
    assert np.mean(off**2) / stated.mean() == pytest.approx(1.0, abs=0.1)


def test_all_coalitions_are_taken_where_they_are_few():
    rng = np.random.default_rng(0)
    assert is_exact(12, 4096)
    assert not is_exact(13, 4096)
    assert len(np.unique(coalitions(6, 64, rng), axis=0)) == 64
    with pytest.raises(ValueError, match="draw more"):
        banzhaf(np.ones((4, 2), dtype=bool), np.zeros(4))


# Scores of a federation


@cache
def found() -> tuple[Snapshot, ...]:
    frame = generate(seed=4, hours=48, snapshots=8)
    return tuple(snapshots(frame, ("BTC", "ETH"), sorted(frame["desk"].unique()), 6, 6.0))


def walked(scorer: Scorer, desks: Callable[[Snapshot], Snapshot] = lambda s: s, rounds: int = 2) -> Surface:
    surface = Surface(scorer.nodes.model, scorer.advance, rounds, first=8)
    for number, s in enumerate(found()):
        scorer.judge(s)
        scorer.counting = number >= BURN
        surface.learn(desks(s))
    return surface


@pytest.mark.parametrize("absent", ["still", "gone"])
def test_a_round_is_scored_by_what_the_rule_makes_of_a_coalition(absent):
    s, later = found()[:2]
    weights, scorer = MODEL.initial_weights(), Scorer(Nodes(MODEL, 6), absent=absent)
    new = scorer.advance(weights, Opening(s.as_of), s)
    scorer.judge(later)
    (score,) = scorer.by_node
    again = Nodes(MODEL, 6)
    sent = again.sent(weights, Opening(s.as_of), s.desks)
    whole = {node: packed(one) for node, one in sent.items()}
    assert new.tolist() == again.settle(weights, whole).tolist()
    before, after = (error(MODEL, w, s, later) for w in (weights, new))
    assert score.whole == pytest.approx(before - after, rel=1e-12)

    stays = {node: packed((np.zeros_like(moves), sure)) for node, (moves, sure) in sent.items()}

    def worth_of(coalition: frozenset[int]) -> float:
        there = {node: whole[node] for node in coalition}
        return before - error(MODEL, again.settle(weights, there if absent == "gone" else stays | there), s, later)

    everybody = frozenset(range(6))
    np.testing.assert_allclose(score.left_out, [worth_of(everybody) - worth_of(everybody - {i}) for i in range(6)])
    np.testing.assert_allclose(score.banzhaf, by_definition(6, worth_of), atol=1e-9)
    assert not score.variance.any()


def test_scores_look_at_held_rows_of_the_next_snapshot_alone():
    def scored(later: Snapshot) -> np.ndarray:
        scorer = Scorer(Nodes(MODEL, 6))
        scorer.advance(MODEL.initial_weights(), Opening(found()[0].as_of), found()[0])
        scorer.judge(later)
        return scorer.by_node[0].banzhaf

    now, next_ = found()[:2]
    empty = next_.pooled.select(np.array([], dtype=np.int64))
    np.testing.assert_array_equal(scored(next_), scored(replace(next_, pooled=empty, desks=(empty,) * 6)))
    assert not np.allclose(scored(next_), scored(replace(next_, held=now.held)))


def test_whole_adds_up_to_the_fall_of_the_error_and_so_nearly_do_values():
    scorer = Scorer(Nodes(MODEL, 6))
    walked(scorer)
    assert len(scorer.by_node) == len(found()) - BURN - 1
    again, fell = Surface(MODEL, Scorer(Nodes(MODEL, 6)).advance, 2, first=8), []
    for number, s in enumerate(found()[:-1]):
        if number:
            carried = MODEL.carry(again.weights, found()[number - 1].as_of, s.as_of)
        again.learn(s)
        if number >= BURN:
            later = found()[number + 1]
            moved = report.rmse(again.moved_vols(later.held, later), later.held)
            assert error(MODEL, again.weights, s, later) == pytest.approx(moved**2, rel=1e-12)
            fell.append(error(MODEL, carried, s, later) - error(MODEL, again.weights, s, later))
    np.testing.assert_allclose([one.whole for one in scorer.by_node], fell, rtol=1e-9)
    total = sum(one.banzhaf.sum() for one in scorer.by_node)
    assert total == pytest.approx(sum(fell), rel=0.1)


def test_groups_of_one_score_as_nodes_do_and_others_share_evenly():
    one = Scorer(Nodes(MODEL, 6), groups=6)
    walked(one)
    for node, group in zip(one.by_node, one.by_group, strict=True):
        np.testing.assert_allclose(node.banzhaf, group.banzhaf, atol=1e-9)
        np.testing.assert_allclose(node.left_out, group.left_out, atol=1e-9)
    two = Scorer(Nodes(MODEL, 6), groups=2)
    walked(two)
    seen = set()
    for score in two.by_group:
        shares, members = np.unique(score.banzhaf.round(9), return_inverse=True)
        assert len(shares) == 2
        assert sorted(np.bincount(members)) == [3, 3]
        assert score.banzhaf.sum() == pytest.approx(score.whole, rel=0.3)
        seen.add(tuple(members == members[0]))
    assert len(seen) > 1


def test_drawn_coalitions_agree_with_all_of_them():
    exact, drawn = Scorer(Nodes(MODEL, 6)), Scorer(Nodes(MODEL, 6), most=63, seed=3)
    for scorer in (exact, drawn):
        scorer.advance(MODEL.initial_weights(), Opening(found()[0].as_of), found()[0])
        scorer.judge(found()[1])
    one, other = exact.by_node[0], drawn.by_node[0]
    assert np.all(other.variance > 0)
    assert np.all(np.abs(one.banzhaf - other.banzhaf) < 4 * np.sqrt(other.variance))
    np.testing.assert_allclose(one.left_out, other.left_out)


# Names


def test_a_guise_deals_or_repeats_rows_and_touches_nobody_elses():
    s = found()[0]
    for name, count in (("split 3", 3), ("copy 3", 3), ("honest", 1)):
        guise = Guise(name, 5, 6)
        dressed = guise.dressed(s)
        assert guise.identities == [5, 6, 7][:count]
        assert len(dressed.desks) == guise.nodes == 5 + count
        assert dressed.desks[:5] == s.desks[:5]
        parts = [dressed.desks[node] for node in guise.identities]
        if name == "split 3":
            rows = np.sort(np.concatenate([part.iv for part in parts]))
            np.testing.assert_array_equal(rows, np.sort(s.desks[5].iv))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
        else:
            assert all(part is s.desks[5] for part in parts)


@cache
def played(name: str, rule: str = "weighted", absent: str = "still") -> dict[str, float]:
    found_ = play(name, MODEL, found(), 5, RULES[rule], 1, absent, groups=2)
    return {key: float(each.mean()) for key, each in found_.items()}


def test_more_names_for_rows_that_nobody_else_has_gain_nothing():
    honest = played("honest")
    assert honest["banzhaf"] > 0.1
    for name in ("split 3", "copy 3"):
        assert played(name)["banzhaf"] < honest["banzhaf"]
        assert played(name)["left_out"] < played(name)["banzhaf"]


def test_who_adds_nothing_scores_nothing_by_node():
    for rule in ("weighted", "plain"):
        for name in ("zero", "sure zero"):
            rider = played(name, rule)
            assert rider["banzhaf"] == rider["left_out"] == 0.0
    assert played("zero", "weighted", "gone")["banzhaf"] == 0.0
    assert played("noise")["banzhaf"] < 0


def test_groups_pay_riders_and_names_what_others_earn():
    """The weakness that docs/lab.md states: a share of the group is a share of others' work."""
    assert played("zero")["by_group"] > 0.1
    assert played("split 3")["by_group"] > 1.5 * played("honest")["by_group"]


def test_who_claims_to_be_sure_and_does_not_move_holds_all_others_back():
    assert played("sure zero")["next"] > 1.2 * played("honest")["next"]
    assert played("zero")["next"] == pytest.approx(played("honest")["next"], rel=1e-9)


def test_a_boast_stays_within_the_rule():
    plan = RULES["weighted"]
    nodes = Nodes(MODEL, 6, attacker=Guise("boast", 5, 6))
    honest, boasted = (
        n.sent(MODEL.initial_weights(), Opening(found()[0].as_of), found()[0].desks)[5]
        for n in (Nodes(MODEL, 6), nodes)
    )
    np.testing.assert_array_equal(boasted[1], np.minimum(8 * honest[1], plan.weight_cap))
    moved = honest[1] > 1000
    (one, sure), (other, surer) = ([lanes[moved] for lanes in sent] for sent in (honest, boasted))
    np.testing.assert_allclose(other / surer, one / sure, rtol=1e-2, atol=1e-2)


# Gains and weather


def test_stress_is_the_fifth_that_moved_most_after_the_first_few():
    levels = np.cumprod([1.0, 1.5, 1.01, 1.01, 1.01, 1.02, 0.90, 1.005, 1.03, 1.0, 1.01])
    made = [replace(found()[0], index=np.array([level, 1.0])) for level in levels]
    moved = index_moves(made)
    np.testing.assert_allclose(moved[:2], [0.0, np.log(1.5)])
    assert moved[6] == pytest.approx(-np.log(0.9))
    stormy, bar = stress(made, BURN)
    assert np.flatnonzero(stormy).tolist() == [6, 8]
    assert np.log(1.02) < bar < np.log(1.03)


def test_gains_are_told_apart_by_weather():
    some = list(found()[:6])
    held = [s.held for s in some]
    off = [0.0, 0.0, 0.0, 0.0, 0.01, 0.05]
    joint = [s.held.iv + far * (1 + s.held_desk) for s, far in zip(some, off, strict=True)]
    own = [[rows.iv + 2 * far for rows, far in zip(held, off, strict=True)]] * 6
    names, stormy = list("abcdef"), np.array([True] * 4 + [False, True])
    calm, storm, both = (report.gains(joint, own, own, some, names, BURN, which) for which in (~stormy, stormy, None))
    for gain, points in ((calm, 1.0), (storm, 5.0)):
        for node, desk in enumerate(gain):
            assert desk["joint"]["own_flow"] == pytest.approx(points * (1 + node))
            assert points < desk["joint"]["market"] < 6 * points
            assert desk["alone"]["market"] == pytest.approx(2 * points)
            assert desk["alone"]["own_flow"] == pytest.approx(2 * points)
    assert [desk["rows"] for desk in calm] == [len(rows) for rows in some[4].desks]
    assert [one["rows"] + two["rows"] for one, two in zip(calm, storm, strict=True)] == [all_["rows"] for all_ in both]
    assert report.gains(joint, own, own, some, names, BURN, np.zeros(6, dtype=bool)) == []


def test_a_private_head_bends_the_surface_to_its_own_rows_and_leaves_other_markets():
    s = found()[0]
    rows = s.desks[0]
    assert set(rows.market) == {0}
    joint = Surface(MODEL, Scorer(Nodes(MODEL, 6)).advance, 2, first=8)
    joint.learn(s)
    weights = joint.weights
    head = private_head(MODEL, weights, Opening(s.as_of), rows)
    start = MODEL.spec.to_float(weights)
    np.testing.assert_array_equal(head[MODEL.block(1)], start[MODEL.block(1)])

    def miss(floats: np.ndarray, of: Rows) -> float:
        return report.rmse(MODEL.implied_vol(floats, s.as_of, of.market, of.k, of.expiry), of)

    loose = private_head(MODEL, weights, Opening(s.as_of), rows, Settings())
    assert miss(loose, rows) < miss(head, rows) < miss(start, rows)
    assert miss(head, s.held) < 1.02 * miss(start, s.held) < miss(loose, s.held)
    assert weights.tolist() == joint.weights.tolist()


# The command


def test_the_command_reports_and_writes(tape, tmp_path):
    out = tmp_path / "worth.json"
    options = ["--tape", str(tape), "--rounds", "1", "--groups", "3", "--json", str(out)]
    done = CliRunner().invoke(app, ["lab", "worth", *options])
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == ["worth.json"]
    found_ = json.loads(out.read_text())
    assert found_["desks"] == sorted(found_["desks"])
    assert [gain["desk"] for gain in found_["gains"]["stress"]] == found_["desks"]
    scores = found_["scores"]
    assert scores["exact"] is True
    assert scores["snapshots"] == 3
    for one in scores["desks"]:
        assert one["banzhaf"]["error"] > 0
        assert one["banzhaf"]["sampling"] == 0
    assert found_["group_scores"]["groups"] == 3
    for word in ("who gains, calm", "who gains, stress", "Banzhaf", "wings", "shared evenly"):
        assert word in " ".join(done.output.split())


def test_what_cannot_be_scored_is_refused(tape, tmp_path):
    with pytest.raises(ConfigError, match="6 nodes do not fill 7 groups"):
        worth(Plan(tape, "desk", groups=7), quiet)
    with pytest.raises(TapeError, match="has no column"):
        worth(Plan(tape, "nobody"), quiet)
    with pytest.raises(TapeError, match="has rows of 0 desks"):
        worth(Plan(tape, "desk", until_ms=1), quiet)
    with pytest.raises(TapeError, match=f"At least {BURN + 3} are needed"):
        worth(Plan(tape, "desk", most=BURN + 2), quiet)


@needs_real_data
def test_on_real_quotes_all_gain_the_market_and_values_add_up(tmp_path):
    quotes = pd.read_parquet(REAL / "dev_quotes.parquet")
    moment = pd.to_datetime(quotes["ts_ms"], unit="ms")
    path = tmp_path / "days.parquet"
    quotes[(moment >= "2026-02-27") & (moment < "2026-03-02")].to_parquet(path)
    told = worth(Plan(path, "participant", rounds=2), quiet)
    for weather in ("calm", "stress"):
        for gain in told["gains"][weather]:
            assert gain["joint"]["market"] < 0.5 * gain["alone"]["market"]
            assert gain["joint_and_head"]["market"] < 1.1 * gain["joint"]["market"]
    scores = told["scores"]
    assert sum(one["banzhaf"]["mean"] for one in scores["desks"]) == pytest.approx(scores["whole"]["mean"], rel=0.15)
    assert scores["whole"]["mean"] > 0
