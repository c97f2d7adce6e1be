"""Loads a tape, whatever wrote it, into tidy rows, and accounts for every record that was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from fedvol.errors import TapeError
from fedvol.market import forwards
from fedvol.market.black76 import implied_vol
from fedvol.market.formats import FORMATS
from fedvol.market.formats.source import alien, read_source
from fedvol.market.schema import (
    MS_PER_YEAR,
    TIDY,
    Sieve,
    sieve_contract,
    sieve_duplicates,
    sieve_vol,
)


@dataclass(frozen=True)
class Tape:
    """What was found in a file or folder: `read == len(rows) + sum(dropped.values())`.

    Attributes:
        rows: tidy rows (`schema.TIDY`, and `desk` where a column was named), sorted by time.
        format: the format's name; several are joined by " + ".
        read: records in the input, malformed ones included.
        dropped: records left out, by reason; each is counted once.
        notes: what was assumed or derived, one sentence each.
    """

    rows: pd.DataFrame
    format: str
    read: int
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def load_tape(path: Path | str, desk_column: str | None = None, desk: str | None = None) -> Tape:
    """Reads a tape: a file, or a folder of files that are taken together (one a day, say).

    Args:
        desk_column: a column of the file that names the desk of each row; kept verbatim as `desk`.
        desk: keep only the rows of this desk; `desk_column` is then "desk" unless it is given.

    Raises:
        TapeError: no such file, damaged, of no known format, no such desk, or nothing left to use.
    """
    path = Path(path)
    if desk is not None and desk_column is None:
        desk_column = "desk"
    notes: list[str] = []
    names: list[str] = []
    parts: list[pd.DataFrame] = []
    malformed = 0
    for file in _files(path):
        source = read_source(file, desk_column)
        reader = next((f for f in FORMATS if f.recognise(frozenset(source.records.columns))), None)
        if reader is None:
            seen = ", ".join(list(source.records.columns)[:8])
            raise alien(file, f"holds no vols or option prices in a known layout (its columns: {seen})")
        part = reader.read(source.records, notes)
        if desk_column is not None:
            part["desk"] = _desks(file, source.records, desk_column)
        parts.append(part)
        malformed += source.malformed
        names.append(reader.NAME)
    frame = pd.concat(parts, ignore_index=True)
    sieve = Sieve(len(frame))
    if desk is not None:
        _only(path, sieve, frame, desk)
    rows = _tidy(frame, sieve, notes)
    dropped = sieve.dropped | ({"malformed record": malformed} if malformed else {})
    if rows.empty:
        why = ", ".join(f"{reason}: {count}" for reason, count in dropped.items()) or "it holds no records"
        raise TapeError(f"{path} holds no usable option vol ({why}).", _remedy(dropped))
    if "no forward" in dropped:
        notes.append(f"{dropped['no forward']} rows have no forward. {_remedy({'no forward': 1})}")
    return Tape(
        rows=rows,
        format=" + ".join(dict.fromkeys(names)),
        read=len(frame) + malformed,
        dropped=dropped,
        notes=list(dict.fromkeys(notes)),
    )


def _tidy(frame: pd.DataFrame, sieve: Sieve, notes: list[str]) -> pd.DataFrame:
    """Half-way records to tidy rows. What is wrong with the record as written is rejected first."""
    sieve_contract(sieve, frame)
    sieve.reject(frame["market"].to_numpy(object) == "", "no market")
    sieve_duplicates(sieve, frame)
    price, priced = frame["price"].to_numpy(np.float64), frame["priced"].to_numpy(bool)
    sieve.reject(priced & ~np.isfinite(price), "non-finite price")
    sieve.reject(priced & (price <= 0), "price is not positive")
    amount, trade = frame["amount"].to_numpy(np.float64), frame["kind"].to_numpy(object) == "trade"
    sieve.reject(np.isinf(amount) | (amount < 0) | (priced & trade & ~(amount > 0)), "bad amount")
    sieve_vol(sieve, frame["iv"].to_numpy(np.float64))

    kept = frame[sieve.alive].reset_index(drop=True)
    inner = Sieve(len(kept))
    _solve(kept, inner, notes)
    for reason, count in inner.dropped.items():
        sieve.dropped[reason] = sieve.dropped.get(reason, 0) + count
    kept = kept[inner.alive]
    if disorder := int((np.diff(kept["ts_ms"].to_numpy()) < 0).sum()):
        notes.append(f"rows earlier than the row before them, put in order: {disorder}")
    kept = kept.sort_values("ts_ms", kind="stable", ignore_index=True)
    return kept[[*TIDY, *(["desk"] if "desk" in kept else [])]].astype(TIDY)


def _solve(kept: pd.DataFrame, sieve: Sieve, notes: list[str]) -> None:
    """Forwards and vols of options with good terms, in place."""
    kept["forward"] = forwards.fill(kept, notes)
    forward = kept["forward"].to_numpy(np.float64)
    sieve.reject(np.isnan(forward), "no forward")
    strike, is_call = kept["strike"].to_numpy(np.float64), kept["is_call"].to_numpy(bool)
    years = (kept["expiry_ms"].to_numpy(np.float64) - kept["ts_ms"].to_numpy(np.float64)) / MS_PER_YEAR
    unit = np.where(kept["linear"].to_numpy(bool), 1.0, forward)

    def invert(column: str, rows: np.ndarray) -> np.ndarray:
        value = kept[column].to_numpy(np.float64) * unit
        return implied_vol(value[rows], forward[rows], strike[rows], years[rows], is_call[rows])

    iv = kept["iv"].to_numpy(np.float64).copy()
    missing = np.isnan(iv)
    sieve.reject(missing & ~np.isfinite(kept["price"].to_numpy(np.float64)), "no vol")
    if (missing & sieve.alive).any():
        iv[missing] = invert("price", missing)
        sieve.reject(np.isnan(iv), "price allows no vol")
        sieve_vol(sieve, iv)
        if count := int((missing & sieve.alive).sum()):
            notes.append(f"vol inverted from the price: {count} rows")
    kept["iv"] = iv
    for side in ("bid", "ask"):
        vol = kept[f"{side}_iv"].to_numpy(np.float64).copy()
        open_ = np.isnan(vol) & np.isfinite(kept[f"{side}_price"].to_numpy(np.float64))
        vol[open_] = invert(f"{side}_price", open_)
        kept[f"{side}_iv"] = np.where(np.isfinite(vol) & (vol > 0), vol, np.nan)
    kept["amount"] = kept["amount"].fillna(0.0)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    if not files:
        raise TapeError(f"{path} is an empty folder.", "Put the tape's files in it, or name a file.")
    return files


def _desks(file: Path, raw: pd.DataFrame, column: str) -> np.ndarray:
    if column not in raw:
        raise TapeError(f"{file} has no column {column!r}.", f"Choose the desk column among: {', '.join(raw.columns)}.")
    return raw[column].astype(object).where(raw[column].notna(), "").astype(str).to_numpy(object)


def _only(path: Path, sieve: Sieve, frame: pd.DataFrame, desk: str) -> None:
    desks = frame["desk"].to_numpy(object)
    if not (desks == str(desk)).any():
        known = ", ".join(sorted(set(desks))[:12])
        raise TapeError(f"{path} has no rows of desk {desk!r}.", f"Its desks are: {known}.")
    sieve.reject(desks != str(desk), "another desk's")


def _remedy(dropped: dict[str, int]) -> str:
    worst = max(dropped, key=lambda reason: dropped[reason], default="")
    if worst == "no forward":
        return "Put the options_chain file of the same days in one folder with it, and give the folder."
    if worst == "no vol":
        return "Give a tape that states vols or prices."
    return "Give a tape of option trades or quotes, and check its first records against these reasons."
