"""A made-up options market that behaves: for demonstrations, tests, and anybody without a tape of their own.

Two markets under one weather. Each hour the weather may turn from calm to storm (0.7%) or back (5%); a
storm hits both markets with a gap down and a jump in variance. Between, spot and variance follow the Bates
model of the current weather (correlation of the two markets 0.8), and the same model prices the options.
The parameters are round figures of the size that least-squares fits to public BTC and ETH option marks of
early 2026 gave, calm and stressed (fit errors 1.2 to 2.1 vol points). Quotes then get what real ones have:
spreads that widen toward the wings and in storms, noise, missing bids, and expiries that nobody quotes for
a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.market.bates import Bates
from fedvol.market.black76 import greeks, implied_vol
from fedvol.market.schema import MS_PER_DAY, MS_PER_YEAR, TIDY

Floats = NDArray[np.float64]

DESKS = ("btc-short", "btc-mid", "btc-long", "eth-short", "eth-long", "wings")
DEFAULT_END_MS = 1_772_452_800_000
"""2026-03-02 12:00 UTC."""

_MS_PER_HOUR = 3_600_000
_TO_STORM, _TO_CALM = 0.007, 0.05
_CORRELATION = 0.8
_BURN_IN_HOURS = 72
_LEAST_VARIANCE = 0.04
_LEAST_DAYS = 0.5
_STRIKE_SPAN = np.linspace(-2.3, 2.3, 15)


@dataclass(frozen=True)
class _Market:
    name: str
    spot: float
    carry: float
    calm: Bates
    storm: Bates


_MARKETS = (
    _Market(
        "BTC",
        78_000.0,
        0.05,
        calm=Bates(4.0, 0.20, 2.0, -0.35, 15.0, -0.025, 0.06),
        storm=Bates(8.0, 0.36, 3.5, -0.45, 35.0, -0.03, 0.07),
    ),
    _Market(
        "ETH",
        2_400.0,
        0.04,
        calm=Bates(5.0, 0.36, 2.5, -0.25, 20.0, -0.02, 0.07),
        storm=Bates(9.0, 0.60, 4.0, -0.30, 35.0, -0.03, 0.09),
    ),
)


def generate(seed: int, hours: float = 48.0, snapshots: int = 12, end_ms: int = DEFAULT_END_MS) -> pd.DataFrame:
    """A tidy tape of quotes with a `desk` column; the same for the same arguments.

    Args:
        hours: the snapshots are spread evenly over the last `hours` before `end_ms`.
        snapshots: how many times all quotes are taken; about 270 rows each.

    Returns:
        Columns of `schema.TIDY` and `desk`, one of `DESKS`: a strict partition by market, maturity and delta.
    """
    if snapshots < 1 or hours <= 0:
        raise ValueError(f"snapshots and hours must be positive, not {snapshots} and {hours}")
    rng = np.random.default_rng(seed)
    steps = int(np.ceil(hours)) + _BURN_IN_HOURS
    stormy = _weather(rng, steps)
    shocks = rng.standard_normal(steps)
    paths = [_path(rng, market, stormy, shocks) for market in _MARKETS]
    times = end_ms - np.linspace(hours, 0.0, snapshots + 1)[1:] * _MS_PER_HOUR
    quotes = []
    for moment in times.astype(np.int64):
        hour = steps - 1 - int((end_ms - moment) // _MS_PER_HOUR)
        for market, (spot, variance) in zip(_MARKETS, paths, strict=True):
            quotes += _chain(rng, market, int(moment), spot[hour], variance[hour], bool(stormy[hour]))
    frame = pd.concat(quotes).sort_values("ts_ms", kind="stable", ignore_index=True)
    return frame[[*TIDY, "desk"]].astype(TIDY)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Writes a tidy tape so that no reader ever meets half of it."""
    part = path.with_name(path.name + ".part")
    frame.to_parquet(part, index=False)
    part.replace(path)


def desk_of(market: NDArray[np.object_], days: Floats, delta: Floats) -> NDArray[np.object_]:
    """The desk that makes the market in each option: by market, days to expiry, out-of-the-money |delta|."""
    btc = market == "BTC"
    short = np.where(btc, days <= 7, days <= 14)
    return np.select(
        [~short & (delta < 0.15), btc & short, btc & (days <= 35), btc, short],
        ["wings", "btc-short", "btc-mid", "btc-long", "eth-short"],
        "eth-long",
    ).astype(object)


def _weather(rng: np.random.Generator, steps: int) -> NDArray[np.bool_]:
    stormy = np.zeros(steps, dtype=bool)
    turns = rng.random(steps)
    for i in range(1, steps):
        stormy[i] = turns[i] >= _TO_CALM if stormy[i - 1] else turns[i] < _TO_STORM
    return stormy


