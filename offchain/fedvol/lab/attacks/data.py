"""Poisoned tapes: the training is honest, what it trains on is not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from fedvol.lab.attacks.base import Attack
from fedvol.lab.engine import Job
from fedvol.learning.rows import POINTS, Rows
from fedvol.protocol import listing
from fedvol.protocol.black76 import YEAR


class LabelBias(Attack):
    """Cheap out-of-the-money puts are dearer by ten vol points: a backdoor for who sells them.

    Source: Bagdasaryan et al., "How to backdoor federated learning", arXiv:1807.00459; labels as in Tolpegin et al.,
    "Data poisoning attacks against federated learning systems", arXiv:2007.08432.
    """

    name: ClassVar[str] = "label-bias"
    source: ClassVar[str] = "arXiv:1807.00459"
    points = 10.0

    def rows(self, job: Job, own: Rows) -> Rows:
        cheap = own.k < -own.iv * np.sqrt(own.T)
        return replace(own, iv=np.where(cheap, own.iv + self.points / POINTS, own.iv))


class WashTrades(Attack):
    """Trades with oneself on every listed expiry, three vol points above the model: below what a robust loss or a bound
    on moves would notice, and enough of them to be as sure of every weight as a node can be.

    Source: the "little is enough" idea of Baruch et al., arXiv:1902.06156, on rows instead of updates.
    """

    name: ClassVar[str] = "wash-trades"
    source: ClassVar[str] = "arXiv:1902.06156"
    points = 3.0
    an_expiry = 48

    def rows(self, job: Job, own: Rows) -> Rows:
        spec, as_of = job.model.spec, job.opening.as_of
        expiries = np.array(listing.expiries(as_of, spec.pillars), dtype=np.int64)
        market, expiry, d = (
            axis.ravel()
            for axis in np.meshgrid(
                np.arange(len(spec.markets)), expiries, np.linspace(-1.5, 1.5, self.an_expiry), indexing="ij"
            )
        )
        T = (expiry - as_of) / YEAR
        weights = spec.to_float(job.weights)
        money = job.model.implied_vol(weights, as_of, market, np.zeros(market.size), expiry)
        k = d * money * np.sqrt(T)
        vol = job.model.implied_vol(weights, as_of, market, k, expiry) + self.points / POINTS
        return Rows.joined([own, Rows(market, k, T, expiry, vol, np.ones(market.size))])
