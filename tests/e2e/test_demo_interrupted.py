"""Ctrl-C in the middle of the demo leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts._localnet import ROOT

pytestmark = pytest.mark.timeout(180)


def running(marker: str) -> list[str]:
    """Command lines of live processes that mention `marker`."""
    listed = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if marker in line and "<defunct>" not in line]


def children_of(pid: int) -> set[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()[1:]]
    found, fresh = set(), {pid}
    while fresh:
        fresh = {child for child, parent in pairs if parent in fresh} - found
        found |= fresh
    return found


@pytest.mark.parametrize(("how", "options"), [(signal.SIGINT, ["--keep"]), (signal.SIGTERM, [])])
def test_every_process_ends(tmp_path: Path, how: signal.Signals, options: list[str]) -> None:
    """With --keep there is a page too."""
    demo = subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", "--out", tmp_path / "demo", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while len(running(f"--config {tmp_path}")) < 6:
            assert demo.poll() is None, demo.stdout and demo.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.5)
        family = children_of(demo.pid)
        assert len(family) >= 7 + len(options)  # six desks and Anvil
    finally:
        os.kill(demo.pid, how)
        output, _ = demo.communicate(timeout=40)
    assert demo.returncode == 130, output
    assert ("Watch it live at http://127.0.0.1:" in output) == bool(options)
    assert "Traceback" not in output
    assert not running(str(tmp_path))
    for pid in family:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
