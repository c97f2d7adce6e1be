"""Private training: what one row can add, how much noise there is, and that nothing else depends on the rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fedvol.errors import ConfigError
from fedvol.learning import private
from fedvol.learning.model import Opening, build
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.synthetic import generate

MODEL = build(mixture_spec())
SPEC = MODEL.spec
START = SPEC.to_float(MODEL.initial_weights())
TOLD = MODEL.told() > 0
SEED = bytes(range(32))
TAPE = generate(3, 6.0, 1)
OPENING = Opening(int(TAPE["ts_ms"].max()) // 1000)
ROWS = rows_from_tape(TAPE, SPEC.markets).after(OPENING.as_of)
NOTHING = ROWS.select(np.arange(0))
QUIET = 1e-9


def settings(**change) -> Settings:
    values = {"epsilon": 4.0, "noise": 1.0, "batch": 80.0} | change
    return Settings(privacy=Privacy(**values))


def train(rows: Rows, seed: bytes = SEED, start: np.ndarray = START, **change) -> np.ndarray:
    return MODEL.train(start, OPENING, rows, seed, settings(**change))


def noisy_sums(rows: Rows, **change) -> list[np.ndarray]:
    """The sum of clipped row gradients of each step before its noise, as the optimizer holds it."""
    seen = []

    class Spy(private.NoisySum):
        def add_noise(self) -> None:
            seen.append(self.params[0].summed_grad.numpy().copy())
            super().add_noise()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private, "NoisySum", Spy)
        train(rows, **change)
    return seen


def test_it_learns_where_noise_is_small():
    weights = START
    for number in range(20):
        weights = train(ROWS, bytes([number]) * 32, weights, noise=QUIET, smoothing=100.0)
    assert (
        MODEL.evaluate(weights, ROWS, OPENING.as_of)["rmse"] < 0.2 * MODEL.evaluate(START, ROWS, OPENING.as_of)["rmse"]
    )


def test_same_arguments_same_bytes_and_another_secret_another_noise():
    assert train(ROWS).tobytes() == train(ROWS).tobytes()
    assert train(ROWS).tobytes() != train(ROWS, bytes(32)).tobytes()


def test_another_tape_another_noise():
    """Else two updates of one secret would differ by exactly what the tapes do."""
    one, other = (train(rows, clip=1e-9, noise=1e9) - START for rows in (ROWS, ROWS.select(np.arange(80))))
    assert np.abs(np.corrcoef(one, other)[0, 1]) < 0.6
    assert not np.isclose(one[TOLD], other[TOLD]).any()


@pytest.mark.parametrize("clip", [0.02, 30.0])
def test_one_row_moves_the_sum_by_the_clip_at_most(clip):
    expiry = ROWS.expiry[:1]
    wild = Rows(np.array([0]), np.array([-0.4]), np.array([0.1]), expiry, np.array([4.9]), np.array([1.0]))
    for row in (wild, *(ROWS.select(np.array([i])) for i in range(0, len(ROWS), 7))):
        with_row = Rows(*(np.append(getattr(ROWS, c), getattr(row, c)) for c in Rows.COLUMNS))
        (before,), (after,) = (noisy_sums(rows, clip=clip) for rows in (ROWS, with_row))
        assert np.linalg.norm(after - before) <= clip * (1 + 1e-9)
    assert np.linalg.norm(noisy_sums(wild, clip=clip)[0]) == pytest.approx(clip, rel=1e-4)


def test_a_row_with_an_absurd_number_adds_nothing_and_spoils_nothing():
    for absurd in (np.nan, np.inf, 1e300):
        iv = ROWS.iv.copy()
        iv[3] = absurd
        bad = Rows(ROWS.market, ROWS.k, ROWS.T, ROWS.expiry, iv, ROWS.weight)
        without = ROWS.select(np.arange(len(ROWS)) != 3)
        assert noisy_sums(bad)[0] == pytest.approx(noisy_sums(without)[0])


def test_the_noise_has_the_scale_and_the_shape_that_the_account_is_made_for():
    """A desk without rows moves by noise alone: made even, pace · noise · clip in each direction."""
    change = {"noise": 3.0, "clip": 0.07, "learning_rate": 1e-3, "smoothing": 0.0}
    even = private.evened(MODEL, START, OPENING.as_of, settings(**change).privacy)
    moves = np.array([train(NOTHING, bytes([i]) * 32, **change) - START for i in range(200)])
    assert not moves[:, ~TOLD].any()
    scaled = np.linalg.solve(even, moves[:, TOLD].T).T / (1e-3 * 3.0 * 0.07 / 100)
    assert stats.kstest(scaled.ravel(), "norm").pvalue > 1e-3
    assert scaled.std() == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.corrcoef(scaled.T) - np.eye(TOLD.sum())).max() < 0.35


def test_the_metric_is_what_rows_on_the_lattice_would_curve():
    """With as many of them as `batch` says, one quiet step at full pace is one of Gauss and Newton."""
    rows, privacy = private.lattice(SPEC, OPENING.as_of), Privacy(1.0, noise=1e-12, batch=234.0).__dict__
    privacy = {**privacy, "clip": 1e3, "learning_rate": 1.0, "smoothing": 1.0, "prior": 1e-6}
    step = MODEL.train(START, OPENING, rows, SEED, Settings(privacy=Privacy(**privacy), clip=1e6)) - START
    vols, slopes = MODEL.see(START, rows, OPENING.as_of)
    smooth = MODEL.smoothness(OPENING.as_of)
    curved = (slopes.T * rows.weight) @ slopes + smooth + 1e-6 * np.eye(len(START))
    wanted = -np.linalg.solve(curved, slopes.T @ (rows.weight * (vols - rows.iv)) + smooth @ START)
    assert len(rows) == 234
    assert step == pytest.approx(wanted, abs=1e-5)


def test_each_step_has_noise_of_its_own():
    """Steps so short that none sees another."""
    change = {"learning_rate": 1e-6, "smoothing": 0.0}
    one, four = (
        np.array([train(NOTHING, bytes([i]) * 32, steps=steps, **change) - START for i in range(60)])
        for steps in (1, 4)
    )
    assert four.std() / one.std() == pytest.approx(2.0, rel=0.1)


def test_rows_are_drawn_one_by_one_at_the_public_rate():
    """Each alone: a sum of a hundred rows at rate 0.3 varies as a binomial does."""
    counts = []

    def count(model, weights, rows, as_of):
        counts.append(len(rows))
        return np.zeros((len(rows), weights.size))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(private, "gradients", count)
        patch.setattr(private, "evened", lambda *_: np.eye(TOLD.sum()))
        train(ROWS, steps=600, rate=0.3, smoothing=0.0, noise=QUIET)
    assert np.mean(counts) == pytest.approx(0.3 * len(ROWS), rel=0.03)
    assert np.var(counts) == pytest.approx(0.21 * len(ROWS), rel=0.2)


def test_the_number_of_rows_scales_nothing():
    """The ordinary fit divides by how its rows curve. Here twice the rows pull twice as far."""
    twice = ROWS.select(np.tile(np.arange(len(ROWS)), 2))
    one, two = (noisy_sums(rows)[0] for rows in (ROWS, twice))
    assert two == pytest.approx(2 * one)
    change = {"noise": QUIET, "smoothing": 0.0, "learning_rate": 0.01}
    moves = [train(rows, **change) - START for rows in (ROWS, twice)]
    assert moves[1] == pytest.approx(2 * moves[0], rel=1e-5, abs=1e-9)


def test_the_pull_of_neighbours_does_not_ask_where_the_rows_lie():
    rough = START.copy()
    rough[MODEL.block(1)][24] += 0.3
    corner = ROWS.select(ROWS.market == 0)
    one, other = (train(rows, start=rough, noise=QUIET) - rough for rows in (NOTHING, corner))
    assert one[MODEL.block(1)] == pytest.approx(other[MODEL.block(1)], abs=1e-9)
    assert np.abs(one[MODEL.block(1)]).max() > 1e-3


def test_no_move_is_longer_than_the_clip_of_the_whole():
    loud = Settings(clip=0.01, privacy=settings(noise=100.0).privacy)
    moved = MODEL.train(START, OPENING, ROWS, SEED, loud)
    assert np.linalg.norm(moved - START) == pytest.approx(0.01)


def test_expired_rows_count_for_nothing():
    old = ROWS.select(np.arange(5))
    old = Rows(old.market, old.k, old.T, np.full(5, OPENING.as_of), old.iv, old.weight)
    with_old = Rows(*(np.append(getattr(ROWS, c), getattr(old, c)) for c in Rows.COLUMNS))
    assert train(with_old).tobytes() == train(ROWS).tobytes()


def test_a_short_secret_is_refused():
    with pytest.raises(ConfigError, match="hides no noise"):
        train(ROWS, b"short")


def test_weight_lanes_are_public():
    """They would say how many rows there are, and where."""
    said = [
        MODEL.curvature(start, OPENING, rows, SEED, settings())
        for start in (START, 0 * START)
        for rows in (ROWS, NOTHING)
    ]
    assert all((each == private.WEIGHT * MODEL.told()).all() for each in said)
