"""The surface that a federation trains: for each listed expiry two SSVI slices, mixed 3 : 1 in price.

Free of static arbitrage for every weight vector, and recalibrated every round on fresh tapes. What the weights mean,
and why nothing they can say is arbitrage, stands in `fedvol.protocol.surface` and docs/protocol.md; this is how a desk
trains them. Sources: Gatheral, Jacquier, "Arbitrage-free SVI volatility surfaces", 2014; Hendriks, Martini, "The
extended SSVI volatility surface", 2019.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fedvol.errors import ConfigError
from fedvol.learning import chart
from fedvol.learning.chart import Place, clock
from fedvol.learning.model import Floats, Integers, Model, ModelSpec, Opening, register
from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings
from fedvol.learning.training import at_most, fit, huber_pull
from fedvol.protocol import listing
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.surface import MOST_BETA, PILLAR_WEIGHTS, SLICES, STATE_WEIGHTS, weights_of

NAME = "ssvi-mixture"
PILLARS = 13

INITIAL_VOLS, INITIAL_WING = (0.45, 0.7), 0.6
INITIAL_BETAS = (2.0, 0.0)
"""Of the vol index: a 30-day index moves three quarters as much as the clock does, since kappa is 21 days."""

SMOOTH_VOL, SMOOTH_WING = 8e-4, 4e-4
"""Rows' worth of the pull between neighbouring pillars a unit of log tenor apart."""
NEAREST = 0.15
"""Log tenors by which neighbours are at least apart in that pull."""

STATE_PRIOR = 0.05
"""Rows' worth by which the two state weights are held, so that one calm round does not move them."""


def mixture_spec(
    markets: tuple[str, ...] = ("BTC", "ETH"), pillars: int = PILLARS, fraction_bits: int = 20
) -> ModelSpec:
    """The spec of this model; two markets on 13 expiries take 160 weights."""
    return ModelSpec(NAME, markets, pillars, fraction_bits, len(markets) * weights_of(pillars))


