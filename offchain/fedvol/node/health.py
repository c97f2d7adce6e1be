"""Whether a node looks at its chain, by its own metrics: `python -m fedvol.node.health [host:port]`; exit code 1: no.

For a container's HEALTHCHECK, a probe of an orchestrator, a cron job. Standard library only: it starts in a moment.
"""

from __future__ import annotations

import os
import re
import sys
import time
from urllib.request import ProxyHandler, build_opener

MOST_LATE_S = 180.0
"""Seconds by which a look may be late. A transaction may take half of that to be mined, and whoever waits for it does
not look."""


def ails(address: str, now: float) -> str | None:
    """What is wrong with the node that serves its metrics at an address; None where nothing is.

    Args:
        address: host:port.
        now: seconds since 1970.
    """
    try:
        with build_opener(ProxyHandler({})).open(f"http://{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError as error:
        return f"nobody answers at {address}: {error}"
    looked, pause = (
        float(found[1]) if (found := re.search(rf"^{name} (\S+)$", text, re.MULTILINE)) else 0.0
        for name in ("fedvol_last_look_timestamp_seconds", "fedvol_pause_seconds")
    )
    age = now - looked
    return f"it last saw the chain {age:.0f} s ago" if age > pause + MOST_LATE_S else None


def main() -> int:
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("FEDVOL_NODE_METRICS") or "127.0.0.1:9464"
    wrong = ails(address, time.time())
    print(wrong or "looks at its chain")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
