"""A private head: the shared surface, bent to one desk's own flow, which the desk keeps to itself."""

from __future__ import annotations

from fedvol.learning.model import Floats, Integers, Model, Opening
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings

UNUSED_SEED = bytes(32)
"""Training draws from a seed only what noise and the choice among too many rows need, and nothing of this is sent."""

HEAD = Settings(prior=0.4)
"""Held to the shared surface a thousand times as tightly as a round's training: as loose as that, what a few rows say
of one expiry bends all others, and a desk whose flow is spread out is worse off than without. See docs/lab.md."""


def private_head(model: Model, weights: Integers, opening: Opening, rows: Rows, settings: Settings = HEAD) -> Floats:
    """Float weights for a desk's own pricing: one more local training from a version, on its own rows.

    What its rows do not tell stays as the federation has it. They price by `Model.implied_vol` as any version does,
    free of arbitrage too. Nothing of it travels, so there is nothing for noise to hide: leave `Settings.privacy` out.
    Made anew for each version. Source: after Arivazhagan et al., "Federated learning with personalization layers",
    2019, but for all weights at once; held near the shared ones as by Li et al., "Ditto", 2021.

    Args:
        weights: d fixed-point weights of the version.
        opening: when the version is as of.
        rows: of the desk alone.
    """
    return model.train(model.spec.to_float(weights), opening, rows, UNUSED_SEED, settings)
