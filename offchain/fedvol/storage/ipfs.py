"""IPFS through the RPC of a Kubo node (https://docs.ipfs.tech/reference/kubo/rpc/).

An object is one raw block, so its CID carries the very digest that the chain commits to: no pointer travels,
and the CID in the node's answer is checked against the one we compute.
"""

from __future__ import annotations

import json
import time

import httpx
import stamina

from fedvol.errors import StorageError
from fedvol.storage.base import MAX_OBJECT_BYTES, Storage, shown
from fedvol.storage.cid import cid_of

# Said in full: a node's own `Import` settings must not change the CID.
_ONE_RAW_BLOCK = {
    "cid-version": "1",
    "raw-leaves": "true",
    "cid-base": "base32",
    "hash": "sha2-256",
    "chunker": "size-262144",
    "inline": "false",
    "wrap-with-directory": "false",
    "pin": "true",
}
_LONGEST_PAUSE = 1.0
_START = "Start the node (`ipfs daemon`), or correct the address: it is the node's RPC, by default port 5001."


class _Refusal(Exception):
    """An HTTP status other than 200, with what the node says about it."""

    def __init__(self, status: int, body: bytes) -> None:
        try:
            said = str(json.loads(body)["Message"])
        except (ValueError, KeyError, TypeError):
            said = body.decode(errors="replace")
        super().__init__(f"{status}: {said[:200].strip() or 'no reason given'}")
        self.status = status
        # Kubo answers 500 both when it is in trouble and when the answer is no.
        self.not_pinned = "not pinned" in said


class Ipfs(Storage):
    """Storage in an IPFS node, which fetches from its peers what it does not have.

    Args:
        api_url: address of the node's RPC, such as http://127.0.0.1:5001. It administers the node: keep it
            closed to others. A user name and password in it are sent as HTTP basic authentication.
        timeout: seconds after which an attempt is given up: for the whole answer, and for each step to it.
            The node is told to give up a bit earlier.
        patience: seconds for all attempts of a call. Only transport errors and server errors are tried again.
    """

    def __init__(self, api_url: str, timeout: float = 10.0, patience: float = 30.0) -> None:
        self.timeout = timeout
        self.patience = patience
        url = httpx.URL(api_url)
        self._address = str(url.copy_with(userinfo=b"")).rstrip("/")
        # A node of one's own is not behind the proxy for the web that the environment may name.
        self._http = httpx.Client(
            base_url=f"{self._address}/api/v0/",
            auth=(url.username, url.password) if url.userinfo else None,
            trust_env=False,
        )

    def describe(self) -> str:
        return f"IPFS node at {self._address}"

    def check(self) -> None:
        try:
            answer = self._attempt("version", {}, None, self.timeout)
            json.loads(answer)["Version"]
        except (httpx.TransportError, _Refusal) as error:
            raise self._failure("version", error) from error
        except (ValueError, KeyError, TypeError):
            raise StorageError(f"What answers at {self._address} is no IPFS node.", _START) from None

    def _store(self, name: bytes, data: bytes) -> None:
        answer = self._call("add", name, _ONE_RAW_BLOCK, data)
        try:
            theirs = json.loads(answer)["Hash"]
        except (ValueError, KeyError, TypeError):
            theirs = "something else"
        if theirs != cid_of(name):
            raise StorageError(
                f"The {self.describe()} stored {shown(name)} as {theirs}, not as {cid_of(name)}.",
                "Upgrade the node, or use another one.",
            )

    def _load(self, name: bytes) -> bytes:
        return self._call("block/get", name, {"arg": cid_of(name)})

    def _holds(self, name: bytes) -> bool:
        return self._pinned("pin/ls", name, {"arg": cid_of(name), "type": "recursive"})

    def _release(self, name: bytes) -> None:
        self._pinned("pin/rm", name, {"arg": cid_of(name)})

    def _pinned(self, command: str, name: bytes, parameters: dict[str, str]) -> bool:
        """Runs a command about a pin: false if there is no such pin."""
        try:
            self._call(command, name, parameters)
        except StorageError as error:
            if isinstance(error.__cause__, _Refusal) and error.__cause__.not_pinned:
                return False
            raise
        return True

    def _call(self, command: str, name: bytes, parameters: dict[str, str], data: bytes | None = None) -> bytes:
        end = time.monotonic() + self.patience

        def ask_node() -> bytes:
            return self._attempt(command, parameters, data, min(self.timeout, end - time.monotonic()))

        def worth_another_try(error: Exception) -> bool:
            transient = isinstance(error, httpx.TransportError) or (
                isinstance(error, _Refusal) and error.status >= 500 and not error.not_pinned
            )
            return transient and time.monotonic() + _LONGEST_PAUSE < end

        retrying = stamina.RetryingCaller(
            attempts=None, timeout=None, wait_max=_LONGEST_PAUSE, wait_jitter=_LONGEST_PAUSE / 4
        )
        try:
            return retrying(worth_another_try, ask_node)
        except (httpx.TransportError, _Refusal) as error:
            raise self._failure(f"{command} {shown(name)}", error) from error

    def _attempt(self, command: str, parameters: dict[str, str], data: bytes | None, seconds: float) -> bytes:
        """The answer's body, cut off after MAX_OBJECT_BYTES + 1."""
        end = time.monotonic() + seconds
        body = bytearray()
        with self._http.stream(
            "POST",
            command,
            params={**parameters, "timeout": f"{int(900 * seconds)}ms"},
            files=None if data is None else {"file": data},
            headers={"Accept-Encoding": "identity"},
            timeout=seconds,
        ) as response:
            for piece in response.iter_raw():
                body += piece
                if len(body) > MAX_OBJECT_BYTES:
                    break
                # The client's own timeout begins anew with every piece that arrives.
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer trickles")
        if response.status_code != httpx.codes.OK:
            raise _Refusal(response.status_code, bytes(body))
        return bytes(body[: MAX_OBJECT_BYTES + 1])

    def _failure(self, what: str, error: Exception) -> StorageError:
        if isinstance(error, httpx.ConnectError):
            return StorageError(f"No IPFS node answers at {self._address} ({error}).", _START)
        if isinstance(error, _Refusal) and error.status < 500:
            return StorageError(f"The {self.describe()} refused `{what}` ({error}).", _START)
        late = isinstance(error, httpx.TimeoutException)
        return StorageError(
            f"The {self.describe()} failed at `{what}` ({'no answer in time' if late else error}).",
            "Check that it is healthy and that a peer which holds the object is online, then try again.",
        )
