"""From bytes to raw records: gzip, Parquet, JSON, JSON lines or CSV, told by content."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from fedvol.errors import TapeError

# Read as text, so that "007" stays "007" and a gap does not turn identifiers into floats.
_IDENTIFIERS = ("trade_id", "id", "block_trade_id", "combo_id", "order_id")
_DELIMITERS = ",;\t|"
_FORMATS_HINT = (
    "Give Deribit trades or book summaries (JSON or CSV), Tardis trades or options_chain CSV, ccxt trades, "
    "or a table in FedVol's own columns; `fedvol market inspect --help` lists them."
)


@dataclass(frozen=True)
class Source:
    """Raw records as they were written, one row each, columns named as in the file.

    Attributes:
        malformed: entries that are no record at all (a CSV line with too many fields, a list entry that is
            no object); they are not among the rows.
    """

    records: pd.DataFrame
    malformed: int


def alien(path: Path, what: str) -> TapeError:
    """The refusal of a file that is no tape."""
    return TapeError(f"{path} {what}.", _FORMATS_HINT)


def read_source(path: Path, text_column: str | None = None) -> Source:
    """Reads one file.

    Args:
        text_column: a column of the user's to keep verbatim.

    Raises:
        TapeError: missing, empty, damaged, or of no known container.
    """
    data = _bytes(path)
    if data.startswith(b"PAR1"):
        return _parquet(path, data)
    if b"\0" in data[:4096]:
        raise alien(path, "is a binary file of an unknown kind")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise alien(path, "is neither Parquet nor text in UTF-8") from None
    if not text.strip():
        raise TapeError(f"{path} is empty.", "Check how it was written, or fetch it again.")
    return _json(path, text) if text.lstrip()[0] in "{[" else _csv(path, text, text_column)


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise TapeError(f"There is no tape at {path}.", "Check the path.") from None
    except OSError as failure:
        raise TapeError(f"{path} cannot be read: {failure.strerror}.", "Check its permissions.") from None
    if data.startswith(b"\x1f\x8b"):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise TapeError(f"{path} is damaged: its gzip stream ends badly.", "Download it again.") from None
    return data


def _parquet(path: Path, data: bytes) -> Source:
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (ValueError, TypeError, KeyError, OSError, pa.ArrowException) as failure:
        first = str(failure).splitlines()[0] if str(failure) else type(failure).__name__
        raise TapeError(f"{path} is a damaged Parquet file: {first}", "Write or download it again.") from None
    frame.columns = [str(name) for name in frame.columns]
    return Source(frame.loc[:, ~frame.columns.duplicated()].reset_index(drop=True), 0)


def _json(path: Path, text: str) -> Source:
    try:
        try:
            entries = _entries(path, json.loads(text))
        except json.JSONDecodeError as failure:
            if failure.msg != "Extra data":
                raise
            lines = [json.loads(line) for line in text.splitlines() if line.strip()]
            entries = [entry for line in lines for entry in _entries(path, line)]
    except (ValueError, RecursionError) as failure:
        raise TapeError(
            f"{path} is damaged JSON: {failure}.", "It may have been cut short: write or download it again."
        ) from None
    records = [entry for entry in entries if isinstance(entry, dict)]
    if not records:
        raise alien(path, "is JSON without a single record")
    return Source(pd.DataFrame(records, dtype=object), len(entries) - len(records))


def _entries(path: Path, document: Any) -> list[Any]:
    """Records inside what a venue answered: an RPC answer, a list of records or of answers, or one record."""
    if isinstance(document, list):
        nested = [e for e in document if isinstance(e, dict) and "result" in e]
        return [r for e in nested for r in _entries(path, e)] if nested else document
    if not isinstance(document, dict):
        return [document]
    if "error" in document and "result" not in document:
        raise TapeError(f"{path} holds a venue's error answer: {document['error']}.", "Fetch the tape again.")
    for wrapper in ("result", "trades"):
        if wrapper in document and isinstance(document[wrapper], list | dict):
            return _entries(path, document[wrapper])
    return [document]


def _csv(path: Path, text: str, text_column: str | None) -> Source:
    header = text.lstrip().split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    as_text = dict.fromkeys((*_IDENTIFIERS, *([text_column] if text_column else [])), str)
    malformed = 0

    def count(_fields: list[str]) -> None:
        nonlocal malformed
        malformed += 1

    try:
        try:
            frame = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=as_text, low_memory=False)
        except pd.errors.ParserError:
            frame = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=as_text, engine="python", on_bad_lines=count)
    except (ValueError, OverflowError, csv.Error) as failure:
        first = str(failure).splitlines()[0]
        raise alien(path, f"cannot be read as CSV ({first})") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    return Source(frame.loc[:, ~frame.columns.duplicated()].reset_index(drop=True), malformed)