@register(NAME)
class SsviMixture(Model):
    """See the module. Raises ConfigError for a spec whose dimension is not markets × (6 · pillars + 2)."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._markets, self._pillars = len(spec.markets), spec.pillars
        expected = self._markets * weights_of(spec.pillars)
        if spec.dimension != expected:
            raise ConfigError(
                f"{NAME} on {self._markets} markets and {spec.pillars} expiries has {expected} weights, the spec says "
                f"{spec.dimension}.",
                "Use the spec the federation was deployed with.",
            )

    def initial_weights(self) -> Integers:
        """At 50% with a symmetric smile in every market."""
        body = np.full((self._markets, self._pillars, SLICES, 3), INITIAL_WING)
        body[..., 0] = INITIAL_VOLS
        return self.spec.to_fixed(self._join(body, np.tile(INITIAL_BETAS, (self._markets, 1))))

    def block(self, market: int) -> slice:
        width = weights_of(self._pillars)
        return slice(market * width, (market + 1) * width)

    def carry(self, weights: Integers, before: int, after: int) -> Integers:
        return listing.carry(
            np.asarray(weights), self._markets, self._pillars, PILLAR_WEIGHTS, STATE_WEIGHTS, before, after
        )

    def implied_vol(
        self, weights: ArrayLike, as_of: int, market: ArrayLike, k: ArrayLike, expiry: ArrayLike, g: ArrayLike = 1.0
    ) -> Floats:
        market, k, expiry, g = np.broadcast_arrays(market, k, expiry, g)
        place = _place(market.ravel().astype(np.int64), k.ravel(), (expiry.ravel() - as_of) / YEAR, g.ravel())
        return chart.vols(self._chart(weights, as_of), place).reshape(k.shape)

    def clocks(self, weights: ArrayLike, moves: ArrayLike) -> Floats:
        betas = np.clip(self._split(weights)[1], -MOST_BETA, MOST_BETA)
        shock = 2 * (betas * np.asarray(moves, dtype=np.float64)).sum(axis=1)
        return np.exp(np.clip(shock, -np.log(4), np.log(4)))

    def see(self, weights: Floats, rows: Rows, as_of: int) -> tuple[Floats, Floats]:
        vols, own = chart.vols_and_slopes(self._chart(weights, as_of), _place_of(rows, as_of))
        slopes = np.zeros((len(rows), self._markets, weights_of(self._pillars)))
        own = own.reshape(len(rows), slopes.shape[2] - STATE_WEIGHTS)  # not -1: there may be no rows
        slopes[np.arange(len(rows)), rows.market, :-STATE_WEIGHTS] = own
        return vols, slopes.reshape(len(rows), self.spec.dimension)

    def told(self) -> Floats:
        one = np.ones((self._markets, weights_of(self._pillars)))
        one[:, -STATE_WEIGHTS:] = 0.0
        return one.ravel()

    def smoothness(self, as_of: int) -> Floats:
        gaps = np.maximum(np.diff(np.log(self.tenors(as_of))), NEAREST)
        steps = np.diff(np.eye(self._pillars), axis=0) / np.sqrt(gaps)[:, None]
        one = np.kron(steps.T @ steps, np.diag([SMOOTH_VOL, SMOOTH_WING, SMOOTH_WING] * SLICES))
        return np.kron(np.eye(self._markets), np.pad(one, (0, STATE_WEIGHTS)))

    def train(self, weights: ArrayLike, opening: Opening, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        start, rows = np.array(weights, dtype=np.float64), rows.after(opening.as_of)
        if settings.privacy is not None:
            from fedvol.learning import private  # brings Opacus

            return private.fit(self, start, opening, rows, seed, settings)
        if not len(rows):
            return start
        rows = at_most(rows, settings.max_rows, seed)
        live = self._live(rows)
        trained = start.copy()

        def see(part: Floats) -> tuple[Floats, Floats]:
            whole = start.copy()
            whole[live] = part
            vols, slopes = self.see(whole, rows, opening.as_of)
            return vols, slopes[:, live]

        smooth = self.smoothness(opening.as_of)[np.ix_(live, live)]
        trained[live] = fit(see, start[live], rows.iv, rows.weight, smooth, settings)
        miss, slopes = self._state(opening, rows)
        if miss.size:
            pull = rows.weight * huber_pull(miss, settings.huber_points / POINTS)
            held = (slopes.T * pull) @ slopes + STATE_PRIOR * np.eye(slopes.shape[1])
            trained[self._state_index()] -= np.linalg.solve(held, slopes.T @ (pull * miss))
        return trained

    def curvature(self, weights: ArrayLike, opening: Opening, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        start, rows = np.array(weights, dtype=np.float64), rows.after(opening.as_of)
        if settings.privacy is not None:
            from fedvol.learning import private

            return private.curvature(self)
        if not len(rows):
            return np.zeros(start.size)
        rows = at_most(rows, settings.max_rows, seed)
        _, slopes = self.see(start, rows, opening.as_of)
        found = rows.weight @ slopes**2 + np.where(self._live(rows), np.diag(self.smoothness(opening.as_of)), 0.0)
        miss, by_state = self._state(opening, rows)
        if miss.size:
            found[self._state_index()] = rows.weight @ by_state**2
        return found

    def state_slopes(self, opening: Opening, rows: Rows) -> tuple[Floats, Floats] | None:
        """How far the version in force, its clock moved by the state, misses each row, and the slope of that in a state
        weight, a unit of the state's move; None where nothing moved."""
        before = opening.before
        if before is None or not np.any(before.moves):
            return None
        g = self.clocks(before.weights, before.moves)
        at, place = self._chart(before.weights, before.as_of), _place_of(rows, before.as_of)

        def vols(step: float) -> Floats:
            return chart.vols(at, place._replace(moment=clock(place.tenor, g[rows.market] * np.exp(step))))

        by_power = (vols(1e-4) - vols(-1e-4)) / 2e-4
        return vols(0.0) - rows.iv, 2 * by_power

    def _state(self, opening: Opening, rows: Rows) -> tuple[Floats, Floats]:
        """The misses of `state_slopes`, and their slopes in the state weights."""
        found = self.state_slopes(opening, rows)
        if found is None:
            return np.zeros(0), np.zeros((0, 0))
        miss, by_move = found
        slopes = np.zeros((len(rows), self._markets, STATE_WEIGHTS))
        slopes[np.arange(len(rows)), rows.market] = by_move[:, None] * np.asarray(opening.before.moves)[rows.market]
        return miss, slopes.reshape(len(rows), -1)

    def _chart(self, weights: ArrayLike, as_of: int) -> chart.Chart:
        return chart.chart(self._split(weights)[0], self.tenors(as_of))

    def tenors(self, as_of: int) -> Floats:
        """Years to the pillars, (P,)."""
        return (np.array(listing.expiries(as_of, self._pillars), dtype=np.float64) - as_of) / YEAR

    def _split(self, weights: ArrayLike) -> tuple[Floats, Floats]:
        blocks = np.asarray(weights, dtype=np.float64).reshape(self._markets, -1)
        return blocks[:, :-STATE_WEIGHTS].reshape(self._markets, self._pillars, SLICES, 3), blocks[:, -STATE_WEIGHTS:]

    def _join(self, body: Floats, state: Floats) -> Floats:
        return np.concatenate([body.reshape(self._markets, -1), state], axis=1).ravel()

    def _live(self, rows: Rows) -> np.ndarray:
        """Which weights the rows' markets own: the others do not move."""
        return np.repeat(np.isin(np.arange(self._markets), rows.market), weights_of(self._pillars))

    def _state_index(self) -> Integers:
        ends = weights_of(self._pillars) * np.arange(1, self._markets + 1)
        return (ends[:, None] + np.arange(-STATE_WEIGHTS, 0)).ravel()


def _place_of(rows: Rows, as_of: int) -> Place:
    return _place(rows.market, rows.k, (rows.expiry - as_of) / YEAR, 1.0)


def _place(market: Integers, k: Floats, tenor: Floats, g: Floats | float) -> Place:
    return Place(market, np.asarray(k, dtype=np.float64), tenor, clock(tenor, g))
