"""Attacks on updates: they work where nothing hides, and fail where masks or noise should make them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, reduce

import numpy as np
import pytest

from fedvol.lab.leaks import inversion
from fedvol.lab.leaks.differencing import cluster_sums, cosine, seating, tell_apart
from fedvol.lab.leaks.inversion import balanced_accuracy, bend, from_moves, from_weights, score, touched
from fedvol.lab.leaks.membership import (
    features,
    likelihood_ratio,
    matched,
    parting,
    pulls,
    shadow_tapes,
    told_lanes,
    undone,
)
from fedvol.lab.leaks.scene import FIELD, UNWEIGHTED, Round, Seen, join, masked, read_lanes, rounds, send
from fedvol.lab.replay.snapshots import snapshots
from fedvol.learning.model import build
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market import synthetic
from fedvol.protocol.listing import expiries
from fedvol.protocol.vector import WORD_BYTES, pack_weighted

MODEL = build(mixture_spec())
SPEC = MODEL.spec
PLAIN = Settings()
SECRET = bytes(range(32))


@cache
def play() -> Round:
    frame = synthetic.generate(3, 24.0, 4)
    desks = sorted(frame["desk"].unique())
    return next(rounds(snapshots(frame, SPEC.markets, desks, len(desks), 6.0), MODEL, 3))


def everything() -> Rows:
    return join(*play().held, *play().other)


def tape(count: int, seed: int = 0) -> Rows:
    """Rows that count, on expiries that have weights: those far out weigh too little to be seen."""
    rows = everything()
    rows = rows.select((rows.weight > 0.2) & np.isin(rows.expiry, expiries(play().as_of, SPEC.pillars)))
    return rows.select(np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False)))


def sent(rows: Rows, settings: Settings = PLAIN, **by) -> Seen:
    return send(MODEL, play(), rows, SECRET, settings, **by)


def test_weight_lanes_say_where_how_many_and_nearly_at_which_strikes():
    for seed in range(3):
        rows = tape(16, seed)
        seen = sent(rows)
        said = inversion.said_by_weights(MODEL, play(), seen)
        assert (said == touched(SPEC, rows, play().as_of)).mean() > 0.95
        guess = from_weights(MODEL, play(), seen)
        assert abs(len(guess) - 16) <= 1
        assert score(rows, guess).found > 0.7


def test_weight_lanes_of_a_sum_are_those_of_all_tapes_together():
    tapes = [tape(8, seed) for seed in range(4)]
    guess = from_weights(MODEL, play(), reduce(Seen.__add__, map(sent, tapes)), 4)
    assert abs(len(guess) - 32) <= 2
    assert score(join(*tapes), guess).found > 0.7


def test_moves_without_weights_name_the_expiries_and_a_single_row():
    exact = []
    for seed in range(4):
        rows = tape(1, seed)
        seen = sent(rows, by=UNWEIGHTED)
        assert (inversion.said_by_moves(MODEL, play(), seen, PLAIN) == touched(SPEC, rows, play().as_of)).all()
        guess = from_moves(MODEL, play(), seen, PLAIN, 1)
        exact.append(score(rows, bend(MODEL, play(), seen, guess, PLAIN, 12)).exact)
    assert np.mean(exact) >= 0.5


def test_bending_makes_strikes_exact():
    rows = tape(4, 1)
    guess = from_weights(MODEL, play(), sent(rows))
    assert score(rows, bend(MODEL, play(), sent(rows), guess, PLAIN, 12)).exact > score(rows, guess).exact


def test_a_masked_vector_names_nothing():
    generator, rows = np.random.default_rng(2), tape(8)
    seen = read_lanes(SPEC.dimension, masked(sent(rows), generator))
    said = inversion.said_by_weights(MODEL, play(), seen)
    assert balanced_accuracy(said, touched(SPEC, rows, play().as_of)) == 0.5


def test_a_masked_word_is_uniform_whatever_it_hides():
    seen, generator = Seen(np.full(8, -100), np.full(8, 1 << 18)), np.random.default_rng(3)
    words = np.array([int.from_bytes(masked(seen, generator)[:WORD_BYTES], "big") / FIELD for _ in range(2000)])
    counts = np.histogram(words, 10, (0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 28  # chi squared of 9, 0.1%


def test_masks_taken_off_leave_the_vector():
    class Fixed:
        def bytes(self, count: int) -> bytes:
            return (7 << 2).to_bytes(count, "big")

    seen = Seen(np.arange(-16, 16), np.arange(32))
    packed = pack_weighted(seen.moves, seen.weights)
    words = [packed[at : at + WORD_BYTES] for at in range(0, len(packed), WORD_BYTES)]
    bare = b"".join((int.from_bytes(word, "big") + 7).to_bytes(WORD_BYTES, "big") for word in words)
    assert masked(seen, Fixed()) == bare


def test_each_guessed_row_finds_one():
    row = tape(1)
    three = join(row, row, row)
    assert score(three, row).found == pytest.approx(1 / 3)
    assert score(three, three).exact == 1
    assert score(row, replace(row, market=1 - row.market)).found == 0
    assert score(row, replace(row, expiry=row.expiry + 86_400)).found == 0
    assert score(row, replace(row, k=row.k + 0.051)).found == 0
    assert score(row, replace(row, k=row.k + 0.049)).found == 1
    assert score(row, row.select(np.zeros(0, np.int64))).found == 0


def test_members_score_above_others():
    generator = np.random.default_rng(4)
    inside, outside = [], []
    for held, other in list(zip(play().held, play().other, strict=True))[:4]:
        pool = join(held, other)
        tapes, holds = shadow_tapes(pool, 64, generator)
        shadows, seen = np.array([features(sent(each)) for each in tapes]), features(sent(held))
        scores = likelihood_ratio(seen, shadows, holds, told_lanes(MODEL, play(), pool, len(seen)))
        inside.append(scores[: len(held)])
        outside.append(scores[len(held) :])
    assert parting(inside, outside).auc > 0.75


def test_a_private_update_undone_is_the_sum_of_its_clipped_pulls():
    quiet = Privacy(8.0, noise=1e-9)
    rows = play().held[0]
    each = pulls(MODEL, play(), rows, quiet)
    found = undone(MODEL, play(), sent(rows, Settings(privacy=quiet)), quiet)
    assert np.linalg.norm(found - each.sum(axis=0)) < 0.1 * np.linalg.norm(each.sum(axis=0))
    assert np.linalg.norm(each, axis=1).max() <= quiet.clip * (1 + 1e-9)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.05, 0.9, 1.0), (30.0, 0.4, 0.6)])
def test_noise_hides_members_from_the_best_guess(noise, low, high):
    generator = np.random.default_rng(5)
    inside, outside = [], []
    for _ in range(20):
        each, holds = generator.standard_normal((40, 60)), generator.random(40) < 0.5
        seen = each[holds].sum(axis=0) + noise * generator.standard_normal(60)
        scores = matched(seen, each, noise)
        inside.append(scores[holds])
        outside.append(scores[~holds])
    assert low < parting(inside, outside).auc <= high


def test_parting_counts_members_above_the_threshold():
    others = [np.arange(1000.0), np.arange(1000.0, 2000.0)]
    found = parting([np.array([1997.5, 1996.5]), np.array([5000.0, -1.0])], others, false_rate=1e-3)
    assert (found.members, found.others, found.rate) == (4, 2000, 0.5)
    assert found.auc == pytest.approx((1998 + 1997 + 2000 + 0) / 8000)
    assert parting([np.zeros(5)], [np.zeros(5)]).auc == 0.5


def planted(rounds_seen: int, epoch: int, noise: float = 0.5) -> float:
    """Mean cosine of directions told apart with those planted, 24 nodes in clusters of 8."""
    generator = np.random.default_rng(6)
    true = generator.standard_normal((24, 32))
    common = generator.standard_normal((rounds_seen, 1, 32))
    updates = true + 3 * common + noise * generator.standard_normal((rounds_seen, 24, 32))
    clusters = seating(1, rounds_seen, 24, 8, epoch)
    found = tell_apart(cluster_sums(updates, clusters), clusters)
    return float(cosine(found, updates.mean(axis=0)).mean())


def test_redrawn_clusters_give_planted_directions_away_and_fixed_ones_do_not():
    assert planted(100, 1) > 0.97
    assert planted(25, 1) > 0.85
    assert planted(100, 100) < 0.6


def test_seats_fill_clusters_and_stay_for_an_epoch():
    clusters = seating(9, 25, 24, 8, 10)
    assert clusters.shape == (25, 24)
    assert all((np.bincount(each) == 8).all() for each in clusters)
    assert len(np.unique(clusters, axis=0)) == 3
    assert (clusters[0] == clusters[9]).all()
    assert (clusters[10] == clusters[19]).all()
    with pytest.raises(ValueError, match="do not divide"):
        seating(9, 1, 24, 7)
