"""`make peers`: an environment of its own for the peers that FedVol is measured beside, then the comparison. Standard
library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from toolchain.setup import ONLINE, ROOT, SetupError, digest, run

HOME = ROOT / "build" / "peers"
WANTED = ROOT / "benchmarks" / "requirements-peers.txt"


def install() -> None:
    """Does nothing when the list is the one that was installed."""
    stamp, key = HOME / "installed", digest(WANTED)
    if stamp.exists() and stamp.read_text() == key:
        return
    print("  set-up: peers …", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    run(sys.executable, "-m", "venv", HOME, hint="Python's venv module is missing.")
    pip = (HOME / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    run(*pip, "-r", WANTED, hint=ONLINE)
    stamp.write_text(key)


def main() -> int:
    install()
    environment = os.environ | {"PYTHONPATH": str(ROOT / "offchain")}
    command = [HOME / "bin" / "python", "-m", "benchmarks.peers", *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as problem:
        sys.exit(f"set-up stopped: {problem}")
