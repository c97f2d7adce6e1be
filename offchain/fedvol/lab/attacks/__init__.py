"""What hostile participants do: each a small class with its paper, named in `ATTACKS`."""

from __future__ import annotations

from fedvol.errors import ConfigError
from fedvol.lab.attacks.attacker import Attacker
from fedvol.lab.attacks.base import Attack, Scene
from fedvol.lab.attacks.data import LabelBias, WashTrades
from fedvol.lab.attacks.riders import LateJoiner, NoiseRider, ReplayRider, ZeroRider
from fedvol.lab.attacks.vectors import ALittleIsEnough, InnerProduct, Mimic, MinMax, Scaled, SignFlip

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack
    for attack in (
        SignFlip, Scaled, LabelBias, WashTrades, ALittleIsEnough, InnerProduct, MinMax, Mimic, ZeroRider, NoiseRider,
        ReplayRider, LateJoiner,
    )
}  # fmt: skip

__all__ = ["ATTACKS", "Attack", "Attacker", "Scene", "attack_named"]


def attack_named(name: str) -> Attack:
    """A fresh attack of this name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ATTACKS:
        raise ConfigError(f"There is no attack named {name!r}.", f"Choose one of {', '.join(ATTACKS)}.")
    return ATTACKS[name]()
