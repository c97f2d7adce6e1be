"""Attacks on updates: they work where nothing hides, and fail where masks or noise should make them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from fedvol.lab.leaks.differencing import cluster_sums, cosine, seating, tell_apart
from fedvol.lab.leaks.inversion import Prior, balanced_accuracy, cells, invert, moved, score, touched
from fedvol.lab.leaks.membership import likelihood_ratio, parting, shadow_tapes
from fedvol.lab.leaks.replay import Replay, Tapes
from fedvol.lab.leaks.scene import FIELD, join, masked, read_lanes, rounds, snapshots
from fedvol.learning.model import build
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_pillars import ssvi_spec
from fedvol.market import synthetic
from fedvol.protocol.vector import WORD_BYTES, pack_update

MODEL = build(ssvi_spec())
SPEC = MODEL.spec
PLAIN = Replay(SPEC, Settings())
QUIET = Settings(privacy=Privacy(8.0, noise=1e-9))
BOUND = 1 << 19


@cache
def play():
    frame = synthetic.generate(3, 48.0, 8)
    return next(rounds(frame, MODEL, PLAIN, snapshots(frame), 6))


def everything() -> Rows:
    return join(join(*play().held[:2]), join(*play().other[2:4]))


def starts(kind: str) -> np.ndarray:
    """Tangled: levels fall with maturity, so that one stands for others, and some lie out of bounds."""
    start = play().start.copy()
    if kind == "tangled":
        start[:14] += np.linspace(0.5, -2.0, 14)
        start[16] = 2.0
    return start


@pytest.mark.parametrize("settings", [Settings(), QUIET])
@pytest.mark.parametrize("kind", ["settled", "tangled"])
def test_replay_trains_as_nodes_do(settings, kind):
    start = starts(kind)
    tapes = [*play().held, play().held[0].select(np.zeros(0, np.int64))]
    replayed = Replay(SPEC, settings).train(start, Tapes.of(tapes)).numpy()
    trained = [MODEL.train(start, rows, bytes(32), settings) - start for rows in tapes]
    np.testing.assert_allclose(replayed, trained, atol=1e-7)
    assert np.abs(replayed[:-1]).max(axis=1).min() > 1e-3


def test_noise_alone_is_as_large_as_a_nodes():
    settings = Settings(privacy=Privacy(2.0, rounds=1))
    nothing = play().held[0].select(np.zeros(0, np.int64))
    start = np.zeros(SPEC.dimension)
    trained = [MODEL.train(start, nothing, bytes([seed]) * 32, settings) for seed in range(20)]
    assert Replay(SPEC, settings).noise_alone().mean() == pytest.approx(np.std(trained, axis=0).mean(), rel=0.1)


@pytest.mark.parametrize("kind", ["settled", "tangled"])
def test_slopes_are_derivatives_of_the_surface(kind):
    rows, start = everything(), starts(kind)
    found = PLAIN.slopes(torch.tensor(start)[None], Tapes.of([rows]))
    columns = [torch.tensor(c) for c in (rows.market, rows.k, rows.T)]
    true = 100 * torch.func.jacfwd(lambda w: MODEL.surface(w, *columns))(torch.tensor(start)).numpy()
    mine = np.zeros_like(true)
    np.add.at(mine, (np.arange(len(rows))[:, None], found.at[0].numpy()), found.slope[0].numpy())
    np.testing.assert_allclose(mine, true, atol=1e-9)
    np.testing.assert_allclose(found.length()[0], np.linalg.norm(true, axis=1), rtol=1e-9)


def victims(count: int) -> list[Rows]:
    """Single rows that lie a few vol points off the round's surface."""
    rows, generator = everything(), np.random.default_rng(5)
    off = 100 * np.abs(MODEL.implied_vol(play().start, rows.market, rows.k, rows.T) - rows.iv)
    return [rows.select(np.array([i])) for i in generator.choice(np.flatnonzero((off > 1) & (off < 8)), count, False)]


