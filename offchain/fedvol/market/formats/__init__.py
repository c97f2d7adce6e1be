"""Input formats, one a module: `NAME`, `recognise(columns)`, `read(raw, notes) -> half-way records`.

The first that recognises a file's columns reads it; file names are never looked at.
"""

from __future__ import annotations

from fedvol.market.formats import (
    ccxt_trades,
    deribit_summary,
    deribit_trades,
    table,
    tardis_chain,
    tardis_trades,
    tidy,
)

FORMATS = (tidy, table, tardis_chain, tardis_trades, deribit_summary, ccxt_trades, deribit_trades)
