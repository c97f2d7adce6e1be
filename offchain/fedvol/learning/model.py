"""What makes a model pluggable: its spec, its weights, how it is trained, read and judged.

A model is a flat vector of d weights. On the wire and on the chain a weight is an int32 with `fraction_bits`
binary places (`fedvol.protocol.vector.pack_model`); in training it is a float. The spec says all that a
stranger needs to read the integers, and its hash names it.
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
from fedvol.protocol.vector import MAX_DIMENSION

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

YEAR_SECONDS = 365 * 86_400
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


@dataclass(frozen=True)
class ModelSpec:
    """Which model, for which markets, on which maturities, and where the binary point lies.

    Args:
        name: the model's name in the registry, "ssvi-pillars".
        markets: names such as "BTC"; their order is the order of their blocks of weights.
        pillars: maturities in seconds, strictly rising.
        fraction_bits: a weight of 1.0 is the integer 2^fraction_bits; 8 to 28.
        dimension: number of weights d, 1..2048.

    Raises:
        ConfigError: a value that no federation can run with.
    """

    name: str
    markets: tuple[str, ...]
    pillars: tuple[int, ...]
    fraction_bits: int
    dimension: int

    def __post_init__(self) -> None:
        for problem, found in (
            ("needs a name", not self.name),
            ("needs at least one market, each named once", not self.markets or _repeats(self.markets)),
            ("has an empty market name", not all(self.markets)),
            ("needs pillars in seconds, positive and strictly rising", not _rising(self.pillars)),
            ("needs 8 to 28 fraction bits", not 8 <= self.fraction_bits <= 28),
            (f"needs between 1 and {MAX_DIMENSION} weights", not 1 <= self.dimension <= MAX_DIMENSION),
        ):
            if found:
                raise ConfigError(f"The spec of model {self.name!r} {problem}.", "Correct it, or use the default.")

    @property
    def scale(self) -> int:
        """The integer that stands for 1.0."""
        return 1 << self.fraction_bits

    @property
    def pillar_years(self) -> tuple[float, ...]:
        """Pillar maturities in years of 365 days."""
        return tuple(seconds / YEAR_SECONDS for seconds in self.pillars)

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
                pillars=tuple(_typed(pillar, int) for pillar in found.pop("pillars")),
                fraction_bits=_typed(found.pop("fraction_bits"), int),
                dimension=_typed(found.pop("dimension"), int),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(f"The model spec cannot be read: {error!r}.", "Fetch it again.") from error
        if found:
            raise ConfigError(f"The model spec has unknown keys: {', '.join(found)}.", "Update fedvol.")
        return spec


class Model(ABC):
    """A model of one spec. Stateless: weights go in and come out."""

    spec: ModelSpec

    @abstractmethod
    def initial_weights(self) -> Integers:
        """The d fixed-point weights (int32 range) of version 0."""

    @abstractmethod
    def block(self, market: int) -> slice:
        """Where the weights of a market lie in the vector: all that a quote on that market reads."""

    @abstractmethod
    def implied_vol(self, weights: ArrayLike, market: ArrayLike, k: ArrayLike, T: ArrayLike) -> Floats:
        """Implied vols (fraction, 0.45 = 45%) at float weights. Market index, k = ln(strike / forward) and T
        in years, positive, broadcast against each other."""

    @abstractmethod
    def train(self, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        """Float weights after local training on one desk's rows, from float weights. A weight on which the
        rows say nothing comes back unchanged. The result depends on the arguments alone, on one machine to
        the last bit."""

    @abstractmethod
    def curvature(self, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        """How much one desk's rows say about each weight at float weights: d numbers >= 0, 0 for nothing. See
        `fedvol.learning.training.curvature`."""

    def evaluate(self, weights: ArrayLike, rows: Rows) -> dict[str, object]:
        """RMSE in vol points of these float weights on rows: see `fedvol.learning.evaluate.report`."""
        return report(self.implied_vol(weights, rows.market, rows.k, rows.T), rows, self.spec.markets)


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
    # Models register when imported; they bring torch, so not before one is needed.
    from fedvol.learning import ssvi_pillars  # noqa: F401

    if spec.name not in _REGISTRY:
        raise ConfigError(
            f"This fedvol knows no model named {spec.name!r}.",
            f"It knows {', '.join(sorted(_REGISTRY))}; a newer one may know more.",
        )
    return _REGISTRY[spec.name](spec)


def _repeats(values: tuple[str, ...]) -> bool:
    return len(set(values)) != len(values)


def _rising(pillars: tuple[int, ...]) -> bool:
    return bool(pillars) and all(b > a for a, b in zip((0, *pillars), pillars, strict=False))


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value
