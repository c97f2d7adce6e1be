"""Versions of the model as pictures and checks: a grid of vols, smiles against the viewer's tape, errors, arbitrage."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedvol.chain.client import readable
from fedvol.chain.federation import FederationClient
from fedvol.dashboard.tape import ViewersTape
from fedvol.errors import ConfigError, FedvolError, WireError
from fedvol.learning.arbitrage import violations
from fedvol.learning.model import Model, ModelSpec, build
from fedvol.learning.rows import POINTS, Rows
from fedvol.protocol.listing import expiries
from fedvol.protocol.vector import unpack_model

DAY = 86_400
KEPT = 256
GRID_K = np.linspace(-0.4, 0.4, 33)
GRID_TENORS = 24
SMILE_DAYS = (2, 7, 14, 30, 90, 180)
SMILE_POINTS = 33
SMILE_WIDTH = 2.5
"""Standard deviations to either side of the forward."""
LEAST_QUOTES = 5
MOST_QUOTES = 150
"""Points of the tape in one smile."""

Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Version:
    """A published model. `weights`: floats."""

    number: int
    round: int
    as_of: int
    published_at: int
    weights: Floats


class Surfaces:
    """Reads each version once. Threads may share it.

    Attributes:
        trouble: why there is nothing to see: a model that this fedvol does not know, or a damaged deployment file.
    """

    def __init__(self, client: FederationClient, tape: ViewersTape | None) -> None:
        self._client = client
        self._tape = tape
        self._lock = threading.Lock()
        self._versions: OrderedDict[int, Version] = OrderedDict()
        self._checks: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self.trouble: str | None = None
        self._model: Model | None = None
        try:
            self._model = build(ModelSpec.from_json(json.dumps(client.deployment.spec)))
        except FedvolError as error:
            self.trouble = error.message

    def forget(self, *, checks_only: bool = False) -> None:
        """After a reorganisation, or when the tape has changed."""
        with self._lock:
            self._checks.clear()
            if not checks_only:
                self._versions.clear()

    def version(self, number: int) -> Version:
        """One version, from the registry.

        Raises:
            ChainError: it cannot be read.
            ConfigError: there is no such version, or no model to read it with.
        """
        with self._lock:
            if number in self._versions:
                return self._versions[number]
        model = self._known()
        newest = self._newest()
        if not 1 <= number <= newest:
            raise ConfigError(f"There is no version {number}.", f"Name one of 1 to {newest}.")
        with readable(f"model version {number}"):
            _, _, made_in, published_at, as_of = self._client.registry.functions.versionAt(number).call()
        try:
            weights = model.spec.to_float(unpack_model(self._client.model(number), model.spec.dimension))
        except WireError as error:
            raise ConfigError(
                f"Version {number} is not of the deployment file's model: {error.message}", error.hint
            ) from error
        return self._keep(self._versions, number, Version(number, made_in, as_of, published_at, weights))

    def surface(self, number: int, market: int) -> dict[str, Any]:
        """A version of one market: `vol` in percent on `days` × `moneyness` (percent of the forward), and smiles.

        Raises:
            ConfigError, ChainError: see `version`; or no such market.
        """
        model, v = self._known(), self.version(number)
        if not 0 <= market < len(model.spec.markets):
            raise ConfigError(f"There is no market {market}.", "Name one of the federation's by its place.")
        listed = np.array(expiries(v.as_of, model.spec.pillars), dtype=np.int64)
        last = (listed[-1] - v.as_of) / DAY
        days = np.geomspace(min(2.0, last / 2), last, GRID_TENORS)
        at = v.as_of + np.rint(days * DAY).astype(np.int64)
        vols = model.implied_vol(v.weights, v.as_of, market, GRID_K, at[:, None])
        rows = self._rows(v, model)
        return {
            "version": number,
            "round": v.round,
            "as_of": v.as_of,
            "market": model.spec.markets[market],
            "days": _rounded(days, 3),
            "moneyness": _rounded(100 * np.exp(GRID_K), 2),
            "vol": [_rounded(POINTS * row, 3) for row in vols],
            "smiles": self._smiles(model, v, market, listed, rows),
        }

    def check(self, number: int) -> dict[str, Any]:
        """Errors against the tape near the version, in vol points (None without rows), and arbitrage looked for; or the
        `trouble` with a version that is no model.

        Raises:
            ChainError: it cannot be read.
        """
        with self._lock:
            if number in self._checks:
                return self._checks[number]
        try:
            found = self._checked(self._known(), self.version(number))
        except ConfigError as error:
            found = {"version": number, "trouble": error.message}
        return self._keep(self._checks, number, found)

    def _keep(self, among: OrderedDict[int, T], number: int, found: T) -> T:
        with self._lock:
            among[number] = found
            while len(among) > KEPT:
                among.popitem(last=False)
        return found

    def _checked(self, model: Model, v: Version) -> dict[str, Any]:
        found: dict[str, Any] = {
            "version": v.number,
            "round": v.round,
            "published_at": v.published_at,
            "trouble": None,
            "rows": 0,
            "rmse": None,
            "by_market": [None] * len(model.spec.markets),
        } | violations(model, v.weights, v.as_of)
        rows = self._rows(v, model)
        if rows is not None and len(rows):
            said = model.evaluate(v.weights, rows, v.as_of)
            found |= {"rows": len(rows), "rmse": said["rmse"], "by_market": list(said["by_market"].values())}
        return found

    def checked(self) -> list[dict[str, Any]]:
        """All checks that were made, by version."""
        with self._lock:
            return [self._checks[number] for number in sorted(self._checks)]

    def is_checked(self, number: int) -> bool:
        with self._lock:
            return number in self._checks

    def _known(self) -> Model:
        if self._model is None:
            raise ConfigError(
                self.trouble or "There is no model.", "Update fedvol, or fetch the deployment file again."
            )
        return self._model

    def _newest(self) -> int:
        with readable("the newest version"):
            return self._client.registry.functions.current().call()[0]

    def _rows(self, v: Version, model: Model) -> Rows | None:
        return None if self._tape is None else self._tape.near(v.as_of, model.spec.markets)

    def _smiles(
        self, model: Model, v: Version, market: int, listed: NDArray[np.int64], rows: Rows | None
    ) -> list[dict[str, Any]]:
        """Of the expiries nearest to `SMILE_DAYS`: those that the tape quotes, where it quotes any."""
        if rows is not None:
            rows = rows.select(rows.market == market)
            quoted, counts = np.unique(rows.expiry, return_counts=True)
            quoted = quoted[counts >= LEAST_QUOTES]
            listed = quoted if quoted.size else listed
        tenors = (listed - v.as_of) / DAY
        live = listed[tenors > 0]
        if not live.size:
            return []
        near = {int(np.abs(np.log((live - v.as_of) / DAY / days)).argmin()) for days in SMILE_DAYS}
        return [self._smile(model, v, market, int(live[i]), rows) for i in sorted(near)]

    def _smile(self, model: Model, v: Version, market: int, expiry: int, rows: Rows | None) -> dict[str, Any]:
        def vols(k: Floats) -> Floats:
            return POINTS * model.implied_vol(v.weights, v.as_of, market, k, expiry)

        atm, put, call = vols(np.array([0.0, np.log(0.9), np.log(1.1)]))
        reach = SMILE_WIDTH * atm / POINTS * np.sqrt((expiry - v.as_of) / DAY / 365)
        low, high = -reach, reach
        quotes = None if rows is None else rows.select(rows.expiry == expiry)
        if quotes is not None and len(quotes):
            every = max(1, len(quotes) // MOST_QUOTES)
            quotes = quotes.select(np.arange(0, len(quotes), every))
            low, high = min(low, quotes.k.min()), max(high, quotes.k.max())
        k = np.linspace(low, high, SMILE_POINTS)
        return {
            "expiry": expiry,
            "days": round((expiry - v.as_of) / DAY, 2),
            "atm": round(float(atm), 2),
            "put": round(float(put), 2),
            "call": round(float(call), 2),
            "moneyness": _rounded(100 * np.exp(k), 2),
            "vol": _rounded(vols(k), 3),
            "quotes": None
            if quotes is None
            else {"moneyness": _rounded(100 * np.exp(quotes.k), 2), "vol": _rounded(POINTS * quotes.iv, 3)},
        }


def _rounded(values: Floats, places: int) -> list[float]:
    return np.round(values, places).tolist()
