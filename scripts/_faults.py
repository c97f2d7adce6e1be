"""A real HTTP server in front of an IPFS node or an RPC endpoint that goes wrong on demand."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx


class FaultyProxy(ThreadingHTTPServer):
    """Forwards to the node, except that each request first takes a fault from `faults`, or else `mode`.

    Faults: forward, hang, close, slow (`delay` seconds), 500, 429, 403, html, alter (flips a bit of the answer), rename
    (another CID in the answer), cut (announces more bytes than it sends), trickle (a byte every 50 ms), flood (no end).
    Of an RPC endpoint only: stale (answers as of `stale_block`).
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, node: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.upstream = httpx.Client(base_url=node, trust_env=False, timeout=30)
        self.faults: Iterator[str] = iter(())
        self.mode = "forward"
        self.delay = 2.0
        self.stale_block = 0
        self.most_blocks: int | None = None  # of one eth_getLogs, as public endpoints have it
        self.commands: list[str] = []
        self.methods: Counter[str] = Counter()  # JSON-RPC calls; a batch is as many as it has items
        self.queries: list[dict[str, list[str]]] = []
        self.authorizations: list[str | None] = []
        self.flooded = 0
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what these tests are about: nothing to print."""


@contextlib.contextmanager
def faulty_proxy(node: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(node) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            proxy.released.set()
            proxy.shutdown()
            thread.join()
            proxy.upstream.close()


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self._request_body()
        url = urlsplit(self.path)
        self.server.commands.append(url.path.removeprefix("/api/v0/"))
        self.server.queries.append(parse_qs(url.query))
        self.server.authorizations.append(self.headers["Authorization"])
        self.server.methods.update(_methods(body))
        fault = next(self.server.faults, self.server.mode)
        if self.server.most_blocks is not None and _span(body) > self.server.most_blocks:
            fault = "wide"
        match fault:
            case "wide":
                self._reply(body, error={"code": -32005, "message": "block range is too wide"})
            case "hang":
                self.server.released.wait(30)
                self.close_connection = True
            case "close":
                self.close_connection = True
            case "500" | "429" | "403":
                self._answer(int(fault), b'{"Message":"in trouble","Code":0,"Type":"error"}')
            case "html":
                self._answer(200, b"<html>welcome</html>")
            case "trickle" | "flood":
                self._answer_without_end(fault)
            case "slow":
                self.server.released.wait(self.server.delay)
                self._forward(fault, body)
            case "stale" if b"eth_blockNumber" in body:
                self._reply(body, hex(self.server.stale_block))
            case "stale" if b"eth_getTransactionReceipt" in body:
                receipt = self.server.upstream.post(self.path, content=body).json()["result"]
                new = receipt and int(receipt["blockNumber"], 16) > self.server.stale_block
                self._reply(body, None if new else receipt)
            case "stale":
                self._forward(fault, _aged(body, self.server.stale_block))
            case _:
                self._forward(fault, body)

    def _request_body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _forward(self, fault: str, body: bytes) -> None:
        kind = {"Content-Type": self.headers["Content-Type"]} if self.headers["Content-Type"] else {}
        answer = self.server.upstream.post(self.path, content=body, headers=kind)
        content = answer.content
        if fault == "alter":
            content = bytes([content[0] ^ 1]) + content[1:]
        if fault == "rename":
            content = content.replace(b"bafkrei", b"bafybei")
        self._answer(answer.status_code, content, missing=7 if fault == "cut" else 0)

    def _reply(self, body: bytes, result: object = None, error: object = None) -> None:
        told = {"result": result} if error is None else {"error": error}
        self._answer(200, json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], **told}).encode())

    def _answer(self, status: int, content: bytes, missing: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + missing))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = bool(missing)

    def _answer_without_end(self, fault: str) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        while not self.server.released.is_set():
            if fault == "trickle":
                self.wfile.write(b"x")
                time.sleep(0.05)
            else:
                self.server.flooded += self.wfile.write(bytes(4096))


def _methods(body: bytes) -> list[str]:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = json.loads(body)
        return [call["method"] for call in (found if isinstance(found, list) else [found])]
    return []


def _span(body: bytes) -> int:
    """Blocks that an eth_getLogs asks for; 0 of any other call."""
    if b"eth_getLogs" not in body:
        return 0
    asked = json.loads(body)["params"][0]
    return int(asked["toBlock"], 16) - int(asked["fromBlock"], 16) + 1


def _aged(body: bytes, block: int) -> bytes:
    """The call as an endpoint means it that has not seen a block after `block`."""
    call = json.loads(body)
    call["params"] = [hex(block) if item in ("latest", "pending") else item for item in call.get("params", [])]
    return json.dumps(call).encode()
