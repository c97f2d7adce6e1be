"""The journal on a disk that is full, or that lost the end of what it was told to keep."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from fedvol.chain.federation import Phase
from fedvol.chain.outbox import Attempt
from fedvol.node.daemon import open_node
from fedvol.node.journal import FILE, Journal, JournalError, Owner, Prepared, open_journal
from tests.faults.crash import no_space
from tests.faults.soundness import account, assert_nobody_paid
from tests.node.conftest import Lab

OWNER = Owner(31337, "0xF", "0xA")
PART = Prepared(1, 7, 1, b"trained" * 50, b"s" * 32, 2**200 + 3)
OTHER = Prepared(1, 7, 1, b"trained again" * 50, b"t" * 32, 2**199 + 5)
LARGE = replace(PART, data=bytes(1 << 16))
SENT = Attempt("commit:1", 4, b"h" * 32, b"raw" * 300, 10, 1, 5.0)
WAL = f"{FILE}-wal"


@pytest.mark.parametrize("trouble", ["disk I/O error", "database or disk is full"])
def test_a_full_disk_is_told_in_one_line_and_nothing_is_half_written(tmp_path: Path, trouble: str) -> None:
    """The kernel refuses the bytes, or SQLite may not make its file larger."""
    with open_journal(tmp_path, OWNER) as journal:
        (pages,) = journal._query("PRAGMA page_count")[0]
        with no_space() if trouble == "disk I/O error" else nullcontext():
            if trouble == "database or disk is full":
                journal._query(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(JournalError, match=rf"cannot be written \({trouble}\). Make room") as told:
                journal.prepare(LARGE)
        assert "\n" not in str(told.value)
        assert journal.prepared(1, 7) is None
    with open_journal(tmp_path, OWNER) as journal:
        assert journal.prepare(PART).salt == PART.salt


def test_a_new_journal_on_a_full_disk(tmp_path: Path) -> None:
    with no_space(), pytest.raises(JournalError, match="cannot be written"), open_journal(tmp_path, OWNER):
        pass
    with open_journal(tmp_path, OWNER) as journal:
        assert journal.prepare(PART).salt == PART.salt


@pytest.mark.parametrize("lost", ["all", "all but a byte", "half", "a byte", "garbled"])
@pytest.mark.parametrize("write", ["prepare", "record_attempt"])
def test_a_torn_write_is_gone_and_what_was_before_it_stands(tmp_path: Path, write: str, lost: str) -> None:
    """As a power cut leaves the log of a drive that lies about what it has written."""
    wal = tmp_path / WAL

    def work() -> None:
        with open_journal(tmp_path, OWNER) as journal:
            if write == "record_attempt":
                journal.prepare(PART)
            (tmp_path / "whole").write_text(str(wal.stat().st_size))
            journal.prepare(PART) if write == "prepare" else journal.record_attempt(SENT)
            os.kill(os.getpid(), signal.SIGKILL)

    _killed(work)
    whole, size = int((tmp_path / "whole").read_text()), wal.stat().st_size
    keep = {"all": whole, "all but a byte": whole + 1, "half": (whole + size) // 2, "a byte": size - 1}
    content = bytearray(wal.read_bytes())[: keep.get(lost, size)]
    if lost == "garbled":
        content[(whole + size) // 2] ^= 0xFF
    wal.write_bytes(content)

    with open_journal(tmp_path, OWNER) as journal:
        assert journal.attempts("commit:1") == []
        standing = journal.prepare(OTHER)
        assert standing.commitment == (OTHER if write == "prepare" else PART).commitment
        journal.record_attempt(SENT)
        assert journal.attempts("commit:1") == [SENT]


def test_a_node_commits_to_what_it_trained_before_its_log_was_torn(lab: Lab) -> None:
    """Its disk as of a power cut just after the update was prepared, the transaction's write torn."""
    others = [lab.node(i) for i in (1, 2)]
    with open_node(lab.config(3)) as node:
        lab.cycle(*others, node, until=lambda: lab.client.snapshot().phase == Phase.DRAW)
        lab.cycle(*others, until=lambda: lab.client.snapshot().clock.committed == 2, seconds=1)
        folder, cut = lab.config(3).data_dir, lab.folder / "cut"
        trained = node.acts.prepare(lab.client.snapshot(account(lab, 3)))
        whole = (folder / WAL).stat().st_size
        node.acts._journal.record_attempt(SENT)
        shutil.copytree(folder, cut)
        torn = (cut / WAL).read_bytes()
        (cut / WAL).write_bytes(torn[: (whole + len(torn)) // 2])
    shutil.rmtree(folder)
    cut.rename(folder)
    with open_node(lab.config(3)) as node:
        lab.cycle(*others, node, until=lambda: lab.client.snapshot().clock.revealed == 3, seconds=1)
        revealed = {r.node: r for r in lab.client.reveals(1, lab.client.snapshot().block)}[account(lab, 3)]
        assert (revealed.content_id, revealed.salt) == (trained.content_id, trained.salt)
    assert_nobody_paid(lab)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(("method", "write"), [("keep_evidence", 1), ("keep_promise", 1), ("keep_promise", 2)])
def test_what_proofs_need_is_whole_wherever_it_dies(tmp_path: Path, method: str, write: int, side: str) -> None:
    """The steps that `test_crash_matrix` does not reach: updates are proven only where a prover runs."""

    def keep(journal: Journal, what: bytes) -> bytes | None:
        if method == "keep_evidence":
            journal.keep_evidence(1, 7, what)
            return journal.evidence(1, 7)
        journal.keep_promise("reveal:1:7", what, what, what)
        return journal.promise("reveal:1:7").preimage

    def work() -> None:
        real, count = Journal._write, 0

        def deadly(self: Journal, sql: str, *values: object) -> None:
            nonlocal count
            count += not sql.startswith("INSERT INTO owner")
            if (count, side) == (write, "before"):
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, sql, *values)
            if (count, side) == (write, "after"):
                os.kill(os.getpid(), signal.SIGKILL)

        Journal._write = deadly
        with open_journal(tmp_path, OWNER) as journal:
            keep(journal, b"first")

    _killed(work)
    with open_journal(tmp_path, OWNER) as journal:
        was_written = (write, side) != (1, "before")
        assert keep(journal, b"second") == (b"first" if was_written else b"second")


def _killed(work: Callable[[], None]) -> None:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
