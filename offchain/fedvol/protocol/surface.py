"""The "ssvi-mixture" surface in integers: weights to a chart, a chart to slices.

Twin of `contracts/libraries/Surface.sol`. A market owns 6 P + 2 int32 weights (x = weight / 2^fraction_bits): for each
of P listed expiries and each of two slices a vol v, a right and a left wing a, b; then what the market's state does:
beta of the vol index, beta of the index. Held in [0.03, 4.5], [0.02, 1.98], [0.02, 1.98], [-8, 8].

    theta_j = the mean of the running maximum from the left and the running minimum from the right of tenor_j v_j^2
    p_j     = the mean of the greatest curve below and the least above min(a_j sqrt(theta_j), 3.96) that never falls and
              never rises faster than theta; c_j likewise from b

So for any weights theta and p never fall with the tenor and p / theta never rises: slices never cross (Hendriks and
Martini, "The extended SSVI volatility surface", 2019, and docs/protocol.md); and p <= min(2 sqrt(theta), 4) forbids
butterflies. Between pillars (theta, p, c) is linear in the tenor, outside them proportional to it before the first and
beyond the last p and c stay: the same conditions hold. Where integers round, they round so that they hold exactly.

Between two versions the state moves the *clock*: a tenor T is read at T (kappa g + T) / (kappa + T), kappa = 21 days,
g = (index / then)^(2 beta) (vol index / then)^(2 beta'), held in [1/4, 4]. That map rises with T whatever g is, so
nothing is arbitrage that was none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedvol.protocol.black76 import YEAR
from fedvol.protocol.fixedpoint import ONE, SCALE, exp, ln_ratio, sqrt
from fedvol.protocol.ssvi import Slice

SLICES = 2
PILLAR_WEIGHTS = 3 * SLICES
STATE_WEIGHTS = 2

THETA_BITS, SLOPE_BITS = 34, 26
"""Binary points of theta and of p and c in a chart."""

KAPPA = 21 * 86_400
CLOCK_SCALE = 32
"""Binary places of a tenor in seconds on the moved clock."""

LEAST_VOL, MOST_VOL = (3, 100), (9, 2)
LEAST_WING, MOST_WING = (2, 100), (198, 100)
MOST_SLOPE = 396 * (1 << SLOPE_BITS - 1) // 100
MOST_BETA = 8
#: ln 4 in Q96: what a shock is held in.
MOST_SHOCK = 109833554935414946702282942256


class Pillar(NamedTuple):
    """One slice of one expiry: theta at 34 binary places, p and c at 26."""

    theta: int
    p: int
    c: int


def weights_of(pillars: int) -> int:
    """Weights of one market."""
    return pillars * PILLAR_WEIGHTS + STATE_WEIGHTS


def chart(weights: Sequence[int], tenors: Sequence[int], fraction_bits: int) -> list[list[Pillar]]:
    """Both slices at every pillar.

    Args:
        weights: one market's 6 P (+ 2) int32 weights.
        tenors: P seconds, strictly rising, each from 3,600 on, below 2^26.
        fraction_bits: binary point of the weights, 8 to 28.

    Returns:
        [slice][pillar].
    """
    return [_slice(weights, 3 * which, tenors, fraction_bits) for which in range(SLICES)]


def _slice(weights: Sequence[int], first: int, tenors: Sequence[int], bits: int) -> list[Pillar]:
    count = len(tenors)
    vols = [_held(weights[PILLAR_WEIGHTS * j + first], LEAST_VOL, MOST_VOL, bits) for j in range(count)]
    raw = [(v * v * tenor << THETA_BITS - 1) // (YEAR << 2 * bits) for v, tenor in zip(vols, tenors, strict=True)]
    thetas = [max(raw[: j + 1]) + min(raw[j:]) for j in range(count)]
    slopes = []
    for lane in (1, 2):
        wings = [_held(weights[PILLAR_WEIGHTS * j + first + lane], LEAST_WING, MOST_WING, bits) for j in range(count)]
        slopes.append(_between(_slopes(wings, thetas, bits), thetas))
    return [Pillar(*numbers) for numbers in zip(thetas, *slopes, strict=True)]


def _held(weight: int, low: tuple[int, int], high: tuple[int, int], bits: int) -> int:
    return min(max(weight, (low[0] << bits) // low[1]), (high[0] << bits) // high[1])


def _slopes(wings: Sequence[int], thetas: Sequence[int], bits: int) -> list[int]:
    """min(a sqrt(theta), 3.96) at 25 binary places, rounded down."""
    down = bits + THETA_BITS - (SLOPE_BITS - 1)
    return [
        min(wing * sqrt(theta << THETA_BITS) >> down, MOST_SLOPE) for wing, theta in zip(wings, thetas, strict=True)
    ]


def _between(wanted: Sequence[int], thetas: Sequence[int]) -> list[int]:
    """The greatest allowed curve below plus the least above: twice their mean, allowed itself as that is linear."""
    last = len(wanted) - 1
    below, above = list(wanted), list(wanted)
    for j in range(1, last + 1):
        below[j] = min(wanted[j], below[j - 1] * thetas[j] // thetas[j - 1])
    for j in range(last - 1, -1, -1):
        above[j] = max(wanted[j], -(-above[j + 1] * thetas[j] // thetas[j + 1]))
    for j in range(last - 1, -1, -1):
        below[j] = min(below[j], below[j + 1])
    for j in range(1, last + 1):
        above[j] = max(above[j], above[j - 1])
    return [low + high for low, high in zip(below, above, strict=True)]


def slice_at(pillars: Sequence[Pillar], tenors: Sequence[int], moment: int) -> Slice:
    """One slice at a moment of the clock, Q96, rounded down.

    Args:
        pillars: of one slice of a chart.
        moment: seconds since the chart's time with 32 binary places, positive, below 2^62.
    """
    after = next((j for j, tenor in enumerate(tenors) if moment <= tenor << CLOCK_SCALE), len(tenors))
    if after == 0 or after == len(tenors):
        end = tenors[-1] if after else tenors[0]
        at = pillars[-1] if after else pillars[0]
        theta = ((at.theta << SCALE - THETA_BITS) * moment // end) >> CLOCK_SCALE
        if after:
            return Slice(theta, at.p << SCALE - SLOPE_BITS, at.c << SCALE - SLOPE_BITS)
        return Slice(theta, *(((x << SCALE - SLOPE_BITS) * moment // end) >> CLOCK_SCALE for x in at[1:]))
    low, high = pillars[after - 1], pillars[after]
    left = (tenors[after] << CLOCK_SCALE) - moment
    right = moment - (tenors[after - 1] << CLOCK_SCALE)
    span = tenors[after] - tenors[after - 1]

    def mean(a: int, b: int, places: int) -> int:
        return ((a * left + b * right) << SCALE - CLOCK_SCALE - places) // span

    return Slice(mean(low.theta, high.theta, THETA_BITS), *(mean(low[i], high[i], SLOPE_BITS) for i in (1, 2)))


def shock(betas: Sequence[int], fraction_bits: int, moves: Sequence[tuple[int, int]]) -> int:
    """g in Q96.

    Args:
        betas: the market's two state weights, of the vol index and of the index.
        moves: (now, then) of the vol index and of the index, each pair in one unit; (0, 0) where a feed is not there.
    """
    most = MOST_BETA << fraction_bits
    total = 0
    for beta, (now, then) in zip(betas, moves, strict=True):
        if then:
            ratio = max(min(now, then << 4), then >> 4, 1)
            total += min(max(beta, -most), most) * ln_ratio(ratio, then)
    power = total >> fraction_bits - 1
    return exp(min(max(power, -MOST_SHOCK), MOST_SHOCK))


def moment_of(tenor: int, g: int) -> int:
    """Where a tenor in seconds is read on the clock, with 32 binary places."""
    return tenor * (KAPPA * (g >> SCALE - CLOCK_SCALE) + (tenor << CLOCK_SCALE)) // (KAPPA + tenor)


UNMOVED = ONE
"""g where nothing has happened."""
