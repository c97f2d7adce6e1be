"""What makes a model pluggable: its spec, its weights, how it is trained, read and judged.

A model is a flat vector of d weights. On the wire and on the chain a weight is an int32 with `fraction_bits`
binary places (`fedvol.protocol.vector.pack_model`); in training it is a float. The spec says all that a
stranger needs to read the integers, and its hash names it. What a weight stands for hangs on the time that a model is
as of, since expiries are listed and expire.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedvol.errors import ConfigError
from fedvol.learning.evaluate import report
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.protocol.listing import MAX_PILLARS
from fedvol.protocol.vector import MAX_DIMENSION

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class ModelSpec:
    """Which model, for which markets, on how many expiries, and where the binary point lies.

    Args:
        name: the model's name in the registry, "ssvi-mixture".
        markets: names such as "BTC"; their order is the order of their blocks of weights.
        pillars: number of listed expiries that carry weights, 1 to 16.
        fraction_bits: a weight of 1.0 is the integer 2^fraction_bits; 8 to 28.
        dimension: number of weights d, 1..2048.

    Raises:
        ConfigError: a value that no federation can run with.
    """

    name: str
    markets: tuple[str, ...]
    pillars: int
    fraction_bits: int
    dimension: int

    def __post_init__(self) -> None:
        for problem, found in (
            ("needs a name", not self.name),
            ("needs at least one market, each named once", not self.markets or _repeats(self.markets)),
            ("has an empty market name", not all(self.markets)),
            (f"needs 1 to {MAX_PILLARS} pillars", not 1 <= self.pillars <= MAX_PILLARS),
            ("needs 8 to 28 fraction bits", not 8 <= self.fraction_bits <= 28),
            (f"needs between 1 and {MAX_DIMENSION} weights", not 1 <= self.dimension <= MAX_DIMENSION),
        ):
            if found:
                raise ConfigError(f"The spec of model {self.name!r} {problem}.", "Correct it, or use the default.")

    @property
    def scale(self) -> int:
        """The integer that stands for 1.0."""
        return 1 << self.fraction_bits

    def to_float(self, weights: ArrayLike) -> Floats:
        """Fixed-point weights as floats, exactly."""
        return np.asarray(weights, dtype=np.float64) / self.scale

    def to_fixed(self, weights: ArrayLike) -> Integers:
        """Float weights to the nearest fixed-point number (ties to even), saturated to int32."""
        scaled = np.rint(np.asarray(weights, dtype=np.float64) * self.scale)
        return np.clip(scaled, INT32_MIN, INT32_MAX).astype(np.int64)

    def canonical_bytes(self) -> bytes:
        """The one byte string of this spec: JSON, keys sorted, no spaces, ASCII."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode("ascii")

    def hash(self) -> bytes:
        """SHA-256 of the canonical bytes."""
        return hashlib.sha256(self.canonical_bytes()).digest()

    def to_json(self) -> str:
        return self.canonical_bytes().decode("ascii")

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelSpec:
        """Reads what `to_json` wrote.

        Raises:
            ConfigError: no JSON, a missing or unknown key, or a value of a wrong type.
        """
        try:
            found = json.loads(text)
            spec = cls(
                name=_typed(found.pop("name"), str),
                markets=tuple(_typed(market, str) for market in found.pop("markets")),
                pillars=_typed(found.pop("pillars"), int),
                fraction_bits=_typed(found.pop("fraction_bits"), int),
                dimension=_typed(found.pop("dimension"), int),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"The model spec cannot be read: {error!r}.", "Fetch it again.") from error
        if found:
            raise ConfigError(f"The model spec has unknown keys: {', '.join(found)}.", "Update fedvol.")
        return spec


@dataclass(frozen=True)
class Before:
    """The version in force when a round opens, and what public state has done since.

    Args:
        weights: its float weights.
        as_of: unix seconds of its own round's opening.
        moves: for each market ln(now / then) of the vol index and of the index, (markets, 2); 0 where a feed tells
        nothing.
    """

    weights: Floats
    as_of: int
    moves: Floats


