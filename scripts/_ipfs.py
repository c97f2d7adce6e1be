"""A real IPFS node (js-ipfs, the RPC that Kubo speaks) as a child process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_HOME = _ROOT / "tests" / "peers" / "ipfs"
_PATIENCE = 60.0


@contextlib.contextmanager
def ipfs_peer(folder: Path) -> Iterator[str]:
    """Runs a node with an empty repo below the folder; yields the address of its RPC."""
    if not (_HOME / "node_modules").is_dir():
        raise RuntimeError("The IPFS test server is not installed: run make setup-tests.")
    own = _ROOT / ".venv" / "bin" / "node"
    node = str(own) if own.exists() else shutil.which("node")
    if node is None:
        raise RuntimeError("There is no Node.js to run the IPFS test server: run make setup-tests.")
    port = _free_port()
    log = folder / "ipfs.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [node, str(_HOME / "server.mjs")],
            env={**os.environ, "IPFS_PATH": str(folder / "repo"), "PORT": str(port)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while "ready" not in log.read_text().splitlines():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"The IPFS test server did not start:\n{log.read_text()}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
