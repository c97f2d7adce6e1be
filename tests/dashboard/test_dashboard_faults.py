"""What goes wrong beside the page: a liar who is slashed, bytes that are gone, an RPC endpoint that is down."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from scripts._anvil import rpc
from scripts._faults import faulty_proxy

from fedvol.storage import LocalFolder
from tests.dashboard.conftest import Eyes, get, served, until
from tests.node.conftest import BOND, Lab
from tests.node.test_node_watch import overturned

pytestmark = pytest.mark.timeout(300)


def test_an_outage_is_told_the_data_stay_and_it_ends_by_itself(lab: Lab, eyes: Eyes) -> None:
    lab.cycle(lab.node(1), until=lambda: lab.client.snapshot().joining == 1)
    with faulty_proxy(lab.url) as proxy, served(lab, rpc=proxy.url) as page:
        viewer = eyes.open(page.url)
        viewer.wait("document.getElementById('node-table').tBodies[0].rows.length === 1")
        viewer.wait("document.getElementById('link').dataset.up === 'true'")
        before = viewer.rows("node-table")
        for fault in ("close", "html", "500"):
            proxy.mode = fault
            viewer.wait("document.getElementById('link').dataset.up === 'false'")
            told = viewer.text("#link")
            assert re.match(r"No answer from the chain since \d\d:\d\d:\d\d: ", told), told
            assert "tries again by itself" in told
            assert viewer.page.locator("#link").is_visible()
            assert viewer.page.get_attribute("#link", "role") == "status"
            assert viewer.rows("node-table") == before
            if fault == "close":
                viewer.page.wait_for_timeout(400)
                viewer.picture("dashboard-outage")
            rpc(lab.url, "anvil_mine", 3)
            proxy.mode = "forward"
            viewer.wait("document.getElementById('link').dataset.up === 'true'")
            assert viewer.text("#link").startswith("Live")
            block = lab.client.web3.eth.block_number
            viewer.wait(f"document.getElementById('block').textContent === '{block}'")
        assert viewer.shifted() < 0.001, viewer.page.evaluate("window.shifts")


def test_many_viewers_ask_the_chain_no_more_than_one(lab: Lab) -> None:
    def calls(proxy: object, blocks: int) -> int:
        before = len(proxy.commands)
        for _ in range(blocks):
            block = lab.client.web3.eth.block_number + 1
            rpc(lab.url, "anvil_mine", 1)
            until(lambda b=block: f'"block":{b},' in last.get("head", ""), 10)
        return len(proxy.commands) - before

    last: dict[str, str] = {}
    with faulty_proxy(lab.url) as proxy, served(lab, rpc=proxy.url) as page, Streams(page.url, last) as streams:
        streams.add()
        calls(proxy, 3)
        alone = calls(proxy, 4)
        for _ in range(20):
            streams.add()
        crowd = calls(proxy, 4)
    assert crowd < alone * 1.5 + 8


class Streams:
    """Viewers that only listen; `last`: the newest of each section that any heard."""

    def __init__(self, url: str, last: dict[str, str]) -> None:
        self.url, self.last = url, last
        self.threads: list = []
        self.stop = False

    def add(self) -> None:
        import threading

        thread = threading.Thread(target=self._listen, daemon=True)
        thread.start()
        self.threads.append(thread)

    def _listen(self) -> None:
        name = ""
        with (
            httpx.Client(trust_env=False, timeout=20) as client,
            client.stream("GET", f"{self.url}/events") as answer,
        ):
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.last[name] = line[6:]
                if self.stop:
                    return

    def __enter__(self) -> Streams:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop = True
        for thread in self.threads:
            thread.join(10)


def test_a_liar_is_listed_with_what_it_lost_and_the_audit_says_why(lab: Lab, eyes: Eyes) -> None:
    liar, honest = overturned(lab)
    lab.cycle(*honest, until=lambda: lab.version == 2, seconds=4)
    with served(lab, "--storage", lab.folder / "storage") as page:
        viewer = eyes.open(page.url)
        viewer.wait("document.getElementById('incident-table').tBodies[0].rows[0]?.cells.length > 1")
        incident = viewer.rows("incident-table")[-1]
        address = liar._account.address
        assert incident[1:4] == ["round 1", "proposal overturned", f"{address[:6]}…{address[-4:]}"]
        assert incident[5] == f"{BOND / 1e18:,.0f}"
        assert "Plain rounds" in viewer.text("#cluster-list")
        assert "errors need --tape" in viewer.text("#checks-key")
        viewer.page.locator("#incident-table a").last.click()
        viewer.page.wait_for_url("**/audit/1")
        viewer.wait("document.getElementById('link').dataset.up !== 'starting'", 60)
        steps = viewer.rows("audit-table")
        assert ["dispute", "holds"] in [[s[0], s[2]] for s in steps]
        assert any("wrong at word 2, overturned" in s[1] for s in steps)


def test_stored_bytes_that_are_no_update_are_named_by_the_audit_and_harm_nothing(lab: Lab, eyes: Eyes) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.version == 2)
    reveal = lab.client.reveals(1, lab.client.snapshot().block)[0]
    storage = LocalFolder(lab.folder / "storage")
    (held,) = [path for path in Path(lab.folder / "storage").rglob("*") if reveal.content_id.hex() in path.name]
    held.chmod(0o600)
    held.write_bytes(b"<img src=x onerror=alert(1)><script>alert(2)</script>")
    assert not storage.has(reveal.content_id)
    with served(lab, "--storage", lab.folder / "storage") as page:
        answer = get(page, "/api/audit/1").json()
        assert answer["exit_code"] == 9
        vectors = [s for s in answer["steps"] if s["step"] == "vector" and reveal.node in s["what"]]
        assert [s["verdict"] for s in vectors] == ["bytes missing"]
        viewer = eyes.open(page.url + "/audit/1")
        viewer.wait("document.getElementById('link').dataset.up === 'false'")
        assert viewer.text("#link").startswith("Bytes are missing from storage.")
        nowhere = eyes.open(page.url + "/audit/99")
        nowhere.wait("document.getElementById('link').dataset.up === 'false'")
        assert "Round 99 was never opened" in nowhere.text("#link")
