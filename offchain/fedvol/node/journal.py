"""What a node must not forget, on disk before the transaction that depends on it leaves: updates, salts, transactions.

One SQLite file in the node's data folder, written ahead (WAL) and synced at every commit. It belongs to one account in
one federation on one chain, and to one process at a time.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fedvol.chain.outbox import Attempt
from fedvol.errors import ConfigError, FedvolError
from fedvol.learning.privacy import Charge
from fedvol.node import lock
from fedvol.protocol.vector import content_id

FILE = "journal.sqlite"

PREPARED, COMMITTED, REVEALED = "prepared", "committed", "revealed"

KEPT_PROMISES = 64
"""Rounds come and go with reorganisations; the one before the last binds at most."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS owner (
    chain_id INTEGER NOT NULL, federation TEXT NOT NULL, account TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rounds (
    number INTEGER NOT NULL, seed TEXT NOT NULL, version INTEGER NOT NULL, bytes BLOB NOT NULL, salt BLOB NOT NULL,
    commitment TEXT NOT NULL, step TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (number, seed)
);
CREATE TABLE IF NOT EXISTS masks (
    number INTEGER NOT NULL, seed TEXT NOT NULL, place INTEGER NOT NULL, keys BLOB NOT NULL, opened_for TEXT,
    PRIMARY KEY (number, seed)
);
CREATE TABLE IF NOT EXISTS proofs (
    number INTEGER NOT NULL, seed TEXT NOT NULL, evidence BLOB NOT NULL, PRIMARY KEY (number, seed)
);
CREATE TABLE IF NOT EXISTS promises (
    purpose TEXT PRIMARY KEY, digest BLOB NOT NULL, preimage BLOB NOT NULL, rows BLOB NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS promises_digest ON promises (digest);
CREATE TABLE IF NOT EXISTS charges (
    number INTEGER NOT NULL, seed TEXT NOT NULL, steps INTEGER NOT NULL, rate REAL NOT NULL, noise REAL NOT NULL,
    weights_noise REAL NOT NULL, PRIMARY KEY (number, seed)
);
CREATE TABLE IF NOT EXISTS outbox (
    hash BLOB PRIMARY KEY, purpose TEXT NOT NULL, nonce INTEGER NOT NULL, raw BLOB NOT NULL, max_fee TEXT NOT NULL,
    tip TEXT NOT NULL, sent_at REAL NOT NULL, block INTEGER, succeeded INTEGER
);
CREATE INDEX IF NOT EXISTS outbox_purpose ON outbox (purpose);
CREATE INDEX IF NOT EXISTS outbox_nonce ON outbox (nonce);
"""

_T = TypeVar("_T")


class JournalError(FedvolError):
    """A journal that is damaged, in use, or on a disk that is full."""

    exit_code = 14


class JournalInUse(JournalError):
    """Another process has it."""


@dataclass(frozen=True)
class Owner:
    """Whose journal it is."""

    chain_id: int
    federation: str
    account: str


@dataclass(frozen=True)
class Prepared:
    """A node's part in one round.

    Attributes:
        version: of the model that was trained.
        data: packed update.
        salt: 32 random bytes; secret until it is revealed.
        commitment: what the chain gets first, 208 bits.
        step: "prepared", "committed" or "revealed", as far as this node knows.
        at: seconds since 1970 when it was prepared.
    """

    number: int
    seed: int
    version: int
    data: bytes
    salt: bytes
    commitment: int
    step: str = PREPARED
    at: float = 0.0

    @property
    def content_id(self) -> bytes:
        return content_id(self.data)

    def __repr__(self) -> str:  # a salt in a log or a traceback would give the commitment away
        return f"Prepared(number={self.number}, seed={self.seed:#x}, step={self.step})"


@dataclass(frozen=True)
class Masks:
    """A node's keys of one masked round.

    Attributes:
        place: the node's own in its cluster.
        pair_keys: by place; 0 at the own, and where a pair shares no mask.
        opened_for: the missing for which it has opened, or is about to (`Roll.missing`); None before.
    """

    number: int
    seed: int
    place: int
    self_key: int
    pair_keys: tuple[int, ...]
    opened_for: int | None = None

    def __repr__(self) -> str:
        return f"Masks(number={self.number}, seed={self.seed:#x}, place={self.place})"


@dataclass(frozen=True)
class Promise:
    """Rows that this node has committed to: see `fedvol.node.promises`. `at`: seconds since 1970."""

    preimage: bytes
    rows: bytes
    at: float

    def __repr__(self) -> str:
        return f"Promise(at={self.at})"


@dataclass(frozen=True)
class Sent:
    """A transaction that was sent. `sent_at`: seconds since 1970; `block`, `succeeded`: None while it waits."""

    purpose: str
    hash: bytes
    sent_at: float
    block: int | None
    succeeded: int | None


class Journal:
    """See the module. Open it with `open_journal`, or `read_journal` to look while the daemon runs."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path

    def claim(self, owner: Owner) -> None:
        """Makes sure that it is the owner's; one that is nobody's yet becomes it."""
        if not self.belongs_to(owner):
            self._write("INSERT INTO owner VALUES (?, ?, ?)", owner.chain_id, owner.federation, owner.account)

    def belongs_to(self, owner: Owner) -> bool:
        """Whether it is the owner's; False where it is nobody's yet.

        Raises:
            ConfigError: it is another's.
        """
        found = self._query("SELECT * FROM owner")
        if found and tuple(found[0]) != (owner.chain_id, owner.federation, owner.account):
            chain_id, federation, account = found[0]
            raise ConfigError(
                f"{self._path.parent} is the data folder of {account} in federation {federation} on chain {chain_id}.",
                "Give each node and each federation a data_dir of its own.",
            )
        return bool(found)

    # ------------------------------------------------------------------ rounds

    def prepared(self, number: int, seed: int) -> Prepared | None:
        """This node's part in a round, if it has trained for it."""
        found = self._query("SELECT * FROM rounds WHERE number = ? AND seed = ?", number, f"{seed:016x}")
        return _prepared(found[0]) if found else None

    def revealed_before(self, number: int) -> Prepared | None:
        """This node's part in the last round before this one in which it has revealed."""
        query = "SELECT * FROM rounds WHERE number < ? AND step = ? ORDER BY number DESC LIMIT 1"
        found = self._query(query, number, REVEALED)
        return _prepared(found[0]) if found else None

    def prepare(self, new: Prepared) -> Prepared:
        """Writes the part in a round, durably, unless there is one: the first stands for ever. Returns what stands."""
        self._write(
            "INSERT OR IGNORE INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            new.number, f"{new.seed:016x}", new.version, new.data, new.salt, str(new.commitment), PREPARED, time.time(),
        )  # fmt: skip
        standing = self.prepared(new.number, new.seed)
        assert standing is not None
        return standing

    def advance(self, number: int, seed: int, step: str) -> None:
        self._write("UPDATE rounds SET step = ? WHERE number = ? AND seed = ?", step, number, f"{seed:016x}")

    def latest(self, count: int) -> list[Prepared]:
        """The last rounds this node trained for, the newest first."""
        return [_prepared(row) for row in self._query("SELECT * FROM rounds ORDER BY at DESC LIMIT ?", count)]

    # ------------------------------------------------------------------ masks

    def masks(self, number: int, seed: int) -> Masks | None:
        """This node's keys of a round, if it has made them."""
        found = self._query("SELECT * FROM masks WHERE number = ? AND seed = ?", number, f"{seed:016x}")
        return _masks(found[0]) if found else None

    def keep_masks(self, new: Masks) -> Masks:
        """Writes the keys of a round, durably, unless there are some: the first stand for ever. Returns what stands."""
        keys = b"".join(key.to_bytes(32, "big") for key in (new.self_key, *new.pair_keys))
        values = (new.number, f"{new.seed:016x}", new.place, keys)
        self._write("INSERT OR IGNORE INTO masks VALUES (?, ?, ?, ?, NULL)", *values)
        standing = self.masks(new.number, new.seed)
        assert standing is not None
        return standing

    def open_for(self, number: int, seed: int, missing: int) -> None:
        """Writes, durably, for which missing the node opens its masks: for one set only, ever.

        Raises:
            JournalError: it has opened for others.
        """
        where = "number = ? AND seed = ? AND opened_for IS NULL"
        self._write(f"UPDATE masks SET opened_for = ? WHERE {where}", f"{missing:x}", number, f"{seed:016x}")
        standing = self.masks(number, seed)
        if standing is None or standing.opened_for != missing:
            raise JournalError(
                f"The masks of round {number} were opened for other survivors.", "They stay closed; the round goes on."
            )

    def forget_masks(self, before: int) -> None:
        """Deletes the keys of rounds before that number."""
        self._write("DELETE FROM masks WHERE number < ?", before)

    # ------------------------------------------------------------------ proofs

    def evidence(self, number: int, seed: int) -> bytes | None:
        """What this node shows of its update of a round, if that is proven."""
        found = self._query("SELECT evidence FROM proofs WHERE number = ? AND seed = ?", number, f"{seed:016x}")
        return found[0][0] if found else None

    def keep_evidence(self, number: int, seed: int, evidence: bytes) -> None:
        """Writes it, durably, unless there is some: the first stands for ever."""
        self._write("INSERT OR IGNORE INTO proofs VALUES (?, ?, ?)", number, f"{seed:016x}", evidence)

    def promise(self, purpose: str) -> Promise | None:
        """What was promised for a purpose."""
        found = self._query("SELECT preimage, rows, at FROM promises WHERE purpose = ?", purpose)
        return Promise(*found[0]) if found else None

    def promised(self, digest: bytes) -> Promise | None:
        """What a pledge on the chain stands for, if this node made it."""
        found = self._query("SELECT preimage, rows, at FROM promises WHERE digest = ?", digest)
        return Promise(*found[0]) if found else None

    def keep_promise(self, purpose: str, digest: bytes, preimage: bytes, rows: bytes) -> None:
        """Writes it, durably; the first for a purpose stands. Of the oldest only the last few are kept."""
        values = (purpose, digest, preimage, rows, time.time())
        self._write("INSERT OR IGNORE INTO promises VALUES (?, ?, ?, ?, ?)", *values)
        kept = "SELECT rowid FROM promises ORDER BY rowid DESC LIMIT ?"
        self._write(f"DELETE FROM promises WHERE rowid NOT IN ({kept})", KEPT_PROMISES)

    # ------------------------------------------------------------------ privacy (`fedvol.node.budget`)

    def charge(self, number: int, seed: int, paid: Charge) -> None:
        """Writes what a round takes, durably. Of one round the last stands: what an earlier try would have sent, never
        left, or the round would be prepared."""
        values = (number, f"{seed:016x}", paid.steps, paid.rate, paid.noise, paid.weights_noise)
        self._write("INSERT OR REPLACE INTO charges VALUES (?, ?, ?, ?, ?, ?)", *values)

    def charges(self, without: tuple[int, int] = (-1, 0)) -> list[Charge]:
        """What all rounds took, but for one (number, seed)."""
        other = "SELECT steps, rate, noise, weights_noise FROM charges WHERE NOT (number = ? AND seed = ?)"
        return [Charge(*row) for row in self._query(other, without[0], f"{without[1]:016x}")]

    def uncharged(self) -> int:
        """How many rounds were trained and not paid for."""
        paid = "SELECT * FROM charges c WHERE c.number = r.number AND c.seed = r.seed"
        return self._query(f"SELECT count(*) FROM rounds r WHERE NOT EXISTS ({paid})")[0][0]

    # ------------------------------------------------------------------ outbox (`fedvol.chain.outbox.AttemptLog`)

    def record_attempt(self, attempt: Attempt) -> None:
        self._write(
            "INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
            attempt.hash, attempt.purpose, attempt.nonce, attempt.raw, str(attempt.max_fee), str(attempt.tip),
            attempt.sent_at,
        )  # fmt: skip

    def attempts(self, purpose: str) -> list[Attempt]:
        return [_attempt(row) for row in self._query("SELECT * FROM outbox WHERE purpose = ? ORDER BY rowid", purpose)]

    def purposes(self, act: str) -> list[str]:
        """Of all transactions that were begun for an act, such as "demand": the oldest first."""
        wanted = "SELECT purpose FROM outbox WHERE purpose LIKE ? GROUP BY purpose ORDER BY min(rowid)"
        rows = self._query(wanted, f"{act}:%")
        return [purpose for (purpose,) in rows]

    def dearest_attempt(self, nonce: int) -> Attempt | None:
        found = [_attempt(row) for row in self._query("SELECT * FROM outbox WHERE nonce = ?", nonce)]
        return max(found, key=lambda attempt: attempt.max_fee, default=None)

    def settle_attempt(self, tx_hash: bytes, block: int, succeeded: bool) -> None:
        self._write("UPDATE outbox SET block = ?, succeeded = ? WHERE hash = ?", block, int(succeeded), tx_hash)

    def latest_attempts(self, count: int) -> list[Sent]:
        """The last transactions, the newest first."""
        sql = "SELECT purpose, hash, sent_at, block, succeeded FROM outbox ORDER BY rowid DESC LIMIT ?"
        return [Sent(*row) for row in self._query(sql, count)]

    def waiting(self) -> list[str]:
        """Purposes of the transactions that were sent and not seen in a block."""
        mined = "SELECT coalesce(max(nonce), -1) FROM outbox WHERE block NOT NULL"
        rows = self._query(f"SELECT DISTINCT purpose FROM outbox WHERE nonce > ({mined}) ORDER BY nonce")
        return [purpose for (purpose,) in rows]

    # ------------------------------------------------------------------ inside

    def _query(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._guarded(lambda: self._db.execute(sql, values).fetchall())

    def _write(self, sql: str, *values: object) -> None:
        def write() -> None:
            with self._db:  # commits, or undoes all of it
                self._db.execute(sql, values)

        self._guarded(write)

    def _guarded(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except sqlite3.DatabaseError as error:
            raise _unusable(self._path, error) from error


@contextmanager
def open_journal(folder: Path, owner: Owner) -> Iterator[Journal]:
    """The journal for writing, locked against a second process; the folder is made if it is missing.

    Raises:
        JournalInUse: another process has it.
        JournalError: it is damaged.
        ConfigError: it belongs to another owner, or the folder cannot be used.
    """
    with ExitStack() as opened:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            alone = opened.enter_context(lock.held(folder))
        except OSError as error:
            raise ConfigError(
                f"The data folder {folder} cannot be used ({error.strerror}).", "Name another data_dir."
            ) from error
        if not alone:
            raise JournalInUse(
                f"Another node process uses {folder}.", "Stop that one first, or give this node a data_dir of its own."
            )
        os.close(os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        journal = Journal(opened.enter_context(closing(_connect(folder / FILE))), folder / FILE)
        journal.claim(owner)
        yield journal


@contextmanager
def read_journal(folder: Path) -> Iterator[Journal | None]:
    """The journal to look at, whether or not a daemon runs; None where there is none yet.

    Raises:
        JournalError: it is damaged.
    """
    path = folder / FILE
    if not path.exists():
        yield None
        return
    with closing(_connect(path)) as connection:
        yield Journal(connection, path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise _unusable(path, error) from error
    return connection


def _unusable(path: Path, error: sqlite3.DatabaseError) -> JournalError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return JournalError(
            f"The journal {path} cannot be written ({error}).",
            "Make room on its disk, or correct its owner and mode; then start the node again: nothing is lost.",
        )
    return JournalError(
        f"The journal {path} is damaged or cannot be used ({str(error).splitlines()[0]}).",
        "Restore its folder, or move it away and start afresh: a commit of the running round can then not be revealed.",
    )


def _prepared(row: tuple[object, ...]) -> Prepared:
    number, seed, version, data, salt, commitment, step, at = row
    return Prepared(number, int(seed, 16), version, data, salt, int(commitment), step, at)


def _masks(row: tuple[object, ...]) -> Masks:
    number, seed, place, keys, opened_for = row
    own, *pairs = (int.from_bytes(keys[i : i + 32], "big") for i in range(0, len(keys), 32))
    return Masks(number, int(seed, 16), place, own, tuple(pairs), None if opened_for is None else int(opened_for, 16))


def _attempt(row: tuple[object, ...]) -> Attempt:
    tx_hash, purpose, nonce, raw, max_fee, tip, sent_at, *_ = row
    return Attempt(purpose, nonce, tx_hash, raw, int(max_fee), int(tip), sent_at)
