"""What Prometheus can ask a node: one process, one node, one set of metrics (docs/operating.md lists them).

Whatever depends on the time is computed when it is asked for, from what the node saw last: a node that cannot look any
more shows a deadline that draws near.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import Counter, Enum, Gauge, Info, Summary, start_http_server
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint, RPCResponse, TxReceipt

from fedvol import __version__
from fedvol.chain.federation import Phase, Snapshot
from fedvol.chain.outbox import NoFunds, Reverted, Unmined, WouldRevert
from fedvol.errors import FedvolError, StorageError
from fedvol.node.duty import Duty, duty_of, penalty
from fedvol.node.funds import epoch_gas
from fedvol.storage import Storage

log = structlog.get_logger()

NOTHING = float("nan")
UNIT = 1e18

BUILD = Info("fedvol_build", "Version of fedvol.")
ROUND = Gauge("fedvol_round", "Number of the running round.")
PHASE = Enum("fedvol_phase", "Phase of the running round.", states=[phase.name.lower() for phase in Phase])
PHASE_LEFT = Gauge("fedvol_phase_left_seconds", "Until the phase ends by time alone; NaN where it does not.")
DUTY_LEFT = Gauge("fedvol_duty_left_seconds", "Until the node's next duty in the round must be done; NaN without one.")
DUTY_WINDOW = Gauge("fedvol_duty_window_seconds", "For how long that duty can be done; NaN without one.")
DUTY_OPEN = Gauge("fedvol_duty_open", "1 while that duty can be done and is not.")
DUTY_PENALTY = Gauge("fedvol_duty_penalty_tokens", "What it costs not to do it; NaN without one.")
VERSION = Gauge("fedvol_model_version", "Current version of the model.")
VERSION_AGE = Gauge("fedvol_model_age_seconds", "Since that version was published.")
VERSION_LIMIT = Gauge("fedvol_model_age_limit_seconds", "Age at which the engine refuses it; NaN without one.")
BOND = Gauge("fedvol_bond_tokens", "The node's bond.")
PENALTY = Gauge("fedvol_penalty_tokens", "What the node's next silence would cost.")
PENALTIES = Gauge("fedvol_bond_penalties", "How many of those the bond can pay.")
FAULTS = Gauge("fedvol_faults", "The node's faults so far; each doubles the next penalty, three times.")
MEMBER = Gauge("fedvol_member", "1 while the node is a member.")
BALANCE = Gauge("fedvol_balance_eth", "What the account can pay gas with.")
EPOCH_COST = Gauge(
    "fedvol_epoch_cost_eth", "About what an epoch of rounds costs, at the last price of gas; NaN before."
)
TRANSACTIONS = Counter("fedvol_transactions", "Acts that were tried, by what came of them.", ["act", "outcome"])
GAS = Counter("fedvol_gas", "Gas spent.", ["act"])
RPC_CALLS = Counter("fedvol_rpc_calls", "Calls of the RPC endpoint.")
RPC_ERRORS = Counter("fedvol_rpc_errors", "Calls to which it did not answer, or not in time, or not as it should.")
STORAGE_ERRORS = Counter("fedvol_storage_errors", "Objects that storage did not take or give.")
TRAINING = Summary("fedvol_training_seconds", "What it takes to train one round.")
EPSILON_SPENT = Gauge("fedvol_privacy_epsilon_spent", "Of one trade, over all rounds; NaN without a budget.")
EPSILON_LEFT = Gauge("fedvol_privacy_epsilon_left", "Of the budget; NaN without one.")
LAST_LOOK = Gauge("fedvol_last_look_timestamp_seconds", "When the node last saw the chain.")
PAUSE = Gauge("fedvol_pause_seconds", "From one look to the next, as things stand.")
for _gauge in (EPOCH_COST, EPSILON_SPENT, EPSILON_LEFT, VERSION_LIMIT):
    _gauge.set(NOTHING)

_OUTCOMES: tuple[tuple[type[Exception], str], ...] = (
    (WouldRevert, "refused"), (Reverted, "reverted"), (Unmined, "unmined"), (NoFunds, "no funds"),
    (FedvolError, "failed"), (Exception, "broken off"),
)  # fmt: skip


class Metrics:
    """What the node saw last, as metrics. It is kept whether or not anybody may ask."""

    def __init__(self) -> None:
        BUILD.info({"version": __version__})
        self._seen: tuple[Snapshot, Duty | None, float] | None = None
        PHASE_LEFT.set_function(self._of(lambda s, duty, now: s.ends_at - now if s.ends_at else NOTHING))
        DUTY_LEFT.set_function(self._of(lambda s, duty, now: duty.until - now if duty else NOTHING))
        DUTY_OPEN.set_function(self._of(lambda s, duty, now: float(duty is not None and duty.opens <= now)))
        VERSION_AGE.set_function(self._of(lambda s, duty, now: now - s.published_at))

    def saw(self, s: Snapshot) -> None:
        """Takes a look of the node's."""
        node, duty = s.node, duty_of(s)
        self._seen = s, duty, time.monotonic()
        cost = penalty(s, node)
        LAST_LOOK.set_to_current_time()
        ROUND.set(s.clock.number)
        PHASE.state(s.phase.name.lower())
        DUTY_WINDOW.set(duty.until - duty.opens if duty else NOTHING)
        DUTY_PENALTY.set(duty.penalty / UNIT if duty else NOTHING)
        VERSION.set(s.version)
        BOND.set(node.bond / UNIT)
        PENALTY.set(cost / UNIT)
        PENALTIES.set(node.bond / cost if cost else NOTHING)
        FAULTS.set(node.faults)
        MEMBER.set(node.status in ("active", "leaving"))
        BALANCE.set(node.balance_wei / UNIT)

    def _of(self, what: Callable[[Snapshot, Duty | None, float], float]) -> Callable[[], float]:
        """A gauge's value at this moment, by the chain's clock as it must stand now."""

        def value() -> float:
            if self._seen is None:
                return NOTHING
            s, duty, at = self._seen
            return what(s, duty, s.time + time.monotonic() - at)

        return value