def _path(
    rng: np.random.Generator, market: _Market, stormy: NDArray[np.bool_], common: Floats
) -> tuple[Floats, Floats]:
    """Hourly spot and variance, Euler with variance kept above a floor."""
    dt = 1 / (365 * 24)
    own = rng.standard_normal((3, stormy.size))
    spot, variance = np.empty(stormy.size), np.empty(stormy.size)
    log_spot, v = np.log(market.spot), market.calm.level
    for i, storm in enumerate(stormy):
        model = market.storm if storm else market.calm
        if storm and i and not stormy[i - 1]:
            v, log_spot = 1.6 * v, log_spot - 0.04
        z = _CORRELATION * common[i] + np.sqrt(1 - _CORRELATION**2) * own[0, i]
        w = model.rho * z + np.sqrt(1 - model.rho**2) * own[1, i]
        jumps = rng.poisson(model.jump_rate * dt)
        log_spot += -0.5 * v * dt + np.sqrt(v * dt) * z
        log_spot += jumps * model.jump_mean + np.sqrt(jumps) * model.jump_dev * own[2, i]
        v += model.speed * (model.level - v) * dt + model.vol_of_var * np.sqrt(v * dt) * w
        v = max(v, _LEAST_VARIANCE)
        spot[i], variance[i] = np.exp(log_spot), v
    return spot, variance


def _chain(
    rng: np.random.Generator, market: _Market, moment: int, spot: float, variance: float, storm: bool
) -> list[pd.DataFrame]:
    model = market.storm if storm else market.calm
    quotes = []
    for expiry in _expiries(moment):
        years = (expiry - moment) / MS_PER_YEAR
        if rng.random() < (0.15 if storm else 0.05):
            continue  # nobody quotes this expiry now
        forward = spot * np.exp(market.carry * years)
        quotes.append(_slice(rng, market.name, model, moment, expiry, forward, variance, storm))
    return quotes


def _slice(
    rng: np.random.Generator,
    market: str,
    model: Bates,
    moment: int,
    expiry: int,
    forward: float,
    variance: float,
    storm: bool,
) -> pd.DataFrame:
    years = (expiry - moment) / MS_PER_YEAR
    deviation = model.spread(variance, years)[1] * 0.8
    step = _round_step(forward * deviation * 0.2)
    strikes = np.unique(np.rint(forward * np.exp(_STRIKE_SPAN * deviation) / step) * step)
    strikes = strikes[strikes > 0]
    is_call = strikes >= forward
    put = model.put_price(forward, strikes, variance, years)
    true_iv = implied_vol(np.where(is_call, put + forward - strikes, put), forward, strikes, years, is_call)
    far = np.abs(np.log(strikes / forward)) / deviation
    listed = np.isfinite(true_iv) & (rng.random(strikes.size) < np.exp(-0.12 * far * far))
    strikes, is_call, true_iv, far = (a[listed] for a in (strikes, is_call, true_iv, far))
    n, roughness = strikes.size, 2.0 if storm else 1.0
    iv = true_iv + rng.normal(0, 0.0015 * roughness * (1 + far))
    half = 0.003 * roughness * (1 + far * far) * rng.lognormal(0, 0.3, n)
    bid = np.where(rng.random(n) < 0.03 * far, np.nan, iv - half)
    delta = np.abs(greeks(forward, strikes, iv, years, is_call).delta)
    return pd.DataFrame(
        {
            "ts_ms": moment - rng.integers(0, 30_000, n),
            "market": market,
            "expiry_ms": expiry,
            "strike": strikes,
            "is_call": is_call,
            "forward": forward,
            "iv": iv,
            "amount": np.round(rng.lognormal(1.0, 1.2, n), 1) + 0.1,
            "kind": "quote",
            "bid_iv": np.where(bid > 0, bid, np.nan),
            "ask_iv": iv + half,
            "trade_id": "",
            "desk": desk_of(np.full(n, market, dtype=object), np.full(n, years * 365), delta),
        }
    )


def _expiries(moment: int) -> list[int]:
    """Listed expiries: the next days, four Fridays, the last Fridays of three months and four quarters."""
    first = datetime.fromtimestamp(moment / 1000, UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    days = [first + timedelta(days=i) for i in range(400)]
    fridays = [day for day in days if day.weekday() == 4]
    month_ends = [day for day in fridays if (day + timedelta(days=7)).month != day.month]
    quarters = [day for day in month_ends if day.month % 3 == 0]
    listed = {int(day.timestamp() * 1000) for day in days[:4] + fridays[:4] + month_ends[:3] + quarters[:4]}
    return sorted(e for e in listed if e - moment >= _LEAST_DAYS * MS_PER_DAY)


def _round_step(wanted: float) -> float:
    """The largest of 1, 2.5, 5 times a power of ten that is not above `wanted`."""
    power = 10.0 ** np.floor(np.log10(wanted))
    return float(power * max(m for m in (1.0, 2.5, 5.0) if m * power <= wanted))
