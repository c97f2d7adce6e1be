"""What a run of the demo is judged by: errors on rows that nobody trained on, the contract's smiles, gas, pictures."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median

import matplotlib
import numpy as np
import pandas as pd

from fedvol.chain.client import abi
from fedvol.chain.federation import FederationClient
from fedvol.learning.evaluate import flat_vol, report, train_alone
from fedvol.learning.model import Model, Opening
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from fedvol.market.holdout import split_holdout, window
from fedvol.protocol.vector import unpack_model

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DAY = 86_400
WAD = 10**18
LEAST_LIFE = 3_600
"""Seconds that an option must outlast the tape's end to be judged by: the rounds take some."""


class Judge:
    """Splits the market as the nodes do, and measures models on the half that is held out."""

    def __init__(self, model: Model, tapes: dict[str, pd.DataFrame], window_hours: float) -> None:
        self.model = model
        self.settings = Settings()
        fresh = {name: window(tape, window_hours) for name, tape in tapes.items()}
        self.market = pd.concat(fresh.values(), ignore_index=True)
        self.as_of = newest(fresh)
        self.opening = Opening(self.as_of)
        self.held = self._rows(split_holdout(self.market)[1])
        self.own = {name: self._rows(split_holdout(tape)[0]) for name, tape in fresh.items()}
        self.pooled = self._rows(split_holdout(self.market)[0])

    def _rows(self, frame: pd.DataFrame) -> Rows:
        return rows_from_tape(frame, self.model.spec.markets).after(self.as_of + LEAST_LIFE)

    def rmse(self, weights: np.ndarray, as_of: int) -> float:
        return float(self.model.evaluate(weights, self.held, as_of)["rmse"])

    def joint(self, data: bytes, as_of: int) -> float:
        """Of a model from the chain."""
        spec = self.model.spec
        return self.rmse(spec.to_float(unpack_model(data, spec.dimension)), as_of)

    def alone(self, rounds: int) -> dict[str, float]:
        """Of each desk alone, with as many steps as it took in all rounds."""
        return {
            name: self.rmse(
                train_alone(self.model, self.opening, rows, rounds, name.encode(), self.settings), self.as_of
            )
            for name, rows in self.own.items()
        }

    def flat(self) -> float:
        """Of one vol for everything: the mean of all training rows."""
        return float(report(flat_vol(self.pooled), self.held, self.model.spec.markets)["rmse"])


def gas_by_kind(client: FederationClient) -> dict[str, dict[str, int]]:
    """Gas of every successful call to the federation and its vault: name → count, median, largest."""
    web3, names = client.web3, {}
    for contract, address in (("Federation", client.federation.address), ("StakeVault", client.vault.address)):
        for entry in abi(contract):
            if entry["type"] == "function" and entry["stateMutability"] == "nonpayable":
                signature = f"{entry['name']}({','.join(_type(field) for field in entry['inputs'])})"
                names[(address, web3.keccak(text=signature)[:4])] = entry["name"]
    spent: dict[str, list[int]] = defaultdict(list)
    for number in range(client.deployment.block, web3.eth.block_number + 1):
        block = web3.eth.get_block(number, full_transactions=True)
        for transaction in block["transactions"]:
            name = names.get((transaction["to"], bytes(transaction["input"][:4])))
            if name:
                receipt = web3.eth.get_transaction_receipt(transaction["hash"])
                if receipt["status"] == 1:
                    spent[name].append(receipt["gasUsed"])
    return {
        name: {"count": len(used), "median": int(median(used)), "max": max(used)}
        for name, used in sorted(spent.items())
    }


def _type(field: dict) -> str:
    if field["type"].startswith("tuple"):
        return f"({','.join(_type(part) for part in field['components'])}){field['type'][5:]}"
    return field["type"]


def newest(tapes: dict[str, pd.DataFrame]) -> int:
    """Unix seconds of the newest row."""
    return int(max(tape["ts_ms"].max() for tape in tapes.values())) // 1000 + 1


def contract_smile(client: FederationClient, market: str, forward: float, k: np.ndarray, expiry: int) -> np.ndarray:
    """Vols (fractions) from the contract at log-strikes k; the forward is put on the market's feed beforehand."""
    strikes = [int(forward * float(np.exp(x)) * 1e6) * 10**12 for x in k]
    _, vols = client.engine.functions.smile(market.encode().ljust(32, b"\0"), strikes, expiry).call()
    return np.array(vols, dtype=np.float64) / WAD


def forwards(market: pd.DataFrame) -> dict[str, float]:
    """Each market's latest forward, of the expiry nearest to 30 days."""
    found = {}
    for name, rows in market.groupby("market"):
        latest = rows[rows["ts_ms"] > rows["ts_ms"].max() - 3_600_000]
        days = (latest["expiry_ms"] - latest["ts_ms"]) / 86_400_000
        found[str(name)] = float(latest["forward"].iloc[int((days - 30).abs().to_numpy().argmin())])
    return found


def plot_smiles(path: Path, client: FederationClient, judge: Judge, forward: dict[str, float]) -> None:
    """Three expiries of each market: held-out quotes, and the surface as the contract gives it."""
    spec, held = judge.model.spec, judge.held
    figure, axes = plt.subplots(len(spec.markets), 3, figsize=(14, 4 * len(spec.markets)), squeeze=False)
    for row, market in zip(axes, spec.markets, strict=True):
        of_market = held.market == spec.markets.index(market)
        if market not in forward or not of_market.any():
            continue
        terms, counts = np.unique(np.round(held.T[of_market] * 365, 1), return_counts=True)
        wanted = [terms[np.argmax(np.where(np.abs(np.log(terms / days)) < 0.5, counts, 0))] for days in (7, 30, 90)]
        for axis, days in zip(row, wanted, strict=True):
            here = of_market & (np.round(held.T * 365, 1) == days)
            k = np.linspace(held.k[here].min(), held.k[here].max(), 41)
            vols = contract_smile(client, market, forward[market], k, int(np.median(held.expiry[here])))
            axis.plot(held.k[here], held.iv[here] * 100, "o", ms=4, color="#888", label="quotes nobody trained on")
            axis.plot(k, vols * 100, color="#c2410c", lw=2, label="joint model, read from the contract")
            axis.set_title(f"{market}, {days:g} days")
            axis.set_xlabel("ln(strike / forward)")
            axis.set_ylabel("implied vol, %")
            axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_surface(path: Path, client: FederationClient, market: str, forward: float) -> None:
    """The surface of one market as the contract gives it."""
    days = np.geomspace(2, 270, 22)
    k = np.linspace(-0.5, 0.5, 33)
    now = client.web3.eth.get_block("latest")["timestamp"]
    vols = np.array([contract_smile(client, market, forward, k, int(now + d * DAY)) for d in days]) * 100
    figure = plt.figure(figsize=(9, 6.5))
    axis = figure.add_subplot(projection="3d")
    x, y = np.meshgrid(k, np.log10(days))
    axis.plot_surface(x, y, vols, cmap="viridis", edgecolor="#333", lw=0.15)
    ticks = [2, 7, 30, 90, 270]
    axis.set_yticks(np.log10(ticks), [str(t) for t in ticks])
    axis.set_xlabel("ln(strike / forward)")
    axis.set_ylabel("days to expiry")
    axis.set_zlabel("implied vol, %")
    axis.set_title(f"{market}: the surface as PricingEngine serves it")
    axis.view_init(25, -60)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
