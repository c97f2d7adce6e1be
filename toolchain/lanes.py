"""Runs several commands at once and prints their lines as they come, each after its lane. Standard library only.

    python -m toolchain.lanes contracts='ape test' unit='pytest tests/node'

Ends with a line on each lane, and with exit code 1 where one has failed. Ctrl-C ends them all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
"""The lanes share the cores already: more threads in each only wait for each other, and spin while they do."""


class Lane:
    """One command, in a process group of its own; not in a session, or Linux would share cores by session and not look
    at how nice a lane is (sched(7), autogroup)."""

    def __init__(self, name: str, command: str) -> None:
        self.name = name
        self.seconds = 0.0
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            shell=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            env=ONE_THREAD | os.environ,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            print(f"{self.name:>9} │ {line.decode(errors='replace').rstrip()}", flush=True)

    def wait(self) -> int:
        self._reader.join()
        code = self._process.wait()
        self.seconds = time.monotonic() - self._started
        return code

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)


def main(asked: list[str]) -> int:
    lanes = [Lane(*argument.split("=", 1)) for argument in asked]
    try:
        codes = [lane.wait() for lane in lanes]
    except KeyboardInterrupt:
        for lane in lanes:
            lane.stop()
        return 130
    for lane, code in zip(lanes, codes, strict=True):
        print(f"{lane.name:>9}: {'passed' if code == 0 else f'FAILED ({code})'}")
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