@dataclass(frozen=True)
class Opening:
    """What a round opens with: when (unix seconds, which says what the weights stand for), and on what."""

    as_of: int
    before: Before | None = None


class Model(ABC):
    """A model of one spec. Stateless: weights go in and come out."""

    spec: ModelSpec

    @abstractmethod
    def initial_weights(self) -> Integers:
        """The d fixed-point weights (int32 range) of version 1."""

    @abstractmethod
    def block(self, market: int) -> slice:
        """Where the weights of a market lie in the vector: all that a quote on that market reads."""

    @abstractmethod
    def carry(self, weights: Integers, before: int, after: int) -> Integers:
        """Fixed-point weights as of one time read as of a later one: `fedvol.protocol.listing.carry`."""

    @abstractmethod
    def implied_vol(
        self, weights: ArrayLike, as_of: int, market: ArrayLike, k: ArrayLike, expiry: ArrayLike, g: ArrayLike = 1.0
    ) -> Floats:
        """Implied vols (fraction, 0.45 = 45%) at float weights. Market index, k = ln(strike / forward), expiry in unix
        seconds after `as_of` and what the state did to the clock (`clocks`) broadcast against each other."""

    @abstractmethod
    def clocks(self, weights: ArrayLike, moves: ArrayLike) -> Floats:
        """g of every market after `Before.moves`; 1 where nothing moved."""

    @abstractmethod
    def see(self, weights: Floats, rows: Rows, as_of: int) -> tuple[Floats, Floats]:
        """The vols of n rows and their slopes in all weights, (n,) and (n, d)."""

    @abstractmethod
    def told(self) -> Floats:
        """1 for weights that rows tell by `see`, 0 for those that only a move of the state does, (d,)."""

    @abstractmethod
    def smoothness(self, as_of: int) -> Floats:
        """Q, (d, d): what neighbouring weights pull each other, as w'Qw / 2, where rows leave gaps."""

    @abstractmethod
    def train(self, weights: ArrayLike, opening: Opening, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        """Float weights after local training on one desk's rows, from float weights. The weights of a market without
        rows come back unchanged. The result depends on the arguments alone, on one machine to the last bit."""

    @abstractmethod
    def curvature(self, weights: ArrayLike, opening: Opening, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        """How sure one desk is of each weight: d numbers >= 0, the diagonal of the Gauss–Newton matrix of its rows and
        of the smoothness, in rows that move one to one with the weight; 0 for nothing. Source: Matena, Raffel, "Merging
        models with Fisher-weighted averaging", 2022."""

    def evaluate(self, weights: ArrayLike, rows: Rows, as_of: int) -> dict[str, object]:
        """RMSE in vol points of these float weights on rows: see `fedvol.learning.evaluate.report`."""
        return report(self.implied_vol(weights, as_of, rows.market, rows.k, rows.expiry), rows, self.spec.markets)


_REGISTRY: dict[str, Callable[[ModelSpec], Model]] = {}


def register(name: str) -> Callable[[type[Model]], type[Model]]:
    """Class decorator: makes `build` know a model by this name. The class is called with its spec."""

    def add(model: type[Model]) -> type[Model]:
        _REGISTRY[name] = model
        return model

    return add


def build(spec: ModelSpec) -> Model:
    """The model of a spec.

    Raises:
        ConfigError: no model of that name here, or the spec does not fit it.
    """
    # Models register when imported; they bring SciPy, so not before one is needed.
    from fedvol.learning import ssvi_mixture  # noqa: F401

    if spec.name not in _REGISTRY:
        raise ConfigError(
            f"This fedvol knows no model named {spec.name!r}.",
            f"It knows {', '.join(sorted(_REGISTRY))}; a newer one may know more.",
        )
    return _REGISTRY[spec.name](spec)


def _repeats(values: tuple[str, ...]) -> bool:
    return len(set(values)) != len(values)


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value
