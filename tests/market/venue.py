"""A local venue: answers like Deribit's get_last_trades_by_currency_and_time, and fails on demand."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Trade = dict[str, Any]


def trades(*times: int) -> list[Trade]:
    """One good trade for each time, numbered in the order given."""
    return [
        {
            "trade_id": str(i),
            "timestamp": ms,
            "instrument_name": "BTC-28FEB20-9750-C",
            "price": 0.0255,
            "amount": 0.2,
            "iv": 49.69,
            "index_price": 9688.27,
        }
        for i, ms in enumerate(times)
    ]


class Venue:
    """Serves `trades` over HTTP; each entry of `failures` is (status, headers, body) for one request, in
    order.
    """

    def __init__(self, trades: list[Trade]) -> None:
        self.trades = sorted(trades, key=lambda t: (t["timestamp"], t["trade_id"]))
        self.failures: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[dict[str, str]] = []
        venue = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = venue.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/v2"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    def __enter__(self) -> Venue:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(target)
        assert url.path == "/api/v2/public/get_last_trades_by_currency_and_time"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.requests.append(query)
        if self.failures:
            return self.failures.pop(0)
        assert query["kind"] == "option"
        assert query["sorting"] == "asc"
        start, end, count = (int(query[name]) for name in ("start_timestamp", "end_timestamp", "count"))
        inside = [t for t in self.trades if start <= t["timestamp"] <= end]
        result = {"trades": inside[:count], "has_more": len(inside) > count}
        return 200, {}, json.dumps({"jsonrpc": "2.0", "result": result}).encode()
