"""A real HTTP server in front of the IPFS node that goes wrong on demand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx


class FaultyProxy(ThreadingHTTPServer):
    """Forwards to the node, except that each request first takes one fault from `faults`.

    Faults: forward, hang, close, 500, 403, html, alter (flips a bit of the answer), rename (another CID in
    the answer), cut (announces more bytes than it sends), trickle (a byte every 50 ms), flood (no end).
    """

    daemon_threads = True

    def __init__(self, node: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.upstream = httpx.Client(base_url=node, trust_env=False, timeout=30)
        self.faults: Iterator[str] = iter(())
        self.commands: list[str] = []
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
        fault = next(self.server.faults, "forward")
        match fault:
            case "hang":
                self.server.released.wait(30)
                self.close_connection = True
            case "close":
                self.close_connection = True
            case "500" | "403":
                self._answer(int(fault), b'{"Message":"in trouble","Code":0,"Type":"error"}')
            case "html":
                self._answer(200, b"<html>welcome</html>")
            case "trickle" | "flood":
                self._answer_without_end(fault)
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
