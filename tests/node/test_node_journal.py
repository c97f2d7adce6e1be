"""The journal: it survives a kill, the first update of a round stands, one process has it, damage is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
from pathlib import Path

import pytest

from fedvol.chain.outbox import Attempt
from fedvol.errors import ConfigError
from fedvol.node.journal import COMMITTED, FILE, Journal, JournalError, Owner, Prepared, open_journal, read_journal

OWNER = Owner(31337, "0xF", "0xA")
SEED = 2**64 - 5


def part(number: int = 1, data: bytes = b"bytes", salt: bytes = b"s" * 32) -> Prepared:
    return Prepared(number, SEED, version=1, data=data, salt=salt, commitment=2**207 + 3)


def attempt(purpose: str, nonce: int, tag: bytes, max_fee: int = 10) -> Attempt:
    return Attempt(purpose, nonce, tag * 32, b"raw" + tag, max_fee, 1, 5.0)


def in_a_child_that_is_killed(work: object) -> None:
    """Runs `work` in a process of its own, which then dies as in a power cut."""

    def child() -> None:
        work()
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL


def test_what_was_prepared_survives_kill_9_and_is_never_replaced(tmp_path: Path) -> None:
    def work() -> None:
        with open_journal(tmp_path, OWNER) as journal:
            journal.prepare(part())
            journal.record_attempt(attempt("commit:1", 4, b"a"))
            os.kill(os.getpid(), signal.SIGKILL)

    in_a_child_that_is_killed(work)
    with open_journal(tmp_path, OWNER) as journal:
        again = journal.prepare(part(data=b"trained again", salt=b"t" * 32))
        assert (again.data, again.salt, again.commitment, again.seed) == (b"bytes", b"s" * 32, 2**207 + 3, SEED)
        assert journal.attempts("commit:1") == [attempt("commit:1", 4, b"a")]


def test_another_seed_of_the_same_round_is_another_round(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        journal.prepare(part())
        assert journal.prepared(1, 7) is None
        journal.prepare(Prepared(1, 7, 1, b"other", b"u" * 32, 5))
        journal.advance(1, 7, COMMITTED)
        assert journal.prepared(1, SEED).step == "prepared"
        assert journal.prepared(1, 7).step == "committed"
        assert [p.seed for p in journal.latest(5)] == [7, SEED]


def test_a_salt_is_not_in_any_text(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        standing = journal.prepare(part(salt=b"\xabsecretsalt" + bytes(21)))
    assert "secretsalt" not in f"{standing!r} {standing} {[standing]}"


def test_the_dearest_of_a_nonce_and_what_waits(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        for one in (attempt("commit", 4, b"a", 10), attempt("commit", 4, b"b", 12), attempt("reveal", 5, b"c", 2**70)):
            journal.record_attempt(one)
        assert journal.dearest_attempt(4).max_fee == 12
        assert journal.dearest_attempt(5).max_fee == 2**70
        assert journal.dearest_attempt(6) is None
        assert journal.waiting() == ["commit", "reveal"]
        journal.settle_attempt(b"a" * 32, 100, True)
        assert journal.waiting() == ["reveal"]


def test_a_second_process_is_refused_and_reading_is_not(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        journal.prepare(part())
        with pytest.raises(JournalError, match="Another node process"), open_journal(tmp_path, OWNER):
            pass
        with read_journal(tmp_path) as other:
            assert other.latest(1)[0].data == b"bytes"
    with open_journal(tmp_path, OWNER):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    in_a_child_that_is_killed(lambda: open_journal(tmp_path, OWNER).__enter__())
    with open_journal(tmp_path, OWNER):
        pass


@pytest.mark.parametrize("owner", [Owner(1, "0xF", "0xA"), Owner(31337, "0xE", "0xA"), Owner(31337, "0xF", "0xB")])
def test_a_folder_belongs_to_one_node_of_one_federation(tmp_path: Path, owner: Owner) -> None:
    with open_journal(tmp_path, OWNER):
        pass
    with pytest.raises(ConfigError, match="data folder of 0xA"), open_journal(tmp_path, owner):
        pass


def test_only_the_owner_of_the_files_reads_them(tmp_path: Path) -> None:
    with open_journal(tmp_path / "data", OWNER):
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        for file in (tmp_path / "data").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def fill(journal: Journal) -> None:
    for number in range(200):
        journal.prepare(part(number, data=os.urandom(500)))


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 2] = os.urandom(len(content) // 2 - 100)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"no database at all" * 100),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        overwrite,
    ],
)
def test_a_damaged_journal_is_refused(tmp_path: Path, damage: object) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        fill(journal)
    damage(tmp_path / FILE)
    with pytest.raises(JournalError, match="damaged") as refused, open_journal(tmp_path, OWNER):
        pass
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code != 0


def test_writes_reach_the_disk_before_they_return(tmp_path: Path) -> None:
    with open_journal(tmp_path, OWNER) as journal:
        assert journal._query("PRAGMA synchronous") == [(2,)]
        assert journal._query("PRAGMA journal_mode") == [("wal",)]
        journal.prepare(part())
        # A copy of the files as they lie there now, as after a power cut, holds it.
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    with sqlite3.connect(copy / FILE) as found:
        assert found.execute("SELECT bytes FROM rounds").fetchall() == [(b"bytes",)]
