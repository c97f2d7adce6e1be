"""The surface is the one of the specification, and no weight vector makes it arbitrageable."""

from __future__ import annotations

import mpmath
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.learning.model import build
from fedvol.learning.ssvi_pillars import ssvi_spec
from fedvol.protocol.fixedpoint import ONE
from fedvol.protocol.ssvi import implied_vol_at
from fedvol.protocol.surface import slice_at

SPEC = ssvi_spec()
MODEL = build(SPEC)
WIDTH = SPEC.dimension // 2

int32 = st.one_of(
    st.sampled_from([-(2**31), 2**31 - 1, 0, 1, -1]),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-4 << 20, 2 << 20),
)
weight_vectors = st.lists(int32, min_size=SPEC.dimension, max_size=SPEC.dimension)


def reference(weights: list[int], market: int, k: float, T: float) -> mpmath.mpf:
    """The formulas of the module, word by word, in 50 digits."""
    with mpmath.workdps(50):
        block = [mpmath.mpf(w) / SPEC.scale for w in weights[market * WIDTH : (market + 1) * WIDTH]]
        times = [mpmath.mpf(s) / (365 * 86_400) for s in SPEC.pillars]
        logs = [mpmath.log(t) + 2 * min(max(u, -3), mpmath.mpf(3) / 2) for t, u in zip(times, block, strict=False)]
        thetas = [mpmath.exp(max(logs[: i + 1])) for i in range(len(logs))]
        k, T = mpmath.mpf(k), mpmath.mpf(T)
        if times[0] >= T:
            theta = thetas[0] * T / times[0]
        elif times[-1] <= T:
            theta = thetas[-1] * T / times[-1]
        else:
            i = max(j for j, t in enumerate(times) if t <= T)
            theta = thetas[i] + (thetas[i + 1] - thetas[i]) * (T - times[i]) / (times[i + 1] - times[i])
        s, c = block[-2:]
        rho = mpmath.mpf("0.999") * s / mpmath.sqrt(1 + s * s)
        eta = (1 + c / mpmath.sqrt(1 + c * c)) / (1 + abs(rho))
        x = eta / mpmath.sqrt(theta * (1 + theta)) * k
        total = theta / 2 * (1 + rho * x + mpmath.sqrt((x + rho) ** 2 + 1 - rho**2))
        return mpmath.sqrt(total / T)


@settings(max_examples=150, deadline=None)
@given(weight_vectors, st.integers(0, 1), st.floats(-3, 3), st.floats(1e-5, 4))
def test_equal_to_the_reference(weights, market, k, T):
    found = float(MODEL.implied_vol(SPEC.to_float(weights), market, k, T))
    assert abs(found / reference(weights, market, k, T) - 1) < 1e-9


def test_equal_to_the_reference_on_and_around_each_pillar():
    weights = MODEL.initial_weights()
    weights[:WIDTH] += np.arange(WIDTH) * -30_000
    for T in SPEC.pillar_years:
        for nudge in (1 - 1e-9, 1.0, 1 + 1e-9):
            found = float(MODEL.implied_vol(SPEC.to_float(weights), 0, -0.3, T * nudge))
            assert abs(found / reference(weights.tolist(), 0, -0.3, T * nudge) - 1) < 1e-12


@settings(max_examples=150, deadline=None)
@given(weight_vectors, st.integers(0, 1), st.floats(-3, 3), st.integers(3600, 3 * 365 * 86_400))
def test_what_is_trained_is_what_the_chain_quotes(weights, market, k, seconds):
    """The integer twin of the contract, on the same weights."""
    block = weights[MODEL.block(market)]
    quoted = implied_vol_at(*slice_at(block, SPEC.pillars, SPEC.fraction_bits, seconds), int(k * ONE), seconds)
    found = float(MODEL.implied_vol(SPEC.to_float(weights), market, k, seconds / (365 * 86_400)))
    assert abs(quoted / ONE / found - 1) < 1e-8


K = np.concatenate([-np.geomspace(4, 1e-4, 80), [0.0], np.geomspace(1e-4, 4, 80)])
T_GRID = np.sort(np.concatenate([np.geomspace(1e-5, 6, 60), SPEC.pillar_years]))


@settings(max_examples=60, deadline=None)
@given(weight_vectors)
def test_no_weights_allow_arbitrage(weights):
    """Total variance rises with T at each k (calendar), Durrleman's g is not negative (butterfly)."""
    for market in (0, 1):
        T, k = (torch.tensor(axis) for axis in np.meshgrid(T_GRID, K, indexing="ij"))
        k.requires_grad_()
        vols = MODEL.surface(torch.tensor(SPEC.to_float(weights)), torch.full_like(T, market).long(), k, T)
        assert torch.isfinite(vols).all()
        assert (vols > 0).all()
        w = vols**2 * T
        assert (torch.diff(w, dim=0) >= -1e-12 * w[1:]).all()
        (slope,) = torch.autograd.grad(w.sum(), k, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), k)
        g = (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 0.25) + bend / 2
        assert g.min() > -1e-7


def test_data_can_pull_back_a_level_beyond_its_bounds():
    weights = torch.tensor(SPEC.to_float(MODEL.initial_weights()))
    weights[3] = 5.0
    weights.requires_grad_()
    market, k, T = torch.tensor([0]), torch.tensor([0.0]), torch.tensor([SPEC.pillar_years[3]])
    MODEL.surface(weights, market, k, T.double()).sum().backward()
    assert weights.grad[3] > 0