@contextmanager
def failures_counted(act: str) -> Iterator[None]:
    """Counts why an act came to nothing."""
    try:
        yield
    except Exception as error:
        TRANSACTIONS.labels(act, next(name for kind, name in _OUTCOMES if isinstance(error, kind))).inc()
        raise


def mined(act: str, receipt: TxReceipt, s: Snapshot) -> None:
    """Counts a transaction; its price is the latest that is known."""
    TRANSACTIONS.labels(act, "mined").inc()
    GAS.labels(act).inc(receipt["gasUsed"])
    EPOCH_COST.set(epoch_gas(s) * receipt["effectiveGasPrice"] / UNIT)


class CountedCalls(Web3Middleware):
    """Counts what an endpoint is asked, and what it fails to answer."""

    def wrap_make_request(self, make_request: Callable[[RPCEndpoint, Any], RPCResponse]) -> Any:
        def counted(method: RPCEndpoint, parameters: Any) -> RPCResponse:
            RPC_CALLS.inc()
            with RPC_ERRORS.count_exceptions():
                return make_request(method, parameters)

        return counted


class CountedStorage(Storage):
    """A storage whose failures are counted."""

    def __init__(self, inner: Storage) -> None:
        self._inner = inner

    def put(self, data: bytes) -> bytes:
        with STORAGE_ERRORS.count_exceptions(StorageError):
            return super().put(data)

    def get(self, name: bytes) -> bytes:
        with STORAGE_ERRORS.count_exceptions(StorageError):
            return super().get(name)

    def describe(self) -> str:
        return self._inner.describe()

    def check(self) -> None:
        with STORAGE_ERRORS.count_exceptions(StorageError):
            self._inner.check()

    def _store(self, name: bytes, data: bytes) -> None:
        self._inner._store(name, data)

    def _load(self, name: bytes) -> bytes:
        return self._inner._load(name)

    def _holds(self, name: bytes) -> bool:
        return self._inner._holds(name)

    def _release(self, name: bytes) -> None:
        self._inner._release(name)


@contextmanager
def served(address: str) -> Iterator[None]:
    """Answers Prometheus at "host:port" meanwhile; nowhere where that is empty. A port in use is a warning."""
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"))
    except OSError as error:
        log.warning("no metrics", address=address, why=error.strerror, next="name another address in `metrics`")
        yield
        return
    log.info("metrics", url=f"http://{address}/metrics")
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
