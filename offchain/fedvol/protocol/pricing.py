"""What `PricingEngine` reads from a model, in integers and bit for bit: volatility, prices, greeks; and its bounds.

Times are unix seconds, forwards and strikes WAD dollars, betas and weights fixed-point with `fraction_bits` places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedvol.protocol import black76, listing, mixture, ssvi, surface
from fedvol.protocol.black76 import WAD, YEAR
from fedvol.protocol.fixedpoint import SCALE, ln_ratio, sqrt
from fedvol.protocol.surface import Pillar

MOST_RATIO_BITS = 14
ONE_BPS_SQUARED = 10**8


class Chart(NamedTuple):
    """One market of a version, drawn: what the engine writes at publication.

    `slices` is [slice][pillar], `betas` those of the vol index and of the index.
    """

    as_of: int
    tenors: list[int]
    slices: list[list[Pillar]]
    betas: tuple[int, int]
    fraction_bits: int


class Quote(NamedTuple):
    """As `IPricingEngine.Quote`: WAD."""

    iv: int
    call: int
    put: int
    delta: int
    gamma: int
    vega: int
    theta: int


class Bounds(NamedTuple):
    """As `IPricingEngine.Bounds`."""

    least_vol_bps: int
    most_vol_bps: int
    most_move_bps: int


class Breach(NamedTuple):
    """Where a chart breaks a bound: the expiry and the vol that it says there, WAD."""

    expiry: int
    vol: int


def draw(weights: Sequence[int], as_of: int, pillars: int, fraction_bits: int) -> Chart:
    """The chart of one market's 6 P + 2 weights."""
    tenors = [expiry - as_of for expiry in listing.expiries(as_of, pillars)]
    slices = surface.chart(weights, tenors, fraction_bits)
    vol_beta, index_beta = (int(beta) for beta in weights[-surface.STATE_WEIGHTS :])
    return Chart(as_of, tenors, slices, (vol_beta, index_beta), fraction_bits)


def clock(chart: Chart, vol_move: tuple[int, int], index_move: tuple[int, int]) -> int:
    """g in Q96 from the answers (now, at publication) of vol index and index; (0, 0) where one moves nothing."""
    return surface.shock(chart.betas, chart.fraction_bits, (vol_move, index_move))


def last_expiry(chart: Chart) -> int:
    """The latest that is priced."""
    return chart.as_of + 2 * chart.tenors[-1]


def quote(chart: Chart, now: int, expiry: int, forward: int, strike: int, g: int = surface.UNMOVED) -> Quote:
    """Volatility, prices and greeks as the chain gives them.

    Raises:
        ValueError: the chain answers with an error.
    """
    if not now < expiry <= last_expiry(chart):
        raise ValueError(f"expiry {expiry} is not between {now} and {last_expiry(chart)}")
    if (
        not 0 < min(forward, strike) <= max(forward, strike) < 1 << 128
        or strike > forward << MOST_RATIO_BITS
        or forward > strike << MOST_RATIO_BITS
    ):
        raise ValueError(f"strike {strike} on forward {forward} is out of range")
    tenor, remaining = expiry - chart.as_of, expiry - now
    k = ln_ratio(strike, forward)
    moment = surface.moment_of(tenor, g)
    at = [surface.slice_at(pillars, chart.tenors, moment) for pillars in chart.slices]
    first, second = (ssvi.total_variance(slice_, k) * remaining // tenor for slice_ in at)
    deviation = mixture.deviation(first, second, k)
    sigma = sqrt(deviation * deviation * YEAR // remaining)
    terms = black76.terms(forward, strike, k, deviation)
    greeks = black76.greeks(forward, terms.density, deviation, sigma, remaining)
    return Quote(_wad(sigma), terms.call, terms.put, _wad(terms.delta), *greeks)


def first_breach(chart: Chart, bounds: Bounds, old: Chart | None = None) -> Breach | None:
    """The first listed expiry at which the engine would refuse the chart.

    Args:
        old: the one in force, unless it is too old to be read.
    """
    for tenor, first, second in zip(chart.tenors, *chart.slices, strict=True):
        level = 3 * first.theta + second.theta
        scaled = level * YEAR * ONE_BPS_SQUARED
        unit = tenor << surface.THETA_BITS + 2
        good = bounds.least_vol_bps**2 * unit <= scaled <= bounds.most_vol_bps**2 * unit
        if good and old:
            before = chart.as_of + tenor - old.as_of
            at = [surface.slice_at(pillars, old.tenors, before << surface.CLOCK_SCALE) for pillars in old.slices]
            was = (3 * at[0].theta + at[1].theta) * tenor
            now = (level << SCALE - surface.THETA_BITS) * before
            most = bounds.most_move_bps**2
            good = now * ONE_BPS_SQUARED <= was * most and was * ONE_BPS_SQUARED <= now * most
        if not good:
            variance = (level << SCALE - surface.THETA_BITS - 2) * YEAR // tenor
            return Breach(chart.as_of + tenor, _wad(sqrt(variance << SCALE)))
    return None


def _wad(x: int) -> int:
    return x * WAD >> SCALE
