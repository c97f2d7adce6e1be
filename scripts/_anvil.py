"""A private Anvil: a free port, a pinned hardfork, and gone with the block that asked for it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HARDFORK = "osaka"
TRANSACTION_GAS_CAP = 16_777_216  # EIP-7825; Anvil takes more, mainnet does not


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rpc(url: str, method: str, *params: object) -> object:
    """One JSON-RPC call; raises OSError while nobody listens and RuntimeError on an error answer."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        reply = json.load(answer)
    if "error" in reply:
        raise RuntimeError(f"{method}: {reply['error']['message']}")
    return reply["result"]


@contextmanager
def anvil(
    *,
    accounts: int = 20,
    log: Path | None = None,
    start: int | None = None,
    history: int | None = None,
    chain_id: int | None = None,
) -> Iterator[str]:
    """Starts Anvil and yields its URL.

    It runs without `--steps-tracing`, with which ape starts it: a loop-heavy transaction then takes gigabytes.

    Args:
        accounts: funded accounts, of the mnemonic that ape and Anvil share.
        log: where its output goes.
        start: unix seconds of the first block; from there its clock runs as ours does. By default, now.
        history: blocks whose state it can still be asked for; by default some 4,000, an hour of one a second.
        chain_id: 31337 by default.
    """
    binary = shutil.which("anvil", path=str(Path(sys.prefix) / "bin")) or shutil.which("anvil")
    if binary is None:
        raise FileNotFoundError("anvil is not installed: run `make setup`")
    port = free_port()
    command = [
        binary, "--port", str(port), "--hardfork", HARDFORK, "--accounts", str(accounts),
        "--mnemonic", "test test test test test test test test test test test junk", "--silent",
        *(["--timestamp", str(start)] if start is not None else []),
        *(["--max-persisted-states", str(history)] if history is not None else []),
        *(["--chain-id", str(chain_id)] if chain_id is not None else []),
    ]  # fmt: skip
    out = log.open("w") if log else subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            with suppress(OSError):
                rpc(url, "eth_chainId")
                break
            if process.poll() is not None:
                raise RuntimeError(f"anvil stopped at once with exit code {process.returncode}")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
        if log:
            out.close()