def attacked(seen: np.ndarray, steps: int = 60) -> list[Rows]:
    generator = np.random.default_rng(1)
    prior = Prior(SPEC, everything())
    guesses = [[prior.draw(cells(moved(SPEC, each)), 1, generator)] for each in seen for _ in range(32)]
    start = np.tile(play().start, (len(seen), 1))
    return [tapes[0] for tapes in invert(PLAIN, start, seen, guesses, 4, steps)[0]]


def test_a_single_row_is_read_off_a_plain_update_and_not_off_a_masked_one():
    tapes, generator = victims(6), np.random.default_rng(2)
    updates = PLAIN.train(play().start, Tapes.of(tapes)).numpy()
    assert all(np.array_equal(moved(SPEC, u), touched(SPEC, t)) for u, t in zip(updates, tapes, strict=True))
    exact = [score(SPEC, tape, found).exact for tape, found in zip(tapes, attacked(updates), strict=True)]
    assert np.mean(exact) >= 0.5

    lanes = np.rint(np.clip(updates * SPEC.scale, -BOUND, BOUND)).astype(np.int64)
    seen = np.array([read_lanes(SPEC, masked(each, generator), BOUND) for each in lanes])
    assert [balanced_accuracy(moved(SPEC, u), touched(SPEC, t)) for u, t in zip(seen, tapes, strict=True)] == [0.5] * 6
    assert np.mean([score(SPEC, t, found).found for t, found in zip(tapes, attacked(seen, 10), strict=True)]) <= 0.25


def test_a_masked_word_is_uniform_whatever_it_hides():
    update, generator = np.full(8, -BOUND), np.random.default_rng(3)
    words = np.array([int.from_bytes(masked(update, generator), "big") / FIELD for _ in range(2000)])
    counts = np.histogram(words, 10, (0, 1))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 28  # chi squared of 9, 0.1%
    lanes = np.array([read_lanes(SPEC, masked(np.zeros(32, np.int64), generator), BOUND) for _ in range(200)])
    assert abs((lanes > 0).mean() - 1) < 0.02  # nearly all of 31 bits lie above the bias and the clamp


def test_masks_taken_off_leave_the_update():
    class Fixed:
        def bytes(self, count: int) -> bytes:
            return (7 << 2).to_bytes(count, "big")

    update = np.arange(-16, 16)
    words = [pack_update(update)[at : at + WORD_BYTES] for at in range(0, 128, WORD_BYTES)]
    bare = b"".join((int.from_bytes(word, "big") + 7).to_bytes(WORD_BYTES, "big") for word in words)
    assert masked(update, Fixed()) == bare


def test_each_guessed_row_finds_one():
    row = play().held[0].select(np.array([0]))
    three = join(join(row, row), row)
    assert score(SPEC, three, row).found == pytest.approx(1 / 3)
    assert score(SPEC, three, three).exact == 1
    elsewhere = replace(row, market=1 - row.market)
    assert score(SPEC, row, elsewhere).found == 0
    assert score(SPEC, row, replace(row, k=row.k + 0.051)).found == 0
    assert score(SPEC, row, replace(row, k=row.k + 0.049)).found == 1


@pytest.mark.parametrize(("privacy", "low", "high"), [(None, 0.55, 0.9), (Privacy(0.1, rounds=1), 0.4, 0.6)])
def test_members_score_above_others_unless_noise_hides_them(privacy, low, high):
    generator, noise = np.random.default_rng(4), torch.Generator().manual_seed(4)
    replay = Replay(SPEC, Settings(privacy=privacy))
    inside, outside = [], []
    for held, other in zip(play().held, play().other, strict=True):
        tapes, holds = shadow_tapes(join(held, other), 128, generator)
        shadows = replay.train(play().start, tapes, noise).numpy()
        seen = replay.train(play().start, Tapes.of([held]), noise).numpy()[0]
        scores = likelihood_ratio(seen, shadows, holds)
        inside.append(scores[: len(held)])
        outside.append(scores[len(held) :])
    assert low < parting(inside, outside).auc < high


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
